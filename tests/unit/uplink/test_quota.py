"""How many messages go in a second, and how often somebody wakes up for that."""

from __future__ import annotations

import pytest

from agent.uplink.quota import BURST_S, Quota

#: What AWS IoT takes on one connection, in messages and bytes a second.
AWS_MESSAGES, AWS_BYTES = 100, 512 * 1024

DEFAULT_PER_S = 80


def spent(per_s: float, size: int, *, for_s: float, late_s: float = 0.0) -> list[list[float]]:
    """Times of the messages in each burst, sent as soon as may be, each wake-up `late_s`."""
    quota, now_s, bursts = Quota(per_s), 1000.0, list[list[float]]()
    while now_s < 1000.0 + for_s:
        bursts.append([])
        next_s = now_s
        while next_s <= now_s:
            next_s = quota.spend(size, now_s)
            bursts[-1].append(now_s)
        now_s = next_s + late_s
    return bursts


def most_in_a_second(bursts: list[list[float]]) -> int:
    """The largest number of messages in any second."""
    times = [time_s for burst in bursts for time_s in burst]
    return max(sum(begin <= one < begin + 1.0 for one in times) for begin in times)


def test_the_default_rate_is_kept_in_a_few_bursts_a_second() -> None:
    """Ten seconds have as many messages as they may, and a fourth as many wake-ups."""
    bursts = spent(DEFAULT_PER_S, 0, for_s=10.0)

    assert 800 <= sum(map(len, bursts)) <= 810
    assert len(bursts) <= 201


@pytest.mark.parametrize("late_s", [0.0, 0.003, 0.04])
def test_no_second_has_more_than_aws_takes(late_s: float) -> None:
    """However late the wake-ups are; nor do they cost throughput."""
    bursts = spent(DEFAULT_PER_S, 0, for_s=5.0, late_s=late_s)

    assert most_in_a_second(bursts) <= 89 < AWS_MESSAGES
    assert sum(map(len, bursts)) >= 400


@pytest.mark.parametrize("size", [200, 5000, 128 * 1024])
@pytest.mark.parametrize("late_s", [0.0, 0.04])
def test_no_second_has_more_bytes_than_aws_takes(size: int, late_s: float) -> None:
    """At any rate of messages."""
    bursts = spent(1e6, size, for_s=3.0, late_s=late_s)

    assert most_in_a_second(bursts) * size <= AWS_BYTES + size


def test_a_single_message_goes_at_once() -> None:
    """While there is quota, nothing waits for a burst."""
    quota = Quota(DEFAULT_PER_S)

    assert [quota.spend(200, now_s) for now_s in (5.0, 5.5, 5.6, 5.62)] == [5.0, 5.5, 5.6, 5.62]


def test_a_message_after_a_burst_is_late_by_little() -> None:
    """A fresh count waits for the next burst at most."""
    quota, next_s = Quota(DEFAULT_PER_S), 5.0
    while next_s <= 5.0:
        next_s = quota.spend(0, 5.0)

    assert next_s - 5.0 <= BURST_S + 1 / DEFAULT_PER_S


def test_a_rate_slower_than_a_burst_is_kept_too() -> None:
    """One message every ten seconds."""
    bursts = spent(0.1, 200, for_s=100.0)

    assert 10 <= sum(map(len, bursts)) <= 11
