"""What somebody has done at AWS, perhaps on purpose, stays unless a person says otherwise."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from agent.errors import RefusedError
from agent.provisioning.policy import policy_name
from tests.integration.provisioning.device import (
    Device,
    add_policy,
    policies,
    reflash,
    spoil_key,
    state,
)
from tests.tools.cloud import faults as fault

if TYPE_CHECKING:
    from collections.abc import Callable


def empty(device: Device) -> None:
    """Lose all files."""
    for path in device.files.directory.iterdir():
        path.unlink()


SHUT_OUT: dict[str, Callable[[Device], None]] = {
    "sound": lambda _: None,
    "no key": spoil_key,
    "no certificate": lambda device: device.files.certificate.unlink(),
    "all files lost": empty,
}


class TestShutOut:
    """What somebody has done at AWS, perhaps on purpose."""

    @pytest.mark.parametrize("status", ["INACTIVE", "REVOKED"])
    @pytest.mark.parametrize("spoil", SHUT_OUT.values(), ids=SHUT_OUT)
    def test_a_device_that_was_shut_out_stays_out(
        self, device: Device, spoil: Callable[[Device], None], status: str
    ) -> None:
        """Nothing is changed at AWS, and a person may let it in again."""
        device.provision()
        (one,) = device.own()
        device.aws.iot.update_certificate(certificateId=one.certificate_id, newStatus=status)
        before = device.aws.certificates()
        spoil(device)
        with pytest.raises(RefusedError, match=f"{one.certificate_id} is {status}") as caught:
            device.provision()
        assert "on purpose" in caught.value.hint
        assert "--reactivate" in caught.value.hint
        assert device.aws.certificates() == before
        device.provision(reactivate=True)
        device.check_whole()
        kept = device.own()[0].certificate_id == one.certificate_id
        assert kept == (status == "INACTIVE" and spoil is SHUT_OUT["sound"])

    def test_one_in_the_making_is_inactive_and_goes_on(self, device: Device) -> None:
        """It was never let in."""
        device.aws.faults.inject(fault.ACCESS_DENIED, "UpdateCertificate")
        with pytest.raises(RefusedError):
            device.register()
        (one,) = device.own()
        assert one.status == "INACTIVE"
        device.aws.faults.clear()
        device.provision()
        assert device.own()[0].certificate_id == one.certificate_id

    def test_a_policy_that_somebody_changed_stays(self, device: Device) -> None:
        """It is said, and --reset-policy corrects it."""
        device.provision()
        name = policy_name(device.name)
        nothing = {
            "Version": "2012-10-17",
            "Statement": [{"Effect": "Deny", "Action": "iot:*", "Resource": "*"}],
        }
        device.aws.iot.create_policy_version(
            policyName=name, policyDocument=json.dumps(nothing), setAsDefault=True
        )

        def denies() -> bool:
            return "Deny" in str(device.aws.iot.get_policy(policyName=name)["policyDocument"])

        spoil_key(device)
        device.provision()
        assert denies()
        assert "--reset-policy" in device.said()
        device.provision(reset_policy=True)
        assert not denies()

    def test_a_policy_that_somebody_put_in_its_place_stays(self, device: Device) -> None:
        """It is said; --reset-policy attaches ours again."""
        device.provision()
        (one,) = device.own()
        ours, quarantine = policy_name(device.name), f"{device.name.replace(':', '.')}-quarantine"
        device.aws.iot.detach_policy(policyName=ours, target=one.arn)
        add_policy(device, quarantine, certificate_id=one.certificate_id)
        device.provision()
        assert state(device, one.certificate_id).policies == (quarantine,)
        assert quarantine in device.said()
        assert "--reset-policy" in device.said()
        device.provision(reset_policy=True)
        assert set(state(device, one.certificate_id).policies) == {ours, quarantine}

    def test_it_stays_where_the_key_is_spoiled_too(self, device: Device) -> None:
        """A new certificate with our policy would let the device in again; a person may."""
        device.provision()
        (one,) = device.own()
        ours, quarantine = policy_name(device.name), f"{device.name.replace(':', '.')}-quarantine"
        device.aws.iot.detach_policy(policyName=ours, target=one.arn)
        add_policy(device, quarantine, certificate_id=one.certificate_id)
        device.files.key.write_text("spoiled")
        with pytest.raises(RefusedError, match=f"{quarantine} in place of our policy") as caught:
            device.provision()
        assert "--reset-policy" in caught.value.hint
        assert [found.certificate_id for found in device.own()] == [one.certificate_id]
        device.provision(reset_policy=True)
        assert len(device.own()) == 2

    def test_a_policy_beside_ours_is_none_of_our_business(self, device: Device) -> None:
        """Nothing is said of it."""
        device.provision()
        (one,) = device.own()
        more = f"{policy_name(device.name)}-more"
        add_policy(device, more, certificate_id=one.certificate_id)
        device.provision()
        assert set(state(device, one.certificate_id).policies) == {policy_name(device.name), more}
        assert "--reset-policy" not in device.said()


class TestNewCard:
    """A board that was shut out, and then got a new card."""

    def test_one_whose_certificate_was_revoked_stays_out(self, device: Device) -> None:
        """A new certificate would let it in again; a person may."""
        device.provision()
        (one,) = device.own()
        device.aws.iot.update_certificate(certificateId=one.certificate_id, newStatus="REVOKED")
        reflash(device)
        before = device.aws.certificates()
        with pytest.raises(RefusedError, match=f"{one.certificate_id} is REVOKED") as caught:
            device.provision()
        assert "--reactivate" in caught.value.hint
        assert device.aws.certificates() == before
        assert policy_name(device.name) in policies(device.aws)
        device.provision(reactivate=True)
        device.check_whole()
        assert state(device, one.certificate_id) is None

    def test_an_inactive_one_may_be_half_made(self, device: Device) -> None:
        """By a run that was killed before the card was lost."""
        device.aws.faults.inject(fault.ACCESS_DENIED, "UpdateCertificate", first=1)
        with pytest.raises(RefusedError):
            device.register()
        reflash(device)
        device.provision()
        device.check_whole()
        assert len(device.aws.certificates()) == 1

    def test_the_things_certificates_are_asked_for_once(self, device: Device) -> None:
        """One answer says who is shut out, and whether others are to be removed."""
        device.provision()
        reflash(device)
        device.aws.faults.clear()
        device.register()
        assert device.aws.faults.operations().count("ListThingPrincipals") == 1
