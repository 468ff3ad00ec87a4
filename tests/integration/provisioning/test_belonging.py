"""What a device removes at AWS is its own, whatever the files say; its own is removed, or told."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from agent.errors import RefusedError
from agent.identity import Generations
from agent.provisioning import removal
from agent.provisioning.cloud import Cloud
from agent.provisioning.policy import policy_name
from agent.provisioning.provisioner import provision
from tests.integration.provisioning.device import one_root
from tests.integration.provisioning.fleet_device import TEMPLATE, FleetDevice

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.tools.cloud import LocalAws


@pytest.fixture
def aws(cloud: LocalAws) -> Iterator[LocalAws]:
    """The local AWS with a template."""
    yield cloud
    cloud.clear()


@pytest.fixture
def device(aws: LocalAws, tmp_path: Path) -> FleetDevice:
    """One that is registered by a claim under the name that its configuration has."""
    found = FleetDevice(aws, tmp_path)
    aws.fleet.create_template(TEMPLATE, ThingName=found.name)
    assert found.provision() == found.name
    return found


def generations(device: FleetDevice) -> Generations:
    """Its generations."""
    return Generations(device.certs, device.name)


def by_key(device: FleetDevice) -> None:
    """Register it by an AWS key from now on, and remove what that replaces."""
    if 'method = "claim"' in device.toml.read_text():
        device.edit('method = "claim"', 'method = "csr"')
    retry, serial = device.retry(), device.serial
    with generations(device).locked(), Cloud(device.config) as cloud:
        bundles = [one_root(device.directory)]
        provision(device.config, cloud, retry, serial=serial, bundles=bundles)
        removal.retire(device.config, cloud, retry, prove=None, serial=serial)


def deprovision(device: FleetDevice) -> None:
    """Remove the device."""
    with generations(device).locked(), Cloud(device.config) as cloud:
        removal.deprovision(device.config, cloud, device.retry(), serial=device.serial)


def statuses(device: FleetDevice) -> dict[str, str]:
    """The certificates at AWS, by their ids."""
    return {one.certificate_id: one.status for one in device.aws.certificates()}


def claim_id(device: FleetDevice) -> str:
    """The id of the fleet's claim at AWS."""
    pem = device.claim[0].read_text()
    (found,) = [one.certificate_id for one in device.aws.certificates() if one.pem == pem]
    return found


def test_what_a_claim_had_made_is_removed_by_another_method(device: FleetDevice) -> None:
    """Though it has the policy of a template, which is not ours."""
    (old,) = generations(device).certificate_ids(generations(device).current)
    by_key(device)
    assert old not in statuses(device)
    assert len(generations(device).stale()) == 0
    assert {one.things for one in device.aws.certificates() if one.things} == {(device.name,)}


@pytest.mark.parametrize("status", ["INACTIVE", "REVOKED"])
def test_what_is_shut_out_stays_out_by_another_method(device: FleetDevice, status: str) -> None:
    """AWS knows its certificate by the id, whoever registered it."""
    (old,) = generations(device).certificate_ids(generations(device).current)
    device.aws.iot.update_certificate(certificateId=old, newStatus=status)
    before = statuses(device)
    with pytest.raises(RefusedError, match=f"shut out: certificate {old} is {status}"):
        by_key(device)
    assert statuses(device) == before


class TestForged:
    """Whoever may write below `<certs>` does not lead an AWS key to what is others'."""

    def test_an_id_in_the_note_of_what_was_replaced_removes_nothing(
        self, device: FleetDevice
    ) -> None:
        """Neither the claim of the fleet, nor what is at no thing."""
        bare = device.aws.iot.create_keys_and_certificate(setAsActive=True)["certificateId"]
        others = {claim_id(device), bare}
        for one in others:
            generations(device).note_replaced(one)
        by_key(device)
        for one in others:
            generations(device).note_replaced(one)
        deprovision(device)
        assert {one: statuses(device)[one] for one in others} == dict.fromkeys(others, "ACTIVE")

    @pytest.mark.parametrize("whole", [True, False])
    def test_an_identity_removes_nothing(
        self,
        device: FleetDevice,
        whole: bool,  # noqa: FBT001
    ) -> None:
        """Even if the certificate lies beside it, as that of the claim may."""
        forged = device.certs / f".{device.name}.0123456789ab"
        identity = json.loads((device.certs / device.name / "identity.json").read_text())
        identity["certificate_id"] = claim_id(device)
        forged.mkdir()
        (forged / "identity.json").write_text(json.dumps(identity))
        if whole:
            for path, name in zip(
                device.claim, ("certificate.pem.crt", "private.pem.key"), strict=True
            ):
                target = next((device.certs / device.name).glob(f"*{name}")).name
                (forged / target).write_bytes(path.read_bytes())
        by_key(device)
        assert statuses(device)[claim_id(device)] == "ACTIVE"
        deprovision(device)
        assert statuses(device)[claim_id(device)] == "ACTIVE"


def test_the_removal_tells_of_no_policy_that_never_was(device: FleetDevice) -> None:
    """A template names its own."""
    deprovision(device)
    said = "\n".join(one.line() for one in device.reports)
    assert f"policy {policy_name(device.name)}, not known to AWS" in said
    assert f"policy {policy_name(device.name)}, deleted" not in said
