"""A certificate is replaced by one that has proven itself; one that works is always in use."""

from __future__ import annotations

import itertools
import json
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from agent.errors import CloudError, LinkLostError, RefusedError
from agent.identity import decode_certificate
from agent.provisioning.policy import policy_name
from tests.integration.provisioning.device import (
    CrashError,
    Device,
    add_policy,
    edit_identity,
    make,
    remove,
    state,
    take,
)
from tests.tools.cloud import faults as fault

if TYPE_CHECKING:
    from tests.integration.provisioning.disk import Disk

FAULTS = [
    fault.THROTTLED,
    fault.INTERNAL_FAILURE,
    fault.CONNECTION_RESET,
    fault.RESPONSE_LOST,
    fault.ACCESS_DENIED,
    None,  # SIGKILL
]


def not_let_in() -> None:
    """A proof that fails."""
    raise LinkLostError("the broker refuses: not authorized")


def used(device: Device) -> str:
    """The id of the certificate in use, which is active."""
    (found,) = device.generations.certificate_ids(device.generations.current)
    assert state(device, found).status == "ACTIVE"
    return found


def pending(device: Device) -> str:
    """The id of what is to replace it."""
    (found,) = device.generations.certificate_ids(device.generations.pending)
    return found


def check_one(device: Device) -> None:
    """It is whole, and AWS has no other certificate."""
    device.check_whole()
    assert len(device.aws.certificates()) == 1


def test_the_new_certificate_has_another_key_and_takes_all_that_the_old_one_had(
    device: Device,
) -> None:
    """Thing, policy, files; and the old one is gone."""
    device.provision()
    before, key = used(device), device.files.key.read_bytes()
    proven: list[str] = []
    device.rotate(prove=lambda: proven.append(pending(device)))
    check_one(device)
    assert proven == [used(device)] != [before]
    assert device.files.key.read_bytes() != key
    assert decode_certificate(device.files.certificate.read_text()).key == "EC P-256"
    assert not device.aws.faults.operations().count("CreatePolicy") > 1


def test_nothing_is_switched_before_the_proof(device: Device) -> None:
    """One that is not let in waits for the next run, which makes no other."""
    device.provision()
    before = used(device)
    with pytest.raises(LinkLostError, match="the old one stays in use") as caught:
        device.rotate(prove=not_let_in)
    assert "goes on with the new one" in caught.value.hint
    assert used(device) == before
    waiting = pending(device)
    device.rotate()
    assert used(device) == waiting
    check_one(device)


def test_registering_drops_what_has_not_proven_itself(device: Device) -> None:
    """And removes it, here and at AWS."""
    device.provision()
    before = used(device)
    with pytest.raises(LinkLostError):
        device.rotate(prove=not_let_in)
    device.provision()
    assert used(device) == before
    check_one(device)


def test_after_fifty_rotations_with_a_fault_at_every_step_there_is_one_certificate(
    device: Device,
) -> None:
    """Throttled, refused, answered by nothing, or killed: one that works is always in use."""
    device.provision()
    device.aws.faults.clear()
    calls = device.rotate()
    kinds = itertools.cycle(FAULTS)
    seen = {used(device)}
    for number in range(50):
        kind = next(kinds)
        device.aws.faults.clear()
        if kind:
            device.aws.faults.inject(kind, nth=number % calls + 1)
        try:
            device.rotate(crash_at=0 if kind else number % calls + 1)
        except (CrashError, CloudError):
            seen.add(used(device))
            device.check_keys()
            device.aws.faults.clear()
            device.rotate()
        check_one(device)
        seen.add(used(device))
    assert len(seen) > 50


def test_a_crash_after_any_call_is_finished_by_the_next_rotation(device: Device) -> None:
    """The old one, or the new one, is in use all the time."""
    device.provision()
    for crash_at in itertools.count(1):
        with suppress(CrashError):
            device.rotate(crash_at=crash_at)
            break
        used(device)
        device.check_keys()
        device.rotate()
        check_one(device)
    check_one(device)
    assert crash_at > 15


def test_a_crash_after_any_call_is_undone_by_a_registration(device: Device) -> None:
    """Which keeps what is in use."""
    device.provision()
    for crash_at in itertools.count(1):
        with suppress(CrashError):
            device.rotate(crash_at=crash_at)
            break
        before = used(device)
        device.provision()
        assert used(device) == before
        check_one(device)
    assert crash_at > 15


def test_a_crash_at_any_change_of_the_disk_is_finished_by_the_next_rotation(
    device: Device, disk: Disk
) -> None:
    """Making the new one, switching to it, and removing the old one may stop anywhere."""
    device.provision()
    for number in itertools.count(1, 2):
        try:
            with disk.crash_before(number):
                device.rotate()
        except CrashError:
            used(device)
            device.check_keys()
            device.rotate()
            check_one(device)
        else:
            break
    check_one(device)
    assert number > 12


def test_one_that_was_killed_while_it_switched_is_followed_by_another(device: Device) -> None:
    """What is in use already has not to prove itself."""
    device.provision()
    before = used(device)
    device.generations.pending.symlink_to(device.generations.current.readlink())
    device.rotate()
    assert used(device) != before
    check_one(device)


class TestPolicies:
    """A rotation grants nothing that the certificate in use has not."""

    def test_what_others_attached_in_place_of_ours_is_taken_over(self, device: Device) -> None:
        """Ours does not come back; and the old one is removed though it carried theirs."""
        device.provision()
        before = used(device)
        add_policy(device, "theirs", certificate_id=before)
        arn = state(device, before).arn
        device.aws.iot.detach_policy(policyName=policy_name(device.name), target=arn)
        device.rotate()
        assert state(device, used(device)).policies == ("theirs",)
        assert state(device, before) is None

    def test_one_without_a_policy_is_not_replaced(self, device: Device) -> None:
        """Somebody may have shut it out so."""
        device.provision()
        before = used(device)
        arn = state(device, before).arn
        device.aws.iot.detach_policy(policyName=policy_name(device.name), target=arn)
        with pytest.raises(RefusedError, match="has no policy"):
            device.rotate()
        assert len(device.aws.certificates()) == 1
        assert used(device) == before


@pytest.mark.parametrize("status", ["INACTIVE", "REVOKED"])
def test_what_is_shut_out_stays_out(device: Device, status: str) -> None:
    """No new certificate is made."""
    device.provision()
    (one,) = device.own()
    device.aws.iot.update_certificate(certificateId=one.certificate_id, newStatus=status)
    with pytest.raises(RefusedError, match=f"shut out: certificate .* is {status}") as caught:
        device.rotate()
    assert "--reactivate" in caught.value.hint
    assert [found.status for found in device.aws.certificates()] == [status]


def test_one_that_was_taken_from_its_thing_is_not_replaced(device: Device) -> None:
    """The same."""
    device.provision()
    (one,) = device.own()
    device.aws.iot.detach_thing_principal(thingName=device.name, principal=one.arn)
    with pytest.raises(RefusedError, match="is not attached to"):
        device.rotate()
    assert len(device.aws.certificates()) == 1


def test_the_thing_of_another_board_gets_no_new_certificate(device: Device) -> None:
    """It has been taken over."""
    device.provision()
    take(device, board="another")
    with pytest.raises(RefusedError, match="of the board another"):
        device.rotate()
    assert len(device.aws.certificates()) == 1


def test_a_copied_card_replaces_nothing(device: Device) -> None:
    """The certificate is the other board's too."""
    device.provision()
    device.serial = "another"
    with pytest.raises(RefusedError, match="this card was made on the board"):
        device.rotate()
    assert len(device.aws.certificates()) == 1


def test_a_device_without_a_certificate_has_none_to_replace(device: Device) -> None:
    """It says what makes one."""
    with pytest.raises(RefusedError, match="no sound certificate") as caught:
        device.rotate()
    assert "provision" in caught.value.hint


@pytest.mark.parametrize(
    ("account", "hint"),
    [("", "it was deleted there"), ("999999999999", "an AWS key of the account and region")],
)
def test_a_certificate_that_aws_does_not_know_is_not_replaced(
    device: Device, account: str, hint: str
) -> None:
    """It was deleted, or the AWS key is of another account."""
    device.provision()
    known = {"account": account} if account else {}
    edit_identity(device, certificate_id="0" * 64, **known)
    with pytest.raises(RefusedError, match="not known to AWS in account") as caught:
        device.rotate()
    assert hint in caught.value.hint
    assert len(device.aws.certificates()) == 1


def test_another_certificate_of_the_thing_is_removed_too(device: Device) -> None:
    """As after a registration."""
    device.provision()
    make(device, thing=device.name, active=True)
    device.rotate()
    check_one(device)


def test_one_that_was_deleted_at_aws_is_made_anew_by_a_registration(device: Device) -> None:
    """The hint says so, for it is this very account."""
    device.provision()
    remove(device, used(device))
    with pytest.raises(RefusedError, match="not known to AWS in account") as caught:
        device.rotate()
    assert "`sudo pi-iot-agent provision` has a new one made" in caught.value.hint


@pytest.mark.parametrize("kind", FAULTS[:-1], ids=lambda kind: kind.code or "reset")
def test_one_that_aws_makes_with_its_key_is_replaced_whatever_fails(
    device: Device, kind: fault.Fault
) -> None:
    """The old one is in use until then, and a lost answer leaves no other."""
    text = device.toml.read_text()
    device.toml.write_text(text.replace("[provisioning]", '[provisioning]\nmethod = "keys"'))
    device.provision()
    for operation in ("CreateKeysAndCertificate", "AttachPolicy", "UpdateCertificate"):
        before = used(device)
        device.aws.faults.clear()
        device.aws.faults.inject(kind, operation, nth=1)
        try:
            device.rotate()
        except CloudError:
            assert used(device) == before
            device.aws.faults.clear()
            device.rotate()
        assert used(device) != before
        check_one(device)


def test_one_of_whose_key_aws_knows_is_replaced_by_one_of_its_own(device: Device) -> None:
    """An older device's, made with the method "keys"."""
    text = device.toml.read_text()
    device.toml.write_text(text.replace("[provisioning]", '[provisioning]\nmethod = "keys"'))
    device.provision()
    assert decode_certificate(device.files.certificate.read_text()).key.startswith("RSA")
    device.toml.write_text(text)
    device.rotate()
    check_one(device)
    assert json.loads(device.files.identity.read_text())["method"] == "csr"
    assert decode_certificate(device.files.certificate.read_text()).key == "EC P-256"
