"""The command `privacy` tells what leaves the house, from the configuration alone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from agent import config as configuration
from agent import sensors
from agent.cli import examples, traffic
from agent.cli.main import main
from agent.cli.payloads import payloads
from agent.value import replace
from tests.fakes import FakeClock
from tests.unit.cli.conftest import add

if TYPE_CHECKING:
    from collections.abc import Callable

    Tell = Callable[[], dict[str, Any]]

CLAIM = """
[provisioning]
method = "claim"
template = "t"
claim_cert_file = "c"
claim_key_file = "k"
[mqtt]
endpoint = "b"
"""
MOTION = '[[sensors]]\nname = "motion"\ndriver = "simulated"\ndetections_per_s = 1\n'
RULES = """
[[rules]]
name = "still"
quiet_for_s = 14400
hours = "07:00-22:00"
[[rules]]
name = "hot"
sensor = "room"
quantity = "wbgt_c"
above = 31
for_s = 600
command = ["touch", "ran"]
[[rules]]
name = "cold"
sensor = "room"
quantity = "temperature_c"
below = 12
hysteresis = 2
[[rules]]
name = "frost"
sensor = "room"
quantity = "wbgt_c"
below = -5
[[rules]]
name = "damp"
sensor = "room"
quantity = "humidity_pct"
above = 70
[[rules]]
name = "cut"
offline_for_s = 3600
[[sensors]]
name = "button"
driver = "gpio"
pin = 29
role = "sos"
"""
ROOM = '[[sensors]]\nname = "room"\ndriver = "simulated"\n'


@pytest.fixture
def told(config: str, capsys: pytest.CaptureFixture[str]) -> Tell:
    """What the command tells as JSON."""

    def tell() -> dict[str, Any]:
        assert main(["privacy", "--json", "--config", config]) == 0
        found: dict[str, Any] = json.loads(capsys.readouterr().out)
        return found

    return tell


def test_a_device_tells_its_state_and_nothing_else_without_sensors(told: Tell) -> None:
    """That of the birth, the farewell and the last will."""
    _digest, status = told()["topics"]
    assert status["topic"] == "cat/status"
    always = {name for name, field in status["fields"].items() if not field["at_times"]}
    assert always == {"state", "reason"}
    assert {"skipped", "under_voltage", "version", "rolled_back"} <= status["fields"].keys()


def test_what_is_there_at_times_is_told(config: str, told: Tell) -> None:
    """Of lost records, lost time and lost edges; the rest is always there."""
    add(config, '[count]\nsensor = ["motion", "door"]\n' + MOTION + "test = true\n" + ROOM)
    add(config, '[[sensors]]\nname = "door"\ndriver = "gpio"\npin = 21\n')
    count, room, digest, status = told()["topics"]
    at_times = {name for name, field in count["fields"].items() if field["at_times"]}
    lost = {"lost_edges", "dropped", "not_before", "not_after"}
    assert at_times == {"quiet_observed_s", "mode", *lost}
    assert {"by_sensor", "test_count", "total", "quality"} <= count["fields"].keys() - at_times
    at_times = {name for name, field in room["fields"].items() if field["at_times"]}
    assert at_times == {"mode", "quality", "dropped", "not_before", "not_after"}
    assert set(room["example"]) == room["fields"].keys() - at_times
    at_times = {name for name, field in digest["fields"].items() if field["at_times"]}
    assert at_times == {"left_out", "mode", "quality", "dropped", "not_before", "not_after"}
    assert digest["messages"] == {"least": 30, "most": 30}
    assert {"last_detection", "quiet_for_s", "mode", "mode_until"} <= status["fields"].keys()
    told_of = (count, room, digest, status)
    assert all(field["meaning"] for one in told_of for field in one["fields"].values())


def test_a_sensor_that_cannot_be_read_has_what_its_driver_declares(config: str, told: Tell) -> None:
    """A pin that the agent holds, for one; of a program it is told that nobody knows."""
    add(config, '[count]\nsensor = []\n[[sensors]]\nname = "door"\ndriver = "gpio"\npin = 21\n')
    add(config, '[[sensors]]\nname = "tank"\ndriver = "exec"\ncommand = ["/bin/false"]\n')
    found = told()
    door, tank, _digest, _status = found["topics"]
    assert "active" in door["fields"]
    assert door["unknown"] == ""
    assert "/bin/false: exit code 1" in tank["unknown"]
    assert "programs and plug-ins of tank" in found["elsewhere"][-1]


def test_events_are_those_of_the_rules_and_buttons(config: str, told: Tell) -> None:
    """Of rules of every kind, as if each began and ended now; no command is run for that."""
    add(config, RULES + MOTION + ROOM)
    *_others, events, _status = told()["topics"]
    assert events["topic"] == "cat/events"
    assert events["example"]["rule"] == "still"
    always = {name for name, field in events["fields"].items() if not field["at_times"]}
    assert always == {"Timestamp", "event", "epoch", "seq"}
    assert {
        "rule",
        "kind",
        "since",
        "limit",
        "value",
        "lasted_s",
        "sensor",
        "quantity",
        "mode",
    } <= (events["fields"].keys())
    assert all(field["meaning"] for field in events["fields"].values())
    assert "programs and plug-ins of hot" in told()["elsewhere"][-1]
    assert not Path(config).with_name("ran").exists()


def test_times_of_detections_that_leave_are_named(config: str, told: Tell) -> None:
    """What is said never to leave leaves out each field that is the time of one, and the rules'."""
    add(config, RULES + MOTION + ROOM)
    found = told()
    fields = {name for topic in found["topics"] for name in topic["fields"]}
    times, settings = found["never"][1], found["never"][3]
    for field, words in {
        "last_detection": "the last of a window or before a connection",
        "first_detection": "a day's first and last",
        "longest_quiet": "the ends of its longest quiet time",
        "hours": "sums of windows and hours",
        "reason": "one that ends a rule on quiet",
    }.items():
        assert field in fields
        assert words in times
    assert "each press of an SOS button" in times
    assert "the configuration but for names, and a rule's limit" in settings


def test_a_rule_that_cannot_begin_is_no_matter_of_privacy(
    config: str, told: Tell, caplog: pytest.LogCaptureFixture
) -> None:
    """`check` says it; here it would stand between the lines."""
    add(
        config, '[[rules]]\nname = "wet"\nsensor = "room"\nquantity = "wet_pct"\nabove = 1\n' + ROOM
    )
    assert told()["topics"][-2]["topic"] == "cat/events"
    assert not caplog.records


@pytest.mark.parametrize("number", range(6))
def test_each_rule_alone_has_a_begin_and_an_end(config: str, number: int) -> None:
    """Whatever its kind and limit."""
    add(config, RULES + MOTION + ROOM)
    whole = configuration.load(Path(config), options_of=sensors.options_of)
    rule = whole.rules[number]
    made = [*examples.events(replace(whole, rules=(rule,)), FakeClock())]
    assert [one.body["event"] for one in made] == ["begin", "end"]
    assert {one.body["rule"] for one in made} == {rule.name}


def test_how_often_is_a_bound_where_only_changes_are_sent(config: str, told: Tell) -> None:
    """By the heartbeat at least, by the interval at most."""
    add(config, ROOM + 'interval_s = 60\nreport = "change"\nheartbeat_s = 3600\n')
    room, _digest, _status = told()["topics"]
    assert room["messages"] == {"least": 720, "most": 43_200}
    assert room["when"] == "every 60 s if a quantity has moved, else every 3600 s"


def test_aws_counts_the_echo_and_its_acknowledgement(config: str, told: Tell) -> None:
    """A count is three messages; CONNECT and SUBSCRIBE are two; what is larger counts more."""
    add(config, MOTION)
    month = told()["month"]
    assert month["metered"] == {"least": 3 * 4320 + 30 + 30 + 60, "most": 3 * 4320 + 30 + 30 + 60}
    assert month["minutes"] == 43_200
    assert month["usd"]["most"] == pytest.approx(0.01308 + 0.003456)
    assert "2026-09-20" in month["price"]


def test_more_messages_than_can_be_sent_are_told(config: str, told: Tell) -> None:
    """By the limit that is configured, which is below AWS's own."""
    add(config, "[mqtt]\nmax_publish_per_s = 19\n" + ROOM + "interval_s = 0.05\n")
    month = told()["month"]
    assert "20 messages a second" in month["too_many"]
    assert month["messages"]["most"] == 20 * 2_592_000 + 30 + 30
    text = Path(config).read_text()
    Path(config).write_text(text.replace("= 19", "= 21"))
    assert told()["month"]["too_many"] == ""


def test_a_long_time_is_told_in_digits(config: str, told: Tell) -> None:
    """And no amount with a point."""
    add(config, ROOM + 'interval_s = 2678400\nreport = "change"\nheartbeat_s = 1\n')
    room, _digest, _status = told()["topics"]
    assert room["when"] == "every 2678400 s if a quantity has moved, else every 2678400 s"
    assert repr(room["messages"]) == "{'least': 1, 'most': 1}"


def test_a_ping_goes_where_nothing_else_does(config: str) -> None:
    """Each `keepalive_s` of a gap between two messages, but for the last."""
    add(config, "[mqtt]\nkeepalive_s = 60\n" + MOTION)
    quiet = configuration.load(Path(config), options_of=sensors.options_of)
    flows = [traffic.flow(quiet, one) for one in payloads(quiet, FakeClock())]
    pings = traffic.month(quiet, flows).pings
    assert pings == traffic.Span(4320 * 9, 4320 * 9)
    often = replace(quiet, mqtt=replace(quiet.mqtt, keepalive_s=20))
    counted = [traffic.month(one, flows).metered.most for one in (often, quiet)]
    assert counted[0] - counted[1] == 4320 * 29


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ('[provisioning]\nattributes = { site = "attic" }\n', "attribute site = attic"),
        ('[provisioning]\nmethod = "keys"\npolicy = "ours"\n', "policy ours"),
        (
            CLAIM,
            "the claim certificate shows who asks\na public key",
        ),
        ('[mqtt]\nendpoint = "b"\ncert_file = "c"\nkey_file = "k"\n', "you bring the certificate"),
    ],
)
def test_the_registration_is_told_by_its_method(
    config: str, told: Tell, more: str, words: str
) -> None:
    """What AWS is told, and nothing that is not configured."""
    add(config, more)
    found = "\n".join(told()["registration"])
    assert words in found
    assert ("serial" in found) == ("bring" not in words)


def test_people_read_the_same(config: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Topics, fields with their meanings, amounts, the price and what it assumes."""
    add(config, MOTION + ROOM)
    assert main(["privacy", "--config", config]) == 0
    printed = capsys.readouterr().out
    for words in (
        "cat/count: every 600 s",
        "detect_count                 detections in the window",
        "lost_edges (at times)",
        "cat/sensors/room: every 60 s",
        "43,200 messages a month",
        "AWS counts 56,280 messages and 43200 minutes of connection: about US$ 0.06",
        "What never leaves:",
        "no telemetry",
    ):
        assert words in printed
    assert max(map(len, printed.splitlines())) <= 100
