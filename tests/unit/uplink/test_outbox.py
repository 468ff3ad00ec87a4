"""What goes up next over one connection."""

from __future__ import annotations

import math
import sqlite3
from typing import TYPE_CHECKING

import pytest

from agent.config import StoreLimits
from agent.health.health import Health
from agent.model import Moment, NewRecord
from agent.mqtt.answers import (
    NOT_AUTHORIZED,
    PACKET_MAX,
    PACKET_TOO_LARGE,
    PAYLOAD_FORMAT_INVALID,
    TOPIC_NAME_INVALID,
    Accepted,
    ClosedError,
    Published,
)
from agent.store import open_store
from agent.uplink.forbidden import SUBSCRIBE, Flight, Forbidden
from agent.uplink.outbox import Outbox, Outcome
from agent.uplink.waits import Backoff
from tests.fakes import Ticks

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from agent.store import Store

MOMENT = Moment(1_795_500_000.0, 100.0, "boot")
ROOM = "sensors/room"


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


def outbox(
    store: Store,
    ticks: Ticks,
    *,
    window: int = 100,
    per_s: float = 1e6,
    receive_maximum: int = 0xFFFF,
    largest: int = PACKET_MAX,
    forbidden: Forbidden | None = None,
    spare: int = 0,
) -> Outbox:
    """An outbox that waits exactly the whole backoff."""
    return Outbox(
        store,
        Accepted(
            session_present=False,
            receive_maximum=receive_maximum,
            maximum_packet_size=largest,
            keepalive_s=0,
        ),
        window=window,
        per_s=per_s,
        backoff=Backoff(2.0, 60.0, uniform=lambda _, high: high),
        forbidden=forbidden or Forbidden("thing", health=Health(), monotonic_s=ticks),
        spare=spare,
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
        box.sent(record.seq, record.kind, record)
        numbers.append(record.seq)
    return numbers


def answer(box: Outbox, mid: int, reason: int) -> Outcome | None:
    """The outcome of one PUBACK."""
    return box.answered([Published(mid, reason)]).get(mid)


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
    answer(box, 1, 0)
    answer(box, 2, 0)

    assert take_all(box) == [8, 3]
    answer(box, 8, 0)
    answer(box, 3, 0)
    assert take_all(box) == [4, 5]
    for mid in (4, 5):
        answer(box, mid, 0)
    assert take_all(box) == [6, 7]
    for mid in (6, 7):
        answer(box, mid, 0)
    assert take_all(box) == [9]


def test_no_more_than_the_window_is_unacknowledged(store: Store, ticks: Ticks) -> None:
    """A broker that acknowledges nothing gets one window and not more."""
    fill(store, *["sensors/room"] * 10)
    box = outbox(store, ticks, window=3)

    assert take_all(box) == [1, 2, 3]
    assert box.wait_s() == float("inf")
    answer(box, 2, 0)
    assert take_all(box) == [4]


def test_an_acknowledged_record_leaves_the_store(store: Store, ticks: Ticks) -> None:
    """Only the broker's yes lets a record go."""
    fill(store, "sensors/room", "sensors/room")
    box = outbox(store, ticks)
    first = box.take()
    assert first is not None
    box.sent(1, first.kind, first, 10)
    take_all(box)

    assert answer(box, 1, 0) == Outcome(Flight(ROOM, ticks.now_s, first))
    assert [record.seq for record in store.page(0, 10).records] == [2]


@pytest.mark.parametrize("reason", [0x80, 0x95, 0x97])
def test_a_refusal_holds_the_queue_and_keeps_the_order(
    store: Store, ticks: Ticks, reason: int
) -> None:
    """After a refusal nothing goes until the backoff is over; then it goes first."""
    fill(store, *["sensors/room"] * 4)
    box = outbox(store, ticks, window=2, largest=1000)
    assert take_all(box) == [1, 2]

    answer(box, 2, reason)
    answer(box, 1, reason)
    assert take_all(box) == []
    assert box.wait_s() == 4.0
    ticks.now_s += 4.0

    assert take_all(box) == [1, 2]
    assert store.queued == 4


@pytest.mark.parametrize("reason", [TOPIC_NAME_INVALID, PAYLOAD_FORMAT_INVALID, PACKET_TOO_LARGE])
def test_a_hopeless_record_is_set_aside(store: Store, ticks: Ticks, reason: int) -> None:
    """A record that the broker can never take does not stop those behind it."""
    fill(store, "sensors/room", "sensors/room")
    box = outbox(store, ticks, window=1)
    take_all(box)

    outcome = answer(box, 1, reason)

    assert outcome
    assert outcome.set_aside
    assert take_all(box) == [2]
    assert store.queued == 1


def test_the_backoff_begins_anew_after_a_minute_without_a_refusal(
    store: Store, ticks: Ticks
) -> None:
    """One 0x97 a day is no reason to stall for ever longer; one a second is."""
    fill(store, ROOM)
    box = outbox(store, ticks)
    waits = []
    for pause_s in (0.0, 59.0, 60.0, 86_400.0, 0.0):
        take_all(box)
        answer(box, 1, 0x97)
        waits.append(box.wait_s())
        ticks.now_s += box.wait_s() + pause_s

    assert waits == [4.0, 8.0, 16.0, 4.0, 4.0]


def test_a_forbidden_topic_waits_and_all_others_go_on(store: Store, ticks: Ticks) -> None:
    """What is held goes later, in order, before what is new."""
    fill(store, ROOM, "sensors/hall", ROOM, "count", "sensors/hall")
    box = outbox(store, ticks, window=1)
    sent = []
    for _ in range(4):
        (seq,) = take_all(box)
        sent.append(seq)
        answer(box, seq, NOT_AUTHORIZED if seq in (1, 3) else 0)
    assert sent == [4, 1, 2, 5]
    assert take_all(box) == []
    assert box.wait_s() == 60.0

    ticks.now_s += 60.0
    fill(store, ROOM)
    for seq in (1, 3, 6):
        assert take_all(box) == [seq]
        answer(box, seq, 0)
    assert store.queued == 0


def test_a_wish_to_try_again_ends_both_waits(store: Store, ticks: Ticks) -> None:
    """That for what is forbidden, and that for the backoff."""
    fill(store, ROOM, "sensors/hall")
    box = outbox(store, ticks)
    take_all(box)
    answer(box, 1, NOT_AUTHORIZED)
    answer(box, 2, 0x97)
    assert take_all(box) == []

    box.retry()

    assert take_all(box) == [1]
    answer(box, 1, 0)
    assert take_all(box) == [2]


def test_a_whole_window_of_a_forbidden_topic_comes_back(store: Store, ticks: Ticks) -> None:
    """One of it first, and the rest once that is taken; nothing that flies is sent twice."""
    fill(store, ROOM, ROOM, "sensors/hall", ROOM)
    box = outbox(store, ticks)
    assert take_all(box) == [1, 2, 3, 4]
    for seq in (1, 2, 4):
        answer(box, seq, NOT_AUTHORIZED)
    assert take_all(box) == []
    answer(box, 3, 0)
    ticks.now_s += 60.0
    assert take_all(box) == [1]
    answer(box, 1, 0)
    assert take_all(box) == [2, 4]
    for seq in (2, 4):
        answer(box, seq, 0)
    assert store.queued == 0


def test_a_large_backlog_of_a_forbidden_topic_keeps_nobody_waiting(
    store: Store, ticks: Ticks
) -> None:
    """It is passed by in slices."""
    fill(store, *[ROOM] * 3500, "sensors/hall")
    forbidden = Forbidden("thing", health=Health(), monotonic_s=ticks)
    forbidden.answered(ROOM, NOT_AUTHORIZED)
    box = outbox(store, ticks, forbidden=forbidden)
    looks = 0
    while not (numbers := take_all(box)):
        assert box.wait_s() == 0.0
        looks += 1
        assert looks < 10
    assert numbers == [3501]
    assert box.wait_s() == 60.0


def test_a_forbidden_count_does_not_go_ahead(store: Store, ticks: Ticks) -> None:
    """Nor does it hold the backlog up."""
    fill(store, ROOM, "count")
    forbidden = Forbidden("thing", health=Health(), monotonic_s=ticks)
    forbidden.answered("count", NOT_AUTHORIZED)
    box = outbox(store, ticks, forbidden=forbidden)

    assert take_all(box) == [1]
    assert store.queued == 2


def test_after_a_sudden_end_each_topic_goes_alone_until_its_answer(
    store: Store, ticks: Ticks
) -> None:
    """What was unanswered then; the others go by the window before and after it."""
    fill(store, "sensors/attic", ROOM, "sensors/hall", ROOM, "sensors/hall", "sensors/attic")
    forbidden = Forbidden("thing", health=Health(), monotonic_s=ticks)
    closed = ClosedError("the broker closed the connection")
    forbidden.ended(closed, [Flight(ROOM, ticks.now_s), Flight("sensors/hall", ticks.now_s)])
    box = outbox(store, ticks, forbidden=forbidden)

    assert take_all(box) == [1]
    assert box.wait_s() == math.inf
    answer(box, 1, 0)
    assert take_all(box) == [2]
    assert not box.may_send("status")
    answer(box, 2, 0)
    assert take_all(box) == [3]
    answer(box, 3, 0)
    assert take_all(box) == [4, 5, 6]


def test_what_is_to_go_alone_has_way_made_for_it(store: Store, ticks: Ticks) -> None:
    """SUBSCRIBE does not wait for the end of a backlog."""
    fill(store, *[ROOM] * 9)
    forbidden = Forbidden("thing", health=Health(), monotonic_s=ticks)
    forbidden.postpone(SUBSCRIBE, ticks.now_s - 5.0)
    box = outbox(store, ticks, window=3, forbidden=forbidden)
    assert take_all(box) == [1, 2, 3]

    assert not box.may_send(SUBSCRIBE)
    assert not box.may_send("status")
    answer(box, 1, 0)
    assert not box.may_send(SUBSCRIBE)
    assert take_all(box) == []
    assert box.wait_s() == math.inf
    for seq in (2, 3):
        answer(box, seq, 0)
    assert box.may_send(SUBSCRIBE)
    box.sent(99, SUBSCRIBE)
    assert take_all(box) == []
    answer(box, 99, 0)
    assert take_all(box) == [4, 5, 6]


def test_a_topic_refused_for_ever_starves_no_other(store: Store, ticks: Ticks) -> None:
    """After the second time the others go first, once the backoff is over."""
    fill(store, *[ROOM] * 30, *["sensors/hall"] * 5)
    box = outbox(store, ticks, window=4)
    arrived = []
    for _ in range(400):
        for seq in take_all(box):
            answer(box, seq, 0x97 if seq <= 30 else 0)
            arrived += [seq] if seq > 30 else []
        ticks.now_s += min(1.0, box.wait_s())

    assert arrived == [31, 32, 33, 34, 35]
    assert store.queued == 30


def test_a_hold_that_ends_within_the_pace_is_not_overlooked(store: Store, ticks: Ticks) -> None:
    """There is something to do then, though nothing new has come."""
    fill(store, ROOM, "sensors/hall")
    box = outbox(store, ticks, per_s=0.1)
    while len(take_all(box)) == 0:
        ticks.now_s += 1.0
    answer(box, 1, NOT_AUTHORIZED)
    ticks.now_s += 59.95
    assert take_all(box) == [2]
    ticks.now_s += 0.05

    assert take_all(box) == []
    assert 0 < box.wait_s() <= 10.0


def test_room_is_left_for_a_message_that_is_no_record(store: Store, ticks: Ticks) -> None:
    """As far as the broker's Receive Maximum lets it."""
    fill(store, *[ROOM] * 9)
    box = outbox(store, ticks, window=3, receive_maximum=4)
    assert take_all(box) == [1, 2, 3]
    assert box.may_send("status")
    box.sent(99, "status")
    assert not box.may_send("status")
    answer(box, 1, 0)
    assert take_all(box) == []
    answer(box, 99, 0)
    assert take_all(box) == [4]


def test_a_count_that_went_ahead_is_sent_once(store: Store, ticks: Ticks) -> None:
    """Though it is met again on the way through the backlog, and its acknowledgement is late."""
    fill(store, ROOM, ROOM, "count", ROOM)
    box = outbox(store, ticks, window=2)
    assert take_all(box) == [3, 1]
    answer(box, 1, 0)
    assert take_all(box) == [2]
    answer(box, 2, 0)
    assert take_all(box) == [4]
    assert take_all(box) == []


def test_a_count_that_was_sent_in_order_does_not_go_ahead_again(store: Store, ticks: Ticks) -> None:
    """It flies, or is on its way already."""
    fill(store, "count", ROOM)
    box = outbox(store, ticks)
    assert take_all(box) == [1, 2]
    fill(store, ROOM)
    assert take_all(box) == [3]
    answer(box, 1, 0x97)
    ticks.now_s += 4.0
    fill(store, ROOM)
    assert take_all(box) == [1, 4]


def test_what_went_ahead_is_forgotten_once_passed(store: Store, ticks: Ticks) -> None:
    """Years of counts leave nothing in memory."""
    box = outbox(store, ticks, window=1)
    for _ in range(50):
        fill(store, ROOM, "count")
        for _ in range(2):
            (seq,) = take_all(box)
            answer(box, seq, 0)
        assert take_all(box) == []
        assert len(box._gone) == 0


def test_nothing_more_goes_while_acknowledgements_cannot_be_kept(
    store: Store, ticks: Ticks, tmp_path: Path
) -> None:
    """Else a restart would send them all again; it is tried again in a second."""
    other = sqlite3.connect(tmp_path / "store.db", isolation_level=None)
    fill(store, *[ROOM] * 1100)
    other.execute("BEGIN IMMEDIATE")
    box = outbox(store, ticks, window=1)
    sent = 0
    while numbers := take_all(box):
        answer(box, numbers[0], 0)
        sent += 1
    assert store.congested
    assert sent < 1100
    assert box.wait_s() == 1.0
    other.execute("ROLLBACK")
    other.close()


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

    assert answer(box, 77, 0) is None
    assert store.queued == 1


def test_it_knows_what_is_unanswered(store: Store, ticks: Ticks) -> None:
    """And since when, so that a silent broker is noticed."""
    fill(store, "sensors/room")
    box = outbox(store, ticks)
    assert box.unanswered() == []
    take_all(box)
    box.sent(99, "status")

    first, status = box.unanswered()
    assert (first.name, first.sent_s) == (ROOM, ticks.now_s)
    assert first.record == store.page(0, 1).records[0]
    assert (status.name, status.record) == ("status", None)


def test_an_idle_connection_waits_for_nothing(store: Store, ticks: Ticks) -> None:
    """Once all is acknowledged, also what overtook, there is no reason to wake up."""
    fill(store, "sensors/room", "count")
    box = outbox(store, ticks, window=1)
    for seq in (2, 1):
        assert take_all(box) == [seq]
        answer(box, seq, 0)

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
        box.sent(record.seq, record.kind, record, 128 * 1024)
        assert 0.2 <= box.wait_s() <= 0.28
        assert box.take() is None
        ticks.now_s += 0.28


@pytest.mark.timeout(30)
def test_without_an_answer_the_store_is_left_alone(store: Store, ticks: Ticks) -> None:
    """It may be held by a commit of seconds, for which the connection is not to wait."""
    fill(store, ROOM)
    box = outbox(store, ticks)
    box.sent(7, "status")
    with store._lock:  # which is not to be had twice
        box.answered([])
        box.answered([Published(7, 0), Published(99, 0)])
    assert box.unanswered() == []
