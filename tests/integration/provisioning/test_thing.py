"""A thing has the policy, the type, the groups and the attributes that its owner has chosen."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from agent.errors import RefusedError
from agent.provisioning.policy import policy_name
from tests.integration.provisioning.device import Device, policies, spoil_key, things

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.tools.cloud import LocalAws

DOCUMENT = (
    '{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "iot:*",'
    ' "Resource": "*"}]}'
)
CHOICES: dict[str, Any] = {
    "thing_type": "watcher",
    "thing_groups": ["upstairs", "all"],
    "attributes": {"room": "kitchen"},
}


@pytest.fixture
def chosen(aws: LocalAws, tmp_path: Path) -> Iterator[Device]:
    """A device whose owner has chosen type, groups and attributes, which are there."""
    aws.iot.create_thing_type(thingTypeName="watcher")
    for group in CHOICES["thing_groups"]:
        aws.iot.create_thing_group(thingGroupName=group)
    device = Device(aws, tmp_path, provisioning=CHOICES)
    yield device
    device.close()
    for group in CHOICES["thing_groups"]:
        aws.iot.delete_thing_group(thingGroupName=group)


@pytest.fixture
def named(aws: LocalAws, tmp_path: Path) -> Iterator[Device]:
    """A device whose owner has a policy for it."""
    aws.iot.create_policy(policyName="theirs", policyDocument=DOCUMENT)
    device = Device(aws, tmp_path, provisioning={"policy": "theirs"})
    yield device
    device.close()
    for one in device.own():
        aws.iot.detach_policy(policyName="theirs", target=one.arn)
    aws.iot.delete_policy(policyName="theirs")


def about(device: Device) -> dict[str, Any]:
    """The thing as AWS describes it."""
    (found,) = things(device.aws, device.name)
    return dict(found)


def groups(device: Device) -> set[str]:
    """The groups that the thing is in."""
    found = device.aws.iot.list_thing_groups_for_thing(thingName=device.name)
    return {one["groupName"] for one in found["thingGroups"]}


def test_a_thing_gets_type_groups_and_attributes(chosen: Device) -> None:
    """Beside the serial number of its board; a second run finds all there."""
    for _ in range(2):
        chosen.provision()
        assert about(chosen)["thingTypeName"] == "watcher"
        assert about(chosen)["attributes"] == {"room": "kitchen", "serial": chosen.serial}
        assert groups(chosen) == {"upstairs", "all"}
    assert "UpdateThing" not in chosen.aws.faults.operations()


def test_attributes_of_others_stay(chosen: Device) -> None:
    """Only what is configured is brought up to date."""
    payload = {"attributes": {"note": "mine", "room": "attic"}}
    chosen.aws.iot.create_thing(
        thingName=chosen.name, thingTypeName="watcher", attributePayload=payload
    )
    chosen.provision()
    assert about(chosen)["attributes"] == {
        "note": "mine",
        "room": "kitchen",
        "serial": chosen.serial,
    }
    chosen.check_whole()


@pytest.mark.parametrize(
    ("choice", "missing"),
    [
        ({"thing_type": "none"}, "AWS has no thing type none"),
        ({"thing_groups": ["none"]}, "AWS has no thing group none"),
        ({"policy": "none"}, "AWS has no policy none"),
    ],
)
def test_what_is_not_there_is_told_by_its_name(
    aws: LocalAws, tmp_path: Path, choice: dict[str, Any], missing: str
) -> None:
    """Before anything is made; the hint names the key."""
    device = Device(aws, tmp_path, provisioning=choice)
    with pytest.raises(RefusedError, match=missing) as refused:
        device.provision()
    assert f"[provisioning] {next(iter(choice))}" in refused.value.hint
    assert not aws.certificates()
    assert not things(aws, device.name)
    device.close()


def test_a_policy_that_is_named_is_attached_and_never_changed(named: Device) -> None:
    """None is made; what replaces a certificate has it too."""
    named.provision()
    spoil_key(named)
    named.provision()
    (one,) = named.own()
    assert one.policies == ("theirs",)
    assert policy_name(named.name) not in policies(named.aws)
    called = named.aws.faults.operations()
    assert not {"CreatePolicy", "CreatePolicyVersion", "DeletePolicy"} & set(called)


def test_a_policy_that_is_named_stays_when_the_device_goes(named: Device) -> None:
    """It is detached; the certificate and the thing are removed."""
    named.provision()
    named.deprovision()
    assert not named.names()
    assert not named.own()
    assert not things(named.aws, named.name)
    assert "theirs" in policies(named.aws)
    assert "theirs, kept" in named.said()


def test_a_certificate_with_the_policy_of_before_is_removed(aws: LocalAws, tmp_path: Path) -> None:
    """An owner who names a policy later does not leave the device's own certificates behind."""
    device = Device(aws, tmp_path)
    device.provision()
    (before,) = device.own()
    aws.iot.create_policy(policyName="theirs", policyDocument=DOCUMENT)
    device.toml.write_text(
        aws.agent_toml(tmp_path, name=device.name, sensors=[], provisioning={"policy": "theirs"})
    )
    spoil_key(device)
    device.provision()
    (one,) = device.own()
    assert one.certificate_id != before.certificate_id
    device.deprovision()
    assert not aws.certificates()
    aws.iot.delete_policy(policyName="theirs")
    device.close()


def test_a_policy_that_is_named_later_takes_the_place_of_the_device_s_own(
    aws: LocalAws, tmp_path: Path
) -> None:
    """The certificate stays; one that somebody else has put in its place would stay too."""
    device = Device(aws, tmp_path)
    device.provision()
    aws.iot.create_policy(policyName="theirs", policyDocument=DOCUMENT)
    device.toml.write_text(
        aws.agent_toml(tmp_path, name=device.name, sensors=[], provisioning={"policy": "theirs"})
    )
    (before,) = device.own()
    device.provision()
    (one,) = device.own()
    assert (one.certificate_id, one.policies) == (before.certificate_id, ("theirs",))
    device.deprovision()
    aws.iot.delete_policy(policyName="theirs")
    device.close()
