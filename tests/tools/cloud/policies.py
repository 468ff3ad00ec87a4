"""The rights that AWS IoT policies give a certificate, put in mosquitto's words.

The rules: https://docs.aws.amazon.com/iot/latest/developerguide/thing-policy-variables.html and
pub-sub-policy.html. A thing's name is taken from the client id, and counts only if the certificate
is attached to that thing. An explicit Deny wins. What mosquitto cannot express is not granted.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from agent.model import Json

THING_NAME = "${iot:Connection.Thing.ThingName}"
CLIENT_ID = "${iot:ClientId}"
IS_ATTACHED = "iot:Connection.Thing.IsAttached"

DOCUMENT_LIMIT = 2048
ACTION_TYPES = {
    "iot:Publish": ("topic", "publishClientSend"),
    "iot:Receive": ("topic", "publishClientReceive"),
    "iot:Subscribe": ("topicfilter", "subscribe"),
}
ALLOW_PRIORITY, DENY_PRIORITY = 1, 2


class MalformedPolicyError(ValueError):
    """AWS would refuse this document with MalformedPolicyException."""


@dataclass(frozen=True, slots=True)
class Acl:
    """One line of a role of mosquitto's dynamic security."""

    kind: str
    topic: str
    allow: bool

    def to_json(self) -> dict[str, Json]:
        """As the plugin's commands and file have it."""
        priority = ALLOW_PRIORITY if self.allow else DENY_PRIORITY
        return {
            "acltype": self.kind,
            "topic": self.topic,
            "allow": self.allow,
            "priority": priority,
        }


@dataclass(frozen=True, slots=True)
class _Statement:
    allow: bool
    actions: tuple[str, ...]
    resources: tuple[str, ...]
    conditions: Mapping[str, Json]

    def covers(self, action: str) -> bool:
        return any(_matches(pattern.lower(), action.lower()) for pattern in self.actions)

    def holds(self, *, attached: bool) -> bool:
        """Whether the conditions are met; one that we do not know never is."""
        for operator, wanted in self.conditions.items():
            if operator not in ("Bool", "StringEquals") or not isinstance(wanted, dict):
                return False
            for key, value in wanted.items():
                values = value if isinstance(value, list) else [value]
                if key != IS_ATTACHED or str(attached).lower() not in map(_lower, values):
                    return False
        return True


class Grant:
    """What one certificate may do: `things` it is attached to, `documents` attached to it."""

    def __init__(self, things: Iterable[str], documents: Iterable[str]) -> None:
        self._things = frozenset(things)
        self._statements = [statement for text in documents for statement in parse(text)]

    def may_connect(self, client_id: str) -> bool:
        """Whether a CONNECT with this client id is allowed."""
        attached = client_id in self._things
        verdict = False
        for statement in self._statements:
            if not statement.covers("iot:Connect") or not statement.holds(attached=attached):
                continue
            for resource in statement.resources:
                name = _resolve(resource, "client", client_id, attached=attached)
                if name is not None and _matches(name, client_id):
                    if not statement.allow:
                        return False
                    verdict = True
        return verdict

    def may_connect_at_all(self) -> bool:
        """Whether there is a client id with which a CONNECT is allowed."""
        return any(map(self.may_connect, self._things)) or any(
            statement.allow
            and statement.covers("iot:Connect")
            and statement.holds(attached=False)
            and any(_resolve(each, "client", "", attached=False) for each in statement.resources)
            for statement in self._statements
        )

    def acls(self) -> frozenset[Acl]:
        """The role that tells publish, subscribe and receive apart.

        It is empty if no attached thing may connect. Variables stand for each attached thing that
        may; client ids that are no thing's name get what policies without variables allow, and so
        does a certificate that is attached to no thing.
        """
        return self._acls

    @cached_property
    def _acls(self) -> frozenset[Acl]:
        clients: list[str | None] = [
            each for each in sorted(self._things) if self.may_connect(each)
        ]
        return frozenset(
            acl
            for client in (clients if self._things else [None])
            for statement in self._statements
            for acl in _acls_of(statement, client)
        )


def parse(document: str) -> list[_Statement]:
    """The statements of a policy document; MalformedPolicyError where AWS has its exception."""
    if len(re.sub(r"\s", "", document)) > DOCUMENT_LIMIT:
        raise MalformedPolicyError(f"Policy document exceeds {DOCUMENT_LIMIT} characters")
    try:
        policy = json.loads(document)
    except ValueError as error:
        raise MalformedPolicyError(f"Policy document is not JSON: {error}") from error
    if not isinstance(policy, dict) or policy.get("Version", "") not in (
        "",
        "2012-10-17",
        "2008-10-17",
    ):
        raise MalformedPolicyError("Policy document needs a known Version")
    statements = policy.get("Statement")
    if isinstance(statements, dict):
        statements = [statements]
    if not isinstance(statements, list) or not statements:
        raise MalformedPolicyError("Policy document needs a Statement")
    return [_statement(each) for each in statements]


def _statement(value: Json) -> _Statement:
    if not isinstance(value, dict) or value.get("Effect") not in ("Allow", "Deny"):
        raise MalformedPolicyError("Each statement needs an Effect of Allow or Deny")
    conditions = value.get("Condition", {})
    if not isinstance(conditions, dict):
        raise MalformedPolicyError("Condition must be an object")
    actions, resources = _strings(value, "Action"), _strings(value, "Resource")
    if any(action != "*" and ":" not in action for action in actions):
        raise MalformedPolicyError("Each Action needs a vendor, as in iot:Connect")
    if any(resource != "*" and not resource.startswith("arn:") for resource in resources):
        raise MalformedPolicyError("Each Resource must be * or an ARN")
    return _Statement(value["Effect"] == "Allow", actions, resources, conditions)


def _strings(value: Mapping[str, Json], key: str) -> tuple[str, ...]:
    found = value.get(key)
    strings = found if isinstance(found, list) else [found]
    if not strings or not all(isinstance(each, str) and each for each in strings):
        raise MalformedPolicyError(f"Each statement needs {key}, a string or a list of strings")
    return tuple(map(str, strings))


def _resolve(resource: str, kind: str, client_id: str, *, attached: bool) -> str | None:
    """The name part of an ARN of that kind, variables filled in; None if it is of no use."""
    if resource == "*":
        return "*"
    fields = resource.split(":", 5)
    if len(fields) < 6 or fields[2] != "iot":  # arn:partition:iot:region:account:…
        return None
    found, _, name = fields[5].partition("/")
    if found == "*":
        return "*"
    if found != kind or (THING_NAME in name and not attached):
        return None
    name = name.replace(THING_NAME, client_id).replace(CLIENT_ID, client_id)
    return None if "${" in name else name  # an unresolved variable matches nothing


def _acls_of(statement: _Statement, client: str | None) -> Iterable[Acl]:
    attached = client is not None
    if not statement.holds(attached=attached):
        return
    for action, (kind, word) in ACTION_TYPES.items():
        if not statement.covers(action):
            continue
        for resource in statement.resources:
            name = _resolve(resource, kind, client or CLIENT_ID, attached=attached)
            if name is None:
                continue
            yield from _acls_on(name, word, allow=statement.allow)


def _acls_on(name: str, word: str, *, allow: bool) -> Iterable[Acl]:
    topic, exact = _topic_filter(name)
    if topic is None:
        if allow:
            return
        topic, exact = "#", False  # a Deny that cannot be told exactly denies all
    acl_type = word
    if word == "subscribe":
        acl_type = "subscribeLiteral" if exact else "subscribePattern"
    elif exact and re.search(r"[+#]", topic):
        return  # to AWS these are plain characters, which no topic can hold
    yield Acl(acl_type, topic, allow=allow)
    if topic == "#":  # which matches no topic of AWS's own (MQTT 5, section 4.7.2)
        yield Acl(acl_type, "$aws/#", allow=allow)


def _topic_filter(name: str) -> tuple[str | None, bool]:
    """AWS's * at the end as MQTT's #, and whether there was none; None for other wildcards."""
    if name == "*":
        return "#", False
    if name.endswith("/*") and not re.search(r"[*?]", name[:-2]):
        return f"{name[:-1]}#", False
    return (None, False) if re.search(r"[*?]", name) else (name, True)


def _matches(pattern: str, text: str) -> bool:
    wild = re.escape(pattern).replace(r"\*", ".*").replace(r"\?", ".")
    return re.fullmatch(wild, text, re.DOTALL) is not None


def _lower(value: Json) -> str:
    return str(value).lower()
