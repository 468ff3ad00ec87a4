"""What was missing is told with its cause, once it has lasted for a minute."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from agent.model import Moment
from agent.store import Outage
from tests.fakes import START_S
from tests.unit.facts.home import Home

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    """A home that is connected."""
    home = Home(tmp_path)
    home.start()
    home.facts.link.went_up()
    yield home
    home.store.close()


def outages(home: Home) -> list[tuple[str, float, float | None, str]]:
    """Kind, begin and end from the start, and cause of each."""
    return [
        (
            one.kind,
            round(one.began_s - START_S, 3),
            None if one.ended_s is None else round(one.ended_s - START_S, 3),
            one.cause,
        )
        for one in home.store.outages(0, 3e9)
    ]


def down(home: Home, seconds: float, cause: str = "the broker does not answer") -> None:
    """Lose the link, and get it back after so long."""
    home.facts.link.went_down(cause)
    home.live(seconds)
    home.facts.link.went_up()
    home.look()


def test_a_lost_link_is_an_outage_after_a_minute(home: Home) -> None:
    """Known while it lasts, and to the second when it ends; the first cause is the cause."""
    home.live(100.5)
    home.facts.link.went_down("no route to host")
    home.live(59)
    assert outages(home) == []
    home.live(60)
    home.facts.link.went_down("another cause")
    home.live(60)
    assert outages(home) == [("link", 100.5, None, "no route to host")]
    home.live(10)
    home.facts.link.went_up()
    home.live(60)
    assert outages(home) == [("link", 100.5, 289.5, "no route to host")]


def test_what_is_over_within_a_minute_is_no_outage(home: Home) -> None:
    """Nor is a start that takes some seconds."""
    down(home, 59)
    home.live(600)
    assert outages(home) == []


def test_flapping_is_one_outage(home: Home) -> None:
    """With the same cause within ten minutes; later, or with another, it is a new one."""
    for _ in range(3):
        down(home, 120)
        home.live(540)
    assert outages(home) == [("link", 0, 1440, "the broker does not answer")]
    home.live(120)
    down(home, 120)
    down(home, 120, "no route to host")
    assert [one[1:3] for one in outages(home)] == [(0, 1440), (2100, 2220), (2220, 2340)]


def test_a_link_that_was_up_between_two_looks_was_up(home: Home) -> None:
    """Nobody saw it, but the link knows since when it is down."""
    home.facts.link.went_down("first")
    home.live(120)
    home.facts.link.went_up()
    home.clock.pass_by(10)
    home.facts.link.went_down("second")
    home.live(120)
    assert outages(home) == [("link", 0, 130, "first"), ("link", 130, None, "second")]


def test_a_sensor_that_fails_is_an_outage_of_that_sensor(home: Home) -> None:
    """With the first error; each has its own."""
    home.facts.sensor("motion", "no such chip")
    home.facts.sensor("room", "no answer")
    home.live(60)
    home.facts.sensor("motion", "another error")
    home.facts.sensor("room", "")
    home.live(600)
    home.facts.sensor("motion", "")
    home.look()
    assert sorted(outages(home)) == [
        ("sensor", 0, 60, "room: no answer"),
        ("sensor", 0, 660, "motion: no such chip"),
    ]


@pytest.mark.parametrize(("off_s", "told"), [(59, []), (60, [("agent", -60, 0, "crash")])])
def test_the_time_without_a_process_is_an_outage(
    tmp_path: Path, off_s: float, told: list[object]
) -> None:
    """With the reason that the start knows."""
    home = Home(tmp_path)
    now = home.clock.now()
    home.start("crash", Moment(now.wall_s - off_s, now.boot_s - off_s, now.boot_id))
    assert outages(home) == told
    home.stop()


def test_what_a_power_cut_left_open_ends_with_the_last_sign(home: Home) -> None:
    """And the time without power is an outage of its own."""
    home.facts.link.went_down("no route to host")
    home.facts.sensor("room", "no answer")
    home.live(600)
    home.count()
    last_sign = home.clock.now()
    home.live(60)
    home.power_cut(off_s=3600)
    home.start("power cut", last_sign)
    home.facts.link.went_up()
    home.live(60)
    assert sorted(outages(home)) == [
        ("agent", 600, 4260, "power cut"),
        ("link", 0, 600, "no route to host"),
        ("sensor", 0, 600, "room: no answer"),
    ]


def test_a_restart_does_not_divide_an_outage(home: Home) -> None:
    """Of a link that is down for the same reason on both sides of it."""
    home.facts.link.went_down("no route to host")
    home.live(600)
    home.count()
    last_sign = home.clock.now()
    home.stop()
    home.clock.pass_by(5)
    home.start("restart", last_sign)
    home.facts.link.went_down("no route to host")
    home.live(600)
    home.facts.link.went_up()
    home.look()
    assert outages(home) == [("link", 0, 1205, "no route to host")]


def test_outages_wait_for_the_clock(tmp_path: Path) -> None:
    """What is over by then too; all are told by the time that is right."""
    home = Home(tmp_path)
    home.clock.was_set = False
    home.start()
    home.facts.link.went_up()
    down(home, 120)
    home.facts.sensor("room", "no answer")
    home.live(120)
    assert outages(home) == []
    home.clock.jump(86_400)
    home.clock.was_set = True
    home.look()
    assert outages(home) == [
        ("link", 86_400, 86_520, "the broker does not answer"),
        ("sensor", 86_520, None, "room: no answer"),
    ]
    home.stop()


def test_a_day_of_flapping_is_bounded(home: Home) -> None:
    """Whatever the link does, and whether the clock is set."""
    for _ in range(24 * 30):
        down(home, 61)
        home.live(59)
    (one,) = outages(home)
    assert one[1] == 0
    home.clock.was_set = False
    for _ in range(200):
        down(home, 61)
        home.live(700)
    home.clock.was_set = True
    home.look()
    assert len(outages(home)) == 101


def test_an_outage_of_another_kind_stays(home: Home) -> None:
    """Those of before are read, and left as they are."""
    other = Outage(START_S - 600, "visitor from a later version", None, "?")
    home.store.note(other)
    home.count()
    home.stop()
    home.start()
    assert home.store.outages(0, 3e9)[0].began_s == other.began_s
