"""The rules take what an agent publishes, and let nothing through that is no number."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.cli.payloads import payloads
from agent.config import Count, SensorConfig
from agent.sensors.simulated import Options
from tests.fakes import START_S, FakeClock, House, config
from tests.unit.cloudformation import iot_sql
from tests.unit.cloudformation.conftest import COMMANDS, THING
from tests.unit.cloudformation.iot_sql import UNDEFINED, Message, put, statement
from tests.unit.cloudformation.template import EVERYTHING, Stack

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

STACK = Stack(**EVERYTHING)
RULES = {
    name: one["TopicRulePayload"] for name, one in STACK.of_type("AWS::IoT::TopicRule").items()
}
FIELDS = sorted({
    field
    for rule in RULES.values()
    for field in iot_sql.names(statement(rule["Sql"]).where)
})  # fmt: skip
TOPICS = sorted({statement(rule["Sql"]).topic for rule in RULES.values()})

HOME = "home_count"

SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(10**12), 10**12),
    st.floats(-1e9, 1e9, allow_nan=False),
    st.sampled_from(["", "7", "-1.5", "many", "away", "sos", "ok"]),
)


def actions(message: Message, kind: str) -> Iterator[tuple[str, dict[str, str]]]:
    """Rules that take the message, and the properties of their actions of that kind, put in."""
    for name, rule in RULES.items():
        if statement(rule["Sql"]).takes(message):
            for action in rule["Actions"]:
                for one in [action[kind]] if kind in action else []:
                    yield name, {key: put(str(text), message) for key, text in one.items()}


def metrics(*messages: Message) -> list[tuple[str, str, float, float | None]]:
    """Namespace, name, value and time of the points that come of the messages."""
    return [
        (
            one["MetricNamespace"],
            one["MetricName"],
            float(one["MetricValue"]),
            int(one["MetricTimestamp"]) if "MetricTimestamp" in one else None,
        )
        for message in messages
        for _, one in actions(message, "CloudwatchMetric")
    ]


def rows(*messages: Message) -> list[dict[str, Any]]:
    """Rows of the table, in the order in which they are put."""
    return [
        statement(RULES[name]["Sql"]).result(message)
        for message in messages
        for name, _ in actions(message, "DynamoDBv2")
    ]


def mails(message: Message) -> list[dict[str, Any]]:
    """Texts of the mails."""
    return [statement(RULES[name]["Sql"]).result(message) for name, _ in actions(message, "Sns")]


def of(published: list[Message], topic: str) -> list[dict[str, Any]]:
    """Payloads on a topic below the thing's."""
    found = [one.payload for one in published if one.topic == f"{THING}/{topic}"]
    assert found
    return found  # type: ignore[return-value]


def count(body: dict[str, Any]) -> Message:
    """The message of a count."""
    return Message(f"{THING}/count", body)


def test_a_window_is_filed_under_the_time_at_which_it_began(published: list[Message]) -> None:
    """A bar of 10 o'clock is what was seen from 10 o'clock on."""
    first = of(published, "count")[0]
    found = {name: (value, at_s) for _, name, value, at_s in metrics(count(first))}
    assert found["detect_count"] == (3.0, START_S)
    assert found["home_count"] == (3.0, START_S)
    assert found["observed_ms"] == (first["observed_ms"], START_S)
    assert first["Timestamp"] == START_S + 600


def test_every_rule_takes_something_that_is_published(published: list[Message]) -> None:
    """And all that comes of it are numbers, and times in seconds about that of the message."""
    taken = set()
    for message in published:
        taken |= {name for name, one in RULES.items() if statement(one["Sql"]).takes(message)}
        assert isinstance(message.payload, dict)
        for _, _, _, at_s in metrics(message):
            assert at_s is None or 0 <= message.payload["Timestamp"] - at_s <= 600
    assert taken == set(RULES)


def test_quiet_is_filed_at_the_time_that_it_is_told_of(published: list[Message]) -> None:
    """It is that of the window's end; what is not known makes no point."""
    counts = of(published, "count")
    known = [one for one in counts if one["quiet_for_s"] is not None]
    assert known
    for body in counts:
        told = [one for one in metrics(count(body)) if one[1] == "quiet_for_s"]
        value = (body["quiet_for_s"], body["Timestamp"])
        assert told == ([(f"{THING}/count", "quiet_for_s", *value)] if body in known else [])


def test_a_sign_of_life_counts_when_it_arrives(published: list[Message]) -> None:
    """So that a backlog of last week shows that the device lives now."""
    for body in of(published, "count"):
        heard = [one for one in metrics(count(body)) if one[1] == "heard"]
        assert heard == [(f"{THING}/count", "heard", 1.0, None)]


def test_a_window_that_nobody_observed_has_no_count(published: list[Message]) -> None:
    """Unknown is never zero; that nobody looked is a fact of its own."""
    unknown = [one for one in of(published, "count") if one["detect_count"] is None]
    assert unknown
    for body in unknown:
        found = {name: value for _, name, value, _ in metrics(count(body))}
        assert found["observed_ms"] == 0
        assert not {"detect_count", "home_count"} & found.keys()


def test_an_absence_is_shown_and_alarms_nobody(published: list[Message]) -> None:
    """While a mode is set the counts go on, and what the mail about quiet looks at rests."""
    marked = [one for one in of(published, "count") if "mode" in one]
    assert marked
    for body in marked:
        found = {name for _, name, _, _ in metrics(count(body))}
        assert "detect_count" in found
        assert "home_count" not in found


@pytest.mark.parametrize(
    ("quality", "detections", "looked_at"),
    [
        ("ok", 0, True),
        ("ok", 2, True),
        ("partial", 2, True),
        ("sensor_fault", 2, True),
        ("partial", 0, False),
        ("sensor_fault", 0, False),
        ("clock_estimated", 0, False),
        (None, 0, False),
    ],
)
def test_only_a_whole_window_tells_that_nobody_moved(
    published: list[Message], quality: str | None, detections: int, *, looked_at: bool
) -> None:
    """In seconds of it, by one of two sensors, or at an hour that is a guess, zero is no quiet."""
    body = of(published, "count")[0] | {"quality": quality, "detect_count": detections}
    found = {name: value for _, name, value, _ in metrics(count(body))}
    assert ("home_count" in found) == looked_at
    assert found["detect_count"] == detections


def test_a_household_that_is_looked_at_for_seconds_is_unknown(tmp_path: Path) -> None:
    """An agent that begins anew in each window tells of no quiet."""
    house = House(tmp_path)
    house.start()
    house.live(600, detections=1)
    for _ in range(6):
        house.stop()
        house.clock.pass_by(560)
        house.start()
        house.live(40)
    bodies = [json.loads(one.payload()) for one in house.records() if one.topic("x") == "x/count"]
    house.stop()
    found = [value for body in bodies for _, name, value, _ in metrics(count(body)) if name == HOME]
    assert len(bodies) > 5
    assert found == [1.0]


def test_a_sensor_that_fails_is_no_look_though_others_may() -> None:
    """So that the alarm about blindness tells of it: nothing else at AWS does."""
    body = {"detect_count": 0, "observed_ms": 600_000, "window_s": 600, "Timestamp": START_S + 600}
    for quality, expected in (("ok", 600_000.0), ("partial", 600_000.0), ("sensor_fault", 0.0)):
        found = [
            (value, at_s)
            for _, name, value, at_s in metrics(count(body | {"quality": quality}))
            if name == "observed_ms"
        ]
        assert found == [(expected, START_S)]


@pytest.mark.parametrize("payload", COMMANDS, ids=str)
def test_commands_and_nonsense_make_no_rule_run(payload: object) -> None:
    """None fills the log of failures."""
    for topic in TOPICS:
        message = Message(topic, payload)
        assert not metrics(message)
        assert not rows(message)
        assert not mails(message)


@given(
    st.sampled_from(TOPICS),
    st.fixed_dictionaries({}, optional=dict.fromkeys([*FIELDS, "epoch"], SCALARS)),
)
def test_whatever_a_rule_takes_makes_numbers(topic: str, payload: dict[str, Any]) -> None:
    """A value or a time that is empty or a word would stop the action."""
    for _, name, value, at_s in metrics(Message(topic, payload)):
        assert value == float(value), name
        assert at_s is None or isinstance(at_s, int)


def test_templates_use_only_what_their_where_has_seen_to(published: list[Message]) -> None:
    """Each is a field that such a payload has, and no alias, which a template does not see."""
    seen = {one.topic: set(one.payload) for one in published if isinstance(one.payload, dict)}
    for one in published:
        assert isinstance(one.payload, dict)
        seen[one.topic] |= one.payload.keys()
    for name, rule in RULES.items():
        parsed = statement(rule["Sql"])
        used = {
            field
            for action in rule["Actions"]
            for one in action.values()
            for text in one.values()
            for expression in re.findall(r"\$\{([^{}]+)\}", str(text))
            for field in iot_sql.names(expression)
        }
        assert used <= iot_sql.names(parsed.where), name
        assert iot_sql.names(parsed.where) <= seen[parsed.topic] | {"mode"}, name


def test_quantities_and_fields_are_those_that_the_agent_declares(tmp_path: Path) -> None:
    """By the payloads that `privacy` shows."""
    settings = config(
        tmp_path,
        SensorConfig(name="motion", driver="simulated", options=Options(detections_per_s=1.0)),
        SensorConfig(name="room", driver="simulated", options=Options()),
        count=Count(sensor=("motion",), window_s=600),
    )
    fields = {one.kind: set(one.fields) for one in payloads(settings, FakeClock())}
    assert {"detect_count", "observed_ms", "window_s", "seq"} <= fields["count"]
    assert {"temperature_c", "Timestamp", "seq"} <= fields["sensors/room"]


def test_readings_are_filed_at_their_whole_second(published: list[Message]) -> None:
    """A metric for each quantity that was asked for, those below zero too; words make none."""
    for topic, expected in {
        "room": {"temperature_c": -1.25, "humidity_pct": 48.7, "pressure_pa": 101325},
        "processor": {"temperature_c": 47.236},
        "board": {"disk_used_pct": 28.8, "wifi_signal_dbm": -67.0},
    }.items():
        body = of(published, f"sensors/{topic}")[0]
        found = metrics(Message(f"{THING}/sensors/{topic}", body))
        assert {name: value for _, name, value, _ in found} == expected
        assert {(space, at_s) for space, _, _, at_s in found} == {
            (f"{THING}/sensors/{topic}", int(body["Timestamp"]))
        }


def test_a_quantity_that_is_missing_stops_no_other(published: list[Message]) -> None:
    """A board without Wi-Fi still tells of its card."""
    wired = of(published, "sensors/board")[1]
    found = metrics(Message(f"{THING}/sensors/board", wired))
    assert [name for _, name, _, _ in found] == ["disk_used_pct"]


def test_a_record_that_comes_twice_has_one_row(published: list[Message]) -> None:
    """The whole record, by its epoch and seq, with the time at which it goes."""
    kept = [one for one in published if "/sensors/" not in one.topic]
    found = {(one["epoch"], one["seq"]): one for one in rows(*kept, *kept[:5])}
    assert len(found) == len(kept)
    for message, row in zip(kept, found.values(), strict=True):
        assert isinstance(message.payload, dict)
        assert message.payload.items() <= row.items()
        assert row["thing"] == THING
        assert message.topic == f"{THING}/{row['topic']}"
        assert row["expires"] == int(row["Timestamp"]) + 396 * 86_400
        json.dumps(row)


def test_a_record_that_comes_twice_changes_no_maximum(published: list[Message]) -> None:
    """It makes the same points again."""
    counts = [one for one in published if one.topic.endswith("/count")]
    once, twice = metrics(*counts), metrics(*counts, *counts)
    assert set(once) == set(twice)


def test_a_record_without_a_time_has_no_row() -> None:
    """None would tell when it goes."""
    for topic in ("count", "events", "digest"):
        assert not rows(Message(f"{THING}/{topic}", {"epoch": "x", "seq": 1, "Timestamp": None}))


def test_an_event_is_a_mail_of_its_own(published: list[Message]) -> None:
    """Begin and end with all that the device tells; a pressed button in words first."""
    *told, sos, tried = (mails(Message(f"{THING}/events", one)) for one in of(published, "events"))
    assert [(one["rule"], one["event"], one["kind"]) for (one,) in told] == [
        (name, event, kind)
        for name, kind in (("still", "quiet"), ("warm", "above"), ("cut-off", "offline"))
        for event in ("begin", "end")
    ]
    for (one,) in told:
        assert one["thing"] == THING
        assert {"since", "limit", "value"} <= one.keys()
    (mail,) = sos
    assert list(mail) == ["SOS", "thing", "sensor", "Timestamp"]
    assert mail["SOS"].startswith("SOS: the button was pressed")
    assert mail["sensor"] == "button"
    (mail,) = tried
    assert list(mail) == ["SOS", "test", "thing", "sensor", "Timestamp"]
    assert "trial" in mail["SOS"]


@given(st.fixed_dictionaries({}, optional={"test": SCALARS, "mode": SCALARS, "sensor": SCALARS}))
def test_every_press_is_one_mail(marks: dict[str, Any]) -> None:
    """Whatever stands beside it; it says to go there, with a mark only where that is no trial."""
    (mail,) = mails(Message(f"{THING}/events", {"event": "sos", "seq": 7, **marks}))
    assert mail["SOS"].startswith("SOS") != bool({"test", "mode"} & marks.keys())
    assert "go there" in mail["SOS"]


def points(stack: Stack) -> set[tuple[str, str]]:
    """Namespace and name of each metric that the rules make."""
    return {
        (one["CloudwatchMetric"]["MetricNamespace"], one["CloudwatchMetric"]["MetricName"])
        for rule in stack.of_type("AWS::IoT::TopicRule").values()
        for one in rule["TopicRulePayload"]["Actions"]
        if "CloudwatchMetric" in one
    }


def test_alarms_and_dashboard_look_at_metrics_that_there_are() -> None:
    """And every metric is looked at; the log's own is AWS's."""
    made = points(STACK)
    looked = set()
    for alarm in STACK.of_type("AWS::CloudWatch::Alarm").values():
        looked |= {(alarm["Namespace"], alarm["MetricName"])} if "MetricName" in alarm else set()
        looked |= {
            (one["MetricStat"]["Metric"]["Namespace"], one["MetricStat"]["Metric"]["MetricName"])
            for one in alarm.get("Metrics", ())
            if "MetricStat" in one
        }
    (dashboard,) = STACK.of_type("AWS::CloudWatch::Dashboard").values()
    arns: list[str] = []
    for widget in json.loads(dashboard["DashboardBody"])["widgets"]:
        arns += widget["properties"].get("alarms", ())
        lines = widget["properties"].get("metrics", ())
        looked |= {(one[0], one[1]) for one in lines if isinstance(one[0], str)}
    assert looked - {("AWS/Logs", "IncomingLogEvents")} == made
    assert set(arns) == {f"arn:{name}" for name in STACK.of_type("AWS::CloudWatch::Alarm")}
    assert len(points(Stack(**EVERYTHING | {"OtherSensor": ""}))) == 10  # which are free


def test_nothing_is_summed_that_may_come_twice() -> None:
    """A duplicate changes neither a maximum nor whether there is a point; AWS's own comes once."""
    statistics = set()
    for alarm in STACK.of_type("AWS::CloudWatch::Alarm").values():
        statistics |= {(alarm["Statistic"], alarm["Namespace"])} if "Statistic" in alarm else set()
        parts = (one["MetricStat"] for one in alarm.get("Metrics", ()) if "MetricStat" in one)
        statistics |= {(one["Stat"], one["Metric"]["Namespace"]) for one in parts}
    (dashboard,) = STACK.of_type("AWS::CloudWatch::Dashboard").values()
    for widget in json.loads(dashboard["DashboardBody"])["widgets"]:
        if widget["type"] == "metric":
            (space, *_) = {one[0] for one in widget["properties"]["metrics"] if len(one) > 1}
            statistics.add((widget["properties"]["stat"], space))
    assert statistics == {
        ("Maximum", f"{THING}/count"),
        ("SampleCount", f"{THING}/count"),
        ("Sum", "AWS/Logs"),
        *(("Average", f"{THING}/sensors/{name}") for name in ("room", "board", "processor")),
    }


def test_units_are_cloudwatch_s() -> None:
    """By the name that PutMetricData has for each."""
    units = {
        action["CloudwatchMetric"]["MetricUnit"]
        for rule in RULES.values()
        for action in rule["Actions"]
        if "CloudwatchMetric" in action
    }
    assert units == {"Count", "Milliseconds", "None", "Percent", "Seconds"}


def test_the_names_of_the_tutorial_stay() -> None:
    """Dashboards that were made by hand show the same namespace and metric."""
    assert (f"{THING}/count", "detect_count") in points(Stack(ThingName=THING))


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("a >= 0", True),
        ("zero >= 0", True),
        ("null >= 0", UNDEFINED),
        ("absent >= 0", UNDEFINED),
        ("word >= 0", UNDEFINED),
        ("digits >= 0", True),
        ("yes >= 0", UNDEFINED),
        ("isUndefined(absent)", True),
        ("isUndefined(null)", False),
        ("a - absent", UNDEFINED),
        ("floor(a)", 2),
        ("a + digits - 1", 4.5),
        ("word = 'word' OR word = 'b'", True),
        ("absent = 'word'", UNDEFINED),
        ("a > 0 AND absent > 0", UNDEFINED),
        ("(a > 0 OR a < 0) AND zero < 1", True),
        ("topic(1)", "x"),
        ("NOT isUndefined(absent) OR NOT isUndefined(word)", True),
        ("NOT absent > 0", UNDEFINED),
    ],
)
def test_expressions_are_worked_out_as_aws_documents(expression: str, expected: object) -> None:
    """Null is no Undefined, but neither of them is a number."""
    payload = {"a": 2.5, "zero": 0, "null": None, "word": "word", "digits": "3", "yes": True}
    assert iot_sql.value(expression, Message("x/y", payload)) == expected


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM '+/count' WHERE a > 0",
        "SELECT * FROM 'x/count'",
        "SELECT * FROM 'x/count' WHERE isNull(a)",
        "SELECT * FROM 'x/count' WHERE a <> 0",
        "SELECT * FROM 'x/count' WHERE a > -1",
    ],
)
def test_sql_of_another_shape_is_refused(sql: str) -> None:
    """What is not known here has not been tried."""
    with pytest.raises(ValueError, match=r"ours|understood"):
        statement(sql).takes(Message("x/count", {"a": 1}))
