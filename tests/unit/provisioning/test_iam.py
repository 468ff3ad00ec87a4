"""The IAM policy in the documentation grants what the code asks for, and nothing more."""

from __future__ import annotations

import ast
import json
import re
from pathlib import Path

import botocore.session

from agent.provisioning.claim import SUFFIX
from agent.provisioning.rejection import FROM_CSR, topic_of

ROOT = Path(__file__).parents[3]
GUIDE = (ROOT / "docs/provisioning.md").read_text()


def called() -> set[str]:
    """The IAM actions of all calls to AWS IoT, by the names that the sources have of them."""
    model = botocore.session.Session().get_service_model("iot")
    names = {botocore.xform_name(operation): operation for operation in model.operation_names}
    words = {
        node.value
        for path in (ROOT / "agent/provisioning").glob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }
    return {f"iot:{operation}" for name, operation in names.items() if name in words}


def granted() -> set[str]:
    """The actions of the policy in the guide, and of the statements that take another's place."""
    section = GUIDE.partition("## The IAM policy")[2].partition("\n## ")[0]
    whole, *others = map(json.loads, re.findall(r"```json\n(.*?)```", section, re.DOTALL))
    return {action for one in [*whole["Statement"], *others] for action in one["Action"]}


def test_the_documented_policy_is_the_least_that_suffices() -> None:
    """Each action that is called is granted, and none that is not."""
    assert granted() == called()
    assert len(called()) > 20


def test_the_guide_names_no_other_action() -> None:
    """But those of the device's own policy, and of an attacker's."""
    named = set(re.findall(r"`(iot:[A-Z]\w+)`", GUIDE))
    assert named - called() <= {"iot:Connect", "iot:Receive"}


def test_the_documented_policy_of_a_claim_names_the_topics_that_are_used() -> None:
    """To publish, to subscribe, and to receive; and to connect by our client id alone."""
    section = GUIDE.partition("## By claim")[2].partition("\n## ")[0]
    (text,) = re.findall(r"```json\n(.*?)```", section, re.DOTALL)
    start = "arn:aws:iot:REGION:ACCOUNT"
    connect, messages, subscribe = json.loads(text)["Statement"]
    topics = [f"{FROM_CSR}/*", f"{topic_of('home')}/*"]
    assert connect["Resource"] == f"{start}:client/*{SUFFIX}"
    assert messages["Action"] == ["iot:Publish", "iot:Receive"]
    assert messages["Resource"] == [f"{start}:topic/{topic}" for topic in topics]
    assert subscribe["Action"] == "iot:Subscribe"
    assert subscribe["Resource"] == [f"{start}:topicfilter/{topic}" for topic in topics]
