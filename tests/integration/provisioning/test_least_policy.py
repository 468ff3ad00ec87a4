"""The IAM policies of the guide are enough for a whole life of a device, and no larger."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from agent.errors import RefusedError
from agent.provisioning.policy import policy_name
from agent.provisioning.steps import POLICY_VERSIONS
from tests.integration.provisioning.device import (
    Device,
    add_policy,
    make,
    reflash,
    spoil_key,
)
from tests.tools.cloud import faults as fault

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.tools.cloud import LocalAws

GUIDE = (Path(__file__).parents[3] / "docs/provisioning.md").read_text()
SECTION = GUIDE.partition("## The IAM policy")[2].partition("\n## ")[0]
WHOLE, *VARIANTS = re.findall(r"```json\n(.*?)```", SECTION, re.DOTALL)

#: What the owner configures, and which further statement of the guide goes with it.
WAYS: dict[str, tuple[dict[str, Any], int | None]] = {
    "csr": ({}, None),
    "keys": ({"method": "keys"}, 0),
    "policy": ({"policy": "NAME"}, 1),
    "groups": ({"thing_groups": ["family"]}, 2),
}
DOCUMENT = (
    '{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "iot:*",'
    ' "Resource": "*"}]}'
)


def permissions(aws: LocalAws, variant: int | None) -> dict[str, Any]:
    """The policy of the guide for one way, its words in capitals filled in."""

    def filled(text: str) -> Any:  # noqa: ANN401 -- JSON
        text = text.replace("REGION", aws.region).replace("ACCOUNT", aws.account)
        return json.loads(text.replace("PREFIX", "device-"))

    whole: dict[str, Any] = filled(WHOLE)
    if variant is not None:
        one = filled(VARIANTS[variant])
        others = [other for other in whole["Statement"] if other["Sid"] != one["Sid"]]
        whole["Statement"] = [*others, one]
    return whole


def actions(document: dict[str, Any]) -> set[str]:
    """All that it allows."""
    return {action for one in document["Statement"] for action in one["Action"]}


@pytest.fixture
def account(aws: LocalAws) -> Iterator[LocalAws]:
    """An account with a policy and a thing group of its owner's."""
    aws.iot.create_policy(policyName="NAME", policyDocument=DOCUMENT)
    aws.iot.create_thing_group(thingGroupName="family")
    yield aws
    aws.allow(None)
    aws.iot.delete_policy(policyName="NAME")
    aws.iot.delete_thing_group(thingGroupName="family")


def live(device: Device, *, lost: str, own_policy: bool) -> None:
    """Registration, rotation, mishaps, removal; the call `lost` has no answer once."""
    device.aws.iot.create_thing(thingName=device.name)  # by the owner, without a serial number
    device.aws.faults.inject(fault.RESPONSE_LOST, lost, first=1)
    device.provision()
    device.aws.faults.ahead_s += 120  # by then nobody is making what was lost
    device.retire()
    device.rotate()
    spoil_key(device)
    device.provision()
    if own_policy:
        change_policy(device)
        device.provision(reset_policy=True)
        make(device, thing=device.name, active=True)
    reflash(device)
    device.provision()
    (one,) = device.own()
    add_policy(device, "device-theirs_subscribe", certificate_id=one.certificate_id)
    device.deprovision()
    assert not device.own()


def change_policy(device: Device) -> None:
    """Have the owner change the device's policy as often as AWS keeps versions of it."""
    for number in range(POLICY_VERSIONS - 1):
        device.aws.iot.create_policy_version(
            policyName=policy_name(device.name),
            policyDocument=DOCUMENT.replace("iot:*", f"iot:Get{number}"),
            setAsDefault=True,
        )


@pytest.mark.parametrize("way", WAYS)
def test_the_policy_of_the_guide_is_enough_and_each_action_of_it_is_used(
    account: LocalAws, tmp_path: Path, way: str
) -> None:
    """From the first registration over a new card and a lost answer to the removal."""
    choice, variant = WAYS[way]
    document = permissions(account, variant)
    account.allow(document)
    device = Device(account, tmp_path, provisioning=choice)
    made = "CreateKeysAndCertificate" if way == "keys" else "CreateCertificateFromCsr"
    live(device, lost=made, own_policy=way != "policy")
    used = {f"iot:{name}" for name in account.faults.operations()} - {"iot:GetCallerIdentity"}
    assert used == actions(document)
    device.close()


@pytest.mark.parametrize("way", WAYS)
def test_an_action_that_the_policy_lacks_is_named(
    account: LocalAws, tmp_path: Path, way: str
) -> None:
    """Each action of a first registration, one after the other, is taken away."""
    choice, variant = WAYS[way]
    account.allow(permissions(account, variant))
    first = Device(account, tmp_path, provisioning=choice)
    first.register()
    needed = dict.fromkeys(f"iot:{name}" for name in account.faults.operations())
    for missing in [*needed][1:]:
        if missing == "iot:ListThingPrincipals":  # without it there is nothing to compare with
            continue
        account.allow(None)
        first.deprovision()
        document = permissions(account, variant)
        for one in document["Statement"]:
            one["Action"] = [action for action in one["Action"] if action != missing]
        document["Statement"] = [one for one in document["Statement"] if one["Action"]]
        account.allow(document)
        with pytest.raises(RefusedError, match=missing) as refused:
            first.register()
        assert f"allow {missing}" in refused.value.hint
    account.allow(None)
    first.provision()
    first.deprovision()
    first.close()
