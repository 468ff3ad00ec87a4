"""Removal takes what was replaced, or all of a device, and nothing that others use."""

from __future__ import annotations

import pytest

from agent.errors import LinkLostError
from agent.health.conditions import LEFTOVER_CERTIFICATE
from agent.identity import has_replaced
from agent.provisioning import removal
from agent.provisioning.policy import policy_name
from tests.integration.provisioning.device import (
    Device,
    add_policy,
    make_directory,
    policies,
    spoil_key,
    state,
    take,
    things,
)


def test_the_replaced_certificate_stays_until_the_new_one_has_connected(device: Device) -> None:
    """A new certificate that does not work takes nothing away."""

    def fail() -> None:
        raise LinkLostError("refused")

    device.provision()
    (old,) = device.own()
    spoil_key(device)
    device.register()
    with device.generations.locked(), pytest.raises(LinkLostError):
        removal.retire(
            device.config,
            device.cloud(),
            device.retry(patience_s=0.1),
            prove=fail,
            patience_s=0.1,
            serial=device.serial,
        )
    assert old in device.own()
    assert has_replaced(device.certs, device.name)
    device.provision()
    device.check_whole()
    assert not has_replaced(device.certs, device.name)


def test_deprovisioning_only_detaches_what_another_thing_uses(device: Device) -> None:
    """It stays active for the other."""
    device.provision()
    (old,) = device.own()
    other = f"{device.name}-other"
    device.aws.iot.create_thing(thingName=other)
    device.aws.iot.attach_thing_principal(thingName=other, principal=old.arn)
    device.deprovision()
    device.check_gone()
    (kept,) = [one for one in device.aws.certificates() if one.certificate_id == old.certificate_id]
    assert (kept.status, kept.things, kept.policies) == ("ACTIVE", (other,), ())


def test_deprovisioning_leaves_what_it_cannot_tell_to_be_ours(device: Device) -> None:
    """Files without an identity, whose certificate carries more, may be a fleet's: both stay."""
    device.provision()
    (old,) = device.own()
    more = f"{policy_name(device.name)}-fleet"
    add_policy(device, more, certificate_id=old.certificate_id)
    make_directory(device)
    device.deprovision()
    left = state(device, old.certificate_id)
    assert (left.status, left.things) == ("ACTIVE", (device.name,))
    assert set(left.policies) == {policy_name(device.name), more}
    assert device.names() == {device.name}
    assert device.files.key.is_file()
    assert more in device.said(LEFTOVER_CERTIFICATE.code)


def test_deprovisioning_takes_ours_from_files_without_an_identity(device: Device) -> None:
    """It carries nothing else."""
    device.provision()
    make_directory(device)
    device.deprovision()
    device.check_gone()
    assert not device.aws.certificates()


def test_deprovisioning_leaves_nothing(device: Device) -> None:
    """Neither at AWS nor on disk; doing it again is fine."""
    device.provision()
    device.deprovision()
    device.check_gone()
    assert not device.aws.certificates()
    device.deprovision()
    device.check_gone()


def test_deprovisioning_leaves_what_others_use(device: Device) -> None:
    """A policy that other certificates have stays, and so does a thing of another board."""
    device.provision()
    other = device.aws.iot.create_keys_and_certificate(setAsActive=True)["certificateArn"]
    device.aws.iot.attach_policy(policyName=policy_name(device.name), target=other)
    take(device, board="another")
    device.deprovision()
    assert policy_name(device.name) in policies(device.aws)
    assert things(device.aws, device.name)
    assert not device.names()
