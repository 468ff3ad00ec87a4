"""Calls for help go ahead of all that waits, and are tried until they have arrived."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from agent.health.health import Health
from agent.model import COUNT, NewRecord
from agent.mqtt.answers import NOT_AUTHORIZED, TOPIC_NAME_INVALID, ClosedError
from agent.uplink.forbidden import Forbidden
from agent.uplink.waits import CALLED_S
from tests.unit.uplink.test_outbox import (
    MOMENT,
    ROOM,
    answer,
    fill,
    outbox,
    store,
    take_all,
    ticks,
)
from tests.unit.uplink.test_uplink import Bench, bench

if TYPE_CHECKING:
    from agent.store import Store
    from tests.fakes import Ticks

__all__ = ["bench", "store", "ticks"]

QUOTA, UNSPECIFIED = 0x97, 0x80


def call(store: Store) -> int:
    """Store a press; its number."""
    body = {"event": "sos", "sensor": "button"}
    return store.append(NewRecord("events", MOMENT.wall_s, MOMENT, body), urgent=True).seq


def test_a_call_goes_ahead_of_counts_and_backlog_once(store: Store, ticks: Ticks) -> None:
    """However old the rest is; calls keep their order."""
    fill(store, ROOM, COUNT, ROOM)
    calls = [call(store), call(store)]
    fill(store, ROOM, COUNT)

    assert take_all(outbox(store, ticks)) == [*calls, 7, 1, 2, 3, 6]


def test_a_call_passes_a_full_window_and_a_spent_quota(store: Store, ticks: Ticks) -> None:
    """While a backlog of thousands drains, one a second."""
    fill(store, *[ROOM] * 200)
    box = outbox(store, ticks, window=20, per_s=1.0)
    assert take_all(box) == [1]
    assert box.wait_s() > 0.5
    first = call(store)
    assert take_all(box) == [first]
    for _ in range(30):
        ticks.now_s += 1.0
        take_all(box)
    assert len(box.unanswered()) == 20
    second = call(store)
    assert take_all(box) == [second]


def test_a_call_waits_for_the_receive_maximum(store: Store, ticks: Ticks) -> None:
    """More than that ends a connection of MQTT 5."""
    fill(store, *[ROOM] * 9)
    box = outbox(store, ticks, receive_maximum=3)
    assert take_all(box) == [1, 2, 3]
    seq = call(store)

    assert box.take() is None
    answer(box, 1, 0)
    assert take_all(box) == [seq]


def test_a_place_of_the_receive_maximum_is_kept_for_calls(store: Store, ticks: Ticks) -> None:
    """Where there is a button: so a call waits for no PUBACK of a reading."""
    fill(store, *[ROOM] * 9)
    box = outbox(store, ticks, receive_maximum=3, spare=1)
    assert take_all(box) == [1, 2]
    seq = call(store)
    assert take_all(box) == [seq]


def test_no_refusal_has_a_call_wait_for_more_than_ten_seconds(store: Store, ticks: Ticks) -> None:
    """However often there was one before it."""
    box = outbox(store, ticks)
    seq, waits = call(store), []
    for _ in range(8):
        while box.take() is None:
            ticks.now_s += box.wait_s()
        box.sent(seq, "events", store.next_urgent())
        answer(box, seq, QUOTA)
        waits.append(box.wait_s())

    assert max(waits) == CALLED_S


def test_a_refused_call_is_tried_by_the_backoff_and_a_new_press_at_once(
    store: Store, ticks: Ticks
) -> None:
    """Each press ends the wait, so that somebody who presses again is heard again."""
    box = outbox(store, ticks)
    first = call(store)
    assert take_all(box) == [first]
    answer(box, first, QUOTA)
    assert store.urgent == (first,)
    assert box.take() is None
    assert box.wait_s() == 4.0

    second = call(store)
    assert take_all(box) == [first, second]
    answer(box, first, 0)
    answer(box, second, UNSPECIFIED)
    assert [*store.urgent] == [second]
    ticks.now_s += box.wait_s()
    assert take_all(box) == [second]
    assert answer(box, second, 0)
    assert store.queued == 0


def test_a_call_that_no_broker_takes_is_set_aside(store: Store, ticks: Ticks) -> None:
    """It would be in the way of the next; nobody waits for it any more."""
    box = outbox(store, ticks)
    seq = call(store)
    take_all(box)
    outcome = answer(box, seq, TOPIC_NAME_INVALID)

    assert outcome
    assert outcome.set_aside
    assert outcome.flight.urgent
    assert store.urgent == ()


def test_a_forbidden_call_is_tried_each_minute_and_at_each_press(
    store: Store, ticks: Ticks
) -> None:
    """While all others go on; without a call the topic waits ever longer, as any."""
    forbidden = Forbidden(
        "thing", health=Health(), urgent=lambda: bool(store.urgent), monotonic_s=ticks
    )
    box = outbox(store, ticks, forbidden=forbidden)
    for _ in range(6):
        forbidden.answered("sensors/hall", NOT_AUTHORIZED)
        ticks.now_s += 1920.0
    forbidden.answered("sensors/hall", NOT_AUTHORIZED)
    seq = call(store)
    for _ in range(5):
        assert take_all(box) == [seq]
        answer(box, seq, NOT_AUTHORIZED)
        fill(store, ROOM)
        assert [answer(box, one, 0) for one in take_all(box)]
        assert box.wait_s() == 60.0
        assert forbidden.held() == {"events", "sensors/hall"}
        ticks.now_s += 60.0
    take_all(box)
    answer(box, seq, NOT_AUTHORIZED)
    again = call(store)
    assert forbidden.held() == {"events", "sensors/hall"}
    assert take_all(box) == [seq]  # at once, while others are held, and alone: it is in doubt
    assert forbidden.held() == {"sensors/hall"}
    answer(box, seq, 0)
    assert take_all(box) == [again]
    answer(box, again, NOT_AUTHORIZED)

    store.acknowledge(again)
    waits = []
    for _ in range(3):
        ticks.now_s += 60.0
        forbidden.answered("events", NOT_AUTHORIZED)
        waits.append(forbidden.wait_s())
        ticks.now_s += waits[-1]
    assert waits == [120, 240, 480]


def test_a_call_that_ends_each_connection_lets_the_others_go(store: Store, ticks: Ticks) -> None:
    """MQTT 3.1.1 where the policy forbids it: a new connection alone is no new press."""
    forbidden = Forbidden(
        "thing", health=Health(), urgent=lambda: bool(store.urgent), monotonic_s=ticks
    )
    seq = call(store)
    fill(store, *[ROOM] * 3)
    arrived: set[int] = set()
    for _ in range(20):
        box = outbox(store, ticks, forbidden=forbidden)
        for _ in range(20):
            for one in take_all(box):
                if one == seq:
                    forbidden.ended(ClosedError("closed"), box.unanswered())
                    break
                answer(box, one, 0)
                arrived.add(one)
            else:
                ticks.now_s += min(1.0, box.wait_s())
                continue
            break

    assert arrived == {2, 3, 4}
    assert store.urgent == (seq,)


def test_a_press_while_offline_is_tried_at_once(bench: Bench) -> None:
    """As by SIGHUP, once for each; a reading ends no wait, nor does a call that was tried."""
    waits = bench.device.waits
    bench.broker.down = True
    bench.uplink.step()
    bench.store_one(ROOM)
    assert not bench.uplink.records_wait()
    assert not waits.retry_wanted()

    call(bench.store)
    assert not bench.uplink.records_wait()
    assert waits.retry_wanted()
    bench.uplink.step()
    bench.store_one(ROOM)
    bench.uplink.records_wait()
    assert not waits.retry_wanted()


def test_a_press_as_the_link_goes_waits_for_no_backoff(bench: Bench) -> None:
    """Only for the second that AWS IoT asks for between two CONNECTs of a name."""

    def end() -> None:
        call(bench.store)
        bench.broker.cut, bench.broker.step = True, lambda: None

    bench.broker.step = end
    bench.uplink.step()
    assert sum(bench.device.waits.noted_s) == pytest.approx(1.1)
    bench.broker.down = True
    bench.uplink.step()
    assert bench.device.waits.noted_s[-1] == bench.caps[-1]

    bench.broker.down = False
    bench.serve(until_s=bench.ticks.now_s + 5)
    assert bench.broker.seqs("/events") == [1]


def test_a_press_that_is_not_kept_is_tried_at_once_too(bench: Bench) -> None:
    """Offline and after a refusal; it has those tried that wait already."""
    bench.broker.down = True
    call(bench.store)
    bench.uplink.step()
    bench.store.urge()
    assert not bench.uplink.records_wait()
    assert bench.device.waits.retry_wanted()


def test_an_attempt_waits_for_ten_seconds_at_most_while_a_call_does(bench: Bench) -> None:
    """When the broker is back, it is soon found; without a call the backoff grows as ever."""
    bench.broker.down = True
    call(bench.store)
    noted_s = bench.device.waits.noted_s
    for _ in range(8):
        bench.uplink.step()
    assert noted_s[-1] == CALLED_S
    bench.store.acknowledge(*bench.store.urgent)
    bench.uplink.step()

    assert noted_s[-1] == bench.caps[-1] > CALLED_S


def test_a_call_that_was_refused_for_good_is_not_noted_as_arrived(bench: Bench) -> None:
    """Nor is one before it taken for it."""
    bench.store.remember(sos_arrived="1795759637")
    call(bench.store)
    bench.broker.reasons += [0, TOPIC_NAME_INVALID]  # after the birth
    bench.serve(until_s=bench.ticks.now_s + 5)

    assert bench.store.urgent == ()
    assert not bench.store.recall("sos_arrived")


def test_the_sampler_is_woken_when_a_call_has_its_answer(bench: Bench) -> None:
    """So that condition and lamp change at once; and the file knows when it arrived."""
    woken: list[bool] = []
    bench.uplink._on_call = lambda: woken.append(bool(bench.store.urgent))
    bench.store_one(ROOM)
    call(bench.store)
    bench.serve(until_s=bench.ticks.now_s + 5)

    assert bench.broker.seqs()[0] == 2
    assert woken == [False]
    assert bench.store.recall("sos_arrived") == f"{bench.device.clock.wall_s():.0f}"
