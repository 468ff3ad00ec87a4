"""The control plane answers, refuses and forgives as AWS does."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.integration.cloud.conftest import error_code
from tests.integration.cloud.device import ALL, CONNECT, PUBLISH, policy

if TYPE_CHECKING:
    from tests.tools.cloud import LocalAws


def test_the_ats_endpoint_is_always_the_same(aws: LocalAws) -> None:
    """Without a type the answer is another, useless one, as AWS's own default is."""
    found = {
        aws.iot.describe_endpoint(endpointType="iot:Data-ATS")["endpointAddress"] for _ in range(3)
    }
    assert found == {aws.endpoint} == {"localhost"}
    assert aws.iot.describe_endpoint()["endpointAddress"] not in found


def test_a_thing_with_other_attributes_is_a_conflict(aws: LocalAws) -> None:
    """The same thing again is none."""
    attributes = {"attributes": {"serial": "1"}}
    first = aws.iot.create_thing(thingName="conflict", attributePayload=attributes)
    again = aws.iot.create_thing(thingName="conflict", attributePayload=attributes)
    assert first["thingId"] == again["thingId"]
    assert error_code(aws.iot.create_thing, thingName="conflict") == (
        "ResourceAlreadyExistsException",
        409,
    )
    described = aws.iot.describe_thing(thingName="conflict")
    assert described["attributes"] == {"serial": "1"}


def test_a_thing_has_a_legal_name(aws: LocalAws) -> None:
    """AWS allows letters, digits, colon, underscore and hyphen."""
    for name in ("living room", "a.b", "küche"):
        assert error_code(aws.iot.create_thing, thingName=name) == (
            "InvalidRequestException",
            400,
        )
    assert aws.iot.create_thing(thingName="a:b_c-1")["thingName"] == "a:b_c-1"


def test_deleting_a_thing_that_is_not_there_is_no_error(aws: LocalAws) -> None:
    """AWS's reference says so."""
    aws.iot.delete_thing(thingName="never-was")


def test_policy_documents_are_checked(aws: LocalAws) -> None:
    """Text that is no policy and more than 2048 characters besides white space are refused."""
    wide = policy(*ALL).replace(" ", " " * 100)
    aws.iot.create_policy(policyName="wide", policyDocument=wide)
    long = policy(*[PUBLISH] * 20)
    for document in ("not JSON", "[]", '{"Statement": []}', policy({"Effect": "Allow"}), long):
        for call, name in ((aws.iot.create_policy, "bad"), (aws.iot.create_policy_version, "wide")):
            assert error_code(call, policyName=name, policyDocument=document) == (
                "MalformedPolicyException",
                400,
            )
    assert error_code(aws.iot.create_policy, policyName="wide", policyDocument=policy(*ALL)) == (
        "ResourceAlreadyExistsException",
        409,
    )


def test_a_policy_has_at_most_five_versions(aws: LocalAws) -> None:
    """The sixth is refused until one has been deleted."""
    aws.iot.create_policy(policyName="versions", policyDocument=policy(CONNECT))
    for _ in range(4):
        aws.iot.create_policy_version(policyName="versions", policyDocument=policy(PUBLISH))
    assert error_code(
        aws.iot.create_policy_version, policyName="versions", policyDocument=policy(CONNECT)
    ) == ("VersionsLimitExceededException", 409)
