"""Once a certificate has proven itself, no other of the device can connect; others' stay."""

from __future__ import annotations

import itertools
import json
from contextlib import suppress

import pytest

from agent.errors import RefusedError
from agent.health.conditions import LEFTOVER_CERTIFICATE
from agent.identity import has_replaced
from agent.provisioning.policy import policy_name
from tests.integration.provisioning.device import (
    CrashError,
    Device,
    add_policy,
    edit_identity,
    make,
    make_directory,
    reflash,
    remove,
    spoil_key,
    state,
    things,
)
from tests.tools.cloud import faults as fault

LEFTOVER = LEFTOVER_CERTIFICATE.code


class TestOthers:
    """Certificates of the thing that the disk has not."""

    def test_a_new_card_shuts_the_old_one_out(self, device: Device) -> None:
        """After the proof alone: till then both could connect."""
        device.provision()
        reflash(device)
        device.register()
        assert has_replaced(device.certs, device.name)
        assert len(device.own()) == 2
        device.retire()
        device.check_whole()
        assert len(device.aws.certificates()) == 1

    def test_a_first_registration_leaves_nothing_to_do(self, device: Device) -> None:
        """And a sound one that is checked does neither."""
        device.register()
        assert not has_replaced(device.certs, device.name)
        device.register()
        assert not has_replaced(device.certs, device.name)

    def test_a_name_that_is_taken_over_is_ours_alone(self, device: Device) -> None:
        """The other board's certificate goes, and thing and identity say our board."""
        device.serial = "77"
        device.provision()
        reflash(device)
        device.serial = "88"
        with pytest.raises(RefusedError, match="belongs to another device"):
            device.provision()
        device.provision(take_over=True)
        device.check_whole()
        assert len(device.aws.certificates()) == 1
        assert things(device.aws, device.name)[0]["attributes"] == {"serial": "88"}
        assert json.loads(device.files.identity.read_text())["serial"] == "88"

    def test_a_copied_card_that_takes_over_gets_a_key_of_its_own(self, device: Device) -> None:
        """The other board has the old one."""
        device.serial = "77"
        device.provision()
        (before,) = device.own()
        device.serial = "88"
        device.provision(take_over=True)
        device.check_whole()
        assert state(device, before.certificate_id) is None

    def test_an_older_identity_learns_the_board(self, device: Device) -> None:
        """It keeps its certificate."""
        device.provision()
        before = device.own()
        edit_identity(device, serial="")
        device.provision()
        assert device.own() == before
        assert json.loads(device.files.identity.read_text())["serial"] == device.serial

    def test_what_carries_more_is_left_and_said(self, device: Device) -> None:
        """Another thing, or another policy, makes it more than this device's own."""
        device.provision()
        other = f"{device.name}-other"
        device.aws.iot.create_thing(thingName=other)
        shared, wider = make(device, thing=device.name), make(device, thing=device.name)
        arns = {one.certificate_id: one.arn for one in device.aws.certificates()}
        device.aws.iot.attach_thing_principal(thingName=other, principal=arns[shared])
        add_policy(device, policy_name(other), certificate_id=wider)
        before = [state(device, shared), state(device, wider)]
        device.provision()
        assert [state(device, shared), state(device, wider)] == before
        assert shared in device.said(LEFTOVER)
        assert wider in device.said(LEFTOVER)
        assert other in device.said(LEFTOVER)

    def test_of_a_board_without_a_number_nothing_is_ours(self, device: Device) -> None:
        """Its thing could be any other's."""
        device.serial = None
        device.provision()
        made = make(device, thing=device.name, active=True)
        device.provision()
        assert state(device, made).status == "ACTIVE"
        assert "serial number" in device.said(LEFTOVER)


class TestReplaced:
    """What the disk has of certificates that were replaced."""

    @pytest.mark.parametrize("older", [False, True], ids=["ours", "tutorial"])
    @pytest.mark.parametrize("more", ["policy", "thing"])
    def test_one_that_carries_more_is_left_as_it_is(
        self, device: Device, more: str, *, older: bool
    ) -> None:
        """Its files too: it may be a fleet's."""
        device.provision()
        (old,) = device.own()
        if more == "thing":
            device.aws.iot.create_thing(thingName=f"{device.name}-other")
            device.aws.iot.attach_thing_principal(
                thingName=f"{device.name}-other", principal=old.arn
            )
        else:
            add_policy(
                device, f"{policy_name(device.name)}-other", certificate_id=old.certificate_id
            )
        before = state(device, old.certificate_id)
        if older:
            make_directory(device)
        spoil_key(device)
        device.provision()
        assert state(device, old.certificate_id) == before
        assert len(device.generations.stale()) == 1
        assert old.certificate_id in device.said(LEFTOVER)
        assert "-other" in device.said(LEFTOVER)

    @pytest.mark.parametrize("older", [False, True], ids=["ours", "tutorial"])
    def test_one_whose_identity_is_lost_may_be_of_another_account(
        self, device: Device, *, older: bool
    ) -> None:
        """Where AWS does not know it here, it is kept and said."""
        device.provision()
        (old,) = device.own()
        device.files.identity.unlink()
        if older:
            make_directory(device)
        remove(device, old.certificate_id)
        device.provision()
        (stale,) = device.generations.stale()
        assert device.generations.fingerprint(stale) == old.certificate_id
        assert old.certificate_id in device.said(LEFTOVER)
        assert "deprovision --forget" in device.said(LEFTOVER)

    def test_a_removal_that_was_killed_is_finished(self, device: Device) -> None:
        """Also of one without an identity: that it was known here is written down first."""
        for crash_at in itertools.count(1):
            device.provision()
            make_directory(device)
            device.register()
            with suppress(CrashError):
                device.cloud(crash_at)
                device.retire(device.cloud(crash_at))
                break
            device.retire()
            device.check_whole()
        device.check_whole()
        assert len(device.aws.certificates()) == 1
        assert crash_at > 6


class TestLost:
    """Certificates that were made, and whose answer did not arrive."""

    def test_a_lost_answer_leaves_nothing_whatever_the_clock(self, device: Device) -> None:
        """The time is AWS's: the device may be a day behind."""
        device.aws.faults.ahead_s = 86_400.0
        device.aws.faults.inject(fault.RESPONSE_LOST, "CreateCertificateFromCsr", first=2)
        device.register()
        assert len(device.aws.certificates()) == 3
        device.retire()
        device.check_whole()
        assert len(device.aws.certificates()) == 1
        assert sum(device.waited_s) > 60

    def test_what_another_device_makes_is_left(self, device: Device) -> None:
        """Active, attached, made at another time, or attached while it is waited for."""
        device.register()
        old = make(device)
        device.aws.faults.ahead_s += 3600
        spoil_key(device)
        device.aws.faults.inject(fault.RESPONSE_LOST, "CreateCertificateFromCsr", first=2)
        device.register()
        lost = device.aws.certificates()[-2].certificate_id
        other = f"{device.name}-other"
        device.aws.iot.create_thing(thingName=other)
        active, attached, late = make(device, active=True), make(device, thing=other), make(device)
        sleep = device.sleep

        def attach_late(seconds: float) -> None:
            arn = state(device, late).arn
            device.aws.iot.attach_thing_principal(thingName=other, principal=arn)
            sleep(seconds)

        device.sleep = attach_late  # type: ignore[method-assign]
        device.retire()
        assert state(device, lost) is None
        assert all(state(device, one) for one in (old, active, attached, late))
        assert not has_replaced(device.certs, device.name)

    def test_a_listing_that_is_refused_is_a_leftover(self, device: Device) -> None:
        """The missing action is named, and it is tried again."""
        device.aws.faults.inject(fault.RESPONSE_LOST, "CreateCertificateFromCsr", nth=1)
        device.aws.faults.inject(fault.ACCESS_DENIED, "ListCertificates")
        with pytest.raises(RefusedError, match="iot:ListCertificates"):
            device.provision()
        assert "iot:ListCertificates" in device.said(LEFTOVER)
        assert has_replaced(device.certs, device.name)
        device.aws.faults.heal()
        device.provision()
        device.check_whole()
        assert len(device.aws.certificates()) == 1


class TestRefused:
    """Removals that fail."""

    @pytest.mark.parametrize(
        "operation",
        ["DetachPolicy", "DetachThingPrincipal", "DeleteCertificate", "ListAttachedPolicies"],
    )
    def test_a_refused_removal_stops_no_other_and_is_tried_again(
        self, device: Device, operation: str
    ) -> None:
        """It is said with the certificate's id and the missing action."""
        device.provision()
        first, second = device.own()[0].certificate_id, make(device, thing=device.name)
        spoil_key(device)
        device.register()
        device.aws.faults.clear()
        device.aws.faults.inject(fault.ACCESS_DENIED, operation, first=1)
        with pytest.raises(RefusedError, match=f"iot:{operation}"):
            device.retire()
        assert state(device, first) or state(device, second)
        assert not (state(device, first) and state(device, second))
        assert f"iot:{operation}" in device.said(LEFTOVER)
        assert has_replaced(device.certs, device.name)
        device.retire()
        device.check_whole()
        assert len(device.aws.certificates()) == 1

    def test_it_cannot_connect_even_where_it_cannot_be_deleted(self, device: Device) -> None:
        """It is deactivated before all else."""
        device.provision()
        (old,) = device.own()
        spoil_key(device)
        device.aws.faults.inject(fault.ACCESS_DENIED, "DetachPolicy")
        with pytest.raises(RefusedError):
            device.provision()
        assert state(device, old.certificate_id).status == "INACTIVE"

    @pytest.mark.parametrize("values", [{"account": "999999999999"}, {"region": "eu-west-1"}])
    def test_a_generation_of_elsewhere_is_kept_and_said(
        self, device: Device, values: dict[str, str]
    ) -> None:
        """Its certificate could not be removed from here."""
        device.provision()
        edit_identity(device, **values)
        old = device.files.directory.resolve()
        device.provision()
        assert old.is_dir()
        assert device.files.directory.resolve() != old
        assert next(iter(values.values())) in device.said(LEFTOVER)
        device.provision()
        assert old.is_dir()
