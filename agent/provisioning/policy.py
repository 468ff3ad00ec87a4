"""Policy of the device on the broker: its name and its document, by pure functions."""

from __future__ import annotations

import json
from hashlib import sha256
from urllib.parse import unquote

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from agent.model import Json
    from agent.provisioning.cloud import Caller

#: AWS fills this in for a connected device ("Thing policy variables", AWS IoT developer guide).
THING = "${iot:Connection.Thing.ThingName}"

_END = "_subscribe"
_NAME_LENGTH = 128
_HASH_LENGTH = 32


def policy_name(thing: str) -> str:
    """The policy's name, legal and another one for each thing (CreatePolicy, AWS IoT API).

    It has no `:`, which a thing's may hold. One that would be too long is cut, and gets a hash
    behind a `=`, which no thing's can hold.
    """
    name = thing.replace(":", ".")
    if len(name + _END) > _NAME_LENGTH:
        mark = f"={sha256(thing.encode()).hexdigest()[:_HASH_LENGTH]}"
        name = name[: _NAME_LENGTH - len(mark + _END)] + mark
    return name + _END


def policy_document(caller: Caller) -> Mapping[str, Json]:
    """Permissions of the device: connect as itself, publish below its name, hear its own count.

    Receive is checked on each delivery, besides Subscribe ("AWS IoT Core policy actions"): without
    it SUBACK succeeds and nothing comes.
    """
    return {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Action": "iot:Connect",
                "Resource": caller.resource(f"client/{THING}"),
                "Condition": {"Bool": {"iot:Connection.Thing.IsAttached": "true"}},
            },
            {
                "Effect": "Allow",
                "Action": "iot:Publish",
                "Resource": caller.resource(f"topic/{THING}/*"),
            },
            {
                "Effect": "Allow",
                "Action": "iot:Subscribe",
                "Resource": caller.resource(f"topicfilter/{THING}/count"),
            },
            {
                "Effect": "Allow",
                "Action": "iot:Receive",
                "Resource": caller.resource(f"topic/{THING}/count"),
            },
        ],
    }


def same_policy(text: str, document: Mapping[str, Json]) -> bool:
    """True if a policy's text, perhaps URL-encoded, means just `document`."""
    for candidate in (text, unquote(text)):
        try:
            if json.loads(candidate) == document:
                return True
        except (ValueError, RecursionError):
            continue
    return False
