"""The stack has what its parameters ask for, and no right that it does not use."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]

from agent.provisioning.cloud import Caller
from agent.provisioning.policy import THING, policy_document
from tests.unit.cloudformation.template import EVERYTHING, PATH, PSEUDO, Stack, document

#: What `aws cloudformation deploy` sends without a bucket.
SIZE_MAX = 51_200

#: What a rule's action needs: the action's name, and what its role is asked for.
GRANTS = {
    "CloudwatchMetric": {"cloudwatch:PutMetricData"},
    "CloudwatchLogs": {"logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents"},
    "Sns": {"sns:Publish"},
    "DynamoDBv2": {"dynamodb:PutItem"},
}

STACKS = {
    "everything": EVERYTHING,
    "name alone": {"ThingName": "a:b_c-1"},
    "greenhouse": {
        "ThingName": "greenhouse",
        "SignOfLife": "sensors/soil",
        "TemperatureSensor": "soil",
        "ColdBelow": "-2.5",
    },
}


@pytest.fixture(params=STACKS)
def stack(request: pytest.FixtureRequest) -> Stack:
    """A stack of each kind."""
    return Stack(**STACKS[request.param])


def test_cfn_lint_finds_nothing() -> None:
    """Neither errors nor warnings."""
    found = subprocess.run(
        [Path(sys.executable).with_name("cfn-lint"), PATH],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (found.returncode, found.stdout, found.stderr) == (0, "", "")


def test_the_file_fits_into_one_call() -> None:
    """It has ASCII and degrees alone, no anchors, which CloudFormation does not know."""
    assert len(PATH.read_bytes()) < SIZE_MAX
    assert not set(PATH.read_text()) - {chr(code) for code in range(128)} - {"°"}
    assert not [one for one in yaml.parse(PATH.read_text()) if getattr(one, "anchor", None)]


def test_texts_within_texts_are_json(stack: Stack) -> None:
    """The dashboard and the provisioning template, with whatever parameters."""
    (dashboard,) = stack.of_type("AWS::CloudWatch::Dashboard").values()
    for widget in json.loads(dashboard["DashboardBody"])["widgets"]:
        assert widget["x"] + widget["width"] <= 24
        assert widget["type"] in {"metric", "alarm"}
    for one in stack.of_type("AWS::IoT::ProvisioningTemplate").values():
        assert json.loads(one["TemplateBody"])
        assert len(one["TemplateBody"]) <= 10_240


def test_widgets_do_not_overlap() -> None:
    """Each has its own place."""
    (dashboard,) = Stack(**EVERYTHING).of_type("AWS::CloudWatch::Dashboard").values()
    taken: list[tuple[int, int]] = []
    for one in json.loads(dashboard["DashboardBody"])["widgets"]:
        xs, ys = range(one["x"], one["x"] + one["width"]), range(one["y"], one["y"] + one["height"])
        taken += [(x, y) for x in xs for y in ys]
    assert len(taken) == len(set(taken))


def test_rules_hear_one_thing_and_publish_nothing(stack: Stack) -> None:
    """Exact topics, the newer SQL, an error action each; nothing that could make a loop."""
    for name, rule in stack.of_type("AWS::IoT::TopicRule").items():
        payload = rule["TopicRulePayload"]
        assert payload["AwsIotSqlVersion"] == "2016-03-23"
        assert f"FROM '{stack.values['ThingName']}/" in payload["Sql"], name
        assert not set(payload["Sql"].split("FROM")[1].split("'")[1]) & {"+", "#"}
        assert list(payload["ErrorAction"]) == ["CloudwatchLogs"]
        for action in payload["Actions"]:
            assert set(action) <= set(GRANTS) - {"CloudwatchLogs"}


def test_the_role_may_do_what_the_rules_do_and_no_more(stack: Stack) -> None:
    """Only for this account, in this thing's namespaces, on this stack's own resources."""
    role = stack.resources["Role"]
    (trust,) = role["AssumeRolePolicyDocument"]["Statement"]
    assert trust["Condition"] == {
        "StringEquals": {"aws:SourceAccount": PSEUDO["AWS::AccountId"]},
        "ArnLike": {"aws:SourceArn": "arn:aws:iot:ap-northeast-1:111122223333:*"},
    }
    used = set()
    for rule in stack.of_type("AWS::IoT::TopicRule").values():
        payload = rule["TopicRulePayload"]
        for action in (*payload["Actions"], payload["ErrorAction"]):
            ((kind, argument),) = action.items()
            assert argument["RoleArn"] == "arn:Role"
            used |= GRANTS[kind]
            if kind == "CloudwatchMetric":
                assert argument["MetricNamespace"].startswith(f"{stack.values['ThingName']}/")
    (policy,) = role["Policies"]
    granted: dict[str, Any] = {}
    for statement in policy["PolicyDocument"]["Statement"]:
        actions = statement["Action"]
        for one in actions if isinstance(actions, list) else [actions]:
            granted[one] = statement
    assert used <= granted.keys()
    # Mail is for the rules of events, which are there always.
    assert granted.keys() == used
    metrics = granted["cloudwatch:PutMetricData"]
    assert metrics["Condition"] == {
        "StringLike": {"cloudwatch:namespace": f"{stack.values['ThingName']}/*"}
    }
    others = {str(one["Resource"]) for key, one in granted.items() if one is not metrics and key}
    assert others <= {"arn:Failures", "Mail", "arn:History"}


def test_no_resource_needs_a_named_capability() -> None:
    """Roles get their names from CloudFormation: CAPABILITY_IAM is enough."""
    for one in Stack(**EVERYTHING).of_type("AWS::IAM::Role").values():
        assert "RoleName" not in one


def test_what_is_not_asked_for_is_not_there() -> None:
    """The name alone gives counts, their alarms and the dashboard."""
    bare = Stack(ThingName="cat")
    assert set(bare.of_type("AWS::CloudWatch::Alarm")) == {"Silent", "Blind", "Undelivered"}
    for kind in ("DynamoDB::Table", "SNS::Subscription", "IoT::ProvisioningTemplate"):
        assert not bare.of_type(f"AWS::{kind}")
    every = set(document()["Resources"])
    assert set(Stack(**EVERYTHING).resources) == every


def test_the_history_outlives_the_stack() -> None:
    """Nothing else does, nor what a deployment that failed has made of it."""
    policies = ("DeletionPolicy", "UpdateReplacePolicy")
    kept = [
        (name, one[policy])
        for name, one in document()["Resources"].items()
        for policy in policies
        if "Retain" in one.get(policy, "")
    ]
    assert kept == [("History", "RetainExceptOnCreate"), ("History", "Retain")]


@pytest.mark.parametrize(
    "wrong",
    [
        {"ColdBelow": "15"},
        {"HotAbove": "31"},
        {"QuietHours": "2"},
        {"OtherQuantity": "co2_ppm"},
        {"OtherSensor": "air", "OtherQuantity": "2_5"},
        {"ThingName": "AWS"},
        {"ThingName": ":cat"},
    ],
)
def test_what_would_silently_do_nothing_is_refused(wrong: dict[str, str]) -> None:
    """A limit without its sensor, hours without a day, names that CloudWatch does not take."""
    with pytest.raises(AssertionError):
        Stack(**{"ThingName": "cat"} | wrong)


def test_quantities_may_have_digits() -> None:
    """As those of the air have."""
    made = Stack(ThingName="cat", OtherSensor="air", OtherQuantity="co2_ppm").resources["Other"]
    (action,) = made["TopicRulePayload"]["Actions"]
    assert action["CloudwatchMetric"]["MetricValue"] == "${co2_ppm}"


def test_a_fleet_device_may_do_what_the_agent_allows_itself() -> None:
    """The same document as that of a device that registers with an AWS key."""
    policy = Stack(**EVERYTHING).resources["DevicePolicy"]["PolicyDocument"]
    ours = policy_document(Caller("111122223333", "aws", "ap-northeast-1", ""))
    assert policy == json.loads(json.dumps(ours))
    assert THING in str(policy)


def test_a_claim_may_only_ask_for_a_certificate_and_be_registered() -> None:
    """By a request of its own: the way by which AWS makes the key is closed."""
    statements = Stack(**EVERYTHING).resources["ClaimPolicy"]["PolicyDocument"]["Statement"]
    actions = [one["Action"] for one in statements]
    assert actions == ["iot:Connect", ["iot:Publish", "iot:Receive"], "iot:Subscribe"]
    arn = "arn:aws:iot:ap-northeast-1:111122223333"
    assert statements[0]["Resource"] == f"{arn}:client/*-claim"
    for kind, statement in (("topic", statements[1]), ("topicfilter", statements[2])):
        assert statement["Resource"] == [
            f"{arn}:{kind}/$aws/certificates/create-from-csr/*",
            f"{arn}:{kind}/$aws/provisioning-templates/home/provision/*",
        ]


def test_a_board_gets_the_same_name_each_time() -> None:
    """By the template's name and its serial number, which the thing keeps as an attribute."""
    body = json.loads(Stack(**EVERYTHING).resources["Fleet"]["TemplateBody"])
    thing = body["Resources"]["thing"]["Properties"]
    assert thing["ThingName"] == {"Fn::Join": ["", ["home-", {"Ref": "SerialNumber"}]]}
    assert thing["AttributePayload"] == {"serial": {"Ref": "SerialNumber"}}
    assert body["Resources"]["policy"]["Properties"]["PolicyName"] == "DevicePolicy"
    assert set(body["Parameters"]) == {"SerialNumber", "AWS::IoT::Certificate::Id"}
