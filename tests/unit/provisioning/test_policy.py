"""The policy allows what the device does and no more, and is recognised in any spelling."""

from __future__ import annotations

import json
import re
from urllib.parse import quote

from hypothesis import given
from hypothesis import strategies as st

from agent.provisioning.cloud import Caller
from agent.provisioning.policy import policy_document, policy_name, same_policy

CALLER = Caller("123456789012", "aws-cn", "cn-north-1", "arn:aws-cn:iam::123456789012:user/x")


def test_a_policy_has_a_legal_name() -> None:
    """Things may have a colon in their names, policies may not."""
    assert policy_name("room:1") == "room.1_subscribe"
    assert policy_name("x" * 118) == "x" * 118 + "_subscribe"


@given(st.from_regex(r"[a-zA-Z0-9:_-]", fullmatch=True), st.integers(1, 128))
def test_things_of_every_length_have_policies_with_names_of_their_own(
    letter: str, length: int
) -> None:
    """Legal, always the same, and told apart wherever the names differ."""
    things = [letter * length, *(letter * (length - 1) + other for other in "aZ0:-_")]
    names = {policy_name(thing) for thing in things}
    assert len(names) == len(set(things))
    assert names == {policy_name(thing) for thing in things}
    assert all(re.fullmatch(r"[\w+=,.@-]{1,128}", name, re.ASCII) for name in names)
    assert all(name.startswith(letter.replace(":", ".")) for name in names if length > 1)
    assert all(name.endswith("_subscribe") for name in names)


@given(st.integers(119, 128))
def test_a_shortened_name_is_that_of_no_other_thing(length: int) -> None:
    """It has a character that no name of a thing becomes."""
    assert "=" in policy_name("x" * length)


def test_the_policy_allows_what_the_device_does_and_no_more() -> None:
    """Receive as well as Subscribe; partition, region and account are the caller's."""
    document = policy_document(CALLER)
    statements = document["Statement"]
    assert isinstance(statements, list)
    thing = "${iot:Connection.Thing.ThingName}"
    here = "arn:aws-cn:iot:cn-north-1:123456789012:"
    assert [(one["Action"], one["Resource"]) for one in statements if isinstance(one, dict)] == [
        ("iot:Connect", f"{here}client/{thing}"),
        ("iot:Publish", f"{here}topic/{thing}/*"),
        ("iot:Subscribe", f"{here}topicfilter/{thing}/count"),
        ("iot:Receive", f"{here}topic/{thing}/count"),
    ]


def test_policies_are_compared_as_values() -> None:
    """Neither the order of keys nor spaces nor URL encoding makes a difference."""
    document = policy_document(CALLER)
    text = json.dumps(dict(reversed(list(document.items()))), indent=4)
    assert same_policy(text, document)
    assert same_policy(quote(text), document)
    assert not same_policy(text.replace("iot:Receive", "iot:*"), document)
    assert not same_policy("{", document)
