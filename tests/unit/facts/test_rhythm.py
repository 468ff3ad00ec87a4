"""What is usual is told in numbers, from hours that tell something, or not at all."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.facts.rhythm import Usual, quantile, usual
from agent.store import COUNTS, Hour
from tests.unit.facts.conftest import BERLIN

if TYPE_CHECKING:
    from collections.abc import Callable

DAY_S = 86_400
WEEK_S = 7 * DAY_S
START_S = 1_795_500_000 + 3 * WEEK_S + 3 * 3600  # in winter, whatever the weeks before it were


def weeks(*totals: float, observed_s: float = 3600.0) -> list[Hour]:
    """The same hour one week before, two weeks before, and so on."""
    return [
        Hour(START_S - number * WEEK_S, COUNTS, total=total, observed_s=observed_s)
        for number, total in enumerate(totals, 1)
    ]


def test_the_quantiles_of_the_weeks_are_told() -> None:
    """The middle, what a tenth is below, what a tenth is above."""
    assert usual(weeks(3, 9, 6), START_S) == Usual(3.6, 6, 8.4, 3)
    assert usual(weeks(0, 0), START_S) == Usual(0, 0, 0, 2)


def test_one_week_is_no_evidence() -> None:
    """Nor is none."""
    assert usual(weeks(4), START_S) is None
    assert usual([], START_S) is None


def test_twelve_weeks_tell_and_no_more() -> None:
    """Nor the hour itself, or one to come."""
    others = [Hour(START_S + one * WEEK_S, COUNTS, total=99, observed_s=3600) for one in (0, 1)]
    assert usual([*weeks(*[5] * 12, 99, 99), *others], START_S) == Usual(5, 5, 5, 12)


def test_other_hours_and_other_rows_do_not_tell() -> None:
    """Only counts of the same hour of the same weekday."""
    near = [
        Hour(START_S - WEEK_S + off_s, COUNTS, total=50, observed_s=3600)
        for off_s in (-DAY_S, DAY_S, -3600, 3600)
    ]
    named = Hour(START_S - WEEK_S, "room.temperature_c", total=50, observed_s=3600)
    assert usual([*weeks(1, 1), *near, named], START_S) == Usual(1, 1, 1, 2)


def test_an_hour_that_was_not_observed_or_was_odd_does_not_tell() -> None:
    """Fifty minutes do, and are scaled to the hour."""
    odd = Hour(START_S - 3 * WEEK_S, COUNTS, total=50, observed_s=3600, odd=True)
    blind = Hour(START_S - 4 * WEEK_S, COUNTS, number=6)
    less = Hour(START_S - 5 * WEEK_S, COUNTS, total=50, observed_s=2999)
    assert usual([*weeks(5, 5, observed_s=3000), odd, blind, less], START_S) == Usual(6, 6, 6, 2)


def test_summer_time_moves_the_hour_and_not_the_habit(zone: Callable[[str], None]) -> None:
    """The same hour by the clock on the wall; one that it shows twice is one of the week's."""
    zone(BERLIN)

    def at(text: str) -> int:
        return int(time.mktime(time.strptime(text, "%Y-%m-%d %H")))

    habit = [Hour(at(f"2026-10-{day} 07"), COUNTS, total=7, observed_s=3600) for day in (11, 18)]
    assert usual(habit, at("2026-10-25 07")) == Usual(7, 7, 7, 2)
    assert usual(habit, at("2026-11-01 07")) == Usual(7, 7, 7, 2)
    first = at("2026-10-25 01") + 3600
    twice = [Hour(first + off_s, COUNTS, total=2, observed_s=3600) for off_s in (0, 3600)]
    once = Hour(at("2026-10-18 02"), COUNTS, total=4, observed_s=3600)
    assert usual([*twice, once], at("2026-11-01 02")) == Usual(2.2, 3, 3.8, 2)


@pytest.mark.parametrize(("share", "expected"), [(0, 1), (0.5, 2.5), (1, 4), (0.1, 1.3)])
def test_a_quantile_lies_between_two_values(share: float, expected: float) -> None:
    """By its distance from them."""
    assert quantile([1, 2, 3, 4], share) == pytest.approx(expected)


@given(st.lists(st.integers(0, 1000), min_size=2, max_size=12))
def test_quantiles_are_in_order_and_within_what_was_seen(totals: list[int]) -> None:
    """Whatever that was."""
    found = usual(weeks(*totals), START_S)
    assert found
    assert min(totals) <= found.low <= found.median <= found.high <= max(totals)
    assert found.weeks == len(totals)
