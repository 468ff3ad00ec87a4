"""Sending only what is news."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from agent.config import SensorConfig
from agent.sampling.dead_band import DeadBand

if TYPE_CHECKING:
    from collections.abc import Mapping


def change(band: float | Mapping[str, float] = 0.0, heartbeat_s: float = 3600.0) -> DeadBand:
    """For a sensor that reports changes only."""
    bands = {"": band} if isinstance(band, float) else band
    return DeadBand(
        SensorConfig(
            name="room", driver="fake", report="change", dead_band=bands, heartbeat_s=heartbeat_s
        )
    )


def test_without_being_asked_to_save_every_reading_is_news() -> None:
    """That is the default."""
    always = DeadBand(SensorConfig(name="room", driver="fake"))
    assert [always.is_news({"temperature_c": 20.0}, now_s) for now_s in (0.0, 60.0)] == [True, True]


def test_the_first_reading_is_news_and_the_same_again_is_not() -> None:
    """Nor one within the dead band; what is compared is the value that was sent."""
    room = change(0.2)
    values = [20.0, 20.0, 20.125, 20.25, 20.25, 20.125, 20.0]
    news = [room.is_news({"temperature_c": value}, 0.0) for value in values]
    assert news == [True, False, False, True, False, False, True]


def test_each_quantity_may_have_its_own_dead_band() -> None:
    """The others have none; one that moves takes all along."""
    room = change({"pressure_pa": 50.0})
    assert room.is_news({"temperature_c": 20.0, "pressure_pa": 101_325.0}, 0.0)
    assert not room.is_news({"temperature_c": 20.0, "pressure_pa": 101_370.0}, 1.0)
    assert room.is_news({"temperature_c": 20.1, "pressure_pa": 101_325.0}, 2.0)
    assert room.is_news({"temperature_c": 20.1, "pressure_pa": 101_376.0}, 3.0)


def test_a_sign_of_life_is_sent_even_if_nothing_moves() -> None:
    """Silence and a dead sensor are told apart."""
    room = change(1.0, heartbeat_s=300.0)
    sent = [s for s in range(0, 1000, 60) if room.is_news({"temperature_c": 20.0}, float(s))]
    assert sent == [0, 300, 600, 900]


def test_what_comes_goes_or_is_a_word_counts_too() -> None:
    """A quantity more, another model: news; one less is once it was missing three times."""
    board = change(5.0)
    assert board.is_news({"model": "Pi 4", "x": 1.0}, 0.0)
    assert not board.is_news({"model": "Pi 4", "x": 2.0}, 0.0)
    assert board.is_news({"model": "Pi 5", "x": 2.0}, 0.0)
    assert [board.is_news({"model": "Pi 5"}, 0.0) for _ in range(5)] == [
        *[False, False, True, False, False]
    ]
    assert board.is_news({"model": "Pi 5", "x": 2.0}, 0.0)


def test_a_quantity_that_comes_and_goes_is_no_news_each_time() -> None:
    """A DHT whose humidity is wrong now and then; nor when another quantity takes it along."""
    room = change({"humidity_pct": 1.0})
    both = {"temperature_c": 20.0, "humidity_pct": 50.0}
    assert room.is_news(both, 0.0)
    for _ in range(10):
        assert not room.is_news({"temperature_c": 20.0}, 0.0)
        assert not room.is_news({"temperature_c": 20.0}, 0.0)
        assert not room.is_news(both, 0.0)
    assert room.is_news({"temperature_c": 21.0}, 0.0)
    assert not room.is_news({"temperature_c": 21.0, "humidity_pct": 50.5}, 0.0)
    assert room.is_news({"temperature_c": 21.0, "humidity_pct": 52.0}, 0.0)


def test_after_a_failure_the_next_reading_is_news() -> None:
    """That the sensor is back is worth knowing."""
    room = change(5.0)
    assert room.is_news({"temperature_c": 20.0}, 0.0)
    room.forget()
    assert room.is_news({"temperature_c": 20.0}, 1.0)


@given(st.lists(st.floats(-50, 50), min_size=1), st.floats(0, 5))
def test_the_last_value_sent_is_never_further_away_than_the_dead_band(
    values: list[float], band: float
) -> None:
    """So the chart is right to within it."""
    room = change(band)
    shown = 1e9
    for value in values:
        if room.is_news({"temperature_c": value}, 0.0):
            shown = value
        assert abs(value - shown) <= band
