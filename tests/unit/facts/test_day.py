"""Days and hours are those of the local clock, whatever its zone does to it."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.facts.day import day_of, hour_end, hour_start, of_local, parsed_time
from tests.unit.facts.conftest import BERLIN, HAVANA, KATHMANDU, LORD_HOWE, TOKYO

if TYPE_CHECKING:
    from collections.abc import Callable

    Zone = Callable[[str], None]

ZONES = [BERLIN, TOKYO, LORD_HOWE, KATHMANDU, HAVANA]
HOUR_S = 3600


def utc(text: str) -> int:
    """Epoch seconds of a time of UTC."""
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp())


def shown(at_s: int) -> str:
    """Date and time as the local clock shows them."""
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(at_s))


@pytest.mark.parametrize(
    ("rules", "day", "starts", "length"),
    [
        (BERLIN, "2026-11-27", "2026-11-26T23:00", (24, 24 * HOUR_S)),
        (BERLIN, "2026-03-29", "2026-03-28T23:00", (23, 23 * HOUR_S)),
        (BERLIN, "2026-10-25", "2026-10-24T22:00", (25, 25 * HOUR_S)),
        (TOKYO, "2026-11-27", "2026-11-26T15:00", (24, 24 * HOUR_S)),
        (KATHMANDU, "2026-11-27", "2026-11-26T18:15", (24, 24 * HOUR_S)),
        (LORD_HOWE, "2026-10-04", "2026-10-03T13:30", (24, 23.5 * HOUR_S)),
        (LORD_HOWE, "2026-04-05", "2026-04-04T13:00", (25, 24.5 * HOUR_S)),
        (HAVANA, "2026-03-08", "2026-03-08T05:00", (23, 23 * HOUR_S)),
        (HAVANA, "2026-11-01", "2026-11-01T04:00", (25, 25 * HOUR_S)),
    ],
)
def test_a_day_is_as_long_as_the_clock_makes_it(
    zone: Zone, rules: str, day: str, starts: str, length: tuple[int, float]
) -> None:
    """From the first second of a date to the first of the next, in hours that adjoin."""
    zone(rules)
    start_s, (hours, length_s) = utc(starts), length
    for at_s in (start_s, start_s + 12 * HOUR_S, start_s + length_s - 1):
        found = day_of(at_s)
        assert (found.name, found.start_s, found.end_s) == (day, start_s, start_s + length_s)
    assert len(found.hours) == hours
    ends = [hour_end(one) for one in found.hours]
    assert [found.start_s, *ends] == [*found.hours, found.end_s]
    assert day_of(start_s, days=1).start_s == found.end_s
    assert day_of(found.end_s, days=-1) == found


def test_hours_of_the_change_of_half_an_hour_are_short(zone: Zone) -> None:
    """Where the clock leaps, an hour begins."""
    zone(LORD_HOWE)
    spring, autumn = day_of(utc("2026-10-03T20:00")), day_of(utc("2026-04-04T20:00"))
    assert [shown(one)[11:16] for one in spring.hours[1:4]] == ["01:00", "02:30", "03:00"]
    assert [shown(one)[11:16] for one in autumn.hours[1:4]] == ["01:00", "01:30", "02:00"]
    assert hour_start(autumn.hours[2] + 1799.5) == autumn.hours[2]


@given(st.integers(utc("2026-01-01T00:00"), utc("2027-12-31T00:00")), st.sampled_from(ZONES))
def test_each_second_is_of_one_hour_of_its_day(at_s: int, rules: str) -> None:
    """Hours are those of the day, and begin and end where their neighbours do."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TZ", rules)
        time.tzset()
        day, start_s, end_s = day_of(at_s), hour_start(at_s), hour_end(at_s)
        hour = time.localtime(start_s)
        same = [time.localtime(one)[:4] for one in (at_s, end_s - 1)]
        neighbours = hour_start(end_s), hour_end(start_s), hour_start(start_s)
    time.tzset()
    assert day.start_s <= start_s <= at_s < end_s <= day.end_s
    assert start_s in day.hours
    assert same == [hour[:4]] * 2
    assert neighbours == (end_s, end_s, start_s)


@pytest.mark.parametrize(
    ("rules", "day", "text", "expected"),
    [
        (BERLIN, "2026-11-27", "07:00", "2026-11-27 07:00:00"),
        (BERLIN, "2026-11-27", "00:00", "2026-11-27 00:00:00"),
        (BERLIN, "2026-11-27", "24:00", "2026-11-28 00:00:00"),
        (BERLIN, "2026-03-29", "01:59", "2026-03-29 01:59:00"),
        (BERLIN, "2026-03-29", "02:30", "2026-03-29 03:00:00"),
        (BERLIN, "2026-03-29", "07:00", "2026-03-29 07:00:00"),
        (BERLIN, "2026-10-25", "07:00", "2026-10-25 07:00:00"),
        (HAVANA, "2026-03-08", "00:30", "2026-03-08 01:00:00"),
        (HAVANA, "2026-03-08", "22:00", "2026-03-08 22:00:00"),
        (LORD_HOWE, "2026-10-04", "02:15", "2026-10-04 02:30:00"),
        (LORD_HOWE, "2026-10-04", "07:00", "2026-10-04 07:00:00"),
        (KATHMANDU, "2026-11-27", "07:00", "2026-11-27 07:00:00"),
    ],
)
def test_a_local_time_is_found_on_each_day(
    zone: Zone, rules: str, day: str, text: str, expected: str
) -> None:
    """Where the clock leaps over it, it is the time of the leap."""
    zone(rules)
    noon_s = int(time.mktime(time.strptime(f"{day} 12", "%Y-%m-%d %H")))
    assert shown(of_local(day_of(noon_s), parsed_time(text))) == expected


@pytest.mark.parametrize(
    ("rules", "noon", "text", "expected"),
    [
        (BERLIN, "2026-10-25T12:00", "02:30", "2026-10-25T00:30"),
        (LORD_HOWE, "2026-04-05T02:00", "01:45", "2026-04-04T14:45"),
        (HAVANA, "2026-11-01T17:00", "00:10", "2026-11-01T04:10"),
    ],
)
def test_a_time_that_is_shown_twice_is_the_first(
    zone: Zone, rules: str, noon: str, text: str, expected: str
) -> None:
    """When the clock is set back."""
    zone(rules)
    assert of_local(day_of(utc(noon)), parsed_time(text)) == utc(expected)


@pytest.mark.parametrize(
    ("text", "minutes"), [("7:05", 425), ("07:05", 425), ("00:00", 0), ("24:00", 1440)]
)
def test_a_time_of_day_is_read(text: str, minutes: int) -> None:
    """In minutes from midnight."""
    assert parsed_time(text) == minutes


@pytest.mark.parametrize("text", ["", "7", "07:5", "07:60", "24:01", "25:00", "007:00", "-1:00"])
def test_what_is_no_time_of_day_is_refused(text: str) -> None:
    """In words."""
    with pytest.raises(ValueError, match="expected a time"):
        parsed_time(text)
