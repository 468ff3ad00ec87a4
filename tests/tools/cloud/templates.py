# ruff: noqa: ANN401  # moto has no types
"""Provisioning templates of AWS IoT, and what a device's registration makes by them.

The rules: https://docs.aws.amazon.com/iot/latest/developerguide/provision-template.html. Not there:
Mappings, other functions than Ref and Fn::Join, and OverrideSettings; a thing that is there already
keeps what it has and gets what is new.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from moto.iot.exceptions import IoTClientError

from tests.tools.cloud.policies import MalformedPolicyError, parse
from tests.tools.cloud.rejections import RejectedError, invalid

if TYPE_CHECKING:
    from collections.abc import Mapping

    from agent.model import Json

CERTIFICATE_ID = "AWS::IoT::Certificate::Id"
STATUSES = {"ACTIVE": "ACTIVE", "INACTIVE": "INACTIVE"}
BODY_LIMIT = 10_240


@dataclass(frozen=True, slots=True)
class Plan:
    """What a template makes with one device's parameters."""

    thing: str
    attributes: Mapping[str, str]
    thing_type: str
    groups: tuple[str, ...]
    status: str
    policy: str
    document: str


@dataclass(frozen=True, slots=True)
class Template:
    """A provisioning template: its name, its body as AWS has it."""

    name: str
    body: Mapping[str, Any]
    device_configuration: Mapping[str, str] = field(default_factory=dict)

    def plan(self, parameters: Mapping[str, str]) -> Plan:
        """What it makes of these; RejectedError for parameters that are missing or no text."""
        known = self.body.get("Parameters", {})
        values = {
            name: str(each["Default"]) for name, each in known.items() if "Default" in each
        } | {name: value for name, value in parameters.items() if name in known}
        made: dict[str, Mapping[str, Any]] = {}
        for resource in self.body.get("Resources", {}).values():
            made[resource["Type"]] = _resolved(resource.get("Properties", {}), values)
        thing = made.get("AWS::IoT::Thing", {})
        policy = made.get("AWS::IoT::Policy", {})
        document = policy.get("PolicyDocument", "")
        text = document if isinstance(document, str) else json.dumps(document)
        return Plan(
            thing=thing.get("ThingName", ""),
            attributes=thing.get("AttributePayload", {}),
            thing_type=thing.get("ThingTypeName", ""),
            groups=tuple(thing.get("ThingGroups", ())),
            status=STATUSES[made["AWS::IoT::Certificate"].get("Status", "ACTIVE").upper()],
            policy=policy.get("PolicyName") or (sha256(text.encode()).hexdigest() if text else ""),
            document=text,
        )


def check(body: Mapping[str, Any]) -> None:
    """ValueError where CreateProvisioningTemplate would refuse the body."""
    if len(json.dumps(body)) > BODY_LIMIT:
        raise ValueError(f"a template's body has at most {BODY_LIMIT} characters")
    kinds = [each.get("Type") for each in body.get("Resources", {}).values()]
    if kinds.count("AWS::IoT::Certificate") != 1 or len(kinds) != len(set(kinds)):
        raise ValueError("a template has one certificate, and at most one thing and policy")
    for each in body["Resources"].values():
        document = each.get("Properties", {}).get("PolicyDocument")
        if document is not None:
            if "PolicyName" in each["Properties"]:
                raise ValueError("a template's policy has a name or a document, not both")
            parse(document if isinstance(document, str) else json.dumps(document))


def carry_out(plan: Plan, backend: Any, certificate: Any) -> None:
    """Make the plan's things in moto's model, all or nothing; again does no harm."""
    try:
        if plan.policy and not plan.document:
            backend.get_policy(plan.policy)
        if plan.document:
            parse(plan.document)
        if plan.thing:
            _make_thing(plan, backend)
            backend.attach_thing_principal(plan.thing, certificate.arn)
        if plan.document and plan.policy not in backend.policies:
            backend.create_policy(plan.policy, plan.document)
        if plan.policy:
            backend.attach_policy(plan.policy, certificate.arn)
    except MalformedPolicyError as error:
        raise invalid(str(error)) from error
    except IoTClientError as error:
        code = str(error.error_type).removesuffix("Exception")
        raise RejectedError(error.code, code, str(error.message)) from error
    certificate.status = plan.status


def _make_thing(plan: Plan, backend: Any) -> None:
    for group in plan.groups:
        backend.describe_thing_group(group)
    there = [thing for thing in backend.things.values() if thing.thing_name == plan.thing]
    kind = plan.thing_type or None
    payload = {"attributes": dict(plan.attributes), "merge": True}
    if there:
        backend.update_thing(plan.thing, kind, payload, remove_thing_type=False)
    else:
        backend.create_thing(plan.thing, kind, payload)
    for group in plan.groups:
        backend.add_thing_to_thing_group(group, None, plan.thing, None)


def _resolved(value: Json, parameters: Mapping[str, str]) -> Any:
    """The value with Ref and Fn::Join worked out."""
    if isinstance(value, list):
        return [_resolved(each, parameters) for each in value]
    if not isinstance(value, dict):
        return value
    if set(value) == {"Ref"}:
        name = str(value["Ref"])
        if name not in parameters:
            raise invalid(f"Parameter {name} is not given")
        return parameters[name]
    if set(value) == {"Fn::Join"}:
        separator, parts = _resolved(value["Fn::Join"], parameters)
        return str(separator).join(map(str, parts))
    return {key: _resolved(each, parameters) for key, each in value.items()}
