"""The steps of provisioning, where calls fail or are refused, or the name is known already."""

from __future__ import annotations

import json
import os
import stat

import pytest

from agent.errors import BusyError, RefusedError, TransientCloudError
from agent.files import lock
from agent.identity import load
from agent.provisioning.access_key import AccessKey
from agent.provisioning.cloud import Cloud
from agent.provisioning.policy import policy_name
from agent.provisioning.provisioner import provision
from tests.integration.provisioning.device import CALLS, Device, policies, things
from tests.tools.cloud import faults as fault


def test_a_device_is_provisioned_in_the_order_of_the_design(device: Device) -> None:
    """Nine calls, the certificate inactive until its key is on disk and it is attached."""
    device.provision()
    device.check_whole()
    assert device.aws.faults.operations() == CALLS
    (thing,) = things(device.aws, device.name)
    assert thing["attributes"] == {"serial": device.serial}


def test_files_have_the_names_and_modes_of_the_design(device: Device) -> None:
    """The key is 0600 and the directories are 0700 whatever the umask."""
    before = os.umask(0)
    try:
        device.provision()
    finally:
        os.umask(before)
    names = {path.name for path in (device.certs / device.name).iterdir()}
    assert {
        f"{device.name}-certificate.pem.crt",
        f"{device.name}-private.pem.key",
        f"{device.name}-public.pem.key",
        "AmazonRootCA1.pem",
        "identity.json",
    } <= names
    assert stat.S_IMODE(device.files.key.stat().st_mode) == 0o600
    assert stat.S_IMODE(device.certs.stat().st_mode) == 0o700
    assert stat.S_IMODE((device.certs / device.name).stat().st_mode) == 0o700
    assert set(json.loads(device.files.identity.read_text())) == {
        "thing",
        "account",
        "region",
        "endpoint",
        "certificate_arn",
        "certificate_id",
        "policy",
        "created",
        "serial",
        "method",
        "claim",
    }


def test_provisioning_again_keeps_the_certificate(device: Device) -> None:
    """A sound identity that AWS knows is only checked."""
    device.provision()
    before = load(device.config)
    device.provision()
    device.check_whole()
    assert load(device.config) == before


@pytest.mark.parametrize(
    "found",
    [fault.THROTTLED, fault.INTERNAL_FAILURE, fault.UNAVAILABLE, fault.CONNECTION_RESET],
    ids=["throttled", "500", "503", "reset"],
)
def test_each_call_may_fail_three_times(device: Device, found: fault.Fault) -> None:
    """What passes by itself is tried again, with growing waits, until it has passed."""
    device.aws.faults.inject(found, first=3)
    device.register()
    assert len(device.waited_s) == 3 * len(CALLS)
    assert all(0 <= wait_s <= 2 for wait_s in device.waited_s)
    device.retire()
    device.check_whole()
    assert len(device.aws.certificates()) == 1


def test_a_clock_that_is_set_meanwhile_is_waited_for(device: Device) -> None:
    """A signature refused for its time is no refusal of the key; the report names the time here."""
    device.aws.faults.inject(fault.SIGNATURE_EXPIRED, first=3)
    device.provision()
    device.check_whole()
    told = [report for report in device.reports if report.code]
    assert {report.code for report in told} == {"provisioning-failing"}
    assert all("here it is 20" in report.text for report in told)


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (fault.EXPIRED_TOKEN, "the temporary AWS key has ended"),
        (fault.INVALID_TOKEN, "does not accept the AWS key in "),
    ],
    ids=["ended", "unknown"],
)
@pytest.mark.parametrize("operation", ["GetCallerIdentity", "CreateThing"])
def test_a_key_that_is_not_accepted_is_a_refusal(
    device: Device, operation: str, found: fault.Fault, words: str
) -> None:
    """STS and AWS IoT have codes of their own for it; it is said in the same words."""
    device.aws.faults.inject(found, operation)
    with pytest.raises(RefusedError, match=words):
        device.provision()
    assert not device.waited_s


def test_a_key_in_memory_needs_no_file(device: Device) -> None:
    """`setup` hands it on without writing it; a role's comes with a session token."""
    text = device.toml.read_text()
    file = str(device.aws.credentials_file)
    device.toml.write_text(text.replace(file, str(device.directory / "none")))
    key = AccessKey("ASIALOCALCLOUD000000", "local", "token")
    with device.generations.locked(), Cloud(device.config, key) as cloud:
        provision(device.config, cloud, device.retry(), serial=device.serial)
    device.check_whole()


@pytest.mark.parametrize("operation", CALLS)
def test_an_answer_may_be_lost_after_the_effect(device: Device, operation: str) -> None:
    """The call is made again; a certificate whose key nobody has is never active, then removed."""
    device.aws.faults.inject(fault.RESPONSE_LOST, operation, first=2)
    device.register()
    assert [one.status for one in device.aws.certificates()].count("ACTIVE") == 1
    device.retire()
    device.check_whole()
    assert len(device.aws.certificates()) == 1


def test_a_call_may_hang(device: Device) -> None:
    """Three seconds are no failure."""
    device.aws.faults.inject(fault.hang(3), "CreateCertificateFromCsr", first=1)
    device.provision()
    device.check_whole()
    assert not device.waited_s


def test_patience_ends(device: Device) -> None:
    """What does not pass is given up, as a failure that may pass yet."""
    device.aws.faults.inject(fault.THROTTLED)
    with (
        device.generations.locked(),
        Cloud(device.config) as cloud,
        pytest.raises(TransientCloudError, match="Throttling"),
    ):
        provision(device.config, cloud, device.retry(patience_s=5.0), serial=device.serial)
    codes = [report.code for report in device.reports]
    assert codes[0] == ""
    assert set(codes[1:]) == {"provisioning-failing"}


def test_a_policy_that_says_something_else_is_corrected(device: Device) -> None:
    """A new default version is made, and at five the oldest other one gives way."""
    name = policy_name(device.name)
    open_to_all = {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Action": "iot:*", "Resource": "*"}],
    }
    device.aws.iot.create_policy(policyName=name, policyDocument=json.dumps(open_to_all))
    for _ in range(4):
        device.aws.iot.create_policy_version(
            policyName=name, policyDocument=json.dumps(open_to_all)
        )
    device.provision()
    device.check_whole()
    found = device.aws.iot.get_policy(policyName=name)["policyDocument"]
    document = found if isinstance(found, dict) else json.loads(found)
    actions = [statement["Action"] for statement in document["Statement"]]
    assert actions == ["iot:Connect", "iot:Publish", "iot:Subscribe", "iot:Receive"]
    versions = device.aws.iot.list_policy_versions(policyName=name)["policyVersions"]
    assert sorted(version["versionId"] for version in versions) == ["1", "3", "4", "5", "6"]


def test_a_name_of_another_board_is_left_alone(device: Device) -> None:
    """Nothing of the other device is touched, and nothing of this one is made."""
    device.aws.iot.create_thing(
        thingName=device.name, attributePayload={"attributes": {"serial": "77"}}
    )
    with pytest.raises(RefusedError, match="belongs to another device") as caught:
        device.provision()
    assert "--take-over" in caught.value.hint
    assert not device.aws.certificates()
    assert policy_name(device.name) not in policies(device.aws)


def test_a_name_of_another_board_can_be_taken_over(device: Device) -> None:
    """On request the thing becomes this board's."""
    device.aws.iot.create_thing(
        thingName=device.name, attributePayload={"attributes": {"serial": "77"}}
    )
    device.provision(take_over=True)
    device.check_whole()
    (thing,) = things(device.aws, device.name)
    assert thing["attributes"] == {"serial": device.serial}


def test_a_thing_without_a_serial_number_is_adopted(device: Device) -> None:
    """The tutorial's things carry none; they get ours beside what they have."""
    device.aws.iot.create_thing(
        thingName=device.name, attributePayload={"attributes": {"room": "kitchen"}}
    )
    device.provision()
    device.check_whole()
    (thing,) = things(device.aws, device.name)
    assert thing["attributes"] == {"serial": device.serial, "room": "kitchen"}


@pytest.mark.parametrize("operation", CALLS[1:])
def test_a_refusal_names_the_action(device: Device, operation: str) -> None:
    """What to grant is said; it is not tried again by itself."""
    device.aws.faults.inject(fault.ACCESS_DENIED, operation)
    with pytest.raises(RefusedError, match=f"iot:{operation}") as caught:
        device.provision()
    assert f"iot:{operation}" in caught.value.hint
    assert not device.waited_s
    device.aws.faults.clear()
    device.provision()
    device.check_whole()


def test_one_provisioner_at_a_time(device: Device) -> None:
    """The second one is told so at once."""
    device.provision()
    with lock(device.certs / ".lock", "a test"), pytest.raises(BusyError):
        device.provision()
