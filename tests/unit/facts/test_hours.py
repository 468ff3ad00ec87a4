"""The history of hours says what the counts and readings say."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from agent.facts import Mode
from agent.facts.hours import Hours
from agent.model import NewRecord
from agent.store import COUNTS, Hour
from agent.value import replace
from tests.fakes import START_S, FakeClock
from tests.unit.facts.conftest import BERLIN, KATHMANDU
from tests.unit.facts.home import Home

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from agent.model import Json

HOUR_S = 3600


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    """A home whose clock stands at a full hour."""
    home = Home(tmp_path, FakeClock(START_S - START_S % HOUR_S))
    home.start()
    yield home
    home.store.close()


def rows(home: Home, *names: str) -> list[Hour]:
    """All that is known of these names."""
    return home.store.hours(0, 3e9, *names)


def counted(home: Home, end_s: float, window_s: int, **body: float | None) -> None:
    """Count one window by hand."""
    hours = Hours(home.store)
    given = {"detect_count": 0, "observed_ms": window_s * 1000, "active_ms": 0, **body}
    record = NewRecord("count", end_s, home.clock.now(), {**given, "window_s": window_s})
    hours.counted(record, record.moment.wall_s, None, odd=False)


def test_an_hour_has_what_its_counts_have(home: Home) -> None:
    """Windows, detections, the first and the last of them, and what was observed."""
    began_s = home.clock.wall_s()
    for _ in range(6):
        home.live(90)
        home.detect()
        home.live(200.5)
        home.detect()
        home.live(309.5)
        home.count()
    (hour,) = rows(home)
    assert hour == Hour(
        int(began_s),
        COUNTS,
        number=6,
        total=12,
        first_s=began_s + 90,
        last_s=began_s + 3290.5,
        observed_s=3600,
    )


def test_a_window_belongs_to_the_hour_in_which_it_begins(home: Home) -> None:
    """Its end is of the next."""
    began_s = int(home.clock.wall_s())
    counted(home, began_s + 3600, 600, detect_count=3)
    counted(home, began_s + 4200, 600, detect_count=4)
    assert [(row.start_s - began_s, row.total) for row in rows(home)] == [(0, 3), (3600, 4)]


def test_a_detection_at_the_very_end_of_a_window_is_of_its_hour(home: Home) -> None:
    """As the count that has it is."""
    began_s = home.clock.wall_s()
    for _ in range(6):
        home.live(600)
        home.detect()
        home.count()
    (hour,) = rows(home)
    assert (hour.total, hour.first_s, hour.last_s) == (6, began_s + 600, began_s + 3600)


def test_a_window_of_several_hours_tells_nothing_of_any(home: Home) -> None:
    """Nobody knows in which its detections were: hours without are no hours of quiet."""
    began_s = int(home.clock.wall_s())
    counted(home, began_s + 3 * HOUR_S, 3 * HOUR_S, detect_count=5, observed_ms=7_200_000)
    found = [(row.start_s - began_s, row.number, row.total, row.observed_s) for row in rows(home)]
    assert found == [(0, 1, 0, 0), (3600, 0, 0, 0), (7200, 0, 0, 0)]


def test_a_window_over_the_end_of_an_hour_is_told_of_both(
    home: Home, zone: Callable[[str], None]
) -> None:
    """As in a zone that is a quarter of an hour off."""
    zone(KATHMANDU)
    began_s = int(home.clock.wall_s())
    counted(home, began_s + 3600, 3600, detect_count=8, active_ms=360_000)
    first, second = rows(home)
    assert time.localtime(first.start_s)[4:6] == time.localtime(second.start_s)[4:6] == (0, 0)
    assert (first.start_s - began_s, second.start_s - began_s) == (-2700, 900)
    assert (first.number, first.total, first.observed_s, first.active_s) == (1, 8, 900, 90)
    assert (second.number, second.total, second.observed_s, second.active_s) == (0, 0, 2700, 270)


def test_a_count_that_nobody_observed_is_no_zero(home: Home) -> None:
    """There was a window, and nothing is known of it."""
    home.live(600)
    home.count(detections=None)
    (hour,) = rows(home)
    assert (hour.number, hour.total, hour.observed_s) == (1, 0, 0)


def test_both_hours_that_the_clock_shows_twice_are_told(
    home: Home, zone: Callable[[str], None]
) -> None:
    """They have the same name on the wall, and are two."""
    zone(BERLIN)
    two = int(time.mktime(time.strptime("2026-10-25 01", "%Y-%m-%d %H"))) + HOUR_S
    for place in range(3):
        counted(home, two + place * HOUR_S + 600, 600, detect_count=place)
    assert [row.start_s - two for row in rows(home)] == [0, HOUR_S, 2 * HOUR_S]
    assert [time.localtime(row.start_s).tm_hour for row in rows(home)] == [2, 2, 3]


def test_readings_are_gathered_until_the_count(home: Home) -> None:
    """By sensor and quantity: how many, their sum, the least and the greatest."""
    began_s = int(home.clock.wall_s())
    for celsius in (21.5, 19.0, 20.0):
        home.read("room", temperature_c=celsius, model="BME280")
        home.live(60)
    home.read("motion", active=1.0)
    assert rows(home) == []
    home.live(300)
    home.count()
    assert rows(home, "room.temperature_c") == [
        Hour(began_s, "room.temperature_c", number=3, total=60.5, low=19.0, high=21.5)
    ]
    assert {row.name for row in rows(home)} == {"room.temperature_c", COUNTS}


def test_readings_are_noted_where_nothing_is_counted(home: Home) -> None:
    """After ten minutes, and at an orderly end."""
    home.read("room", temperature_c=20.0)
    home.live(540)
    assert rows(home) == []
    home.live(60)
    (row,) = rows(home)
    assert row.number == 1
    home.read("room", temperature_c=21.0)
    home.stop()
    home.start()
    (row,) = rows(home)
    assert (row.number, row.high) == (2, 21.0)


def test_an_hour_with_a_mode_is_odd(home: Home) -> None:
    """It does not tell what is usual."""
    home.facts.modes.set(Mode("visitor", home.clock.wall_s() + 900))
    home.live(600)
    home.read("room", temperature_c=20.0)
    home.count()
    home.live(600)
    home.count()
    assert [row.odd for row in rows(home)] == [True, True]
    home.live(2400)
    home.count()
    home.live(600)
    home.count()
    assert [row.odd for row in rows(home, COUNTS)] == [True, False]


def test_nothing_is_noted_while_the_clock_is_not_set(home: Home) -> None:
    """Nobody knows the hour."""
    home.clock.was_set = False
    home.look()
    home.detect()
    home.read("room", temperature_c=20.0)
    home.live(600)
    home.count()
    assert rows(home) == []
    home.clock.was_set = True
    home.live(600)
    home.count()
    assert [row.number for row in rows(home)] == [1]


def test_the_history_is_as_durable_as_the_counts(home: Home) -> None:
    """They are in one commit: a power cut takes both or none."""
    home.live(600)
    home.detect()
    home.count()
    home.live(300)
    home.detect()
    home.power_cut(off_s=60)
    home.start()
    counts = [one.body["detect_count"] for one in home.store.page(0, 10).records]
    assert counts == [1]
    assert [(row.number, row.total) for row in rows(home)] == [(1, 1)]


def test_a_window_that_a_wrong_clock_has_named_is_of_its_true_hour(home: Home) -> None:
    """The store moves its record to the aligned window that is nearest, and the history with it."""
    end_s, behind_s = home.clock.wall_s() + 1200, 86_400 + 130
    moment = replace(home.clock.now(), wall_s=end_s - behind_s)
    body: dict[str, Json] = {"detect_count": 3, "observed_ms": 600_000, "window_s": 600}
    record = NewRecord("count", end_s - behind_s - 20, moment, body)
    Hours(home.store).counted(record, end_s, None, odd=False)
    (hour,) = rows(home)
    assert (hour.start_s, hour.total, hour.observed_s) == (home.clock.wall_s(), 3, 600)
