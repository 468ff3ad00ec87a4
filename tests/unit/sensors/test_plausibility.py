"""Detections are doubted when they cannot be true."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.sensors import Plausibility
from agent.sensors.plausibility import Limits, believed

HOUR_S = 3600.0
DAY_S = 24 * HOUR_S


class Waiter:
    """A detector that is judged once a minute; a test says what it sees."""

    def __init__(self, active_max_s: float = HOUR_S, max_per_min: float = 60.0) -> None:
        self.plausibility = Plausibility(Limits(active_max_s, max_per_min))
        self.now_s = 0.0
        self.plausibility.begin(0.0)

    def sees(
        self,
        seconds: float,
        *,
        count: int = 0,
        active_s: float = 0.0,
        edges: int = 0,
    ) -> list[str]:
        """The same in each minute of the time; the verdicts that there were, each once."""
        verdicts = []
        for _ in range(round(seconds / 60.0)):
            self.now_s += 60.0
            verdict = self.plausibility.judge(
                self.now_s, count=count, active_s=active_s, edges=edges
            )
            verdicts += [verdict] if verdict and verdict not in verdicts else []
        return verdicts

    def lives_for(self, days: int) -> list[str]:
        """A house with people: seen a few times an hour in the day, never in the night."""
        verdicts = []
        for _ in range(days):
            for _ in range(16):
                verdicts += self.sees(60.0, count=2, active_s=20.0, edges=4)
                verdicts += self.sees(HOUR_S - 60.0)
            verdicts += self.sees(8 * HOUR_S)
        return verdicts


def test_a_house_with_people_is_believed() -> None:
    """For weeks, nights included."""
    assert Waiter().lives_for(21) == []


def test_active_without_a_break_is_a_fault_after_its_time() -> None:
    """And no longer one with the first pause."""
    watch = Waiter()
    watch.sees(60.0, count=1, active_s=30.0)
    assert watch.sees(59 * 60.0, active_s=60.0) == []
    assert watch.sees(60.0, active_s=60.0) == ["active for more than 60 minutes without a break"]
    assert watch.sees(60.0, active_s=45.0) == []
    assert watch.sees(59 * 60.0, active_s=60.0) == []


def test_silence_is_measured_by_its_own_history() -> None:
    """Three times the longest quiet spell of the time before it, and never less than a day."""
    watch = Waiter()
    assert watch.lives_for(3) == []
    assert watch.sees(14 * HOUR_S) == []
    (verdict,) = watch.sees(10 * HOUR_S)
    assert verdict == "nothing detected for more than 27 hours, which is unusual here"
    assert watch.sees(60.0, count=1, active_s=1.0) == []
    assert watch.sees(60 * HOUR_S) == []  # so long a silence is known now


def test_without_history_silence_says_nothing() -> None:
    """An empty house on the day of its installation is no fault."""
    assert Waiter().sees(10 * DAY_S) == []


def test_more_than_it_can_detect_is_a_fault_while_it_lasts() -> None:
    """The next minute is judged anew."""
    watch = Waiter(max_per_min=60.0)
    assert watch.sees(300.0, count=60, active_s=10.0) == []
    assert watch.sees(300.0, count=61, active_s=10.0) == [
        "more than 60 detections a minute, which cannot be"
    ]
    assert watch.sees(60.0, count=1, active_s=10.0) == []


def test_a_line_that_changes_for_nothing_is_a_fault() -> None:
    """A loose contact: debouncing takes it away, and the judge of plausibility tells of it."""
    watch = Waiter()
    assert watch.sees(600.0, count=1, active_s=1.0, edges=122) == []
    assert watch.sees(60.0, count=1, active_s=1.0, edges=123) == [
        "the line changes more than 120 times a minute for nothing"
    ]
    assert watch.sees(60.0) == []


def test_a_rate_is_taken_over_a_minute_however_often_it_is_asked() -> None:
    """Two detections within a tenth of a second are no 1200 a minute."""
    judge = Plausibility(Limits(HOUR_S, 70.0))
    judge.begin(0.0)
    verdicts = [
        judge.judge(n / 10, count=2 if n % 20 == 0 else 0, active_s=0.0) for n in range(1800)
    ]
    assert not any(verdicts)


def test_what_was_not_watched_is_neither_quiet_nor_active() -> None:
    """A detector that was closed begins anew, its history is kept."""
    watch = Waiter()
    watch.lives_for(3)
    watch.now_s += 30 * DAY_S
    watch.plausibility.begin(watch.now_s)
    assert watch.sees(20 * HOUR_S) == []
    assert watch.sees(7 * HOUR_S) != []


@given(
    st.lists(
        st.tuples(
            st.floats(0, 100_000), st.integers(0, 10**9), st.floats(0, 1e9), st.integers(0, 10**9)
        )
    )
)
def test_whatever_is_seen_a_verdict_is_one_line(
    looks: list[tuple[float, int, float, int]],
) -> None:
    """Nothing is raised; the words fit into a condition."""
    judge = Plausibility(Limits(HOUR_S, 60.0))
    judge.begin(0.0)
    now_s = 0.0
    for span_s, count, active_s, edges in looks:
        now_s += span_s
        verdict = judge.judge(now_s, count=count, active_s=active_s, edges=edges)
        assert len(verdict) < 100
        assert verdict.isprintable()


@pytest.mark.parametrize("active_max_s", [1.0, 31 * DAY_S])
def test_the_limit_is_told_in_words(active_max_s: float) -> None:
    """Seconds, minutes, or hours where they are many."""
    watch = Waiter(active_max_s=active_max_s)
    (verdict,) = watch.sees(active_max_s + 60.0, active_s=60.0)
    assert ("1 s" if active_max_s == 1.0 else "744 hours") in verdict


@pytest.mark.parametrize(
    ("quantity", "value", "expected"),
    [
        ("humidity_pct", 101.2, 100.0),
        ("humidity_pct", -2.0, 0.0),
        ("humidity_1_pct", 119.0, 100.0),
        ("humidity1_pct", 119.5, None),
        ("bath_humidity_pct", 3310.0, None),
        ("humidity_pct_2", -6.5, None),
        ("Humidity_PCT", 4096.0, None),
        ("humidityrelative_pct", 100.5, 100.0),
        ("humidityrelative_1_pct", 3310.0, None),
        ("moisture_pct", 100.5, 100.0),
        ("soil_moisture_2_pct", -0.4, 0.0),
        ("moisture_pct", 400.0, None),
        ("temperature_c", 21.4, 21.4),
        ("temperature_composite_c", 2000.0, None),
        ("temperature_0_c", -127.0, None),
        ("outside_temperature_c", -273.15, None),
        ("freezer_c", -127.0, None),
        ("freezer_c", -273.15, None),
        ("freezer_1_c", -300.0, None),
        ("freezer_c", -196.0, -196.0),
        ("temperature_c", 85.0, 85.0),
        ("pressure_1_pa", 0.0, None),
        ("pressure_pa", 300_000.0, None),
        ("pressure_pa_2", 900.0, None),
        ("pressure_difference_pa", -3.0, -3.0),
        ("differential_pressure_pa", -20.0, -20.0),
        ("gauge_pressure_pa", 0.0, 0.0),
        ("pressure_tire_pa", 350_000.0, 350_000.0),
        ("water_pressure_pa", 400_000.0, 400_000.0),
        ("water_pressure_pa", 1e10, None),
        ("temperature_change_c", -127.0, None),
        ("temperature_offset_1_c", -273.14, None),
        ("Delta_Temperature_C", -300.0, None),
        ("temperature_offset_c", -126.0, -126.0),
        ("temperature_rate_c_per_min", -127.0, -127.0),
        ("offset_c", -127.0, -127.0),
        ("humidity_change_pct", -3.0, -3.0),
        ("co2_room_ppm", 200_000.0, None),
        ("co2_ppm", 412.0, 412.0),
        ("cpu_load_pct", 101.0, None),
        ("ups_load_pct", 110.0, 110.0),
        ("battery_v", 1e6, None),
        ("battery_2_v", 1e6, None),
        ("depth_m", -1e9, -1e9),
        ("c", 1e9, None),
        ("value", 1e9, 1e9),
    ],
)
def test_bounds_go_by_base_and_unit(quantity: str, value: float, expected: float | None) -> None:
    """Whatever label stands between or around them; humidity is cropped to what can be."""
    assert believed(quantity, value) == expected


@given(st.text(), st.floats(allow_nan=False))
def test_a_value_is_believed_as_it_is_or_cropped(quantity: str, value: float) -> None:
    """Whatever the name; only a humidity, or a moisture, is moved."""
    found = believed(quantity, value)
    assert found is None or found == value or re.search("humidity|moisture", quantity.lower())
