"""Policy of the device on the broker: its name and its document, by pure functions."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING
from urllib.parse import unquote

if TYPE_CHECKING:
    from collections.abc import Mapping

    from agent.model import Json
    from agent.provisioning.cloud import Caller

#: AWS fills this in for a connected device ("Thing policy variables", AWS IoT developer guide).
THING = "${iot:Connection.Thing.ThingName}"


def policy_name(thing: str) -> str:
    """The policy's name, without the `:` that a thing's may hold (CreatePolicy, AWS IoT API)."""
    return f"{thing}_subscribe".replace(":", ".")


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
