"""WBGT is that of the published regression, and near the definition where people live."""

from __future__ import annotations

from math import atan

import pytest

from agent.facts.wbgt import Air, wbgt_c
from agent.model import Moment
from tests.fakes import BOOT_ID, START_S


def stull_c(temperature_c: float, humidity_pct: float) -> float:
    """The wet bulb, equation 1 of Stull (2011)."""
    return float(
        temperature_c * atan(0.151977 * (humidity_pct + 8.313659) ** 0.5)
        + atan(temperature_c + humidity_pct)
        - atan(humidity_pct - 1.676331)
        + 0.00391838 * humidity_pct**1.5 * atan(0.023101 * humidity_pct)
        - 4.686035
    )


@pytest.mark.parametrize(
    ("temperature_c", "humidity_pct", "expected"),
    [(25, 50, 19.8), (30, 60, 25.5), (31, 75, 28.3), (35, 70, 31.4), (0, 0, -4.1)],
)
def test_it_is_that_of_the_regression(
    temperature_c: float, humidity_pct: float, expected: float
) -> None:
    """Without sun and wind, to a tenth."""
    assert wbgt_c(temperature_c, humidity_pct) == expected


def test_it_is_near_the_definition_in_a_room() -> None:
    """Within what the module says, and a tenth's rounding, over its whole range."""
    far = max(
        abs(wbgt_c(t, h) - (0.7 * stull_c(t, h) + 0.3 * t))
        for t in range(20, 41)
        for h in range(20, 96)
    )
    assert 0.5 < far < 0.65


def moment(boot_s: float) -> Moment:
    """That time since the machine started."""
    return Moment(START_S + boot_s, boot_s, BOOT_ID)


def test_two_readings_make_one_if_they_are_near() -> None:
    """Five minutes apart at most; a word is no value."""
    air = Air()
    assert air.take({"temperature_c": 30.0}, moment(0)) is None
    assert air.take({"humidity_pct": 60.0}, moment(300)) == 25.5
    assert air.take({"pressure_pa": 101_325.0}, moment(301)) is None
    assert air.take({"temperature_c": 35.0, "model": "x"}, moment(601)) is None
    assert air.take({"temperature_c": "warm"}, moment(602)) is None
    assert air.take({"temperature_c": 30.0, "humidity_pct": 60.0}, moment(9000)) == 25.5
