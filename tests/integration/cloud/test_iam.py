"""An AWS key may do what its IAM policy allows, resource by resource, and nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.integration.cloud.conftest import error_code
from tests.integration.cloud.device import ARN, CONNECT, policy
from tests.tools.cloud.iam import RESOURCES, Permissions

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.tools.cloud import LocalAws

DENIED = ("AccessDeniedException", 403)


def allow(*actions: str, resource: str | list[str] = "*", effect: str = "Allow") -> dict[str, Any]:
    """A statement."""
    return {"Effect": effect, "Action": [f"iot:{each}" for each in actions], "Resource": resource}


def document(*statements: dict[str, Any]) -> dict[str, Any]:
    """A policy."""
    return {"Version": "2012-10-17", "Statement": list(statements)}


@pytest.fixture
def iot(aws: LocalAws) -> Iterator[Any]:
    """A device's client."""
    client = aws.client("iot")
    yield client
    client.close()
    aws.allow(None)


def test_what_is_not_allowed_is_refused_in_aws_words(aws: LocalAws, iot: Any) -> None:  # noqa: ANN401
    """Without effect; who one is may always be asked."""
    aws.allow(document(allow("CreateThing", resource=f"{ARN}:thing/house-*")))
    iot.create_thing(thingName="house-1")
    with pytest.raises(iot.exceptions.ClientError, match="is not authorized to perform") as caught:
        iot.create_thing(thingName="office-1")
    text = caught.value.response["Error"]["Message"]
    assert f"iot:CreateThing on resource: {ARN}:thing/office-1 because no identity-based" in text
    assert error_code(iot.describe_endpoint) == DENIED
    assert [call.code for call in aws.faults.calls] == ["", *["AccessDeniedException"] * 2]
    aws.allow(None)
    assert error_code(iot.describe_thing, thingName="office-1")[0] == "ResourceNotFoundException"
    sts = aws.client("sts")
    aws.allow(document(allow("None")))
    assert sts.get_caller_identity()["Account"] == aws.account
    sts.close()


def test_resources_are_those_of_the_call(aws: LocalAws, iot: Any) -> None:  # noqa: ANN401
    """Also ARNs in the path and in a header."""
    made = aws.iot.create_keys_and_certificate(setAsActive=True)
    arn, certificate = made["certificateArn"], made["certificateId"]
    aws.iot.create_thing(thingName="house-2")
    aws.iot.create_policy(policyName="house-2", policyDocument=policy(CONNECT))
    aws.iot.create_thing_group(thingGroupName="rooms")
    calls: list[tuple[Any, dict[str, str], list[str]]] = [
        (iot.attach_policy, {"policyName": "house-2", "target": arn}, [arn]),
        (iot.list_attached_policies, {"target": arn}, [arn]),
        (iot.list_targets_for_policy, {"policyName": "house-2"}, [f"{ARN}:policy/house-2"]),
        (
            iot.attach_thing_principal,
            {"thingName": "house-2", "principal": arn},
            [arn, f"{ARN}:thing/house-2"],
        ),
        (iot.list_principal_things, {"principal": arn}, [arn]),
        (iot.describe_certificate, {"certificateId": certificate}, [arn]),
        (
            iot.add_thing_to_thing_group,
            {"thingName": "house-2", "thingGroupName": "rooms"},
            [f"{ARN}:thing/house-2", f"{ARN}:thinggroup/rooms"],
        ),
    ]
    for call, parameters, resources in calls:
        for lacking in resources:
            others = [each for each in resources if each != lacking]
            aws.allow(document(allow("*", resource=[*others, f"{ARN}:thing/other"])))
            assert error_code(call, **parameters) == DENIED
        aws.allow(document(allow("*", resource=resources)))
        call(**parameters)


def test_a_deny_wins() -> None:
    """Whatever else is allowed; and what is not evaluated is no document for it."""
    permissions = Permissions(
        document(allow("*"), allow("Delete*", effect="Deny", resource=f"{ARN}:thing/a?")), arn=ARN
    )
    assert "explicit deny" in permissions.refusal("DeleteThing", {"thingName": "ab"})
    assert not permissions.refusal("DeleteThing", {"thingName": "abc"})
    assert not Permissions(None, arn=ARN).refusal("DeleteThing", {"thingName": "ab"})
    with pytest.raises(ValueError, match="not evaluated"):
        Permissions(document({**allow("*"), "Condition": {}}), arn=ARN)


def test_each_operation_has_resources_of_a_known_form() -> None:
    """All or names in braces of boto3's parameters."""
    for patterns in RESOURCES.values():
        assert all(each == "*" or each.endswith("}") for each in patterns)
