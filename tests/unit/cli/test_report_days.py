"""The report's numbers: unknown is never zero, and days are those of the local clock."""

from __future__ import annotations

import time
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.cli.report_days import Report, report, since_s
from agent.cli.report_past import Past
from agent.facts import day_of
from agent.facts.rhythm import Usual
from agent.store import COUNTS, Hour, Outage, Spell
from tests.unit.cli.report_case import NOW_S

if TYPE_CHECKING:
    from collections.abc import Callable

BERLIN = "CET-1CEST,M3.5.0,M10.5.0/3"
LORD_HOWE = "<+1030>-10:30<+11>-11,M10.1.0,M4.1.0"

DAY_S = 86_400


@pytest.fixture(autouse=True)
def _utc(zone: Callable[[str], None]) -> None:
    """A clock without summer time, unless a test sets another."""
    zone("UTC0")


def counts(start_s: int, *numbers: float, observed_s: float = 3600.0) -> tuple[Hour, ...]:
    """Hours of counts, one after another."""
    return tuple(
        Hour(start_s + place * 3600, COUNTS, 6, number, observed_s=observed_s)
        for place, number in enumerate(numbers)
    )


def made(*hours: Hour, days: int = 1, now_s: float = NOW_S, **more: object) -> Report:
    """The report of a past with these hours."""
    found = report(Past("cat", hours, (), (), **more), days, now_s)  # type: ignore[arg-type]
    assert found
    return found


def told(found: Report, day: int = 0, line: int = 0) -> list[float | str | None]:
    """The counts of a line, `-` for an hour that is not there."""
    return [cell.count if cell else "-" for cell in found.days[day].lines[line].cells]


def test_an_hour_that_nobody_observed_has_no_count() -> None:
    """Not a row, and a row without observation, are unknown; an observed one may be zero."""
    start_s = day_of(NOW_S).start_s
    found = made(*counts(start_s, 0.0, 5.0), *counts(start_s + 7200, 0.0, observed_s=0.0))
    assert told(found)[:4] == [0.0, 5.0, None, None]
    assert found.days[0].total == found.total == 5.0
    elapsed_s = NOW_S - start_s
    assert found.share == found.days[0].share == pytest.approx(7200 / elapsed_s)


def test_a_day_that_nobody_observed_has_no_total() -> None:
    """Readings alone make a day, whose detections are unknown."""
    found = made(Hour(day_of(NOW_S).start_s, "room.temperature_c", 1, 20.0, 20.0, 20.0))
    assert found.days[0].total is None
    assert found.total is None
    assert found.days[0].share == 0


def test_none_seen_in_an_hour_observed_in_part_is_told_apart() -> None:
    """Seen in a part is seen; none in ten minutes is little known."""
    start_s = day_of(NOW_S).start_s
    found = made(*counts(start_s, 0.0, 3.0, observed_s=600.0), *counts(start_s + 7200, 0.0))
    cells = found.days[0].lines[0].cells
    assert [cell.is_part for cell in cells[:3] if cell] == [True, False, False]
    assert [cell.is_partly_observed for cell in cells[:3] if cell] == [True, True, False]


def test_hours_to_come_are_not_there() -> None:
    """Neither is the one that has begun and of which nothing is known yet."""
    found = made(*counts(day_of(NOW_S).start_s, 1.0))
    hour = time.localtime(NOW_S).tm_hour
    assert told(found)[hour - 1] is None
    assert set(told(found)[hour:]) == {"-"}


def test_the_hour_that_goes_on_is_observed_by_what_has_passed_of_it() -> None:
    """35 minutes of 35 are all."""
    start_s = NOW_S - NOW_S % 3600
    found = made(*counts(start_s, 2.0, observed_s=2100.0))
    cell = found.days[0].lines[0].cells[time.localtime(NOW_S).tm_hour]
    assert cell
    assert (cell.count, cell.share) == (2.0, 1.0)


def test_a_day_of_23_hours_lacks_one(zone: Callable[[str], None]) -> None:
    """When clocks go forward, at 2, that hour is not there, and not unknown."""
    zone(BERLIN)
    start_s = day_of(1_774_750_000).start_s  # 29 March 2026
    found = made(*counts(start_s, *range(23)), now_s=start_s + DAY_S - 3601)
    assert len(found.days[0].lines) == 1
    assert told(found) == [0, 1, "-", *range(2, 23)]
    assert found.days[0].share == 1


def test_a_day_of_25_hours_has_one_in_a_line_of_its_own(zone: Callable[[str], None]) -> None:
    """When clocks are put back, at 3, the second hour of 2 is told below; the total has both."""
    zone(BERLIN)
    start_s = day_of(1_792_935_600).start_s  # 25 October 2026
    found = made(*counts(start_s, *range(25)), now_s=start_s + DAY_S + 3599)
    assert told(found) == [0, 1, 2, *range(4, 25)]
    assert told(found, line=1) == ["-", "-", 3, *["-"] * 21]
    assert [line.again for line in found.days[0].lines] == [False, True]
    assert found.days[0].total == sum(range(25))


def test_hours_that_were_cut_by_another_zone_are_counted_once(zone: Callable[[str], None]) -> None:
    """Those kept before the device moved to a zone of half hours go where they began."""
    zone(LORD_HOWE)
    now_s = day_of(NOW_S).end_s - 1
    start_s = -(-day_of(NOW_S).start_s // 3600) * 3600
    found = made(*counts(start_s, *range(20)), now_s=now_s)
    assert found.total == sum(range(20))


def test_a_report_begins_with_the_history() -> None:
    """Days before the first hour are not shown, nor days before those that are asked for."""
    today_s = day_of(NOW_S).start_s
    hours = (*counts(today_s - 2 * DAY_S, 1.0), *counts(today_s, 1.0))
    assert len(made(*hours, days=30).days) == 3
    assert len(made(*hours, days=2).days) == 1
    assert report(Past("cat", counts(today_s - 9 * DAY_S, 1.0), (), ()), 7, NOW_S) is None


def test_a_day_has_its_first_and_last_detection_and_its_longest_quiet() -> None:
    """From the hours, and from the day's spell."""
    start_s = day_of(NOW_S).start_s
    spell = Spell(start_s, start_s + 100.0, start_s + 9000.0, 8900.0)
    hours = (
        Hour(start_s, COUNTS, 6, 2, first_s=start_s + 10.0, last_s=start_s + 90.0, observed_s=3600),
        Hour(start_s + 3600, COUNTS, 6, 0, observed_s=3600),
        Hour(start_s + 7200, COUNTS, 6, 1, first_s=start_s + 9000.0, last_s=start_s + 9000.0),
    )
    found = report(Past("cat", hours, (), (spell,)), 1, NOW_S)
    assert found
    (day,) = found.days
    assert (day.first_s, day.last_s, day.spell) == (start_s + 10, start_s + 9000, spell)
    assert found.last_s == start_s + 9000


def test_the_running_agent_knows_the_last_detection_best() -> None:
    """The history knows it only once the window has ended."""
    found = made(*counts(day_of(NOW_S).start_s, 1.0), last_s=NOW_S - 5.0)
    assert found.last_s == NOW_S - 5


def test_outages_before_the_days_are_left_out() -> None:
    """One that lasts is told, however long ago it began."""
    start_s = day_of(NOW_S).start_s
    old = Outage(start_s - 500.0, "link", start_s - 100.0)
    over = Outage(start_s - 500.0, "agent", start_s + 100.0)
    lasts = Outage(start_s - 90_000.0, "sensor", None)
    past = Past("cat", counts(start_s, 1.0), (lasts, old, over), ())
    found = report(past, 1, NOW_S)
    assert found
    assert found.outages == (lasts, over)


def test_readings_are_told_by_hours_and_for_many_days_by_days() -> None:
    """The mean is that of all readings, not of the hours' means; what is missing is a gap."""
    today_s = day_of(NOW_S).start_s

    def readings(start_s: int, number: int, mean: float) -> Hour:
        return Hour(start_s, "room.temperature_c", number, number * mean, mean - 1, mean + 1)

    hours = (readings(today_s, 10, 20.0), readings(today_s + 7200, 30, 24.0))
    (series,) = made(*hours).series
    assert [point and point.mean for point in series.points[:4]] == [20, None, 24, None]
    assert len(series.points) == time.localtime(NOW_S).tm_hour
    assert (series.low, series.mean, series.high) == (19, 23, 25)
    first = readings(today_s - 9 * DAY_S, 1, 10.0)
    found = made(*hours, first, days=30)
    (series,) = found.series
    assert not found.by_hours
    means = [point and point.mean for point in series.points]
    assert means == [10, *[None] * 8, 23]


def test_what_is_usual_today_is_told_by_the_weeks_before() -> None:
    """The same weekday's hours before today; they are asked of the store, however few days are."""
    start_s = day_of(NOW_S).start_s
    weeks = [counts(start_s - week * 7 * DAY_S, 10.0 + week)[0] for week in (1, 2, 3)]
    found = made(*weeks, *counts(start_s, 99.0))
    assert found.usual[0] == Usual(11.2, 12.0, 12.8, 3)
    assert found.usual[1:] == (None,) * 23
    assert len(found.days) == 1
    assert since_s(1, NOW_S) <= start_s - 12 * 7 * DAY_S
    assert since_s(90, NOW_S) <= start_s - 89 * DAY_S


@given(st.lists(st.integers(0, 10**7), min_size=1, max_size=14))
def test_a_shade_is_what_its_legend_says(numbers: list[int]) -> None:
    """Each count is in the first shade that goes up to it, and the most has the strongest."""
    found = made(*counts(day_of(NOW_S).start_s, *map(float, numbers)))
    used = found.scale.used()
    assert all(low < high for low, high in pairwise(used.values()))
    for number in numbers:
        level = found.scale.level(number)
        if number == 0:
            assert level == 0
        else:
            assert used[level] >= number
            assert all(bound < number for lower, bound in used.items() if lower < level)
    if max(numbers):
        assert found.scale.level(max(numbers)) == 8
