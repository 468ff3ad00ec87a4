"""Documents of fleet provisioning, as AWS has them; `arn` is up to the account."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from tests.tools.cloud.templates import CERTIFICATE_ID

if TYPE_CHECKING:
    from collections.abc import Mapping

    from agent.model import Json


def claim_policy(arn: str, template: str) -> Mapping[str, Json]:
    """The document of the policy of a claim, which may do this and nothing else."""
    topics = (
        "$aws/certificates/create/*",
        "$aws/certificates/create-from-csr/*",
        f"$aws/provisioning-templates/{template}/provision/*",
    )
    wanted = {
        "iot:Connect": ["client/*"],
        "iot:Publish": [f"topic/{each}" for each in topics],
        "iot:Receive": [f"topic/{each}" for each in topics],
        "iot:Subscribe": [f"topicfilter/{each}" for each in topics],
    }
    statements: list[Json] = [
        {
            "Effect": "Allow",
            "Action": action,
            "Resource": [f"{arn}:{each}" for each in resources],
        }
        for action, resources in wanted.items()
    ]
    return {"Version": "2012-10-17", "Statement": statements}


def template_body(arn: str, properties: Mapping[str, Any]) -> Mapping[str, Any]:
    """A thing `device-<SerialNumber>` that may do what our agent needs, but for `properties`.

    Those are the thing's, and PolicyName in place of a document.
    """
    serial = {"Ref": "SerialNumber"}
    thing = {
        "ThingName": {"Fn::Join": ["", ["device-", serial]]},
        "AttributePayload": {"serial": serial},
    } | {name: each for name, each in properties.items() if name != "PolicyName"}
    policy = (
        {"PolicyName": properties["PolicyName"]}
        if "PolicyName" in properties
        else {"PolicyDocument": json.dumps(device_policy(arn))}
    )
    return {
        "Parameters": {
            "SerialNumber": {"Type": "String"},
            CERTIFICATE_ID: {"Type": "String"},
        },
        "Resources": {
            "thing": {"Type": "AWS::IoT::Thing", "Properties": thing},
            "certificate": {
                "Type": "AWS::IoT::Certificate",
                "Properties": {"CertificateId": {"Ref": CERTIFICATE_ID}, "Status": "Active"},
            },
            "policy": {"Type": "AWS::IoT::Policy", "Properties": policy},
        },
    }


def device_policy(arn: str) -> Mapping[str, Json]:
    """The document of a policy with which our agent can work; `arn` is up to the account."""
    thing = "${iot:Connection.Thing.ThingName}"
    statements: list[Json] = [
        {
            "Effect": "Allow",
            "Action": "iot:Connect",
            "Resource": f"{arn}:client/{thing}",
            "Condition": {"Bool": {"iot:Connection.Thing.IsAttached": "true"}},
        }
    ]
    for action, kind, name in (
        ("Publish", "topic", "*"),
        ("Subscribe", "topicfilter", "count"),
        ("Receive", "topic", "count"),
    ):
        resource = f"{arn}:{kind}/{thing}/{name}"
        statements.append({"Effect": "Allow", "Action": f"iot:{action}", "Resource": resource})
    return {"Version": "2012-10-17", "Statement": statements}
