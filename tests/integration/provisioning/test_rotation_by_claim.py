"""A claim replaces a certificate without an AWS key; the old one's key at least is destroyed."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import pytest

from agent.cli import renewal
from agent.errors import CloudError, LinkLostError, RefusedError
from agent.identity import Generations
from agent.provisioning import handover, removal
from agent.provisioning.cloud import Cloud
from tests.integration.provisioning.device import CrashError
from tests.integration.provisioning.fleet_device import TEMPLATE, FleetDevice
from tests.tools.cloud import faults as fault

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.integration.provisioning.disk import Disk
    from tests.tools.cloud import LocalAws


@pytest.fixture
def aws(cloud: LocalAws) -> Iterator[LocalAws]:
    """The local AWS with a template, and without faults."""
    cloud.fleet.create_template(TEMPLATE)
    yield cloud
    cloud.clear()


@pytest.fixture
def device(aws: LocalAws, tmp_path: Path) -> FleetDevice:
    """One that is registered, and has no AWS key."""
    found = FleetDevice(aws, tmp_path, credentials_file=str(tmp_path / "none"))
    found.provision()
    return found


def generations(device: FleetDevice) -> Generations:
    """Its generations."""
    return Generations(device.certs, device.thing)


def used(device: FleetDevice) -> str:
    """The id of the certificate in use, which is active."""
    (found,) = generations(device).certificate_ids(generations(device).current)
    assert {one.certificate_id: one.status for one in device.own()}[found] == "ACTIVE"
    return found


def rotate(device: FleetDevice, prove: Callable[[], None] = lambda: None) -> None:
    """Do what the command does; the proof is tried once."""
    retry = device.retry(patience_s=0.3)
    with generations(device).locked():
        renewal.make_ready(device.config, retry, serial=device.serial)
        handover.switch(device.config, retry, prove=prove, patience_s=0.1)
        renewal.retire(device.config, retry, serial=device.serial)


def have_key(device: FleetDevice) -> None:
    """Give the device an AWS key."""
    (device.directory / "none").write_text(device.aws.credentials)


def check_one(device: FleetDevice) -> None:
    """What is in use is whole, and no other key is here; the rest of AWS's is written down."""
    found = {one.certificate_id for one in device.own()}
    assert found - {used(device)} == set(generations(device).replaced_ids())
    names = {path.name for path in device.certs.iterdir()} - {".lock", f".{device.thing}.replaced"}
    assert names == {device.thing, ".name", f".{device.thing}.{used(device)[:12]}"}


def test_without_an_aws_key_the_old_one_is_written_down_and_its_key_destroyed(
    device: FleetDevice,
) -> None:
    """The control plane is not asked."""
    old = used(device)
    before = len(device.aws.faults.operations())
    rotate(device)
    check_one(device)
    assert generations(device).replaced_ids() == [old]
    assert f"certificate {old} was replaced; its key is destroyed" in device.said()
    assert all(one.endswith(":mqtt") for one in device.aws.faults.operations()[before:])


def test_with_an_aws_key_the_old_one_is_removed(device: FleetDevice) -> None:
    """And what was written down before."""
    rotate(device)
    have_key(device)
    rotate(device)
    device.check_whole()


def test_the_removal_of_the_device_removes_what_was_written_down(device: FleetDevice) -> None:
    """With an AWS key that may."""
    rotate(device)
    have_key(device)
    with generations(device).locked(), Cloud(device.config) as cloud:
        removal.deprovision(device.config, cloud, device.retry(), serial=device.serial)
    assert device.own() == []
    assert {path.name for path in device.certs.iterdir()} <= {".lock", ".by-hand"}


def test_an_aws_key_of_another_account_removes_nothing(device: FleetDevice) -> None:
    """It knows of none of them: they are written down."""
    have_key(device)
    old = used(device)

    def elsewhere() -> None:
        new = generations(device).fingerprint(generations(device).pending)
        unknown = fault.Fault(404, "ResourceNotFoundException", "it does not exist")
        device.aws.faults.inject(unknown, "DescribeCertificate")
        assert new != old

    rotate(device, elsewhere)
    device.aws.faults.clear()
    assert generations(device).replaced_ids() == [old]


def test_one_that_is_not_let_in_is_gone_on_with(device: FleetDevice) -> None:
    """No third certificate is made."""

    def refuse() -> None:
        raise LinkLostError("the broker refuses: not authorized")

    old = used(device)
    with pytest.raises(LinkLostError, match="the old one stays in use"):
        rotate(device, refuse)
    assert used(device) == old
    rotate(device)
    check_one(device)
    assert len(device.own()) == 2


def test_a_day_later_one_that_was_not_let_in_is_given_up(device: FleetDevice) -> None:
    """AWS cannot be asked what has become of it."""
    retry = device.retry()
    with generations(device).locked():
        renewal.make_ready(device.config, retry, serial=device.serial)
        (new,) = generations(device).certificate_ids(generations(device).pending)
        identity = generations(device).identity(generations(device).pending)
        assert identity
        day_s = handover.CLAIM_LASTS_S
        handover.in_use(
            generations(device), device.serial, wall_s=lambda: identity.created + day_s - 1
        )
        assert generations(device).pending.is_symlink()
        handover.in_use(
            generations(device), device.serial, wall_s=lambda: identity.created + day_s + 1
        )
        assert not generations(device).pending.is_symlink()
    rotate(device)
    check_one(device)
    assert new in generations(device).replaced_ids()


def test_a_template_that_gives_another_name_replaces_nothing(device: FleetDevice) -> None:
    """The device stays what it is."""
    old = used(device)
    device.aws.fleet.clear()
    device.aws.fleet.create_template(TEMPLATE, ThingName="another")
    with pytest.raises(RefusedError, match="the template calls this device another"):
        rotate(device)
    assert used(device) == old


@pytest.mark.parametrize("operation", ["CreateCertificateFromCsr:mqtt", "RegisterThing:mqtt"])
@pytest.mark.parametrize(
    "kind",
    [fault.THROTTLED, fault.INTERNAL_FAILURE, fault.RESPONSE_LOST, fault.ACCESS_DENIED],
    ids=["throttled", "500", "lost", "denied"],
)
def test_a_step_that_fails_leaves_the_old_one_in_use(
    device: FleetDevice, kind: fault.Fault, operation: str
) -> None:
    """And the next run goes on."""
    old = used(device)
    device.aws.faults.clear()
    device.aws.faults.inject(kind, operation)
    with pytest.raises((CloudError, LinkLostError)):
        rotate(device)
    assert used(device) == old
    device.aws.faults.clear()
    rotate(device)
    assert used(device) != old


def test_a_crash_at_any_change_of_the_disk_is_finished_by_the_next_rotation(
    device: FleetDevice, disk: Disk
) -> None:
    """Whatever was made is used, or written down."""
    for number in itertools.count(1, 5):
        try:
            with disk.crash_before(number):
                rotate(device)
        except CrashError:
            used(device)
            rotate(device)
            used(device)
        else:
            break
    names = {path.name for path in device.certs.iterdir()}
    assert f".{device.thing}.pending" not in names
    assert number > 12
