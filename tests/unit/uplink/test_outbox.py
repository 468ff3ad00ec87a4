"""What goes up next over one connection."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from agent.config import StoreLimits
from agent.model import Moment, NewRecord
from agent.mqtt.answers import NOT_AUTHORIZED, TOPIC_NAME_INVALID
from agent.store import open_store
from agent.uplink.outbox import Outbox, Outcome
from agent.uplink.poison import PoisonWatch
from agent.uplink.waits import Backoff
from tests.fakes import Ticks

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from agent.store import Store

MOMENT = Moment(1_795_500_000.0, 100.0, "boot")


@pytest.fixture
def ticks() -> Ticks:
    """The outbox's clock."""
    return Ticks()


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """A real store."""
    limits = StoreLimits(
        path=tmp_path / "store.db",
        commit_after_s=0.0,
        max_rows=10_000,
        max_mib=16,
        max_age_days=90,
    )
    with open_store(limits) as opened:
        yield opened


def outbox(store: Store, ticks: Ticks, *, window: int = 100, per_s: float = 1e6) -> Outbox:
    """An outbox that waits exactly the whole backoff."""
    backoff = Backoff(2.0, 60.0, uniform=lambda _, high: high)
    return Outbox(
        store,
        window=window,
        per_s=per_s,
        backoff=backoff,
        poison_watch=PoisonWatch(),
        monotonic_s=ticks,
    )


def fill(store: Store, *kinds: str) -> None:
    """Store one record of each kind, in order."""
    for kind in kinds:
        store.append(NewRecord(kind, MOMENT.wall_s, MOMENT))


def take_all(box: Outbox) -> list[int]:
    """The numbers of what may go now, each sent as the packet of the same number."""
    numbers = []
    while record := box.take():
        box.sent(record.seq, record, 0)
        numbers.append(record.seq)
    return numbers


def test_the_newest_count_goes_first_then_the_backlog_in_order(store: Store, ticks: Ticks) -> None:
    """After an outage the family learns in a second how things are now."""
    fill(store, "count", "sensors/room", "count", "sensors/room")

    assert take_all(outbox(store, ticks)) == [3, 1, 2, 4]


def test_a_new_count_goes_ahead_of_the_backlog(store: Store, ticks: Ticks) -> None:
    """While a backlog drains, each new count overtakes it; nothing else does."""
    fill(store, *["sensors/room"] * 6)
    box = outbox(store, ticks, window=2)
    assert take_all(box) == [1, 2]

    fill(store, "sensors/room", "count", "sensors/room")
    box.answered(1, 0)
    box.answered(2, 0)

    assert take_all(box) == [8, 3]
    box.answered(8, 0)
    box.answered(3, 0)
    assert take_all(box) == [4, 5]
    for mid in (4, 5):
        box.answered(mid, 0)
    assert take_all(box) == [6, 7]
    for mid in (6, 7):
        box.answered(mid, 0)
    assert take_all(box) == [9]


def test_no_more_than_the_window_is_unacknowledged(store: Store, ticks: Ticks) -> None:
    """A broker that acknowledges nothing gets one window and not more."""
    fill(store, *["sensors/room"] * 10)
    box = outbox(store, ticks, window=3)

    assert take_all(box) == [1, 2, 3]
    assert box.wait_s() == float("inf")
    box.answered(2, 0)
    assert take_all(box) == [4]


def test_an_acknowledged_record_leaves_the_store(store: Store, ticks: Ticks) -> None:
    """Only the broker's yes lets a record go."""
    fill(store, "sensors/room", "sensors/room")
    box = outbox(store, ticks)
    first = box.take()
    assert first is not None
    box.sent(1, first, 10)
    take_all(box)

    assert box.answered(1, 0) == Outcome(first)
    assert [record.seq for record in store.waiting(0, 10)] == [2]


@pytest.mark.parametrize("reason", [0x80, NOT_AUTHORIZED, 0x97])
def test_a_refusal_holds_the_queue_and_keeps_the_order(
    store: Store, ticks: Ticks, reason: int
) -> None:
    """After a refusal nothing goes until the backoff is over; then it goes first."""
    fill(store, *["sensors/room"] * 4)
    box = outbox(store, ticks, window=2)
    assert take_all(box) == [1, 2]

    box.answered(2, reason)
    box.answered(1, reason)
    assert take_all(box) == []
    assert box.wait_s() == 4.0
    ticks.now_s += 4.0

    assert take_all(box) == [1, 2]
    assert store.queued == 4


def test_a_hopeless_record_is_set_aside(store: Store, ticks: Ticks) -> None:
    """A record that the broker can never take does not stop those behind it."""
    fill(store, "sensors/room", "sensors/room")
    box = outbox(store, ticks, window=1)
    take_all(box)

    box.answered(1, TOPIC_NAME_INVALID)

    assert take_all(box) == [2]
    assert store.queued == 1


def test_publishes_keep_the_rate(store: Store, ticks: Ticks) -> None:
    """At 10 a second, 10 seconds let about a hundred go, the tenth of a second's burst included."""
    fill(store, *["sensors/room"] * 300)
    box = outbox(store, ticks, window=1000, per_s=10.0)
    sent = 0
    for _ in range(1000):
        sent += len(take_all(box))
        ticks.now_s += 0.01

    assert 99 <= sent <= 102


def test_an_answer_for_nothing_of_ours_is_no_answer(store: Store, ticks: Ticks) -> None:
    """A PUBACK for an unknown packet id acknowledges nothing."""
    fill(store, "sensors/room")
    box = outbox(store, ticks)
    take_all(box)

    assert box.answered(77, 0) is None
    assert store.queued == 1


def test_it_knows_how_long_an_answer_is_overdue(store: Store, ticks: Ticks) -> None:
    """The age of the oldest unanswered publish, so that a silent broker is noticed."""
    fill(store, "sensors/room")
    box = outbox(store, ticks)
    assert box.oldest_flight_s() == 0.0
    take_all(box)
    ticks.now_s += 7.0

    assert box.oldest_flight_s() == 7.0


def test_an_idle_connection_waits_for_nothing(store: Store, ticks: Ticks) -> None:
    """Once all is acknowledged, also what overtook, there is no reason to wake up."""
    fill(store, "sensors/room", "count")
    box = outbox(store, ticks, window=1)
    for seq in (2, 1):
        assert take_all(box) == [seq]
        box.answered(seq, 0)

    assert box.take() is None
    assert box.wait_s() == float("inf")
    fill(store, "sensors/room")
    assert take_all(box) == [3]


def test_bytes_are_paced_too(store: Store, ticks: Ticks) -> None:
    """Half a MiB a second, however few the records are."""
    fill(store, *["sensors/room"] * 8)
    box = outbox(store, ticks)
    for _ in range(4):
        record = box.take()
        assert record
        box.sent(record.seq, record, 128 * 1024)
        assert 0.15 <= box.wait_s() <= 0.26
        assert box.take() is None
        ticks.now_s += 0.26
