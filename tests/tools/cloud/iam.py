"""What an AWS key may do: an IAM policy, evaluated for the calls that our code makes.

The resources: https://docs.aws.amazon.com/service-authorization/latest/reference/list_awsiot.html,
and where that names none, the table of the IoT developer guide ("How AWS IoT works with IAM"). Of
two that are possible both must be allowed: what passes here passes there.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from agent.model import Json

THING, POLICY, CERTIFICATE = "thing/{thingName}", "policy/{policyName}", "cert/{certificateId}"
GROUP, PRINCIPAL, TARGET = "thinggroup/{thingGroupName}", "{principal}", "{target}"
RESOURCES = {
    "AddThingToThingGroup": (THING, GROUP),
    "AttachPolicy": (TARGET,),
    "AttachThingPrincipal": (PRINCIPAL, THING),
    "CreateCertificateFromCsr": ("*",),
    "CreateKeysAndCertificate": ("*",),
    "CreatePolicy": (POLICY,),
    "CreatePolicyVersion": (POLICY,),
    "CreateThing": (THING,),
    "DeleteCertificate": (CERTIFICATE,),
    "DeletePolicy": (POLICY,),
    "DeletePolicyVersion": (POLICY,),
    "DeleteThing": (THING,),
    "DescribeCertificate": (CERTIFICATE,),
    "DescribeEndpoint": ("*",),
    "DescribeThing": (THING,),
    "DescribeThingGroup": (GROUP,),
    "DetachPolicy": (TARGET,),
    "DetachThingPrincipal": (PRINCIPAL, THING),
    "GetPolicy": (POLICY,),
    "GetPolicyVersion": (POLICY,),
    "ListAttachedPolicies": (TARGET,),
    "ListCertificates": ("*",),
    "ListPolicies": ("*",),
    "ListPolicyVersions": (POLICY,),
    "ListPrincipalThings": (PRINCIPAL,),
    "ListTargetsForPolicy": (POLICY,),
    "ListThingGroupsForThing": (THING,),
    "ListThingPrincipals": (THING,),
    "ListThings": ("*",),
    "UpdateCertificate": (CERTIFICATE,),
    "UpdateThing": (THING,),
}


@dataclass(frozen=True, slots=True)
class _Statement:
    allow: bool
    actions: tuple[str, ...]
    resources: tuple[str, ...]

    def fits(self, action: str, resource: str) -> bool:
        return any(_matches(each.lower(), action.lower()) for each in self.actions) and any(
            _matches(each, resource) for each in self.resources
        )


class Permissions:
    """What one document allows; without one, everything. `arn` is up to the account.

    ValueError for a document with what is not evaluated here: conditions, and the Not forms.
    """

    def __init__(self, document: Mapping[str, Json] | str | None, *, arn: str) -> None:
        self._arn = arn
        self._statements: list[_Statement] | None = None
        if document is not None:
            read = json.loads(document) if isinstance(document, str) else document
            statements = read["Statement"]
            found = statements if isinstance(statements, list) else [statements]
            self._statements = [_statement(each) for each in found]

    def refusal(self, operation: str, parameters: Mapping[str, str]) -> str:
        """What AWS says to a call that is not allowed; "" for one that is.

        `sts:GetCallerIdentity` always is. KeyError for an operation whose resources are unknown.
        """
        if self._statements is None or operation == "GetCallerIdentity":
            return ""
        action = f"iot:{operation}"
        for pattern in RESOURCES[operation]:
            resource = pattern.format_map(parameters)
            if "/" in resource and not resource.startswith("arn:"):
                resource = f"{self._arn}:{resource}"
            fitting = [each for each in self._statements if each.fits(action, resource)]
            if not all(each.allow for each in fitting):
                why = "with an explicit deny in an identity-based policy"
            elif not fitting:
                why = f"because no identity-based policy allows the {action} action"
            else:
                continue
            return (
                "User: arn:aws:iam::123456789012:user/local is not authorized to perform: "
                f"{action} on resource: {resource} {why}"
            )
        return ""


def _statement(value: Json) -> _Statement:
    if not isinstance(value, dict) or value.keys() - {"Sid", "Effect", "Action", "Resource"}:
        raise ValueError(f"not evaluated here: {value}")
    return _Statement(
        value["Effect"] == "Allow", _strings(value, "Action"), _strings(value, "Resource")
    )


def _strings(value: Mapping[str, Json], key: str) -> tuple[str, ...]:
    found = value[key]
    return tuple(map(str, found if isinstance(found, list) else [found]))


def _matches(pattern: str, text: str) -> bool:
    wild = re.escape(pattern).replace(r"\*", ".*").replace(r"\?", ".")
    return re.fullmatch(wild, text, re.DOTALL) is not None
