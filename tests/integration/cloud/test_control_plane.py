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


def test_a_thing_has_few_attributes_without_a_type(aws: LocalAws) -> None:
    """Three, or fifty with a type, each of a form that AWS allows; the type must be there."""
    three = {"attributes": {"serial": "1", "room": "hall", "floor": "2"}}
    four = {"attributes": {**three["attributes"], "house": "3"}}
    aws.iot.create_thing(thingName="three", attributePayload=three)
    invalid = ("InvalidRequestException", 400)
    assert error_code(aws.iot.create_thing, thingName="four", attributePayload=four) == invalid
    more = {"attributes": {"house": "3"}, "merge": True}
    assert error_code(aws.iot.update_thing, thingName="three", attributePayload=more) == invalid
    assert error_code(
        aws.iot.create_thing, thingName="four", attributePayload=four, thingTypeName="house"
    ) == ("ResourceNotFoundException", 404)
    aws.iot.create_thing_type(thingTypeName="house")
    aws.iot.update_thing(thingName="three", attributePayload=more, thingTypeName="house")
    assert len(aws.iot.describe_thing(thingName="three")["attributes"]) == 4
    for bad in ({"a b": "1"}, {"a": "b c"}, {"a": "x" * 801}):
        payload = {"attributes": bad}
        assert error_code(aws.iot.create_thing, thingName="x", attributePayload=payload) == invalid


def test_what_is_not_there_cannot_be_attached(aws: LocalAws) -> None:
    """Neither a policy nor a thing group nor a certificate."""
    arn = aws.iot.create_keys_and_certificate(setAsActive=True)["certificateArn"]
    aws.iot.create_thing(thingName="lonely")
    aws.iot.create_policy(policyName="there", policyDocument=policy(CONNECT))
    other = arn[:-4] + "0000"
    for call, parameters in (
        (aws.iot.attach_policy, {"policyName": "none", "target": arn}),
        (aws.iot.attach_policy, {"policyName": "there", "target": other}),
        (aws.iot.attach_thing_principal, {"thingName": "lonely", "principal": other}),
        (aws.iot.attach_thing_principal, {"thingName": "none", "principal": arn}),
        (aws.iot.add_thing_to_thing_group, {"thingName": "lonely", "thingGroupName": "none"}),
        (aws.iot.add_thing_to_thing_group, {"thingName": "none", "thingGroupName": "none"}),
    ):
        assert error_code(call, **parameters) == ("ResourceNotFoundException", 404)
