"""A claim takes no answer that is not its own, whatever else comes, and says what is forbidden."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import pytest

from agent.errors import LinkLostError, RefusedError
from tests.integration.provisioning.fleet_device import TEMPLATE, FleetDevice

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.tools.cloud import LocalAws

FROM_CSR = "$aws/certificates/create-from-csr/json"
PROVISION = f"$aws/provisioning-templates/{TEMPLATE}/provision/json"
OPERATIONS = {"CreateCertificateFromCsr:mqtt": FROM_CSR, "RegisterThing:mqtt": PROVISION}

#: Somebody else's answer, as far as a device can tell.
CERTIFICATE = """-----BEGIN CERTIFICATE-----
MIIBIjCByqADAgECAgEBMAoGCCqGSM49BAMCMBAxDjAMBgNVBAMMBW90aGVyMB4X
-----END CERTIFICATE-----
"""
OTHERS = {
    "certificateId": "0" * 64,
    "certificatePem": CERTIFICATE,
    "certificateOwnershipToken": "theirs",
}
STRANGE: list[bytes] = [
    b"",
    b"{",
    b"[]",
    b"null",
    b"\xff\xfe",
    b"[" * 50_000,
    b"{}",
    b'{"certificateId": 1, "certificatePem": [], "certificateOwnershipToken": {}}',
    json.dumps(OTHERS).encode(),
    json.dumps(OTHERS | {"certificateId": "../x"}).encode(),
    b" " * 130_000,
]


@pytest.fixture
def aws(cloud: LocalAws) -> Iterator[LocalAws]:
    """The local AWS with a template, and without faults."""
    cloud.fleet.create_template(TEMPLATE)
    yield cloud
    cloud.faults.clear()
    cloud.fleet.clear()


def say(device: FleetDevice, topic: str, data: bytes) -> None:
    """Have a message reach the device's session with its claim."""
    client_id = f"{device.name}-claim".encode().hex()
    link = device.aws.broker.fleet.link
    link.publish(f"$fleet/down/answer/{client_id}/{topic}", data, qos=1)


def test_what_is_no_answer_of_ours_is_passed_over(aws: LocalAws, tmp_path: Path) -> None:
    """Before the real answer, which then counts."""
    device = FleetDevice(aws, tmp_path)

    def first(operation: str, _number: int) -> None:
        if operation == "CreateCertificateFromCsr:mqtt":
            for data in STRANGE:
                say(device, f"{FROM_CSR}/accepted", data)
            say(device, f"{FROM_CSR}/rejected", b"{}")
            say(device, f"{FROM_CSR}/rejected", b"no")
            say(device, f"{PROVISION}/accepted", b'{"thingName": "theirs"}')

    aws.faults.on_call = first
    assert device.provision() == device.thing
    device.check_whole()


def test_nothing_but_such_answers_is_no_answer(aws: LocalAws, tmp_path: Path) -> None:
    """What came is told."""
    device = FleetDevice(aws, tmp_path)

    def only(operation: str, _number: int) -> None:
        say(device, f"{OPERATIONS[operation]}/accepted", json.dumps(OTHERS).encode())
        aws.faults.stopping.wait(1.5)

    aws.faults.on_call = only
    with pytest.raises(LinkLostError, match="no answer to us: it is a certificate for another key"):
        device.provision(answer_s=1.0, patience_s=0)


@pytest.mark.parametrize(
    ("name", "told"),
    [
        (None, "registers no thing"),
        ("a b", "gives a name that is none"),
        (7, "a name that is none"),
    ],
)
def test_a_name_that_no_thing_can_have_ends_it(
    aws: LocalAws,
    tmp_path: Path,
    name: object,
    told: str,
) -> None:
    """And names the template."""
    device = FleetDevice(aws, tmp_path)

    def named(operation: str, _number: int) -> None:
        if operation == "RegisterThing:mqtt":
            say(device, f"{PROVISION}/accepted", json.dumps({"thingName": name}).encode())

    aws.faults.on_call = named
    with pytest.raises(RefusedError, match=told) as refused:
        device.provision()
    assert TEMPLATE in refused.value.text
    assert {path.name for path in device.certs.iterdir()} == {".lock", ".claimed"}


@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
def test_a_statement_that_the_claims_policy_lacks_is_named(
    aws: LocalAws, tmp_path: Path, protocol: str
) -> None:
    """Under MQTT 3.1.1 AWS may only end the connection, which is believed the third time."""
    aws.fleet.create_template("other")
    device = FleetDevice(aws, tmp_path, mqtt={"protocol": protocol})
    aws.fleet.claim(tmp_path / "claim", template="other")
    with pytest.raises(RefusedError, match=re.escape(f"{PROVISION}/accepted")) as refused:
        device.provision()
    assert "iot:Subscribe" in refused.value.text
    assert "policy of the claim certificate" in refused.value.hint
    assert len(device.waited_s) <= (0 if protocol == "5" else 2)
