"""A device with a claim registers itself, by the template's name, without an AWS key."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from agent.errors import RefusedError
from agent.identity import Generations
from agent.provisioning import fleet
from agent.value import replace
from tests.integration.provisioning.device import ROOT, one_root
from tests.integration.provisioning.fleet_device import TEMPLATE, FleetDevice

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.tools.cloud import LocalAws

TOGETHER = 200
LIMIT_S = 60.0
SHORT = 4  # a second here is so many


@pytest.fixture
def aws(cloud: LocalAws) -> Iterator[LocalAws]:
    """The local AWS with a template, and without faults."""
    cloud.fleet.create_template(TEMPLATE)
    yield cloud
    cloud.faults.clear()
    cloud.fleet.clear()


@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
@pytest.mark.parametrize("key_type", ["ec-p256", "rsa-2048"])
def test_a_claim_makes_a_device(
    aws: LocalAws, tmp_path: Path, protocol: str, key_type: str
) -> None:
    """One certificate, active and attached, for a key that never travelled; without an AWS key."""
    device = FleetDevice(aws, tmp_path, mqtt={"protocol": protocol}, key_type=key_type)
    before = len(aws.faults.operations())
    assert device.provision() == device.thing
    device.check_whole()
    assert device.waited_s == []
    assert aws.faults.operations()[before:] == [
        "CreateCertificateFromCsr:mqtt",
        "RegisterThing:mqtt",
    ]
    key = (device.certs / device.thing / f"{device.thing}-private.pem.key").read_text()
    secret = key.splitlines()[1].encode()
    assert not any(secret in sent.body or b"PRIVATE" in sent.body for sent in aws.requests)


def test_aws_may_make_the_key_where_that_is_asked_for(aws: LocalAws, tmp_path: Path) -> None:
    """`create` in place of `create-from-csr`."""
    device = FleetDevice(aws, tmp_path, key_type="made-by-aws")
    device.provision()
    device.check_whole()
    assert "CreateKeysAndCertificate:mqtt" in aws.faults.operations()


def test_a_temporary_claim_does_the_same(aws: LocalAws, tmp_path: Path) -> None:
    """It is in no account, and lives for five minutes."""
    device = FleetDevice(aws, tmp_path, temporary=True)
    device.provision()
    device.check_whole()


def test_the_template_names_the_device_for_good(aws: LocalAws, tmp_path: Path) -> None:
    """The name is the configuration's from then on, and a warning tells of the other one."""
    device = FleetDevice(aws, tmp_path)
    assert device.config.thing.name == device.name
    device.provision()
    config = device.config
    assert config.thing.name == device.thing
    assert any(f"{device.name} is not used" in one for one in config.warnings)


def test_parameters_are_the_serial_number_and_the_owners(aws: LocalAws, tmp_path: Path) -> None:
    """Those of the table win."""
    seen: list[dict[str, str]] = []

    def hook(call: Any) -> bool:  # noqa: ANN401 -- a HookCall
        seen.append(dict(call.parameters))
        return True

    aws.fleet.hook = hook
    device = FleetDevice(aws, tmp_path, parameters={"Floor": "2"})
    device.provision()
    other = FleetDevice(aws, tmp_path / "other", parameters={"SerialNumber": "mine"})
    assert other.provision() == "device-mine"
    assert seen == [{"SerialNumber": device.serial, "Floor": "2"}, {"SerialNumber": "mine"}]


def test_a_claim_needs_no_boto3(aws: LocalAws, tmp_path: Path) -> None:
    """The library of the control plane is not even installed."""
    device = FleetDevice(aws, tmp_path)
    program = (
        "import sys; sys.modules['boto3'] = sys.modules['botocore'] = None;"
        "from agent.cli.main import main; sys.exit(main(sys.argv[1:]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, "provision", "--config", str(device.toml)],
        cwd=ROOT,
        env=aws.environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "connected with it" in done.stdout


def test_a_second_run_asks_aws_nothing(aws: LocalAws, tmp_path: Path) -> None:
    """What is sound is kept; `afresh` makes another, which replaces it."""
    device = FleetDevice(aws, tmp_path)
    device.provision()
    calls = len(aws.faults.operations())
    device.provision()
    assert len(aws.faults.operations()) == calls
    device.check_whole()
    device.provision(afresh=True)
    assert len([one for one in device.own() if one.status == "ACTIVE"]) == 2
    assert len(Generations(device.certs, device.thing).stale()) == 1


def test_a_certificate_for_a_rotation_waits_for_its_proof(aws: LocalAws, tmp_path: Path) -> None:
    """It is complete and active, and the device uses the old one until it is switched."""
    device = FleetDevice(aws, tmp_path)
    device.provision()
    generations = Generations(device.certs, device.thing)
    used = generations.fingerprint(generations.current)

    def prepare() -> Generations:
        return fleet.prepare(
            device.config,
            device.retry(),
            serial=device.serial,
            only=device.thing,
            bundles=[one_root(tmp_path)],
        )

    assert prepare().thing == device.thing
    new = generations.fingerprint(generations.pending)
    assert generations.fingerprint(generations.current) == used != new
    assert {one.certificate_id for one in device.own()} == {used, new}
    calls = len(aws.faults.operations())
    prepare()
    assert len(aws.faults.operations()) == calls
    assert generations.fingerprint(generations.pending) == new
    half = generations.sound(generations.pending)
    assert half
    generations.complete(generations.pending, replace(half, method="csr"), {})
    prepare()  # what another way has made ready is perhaps not active
    assert generations.fingerprint(generations.pending) not in {used, new}


def test_a_rotation_takes_no_other_name(aws: LocalAws, tmp_path: Path) -> None:
    """What is in use stays, and the certificate that was made is told."""
    device = FleetDevice(aws, tmp_path)
    device.provision()
    aws.fleet.create_template(TEMPLATE, ThingName="another")
    with pytest.raises(RefusedError, match="calls this device another") as refused:
        fleet.prepare(
            device.config,
            device.retry(),
            serial=device.serial,
            only=device.thing,
            bundles=[one_root(tmp_path)],
        )
    (stray,) = [one for one in aws.certificates() if one.things == ("another",)]
    assert stray.certificate_id in refused.value.text
    assert "PRIVATE" not in (device.certs / ".claimed").read_text()


def test_a_copied_card_registers_as_the_board_that_it_is_in(aws: LocalAws, tmp_path: Path) -> None:
    """By the claim that came with it, under the name that the template gives this board."""
    device = FleetDevice(aws, tmp_path)
    device.provision()
    first = device.thing
    device.serial = f"f{device.serial[1:]}"
    assert device.provision() == device.thing != first
    assert device.config.thing.name == device.thing


@pytest.mark.parametrize(
    ("properties", "told", "hint"),
    [
        ({"ThingTypeName": "none"}, "AWS knows no template home, or nothing that", "template"),
        ({"ThingName": {"Ref": "Floor"}}, "does not take", "sent were: SerialNumber"),
    ],
)
def test_a_rejection_says_what_to_do(
    aws: LocalAws, tmp_path: Path, properties: dict[str, Any], told: str, hint: str
) -> None:
    """Nothing is tried again by itself."""
    body = json.loads(json.dumps(aws.fleet.create_template("sketch", **properties).body))
    body["Parameters"] |= {"Floor": {"Type": "String"}} if "ThingName" in properties else {}
    aws.fleet.create_template(TEMPLATE, body=body)
    device = FleetDevice(aws, tmp_path)
    with pytest.raises(RefusedError, match=re.escape(told)) as refused:
        device.provision()
    assert hint in refused.value.hint
    assert device.waited_s == []


def test_a_template_that_is_gone_is_named(aws: LocalAws, tmp_path: Path) -> None:
    """With where it is named here."""
    device = FleetDevice(aws, tmp_path)
    aws.fleet.delete_template(TEMPLATE)
    with pytest.raises(RefusedError, match="no template home") as refused:
        device.provision()
    assert "[provisioning] template" in refused.value.hint


def test_a_hook_that_says_no_is_told_as_such(aws: LocalAws, tmp_path: Path) -> None:
    """And asked again by the next run, with the certificate that there is."""
    aws.fleet.hook = lambda _: False
    device = FleetDevice(aws, tmp_path)
    with pytest.raises(RefusedError, match="refuses this device") as refused:
        device.provision()
    assert "hook" in refused.value.hint
    aws.fleet.hook = None
    device.provision()
    assert aws.faults.operations().count("CreateCertificateFromCsr:mqtt") == 1
    device.check_whole()


def test_a_claim_may_do_nothing_else(aws: LocalAws, tmp_path: Path) -> None:
    """Where its policy has another template, it is told what it lacks."""
    aws.fleet.create_template("other")
    device = FleetDevice(aws, tmp_path)
    claim = aws.fleet.claim(tmp_path / "claim", template="other")
    assert claim == device.claim
    with pytest.raises(RefusedError, match="provisioning-templates/home/provision") as refused:
        device.provision()
    assert "policy of the claim certificate" in refused.value.hint


@pytest.mark.parametrize("status", ["INACTIVE", "REVOKED"])
def test_a_claim_that_was_shut_out_is_told_as_such(
    aws: LocalAws, tmp_path: Path, status: str
) -> None:
    """Once it is sure."""
    device = FleetDevice(aws, tmp_path)
    newest = aws.certificates()[-1]
    aws.iot.update_certificate(certificateId=newest.certificate_id, newStatus=status)
    with pytest.raises(RefusedError, match="does not let the claim certificate connect") as refused:
        device.provision()
    assert "5 minutes" in refused.value.hint


def test_a_temporary_claim_that_has_ended_is_told_as_such(aws: LocalAws, tmp_path: Path) -> None:
    """Five minutes later AWS lets it in no more."""
    device = FleetDevice(aws, tmp_path, temporary=True)
    aws.faults.ahead_s += 301
    with pytest.raises(RefusedError, match="does not let the claim certificate connect"):
        device.provision()


@pytest.mark.parametrize("which", [0, 1])
@pytest.mark.parametrize("content", [None, "no", "other"])
def test_a_claim_that_is_none_is_told_before_aws_is_asked(
    aws: LocalAws, tmp_path: Path, which: int, content: str | None
) -> None:
    """By the key that names the file, and how to come by another claim."""
    device = FleetDevice(aws, tmp_path)
    path, other = device.claim[which], device.claim[1 - which]
    if content is None:
        path.unlink()
    else:
        path.write_text(other.read_text() if content == "other" else content)
    with pytest.raises(RefusedError, match=r"provisioning\.claim_(cert|key)_file") as refused:
        device.provision()
    assert "setup --claim" in refused.value.hint
    assert not aws.faults.operations()


def test_two_hundred_devices_register_at_the_same_time(aws: LocalAws, tmp_path: Path) -> None:
    """Within AWS's limits, ten registrations a second; each then has one certificate.

    Their cards are alike. The seconds here, of the limit and of the waits, are short.
    """
    aws.fleet.requests_per_s = 10 * SHORT
    claim = aws.fleet.claim(tmp_path / "claim", template=TEMPLATE)
    devices = [FleetDevice(aws, tmp_path / str(number), claim=claim) for number in range(TOGETHER)]
    errors: list[Exception] = []

    def provision(device: FleetDevice) -> None:
        try:
            device.provision(patience_s=LIMIT_S, sleep=lambda wait_s: time.sleep(wait_s / SHORT))
        except Exception as error:  # noqa: BLE001 -- told below
            errors.append(error)

    threads = [threading.Thread(target=provision, args=(device,)) for device in devices]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert any(device.waited_s for device in devices)
    active = [one.things for one in aws.certificates() if one.status == "ACTIVE"]
    assert all(active.count((device.thing,)) == 1 for device in devices)
