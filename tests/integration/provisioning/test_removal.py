"""Removal takes what was replaced, or all of a device, and nothing that others use."""

from __future__ import annotations

import pytest

from agent.errors import LinkLostError
from agent.identity import has_replaced
from agent.provisioning import removal
from agent.provisioning.policy import policy_name
from tests.integration.provisioning.device import Device, policies, spoil_key, things


def test_the_replaced_certificate_stays_until_the_new_one_has_connected(device: Device) -> None:
    """A new certificate that does not work takes nothing away."""

    def fail() -> None:
        raise LinkLostError("refused")

    device.provision()
    (old,) = device.own()
    spoil_key(device)
    device.register()
    before = removal.PROOF_S
    removal.PROOF_S = 0.1
    try:
        with device.generations.locked(), pytest.raises(LinkLostError):
            removal.retire(device.config, device.cloud(), device.retry(patience_s=0.1), prove=fail)
    finally:
        removal.PROOF_S = before
    assert old in device.own()
    assert has_replaced(device.certs, device.name)
    device.provision()
    device.check_whole()
    assert not has_replaced(device.certs, device.name)


def test_a_certificate_that_another_thing_uses_is_only_detached(device: Device) -> None:
    """It stays active for the other."""
    device.provision()
    (old,) = device.own()
    other = f"{device.name}-other"
    device.aws.iot.create_thing(thingName=other)
    device.aws.iot.attach_thing_principal(thingName=other, principal=old.arn)
    spoil_key(device)
    device.provision()
    device.check_whole()
    (kept,) = [one for one in device.aws.certificates() if one.certificate_id == old.certificate_id]
    assert (kept.status, kept.things, kept.policies) == ("ACTIVE", (other,), ())


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
    device.serial = "another"
    device.deprovision()
    assert policy_name(device.name) in policies(device.aws)
    assert things(device.aws, device.name)
    assert [path.name for path in device.certs.iterdir()] == [".lock"]
