"""The first record is awaited as long as it makes sense, and each step is told with its time."""

from __future__ import annotations

import fcntl
import json
import math
import time
from typing import TYPE_CHECKING, Any

import pytest

from agent.cli.arrival import Arrival, Expected, expected
from agent.config import Count, SensorConfig
from agent.sensors import gpio
from agent.sensors.simulated import Options
from agent.value import replace
from tests import fakes
from tests.fakes import START_S, FakeClock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from agent.config import Config

MOTION = SensorConfig(name="motion", driver="simulated", options=Options(detections_per_s=1.0))
ROOM = SensorConfig(name="room", driver="simulated", options=Options())
BUTTON = SensorConfig(name="button", driver="gpio", options=gpio.Options(pin=5, role="sos"))


class FakeAgent:
    """An agent whose report a test sets, each at its time; it runs while its lock is held."""

    def __init__(self, config: Config, clock: FakeClock) -> None:
        self.config, self.clock = config, clock
        self.began_s = clock.boot_s()
        self.reports: dict[float, dict[str, Any]] = {}
        self.interrupted_s = math.inf

    def sleep(self, seconds: float) -> None:
        """Let time pass, and report."""
        self.clock.pass_by(seconds)
        passed_s = self.clock.boot_s() - self.began_s
        if passed_s >= self.interrupted_s:
            raise KeyboardInterrupt
        for at_s, report in self.reports.items():
            if at_s <= passed_s:
                self.config.paths.status_file.write_text(json.dumps(report))

    def wait(self, limit_s: float = math.inf, previous: int | None = None) -> int:
        """The exit code of a wait for it."""
        return Arrival(
            self.config,
            previous=previous,
            wall_s=self.clock.wall_s,
            monotonic_s=self.clock.boot_s,
            sleep=self.sleep,
        ).wait(limit_s=limit_s)


@pytest.fixture
def agent(tmp_path: Path) -> Iterator[Callable[..., FakeAgent]]:
    """A running agent with these sensors."""
    with (tmp_path / "agent.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)

        def make(*sensors: SensorConfig, window_s: int = 600) -> FakeAgent:
            count = Count(sensor=("motion",), window_s=window_s)
            return FakeAgent(fakes.config(tmp_path, *sensors, count=count), FakeClock(START_S + 10))

        yield make


def test_a_reading_comes_at_once_and_a_count_at_the_end_of_its_window(tmp_path: Path) -> None:
    """A detector that is read too gives a reading; without sensors nothing comes."""

    def first(*sensors: SensorConfig) -> Expected:
        count = Count(sensor=("motion",), window_s=600)
        return expected(fakes.config(tmp_path, *sensors, count=count), START_S + 10)

    assert first(MOTION) == Expected("count", START_S + 600)
    assert first(MOTION, ROOM) == Expected("reading", START_S + 10)
    assert first(MOTION, BUTTON).what == "count"
    assert first(replace(MOTION, interval_s=5.0)) == Expected("reading", START_S + 10)
    assert first() == Expected("", START_S + 10)


def test_each_step_is_told_with_its_time(
    agent: Callable[..., FakeAgent], capsys: pytest.CaptureFixture[str]
) -> None:
    """Online, then acknowledged."""
    device = agent(ROOM)
    device.reports = {
        1: {"pid": 7, "state": "connecting", "acked": 0},
        2: {"pid": 7, "state": "online", "acked": 0},
        4: {"pid": 7, "state": "online", "acked": 1},
    }
    assert device.wait() == 0
    at = time.strftime("%H:%M:%S", time.localtime(START_S + 14))
    assert capsys.readouterr().out.splitlines() == [
        "online, 2.0 s",
        f"first reading acknowledged {at}, 4.0 s",
    ]


def test_a_sensor_that_fails_is_told_though_a_record_has_arrived(
    agent: Callable[..., FakeAgent], capsys: pytest.CaptureFixture[str]
) -> None:
    """Its count was acknowledged as any other is."""
    failing = {"code": "sensor-failing", "severity": "warning", "text": "loose", "hint": "fix it"}
    device = agent(ROOM)
    device.reports = {1: {"pid": 7, "state": "online", "acked": 1, "conditions": [failing]}}
    assert device.wait() == 0
    assert capsys.readouterr().out.endswith("sensor-failing: loose\n  hint: fix it\n")


def test_what_the_agent_before_has_left_does_not_count(agent: Callable[..., FakeAgent]) -> None:
    """Its last report stays until the next one's first."""
    device = agent(ROOM)
    device.config.paths.status_file.write_text('{"pid": 6, "state": "online", "acked": 3}')
    device.reports = {3: {"pid": 7, "state": "online", "acked": 1}}
    assert device.wait(previous=6) == 0
    assert device.clock.boot_s() - device.began_s == 3


def test_a_count_is_awaited_until_its_window_ends(
    agent: Callable[..., FakeAgent], capsys: pytest.CaptureFixture[str]
) -> None:
    """A person is told when that is."""
    device = agent(MOTION)
    device.reports = {
        1: {"pid": 7, "state": "online", "acked": 0},
        591: {"pid": 7, "state": "online", "acked": 1},
    }
    assert device.wait() == 0
    due = time.strftime("%H:%M:%S", time.localtime(START_S + 600))
    told = capsys.readouterr().out
    assert f"the first count is due at {due}, at the end of a window of 600 s; Ctrl-C" in told
    assert "first count acknowledged" in told


def test_a_count_that_does_not_come_is_given_up_soon_after_it_is_due(
    agent: Callable[..., FakeAgent], capsys: pytest.CaptureFixture[str]
) -> None:
    """Half a minute later; what keeps it is told."""
    device = agent(MOTION)
    device.reports = {1: {"pid": 7, "state": "online", "acked": 0}}
    assert device.wait() == 75
    assert 620 <= device.clock.boot_s() - device.began_s <= 621
    assert "no record has been acknowledged yet" in capsys.readouterr().out


def test_ctrl_c_ends_the_wait_alone(
    agent: Callable[..., FakeAgent], capsys: pytest.CaptureFixture[str]
) -> None:
    """The agent goes on, and setup has done its work."""
    device = agent(MOTION)
    device.reports = {1: {"pid": 7, "state": "online", "acked": 0}}
    device.interrupted_s = 20
    assert device.wait() == 0
    assert "The agent goes on by itself" in capsys.readouterr().out


def test_where_nobody_waits_a_count_that_is_due_later_is_not_awaited(
    agent: Callable[..., FakeAgent], capsys: pytest.CaptureFixture[str]
) -> None:
    """Being online is enough then."""
    device = agent(MOTION)
    device.reports = {1: {"pid": 7, "state": "online", "acked": 0}}
    assert device.wait(limit_s=90.0) == 0
    assert "the first count is due at" in capsys.readouterr().out
    assert device.clock.boot_s() - device.began_s == 1


@pytest.mark.parametrize("state", ["offline", "online"])
def test_what_keeps_it_is_told(
    state: str, agent: Callable[..., FakeAgent], capsys: pytest.CaptureFixture[str]
) -> None:
    """After 90 seconds, as the agent reports it, with where to look.

    Mere notes are left out, but for the one that says why it is not online.
    """
    stands = [
        {"code": "offline", "severity": "info", "text": "refused", "hint": "wait"},
        {"code": "leftover-certificate", "severity": "info", "text": "a note", "hint": "none"},
        {"code": "not-authorized", "severity": "error", "text": "no right", "hint": "mend it"},
    ]
    device = agent(ROOM)
    device.reports = {1: {"pid": 7, "state": state, "acked": 0, "conditions": stands}}
    assert device.wait() == 75
    assert 90 <= device.clock.boot_s() - device.began_s <= 91
    told = capsys.readouterr().out
    assert "not-authorized: no right\n  hint: mend it" in told
    assert "a note" not in told
    assert ("the agent is not online" in told) == (state == "offline")
    assert ("offline: refused\n  hint: wait" in told) == (state == "offline")
    assert "pi-iot-agent doctor" in told


def test_without_a_sensor_being_online_is_all(
    agent: Callable[..., FakeAgent], capsys: pytest.CaptureFixture[str]
) -> None:
    """It is told."""
    device = agent()
    device.reports = {1: {"pid": 7, "state": "online"}}
    assert device.wait() == 0
    assert "No sensor is configured" in capsys.readouterr().out


def test_of_conditions_without_end_a_few_are_told(
    agent: Callable[..., FakeAgent], capsys: pytest.CaptureFixture[str]
) -> None:
    """Whoever is the service's user may report any number."""
    many = [{"code": f"c{number}", "severity": "warning"} for number in range(20_000)]
    device = agent(ROOM)
    device.reports = {1: {"pid": 7, "state": "online", "acked": 1, "conditions": many}}
    assert device.wait() == 0
    assert capsys.readouterr().out.count("  hint: ") == 20
