"""The reporter shows each change in time, and feeds the watchdog while all workers live."""

from __future__ import annotations

import json
import logging
import select
from typing import TYPE_CHECKING, Any

import pytest

from agent.daemon.config_watch import ConfigWatch
from agent.daemon.notify import Notifier
from agent.daemon.reporter import Reporter
from agent.health import conditions
from agent.health.health import Health
from agent.wakeup import Wakeup
from tests.fakes import Ticks

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.unit.daemon.conftest import Systemd

pytestmark = pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")


class Desk:
    """A reporter whose time is moved by hand."""

    def __init__(self, directory: Path, rested: Wakeup, turned: Wakeup) -> None:
        self.runtime = directory / "runtime"
        self.runtime.mkdir()
        self.rested, self.turned = rested, turned
        self.ticks = Ticks()
        self.health = Health(
            on_rest=rested.set, on_turn=turned.set, wall_s=self.ticks, boot_s=self.ticks
        )
        self.reporter = Reporter(
            self.health,
            Notifier(),
            rested=rested,
            turned=turned,
            status_file=self.runtime / "status.json",
            watches=[ConfigWatch((), health=self.health)],
            monotonic_s=self.ticks,
        )

    def after(self, seconds: float) -> float:
        """What a tick says, so much later."""
        self.ticks.now_s += seconds
        return self.reporter.tick()

    def woken(self) -> list[float]:
        """What each tick says until nothing that was set wakes it any more."""
        said = []
        while select.select([self.rested, self.turned], [], [], 0)[0]:
            self.reporter._wait(0.0)
            said.append(self.reporter.tick())
        return said

    def shown(self) -> dict[str, Any]:
        """status.json."""
        found: dict[str, Any] = json.loads((self.runtime / "status.json").read_text())
        return found

    def shut(self) -> None:
        """Have the directory take no file, as a read-only one."""
        self.runtime.rename(self.runtime.with_name("away"))

    def open(self) -> None:
        """Have it as before."""
        self.runtime.with_name("away").rename(self.runtime)


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, systemd: Systemd) -> Iterator[Desk]:
    """One that systemd watches: every 180 s."""
    del systemd
    monkeypatch.setenv("WATCHDOG_USEC", "180000000")
    with Wakeup() as rested, Wakeup() as turned:
        yield Desk(tmp_path, rested, turned)


def test_the_watchdog_is_fed_while_nobody_is_late(desk: Desk, systemd: Systemd) -> None:
    """By whatever wakes the reporter; not while a worker is late, and at once when it is not."""
    desk.health.beat("sampler", 100.0)
    desk.health.beat("uplink", 1000.0)
    assert desk.after(0) == 75.0
    assert systemd.heard().count(b"WATCHDOG=1") == 1
    assert desk.after(44) == 46.0  # half of what systemd grants has gone by then
    assert b"WATCHDOG=1" not in systemd.heard()
    assert desk.after(46) == 75.0
    assert systemd.heard().count(b"WATCHDOG=1") == 1
    assert [desk.after(45) for _ in range(4)] == [45.0] * 4
    assert b"WATCHDOG=1" not in systemd.heard()
    desk.health.beat("sampler", 100.0)
    desk.after(1)
    assert systemd.heard().count(b"WATCHDOG=1") == 1


def test_the_reading_of_each_minute_wakes_the_reporter_once(desk: Desk, systemd: Systemd) -> None:
    """The status, the watchdog and the look at the configuration go along with it."""
    desk.health.beat("sampler", 1e6)
    desk.after(0)
    for number in range(1, 6):
        systemd.heard()
        desk.health.update(published=number, acked=number)
        desk.health.rest()
        desk.ticks.now_s += 60.0
        assert desk.woken() == [75.0]
        assert systemd.heard().count(b"WATCHDOG=1") == 1
        assert (desk.shown()["acked"], desk.shown()["written"]) == (number, desk.ticks.now_s)


def test_the_status_is_written_once_a_second_at_most(desk: Desk) -> None:
    """A change is shown within the second, and systemd is told at once."""
    assert desk.after(0) == 75.0
    desk.health.update(state="online")
    assert desk.after(0.25) == 0.75
    assert desk.shown()["state"] == "starting"
    assert desk.after(0.75) == 75.0
    assert desk.shown()["state"] == "online"


def test_a_status_that_could_not_be_written_is_tried_again(
    desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    """Every five seconds without another change, and told once, as is its end."""
    caplog.set_level(logging.INFO)
    desk.after(0)
    desk.shut()
    desk.health.update(state="online")
    assert [desk.after(wait_s) for wait_s in (1, 5, 5)] == [5.0] * 3
    assert desk.after(1) == 4.0
    desk.open()
    assert desk.after(3.5) == 0.5
    assert desk.shown()["state"] == "starting"
    assert desk.after(0.5) == 74.0
    assert desk.shown()["state"] == "online"
    told = [text for text in caplog.messages if "status.json" in text]
    assert ["cannot be written: No such file" in told[0], "is written again" in told[1]] == [
        True,
        True,
    ]
    assert len(told) == 2


def test_a_status_says_when_it_was_written(desk: Desk) -> None:
    """While nothing changes too, so that a reader sees that it is true still."""
    desk.after(0)
    began_s = desk.ticks.now_s
    assert desk.shown()["written"] == began_s
    desk.after(75)
    assert desk.shown()["written"] == began_s + 75


def test_a_status_that_somebody_has_removed_is_written_again(desk: Desk) -> None:
    """Though nothing has changed."""
    desk.after(0)
    (desk.runtime / "status.json").unlink()
    desk.after(60)
    assert desk.shown()["state"] == "starting"


def test_a_condition_that_grows_worse_is_shown_then(desk: Desk) -> None:
    """The next look is not later than that."""
    desk.health.report(conditions.OFFLINE, "down")
    assert [desk.after(0), *(desk.after(60) for _ in range(4))] == [*[75.0] * 4, 60.0]
    assert desk.after(59) == 1.0
    assert desk.shown()["conditions"][0]["severity"] == "info"
    desk.after(1)
    assert desk.shown()["conditions"][0]["severity"] == "warning"


def test_the_last_status_is_shown_at_the_end(desk: Desk) -> None:
    """However short after the one before."""
    desk.after(0)
    desk.health.update(state="stopping")
    desk.reporter.stop()
    desk.reporter.run()
    assert desk.shown()["state"] == "stopping"
