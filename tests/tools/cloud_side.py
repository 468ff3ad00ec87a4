"""The cloud side in an emulator: `python3 -m tests.tools.cloud_side PORT` (see scripts/test-cloud).

Deployed by a change set, as `aws cloudformation deploy` does, less the alarm about quiet, since the
emulator knows no metric math. Nor does it carry out a rule's actions on CloudWatch.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import boto3
from botocore.exceptions import EndpointConnectionError

from tests.unit.cloudformation.conftest import COMMANDS, THING, messages
from tests.unit.cloudformation.template import EVERYTHING, PATH

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tests.unit.cloudformation.iot_sql import Message

STACK = "living-room"
PATIENCE_S = 60.0
PARAMETERS = EVERYTHING | {"WakingHoursUtc": ""}


class Emulator:
    """Clients of the emulator's services, and the stack in it."""

    def __init__(self, port: str) -> None:
        self._where = {
            "endpoint_url": f"http://127.0.0.1:{port}",
            "region_name": "ap-northeast-1",
            "aws_access_key_id": "test",
            "aws_secret_access_key": "test",
        }

    def client(self, service: str) -> Any:  # noqa: ANN401 -- boto3 has no types
        """A client of AWS's."""
        return boto3.client(service, **self._where)

    def deploy(self, kind: str, parameters: dict[str, str]) -> dict[str, str]:
        """Make the stack, or change it, and return its outputs."""
        formation = self.client("cloudformation")
        formation.create_change_set(
            StackName=STACK,
            ChangeSetName=kind,
            ChangeSetType=kind,
            TemplateBody=PATH.read_text(),
            Capabilities=["CAPABILITY_IAM"],
            Parameters=[
                {"ParameterKey": key, "ParameterValue": one} for key, one in parameters.items()
            ],
        )

        def change() -> bool:
            found = formation.describe_change_set(StackName=STACK, ChangeSetName=kind)
            return bool(found["Status"] == "CREATE_COMPLETE")

        wait(change)
        formation.execute_change_set(StackName=STACK, ChangeSetName=kind)

        def stack() -> Any:  # noqa: ANN401 -- boto3 has no types
            (found,) = formation.describe_stacks(StackName=STACK)["Stacks"]
            return None if found["StackStatus"].endswith("IN_PROGRESS") else found

        found = wait(stack)
        assert found["StackStatus"] == f"{kind}_COMPLETE", found
        return {one["OutputKey"]: one["OutputValue"] for one in found["Outputs"]}

    def rules(self) -> int:
        """The number of rules."""
        return len(self.client("iot").list_topic_rules()["rules"])

    def publish(self, topic: str, payload: object) -> None:
        """Publish JSON."""
        text = json.dumps(payload).encode()
        self.client("iot-data").publish(topic=topic, qos=1, payload=text)

    def rows(self, table: str) -> dict[tuple[str, int], dict[str, Any]]:
        """Rows of the table by their keys."""
        found = self.client("dynamodb").scan(TableName=table)["Items"]
        return {(one["epoch"]["S"], int(one["seq"]["N"])): one for one in found}

    def mailbox(self, topic: str) -> Callable[[], list[str]]:
        """A queue in the place of a person, and what reads it."""
        queues = self.client("sqs")
        url = queues.create_queue(QueueName="person")["QueueUrl"]
        arn = queues.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])
        self.client("sns").subscribe(
            TopicArn=topic, Protocol="sqs", Endpoint=arn["Attributes"]["QueueArn"]
        )
        mails: list[str] = []

        def read() -> list[str]:
            for one in queues.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get(
                "Messages", ()
            ):
                mails.append(json.loads(one["Body"])["Message"])
                queues.delete_message(QueueUrl=url, ReceiptHandle=one["ReceiptHandle"])
            return mails

        return read


def wait(look: Callable[[], Any]) -> Any:  # noqa: ANN401 -- whatever is looked for
    """The first answer that is true. Raises AssertionError when the time is over."""
    until_s = time.monotonic() + PATIENCE_S
    while not (found := look()):
        assert time.monotonic() < until_s, look.__name__
        time.sleep(0.2)
    return found


def main(port: str) -> None:
    """Deploy, publish, look, change and delete. Raises AssertionError."""
    emulator = Emulator(port)

    def started() -> bool:
        try:
            return emulator.rules() == 0
        except EndpointConnectionError:
            return False

    wait(started)
    outputs = emulator.deploy("CREATE", PARAMETERS)
    table = outputs["HistoryTable"]
    print(f"made: {emulator.rules()} rules")
    mails = emulator.mailbox(outputs["MailTopic"])
    with TemporaryDirectory() as directory:
        published = messages(Path(directory))
    for topic in sorted({one.topic for one in published}):
        for command in COMMANDS:
            emulator.publish(topic, command)
    for one in published:
        for again in (one.topic, *([one.topic] if one.topic.endswith("/count") else [])):
            emulator.publish(again, one.payload)
    emulator.publish("bedroom/count", published[0].payload)

    kept = [one for one in published if "/sensors/" not in one.topic]
    wait(lambda: len(emulator.rows(table)) >= len(kept))
    check(emulator.rows(table), kept)
    print(f"kept: {len(kept)} records, whose counts came twice, in as many rows")
    events = [one for one in published if one.topic == f"{THING}/events"]
    wait(lambda: len(mails()) >= len(events))
    print("mails:", *mails(), sep="\n  ")
    assert len(mails()) == len(events)

    emulator.deploy("UPDATE", PARAMETERS | {"ColdBelow": "12", "HumiditySensor": ""})
    print(f"changed: {emulator.rules()} rules")
    emulator.client("cloudformation").delete_stack(StackName=STACK)
    wait(lambda: emulator.rules() == 0)
    assert len(emulator.rows(table)) == len(kept)
    print("deleted: the history is still there")


def check(rows: dict[tuple[str, int], dict[str, Any]], kept: Sequence[Message]) -> None:
    """Compare the rows with what was published."""
    assert len(rows) == len(kept)
    unknown = 0
    for one in kept:
        assert isinstance(one.payload, dict)
        row = rows[one.payload["epoch"], one.payload["seq"]]
        assert row["thing"] == {"S": THING}
        if one.topic.endswith("/count"):
            assert int(row["expires"]["N"]) == one.payload["Timestamp"] + 396 * 86_400
            if one.payload["detect_count"] is None:
                assert row["detect_count"] == {"NULL": True}
                unknown += 1
    assert unknown


if __name__ == "__main__":
    main(sys.argv[1])
