"""The wait between two attempts has full jitter and is reset only by a lasting success."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from agent.mqtt import BETWEEN_CONNECTS_S
from agent.uplink.waits import STABLE_S, Backoff


def longest(_low: float, high: float) -> float:
    """The unluckiest throw."""
    return high


def shortest(low: float, _high: float) -> float:
    """The luckiest throw."""
    return low


def test_the_longest_wait_doubles_up_to_its_maximum() -> None:
    """2, 4, 8 … and then `max_s` for ever."""
    backoff = Backoff(1, 120, uniform=longest)
    waits = [backoff.next_s() for _ in range(10)]
    assert waits == [2, 4, 8, 16, 32, 64, 120, 120, 120, 120]


def test_a_thousand_failures_are_no_overflow() -> None:
    """A device that is offline for weeks still waits `max_s` at most."""
    backoff = Backoff(1, 120, uniform=longest)
    assert [backoff.next_s() for _ in range(5000)][-1] == 120


def test_two_connects_are_never_closer_than_the_broker_accepts() -> None:
    """Without luck in the throw, what a broker accepts decides."""
    backoff = Backoff(1, 120, uniform=shortest)
    assert backoff.next_s() == BETWEEN_CONNECTS_S


def test_only_a_lasting_session_resets_it() -> None:
    """A session that ends soon is one more failure."""
    backoff = Backoff(1, 120, uniform=longest)
    for _ in range(4):
        backoff.next_s()
    backoff.ended(STABLE_S - 0.1)
    assert backoff.next_s() == 32
    backoff.ended(STABLE_S)
    assert backoff.next_s() == 2


@given(
    low=st.floats(1, 60),
    more=st.floats(0, 600),
    failures=st.integers(0, 50),
    seed=st.integers(),
)
def test_every_wait_is_in_bounds(low: float, more: float, failures: int, seed: int) -> None:
    """Each wait is from `min_s` to `max_s`, or what a CONNECT needs; CONNECTs keep distance."""
    backoff = Backoff(low, low + more, uniform=random.Random(seed).uniform)
    for _ in range(failures):
        backoff.next_s()
    wait_s = backoff.next_s()
    assert low <= wait_s <= max(low + more, BETWEEN_CONNECTS_S)


def test_a_fleet_that_lost_its_link_at_once_comes_back_spread_out() -> None:
    """The waits of many devices differ: no two dozen in the same tenth of the time."""
    waits = []
    for seed in range(200):
        backoff = Backoff(1, 120, uniform=random.Random(seed).uniform)
        for _ in range(8):
            wait_s = backoff.next_s()
        waits.append(wait_s)
    tenths = [sum(start <= wait_s < start + 12 for wait_s in waits) for start in range(0, 120, 12)]
    assert max(tenths) <= 40
    assert min(tenths) >= 5
