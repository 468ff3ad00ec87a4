"""The scale of a line chart is of round numbers, and holds all that is drawn."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.cli.report_svg import ticks


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (17.6, 24.5, [16, 18, 20, 22, 24, 26]),
        (37.5, 58.8, [30, 40, 50, 60]),
        (20.0, 20.0, [19, 19.5, 20, 20.5, 21]),
        (0.0, 0.0, [-0.05, 0, 0.05]),
        (0.0, 1.0, [0, 0.5, 1]),
        (-0.03, 0.02, [-0.04, -0.02, 0, 0.02]),
        (12_345_678_901, 12_345_678_904, [12_345_678_901 + one for one in range(4)]),
    ],
)
def test_lines_are_at_round_numbers(low: float, high: float, expected: list[float]) -> None:
    """Of one, two or five, about four of them."""
    assert ticks(low, high) == expected


@given(st.floats(-1e15, 1e15), st.floats(0, 1e15))
def test_any_range_has_lines_of_its_own(low: float, span: float) -> None:
    """They rise, are few, and hold it."""
    high = low + span
    found = ticks(low, high)
    assert all(one < other for one, other in pairwise(found))
    assert 2 <= len(found) <= 7
    slack = (found[-1] - found[0]) * 1e-6
    assert found[0] <= low + slack
    assert found[-1] >= high - slack
