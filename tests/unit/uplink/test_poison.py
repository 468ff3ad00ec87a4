"""One record that the broker does not bear must not stop all others."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from agent.config import StoreLimits
from agent.errors import LinkLostError
from agent.model import Moment, NewRecord
from agent.mqtt.answers import SESSION_TAKEN_OVER, ClosedError, ServerEndedError
from agent.store import open_store
from agent.store.inspection import inspect
from agent.uplink.outbox import POISON, Outbox
from agent.uplink.poison import PoisonWatch
from agent.uplink.waits import Backoff
from tests.fakes import Ticks

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from agent.store import Store

CLOSED = ClosedError("the broker closed the connection")


class Line:
    """Connections to a broker that ends each on which one of the records `poison` is published."""

    def __init__(self, store: Store, *poison: int, lost: LinkLostError = CLOSED) -> None:
        self.store = store
        self.poison = set(poison)
        self.lost = lost
        self.ticks = Ticks()
        self.poison_watch = PoisonWatch()
        self.connections = 0

    def connect(self) -> None:
        """One connection, from the first publish to its end, or until nothing waits."""
        self.connections += 1
        box = Outbox(
            self.store,
            window=5,
            per_s=1e6,
            backoff=Backoff(1, 2),
            poison_watch=self.poison_watch,
            monotonic_s=self.ticks,
        )
        self.ticks.now_s += 100
        while True:
            numbers = []
            while record := box.take():
                box.sent(record.seq, record, 10)
                self.ticks.now_s += 0.01
                numbers.append(record.seq)
            if not numbers:
                return
            for seq in numbers:
                if seq in self.poison:
                    box.ended(self.lost)
                    return
                box.answered(seq, 0)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """A store in which twelve readings wait."""
    with open_store(StoreLimits(path=tmp_path / "store.db")) as opened:
        for _ in range(12):
            opened.append(NewRecord("sensors/room", 1.8e9, Moment(1.8e9, 1.0, "b")))
        yield opened


def dead(store: Store) -> dict[int, str]:
    """What was set aside, and why."""
    seen = inspect(store._path, 99, dead=True)
    return dict(zip((record.seq for record in seen.records), seen.reasons, strict=True))


@pytest.mark.parametrize("poison", [(1,), (7,), (12,), (3, 4, 9)])
def test_a_poisonous_record_is_set_aside_and_all_others_arrive(
    store: Store, poison: tuple[int, ...]
) -> None:
    """Wherever it stands, and however many there are; the last one needs a successor as proof."""
    line = Line(store, *poison)
    for _ in range(30):
        line.connect()
    store.append(NewRecord("sensors/room", 1.8e9, Moment(1.8e9, 1.0, "b")))
    for _ in range(5):
        line.connect()

    assert dead(store) == dict.fromkeys(poison, POISON)
    assert store.queued == 0
    assert not line.poison_watch.careful


def test_no_record_is_blamed_for_a_network_that_always_ends(store: Store) -> None:
    """The record after it ends the connection as well, so it goes back to its place."""
    line = Line(store, *range(1, 13))
    for _ in range(40):
        line.connect()

    assert dead(store) == {}
    assert [record.seq for record in store.waiting(0, 99)] == list(range(1, 13))


@pytest.mark.parametrize(
    "lost",
    [
        LinkLostError("the network went away"),
        ServerEndedError(SESSION_TAKEN_OVER),
        ServerEndedError(0x8B),
    ],
)
def test_only_an_end_by_the_server_is_suspicious(store: Store, lost: LinkLostError) -> None:
    """And not one that has a reason of its own."""
    line = Line(store, 1, lost=lost)
    for _ in range(10):
        line.connect()

    assert dead(store) == {}
    assert not line.poison_watch.careful


def test_an_end_long_after_the_publish_is_not_its_fault() -> None:
    """Five seconds are enough for the broker to judge."""
    poison_watch = PoisonWatch()
    for _ in range(5):
        poison_watch.ended(CLOSED, [1], 5.1)
    assert (poison_watch.careful, list(poison_watch.held)) == (False, [])


def test_twice_is_no_proof() -> None:
    """Nor is a third time after its PUBACK."""
    poison_watch = PoisonWatch()
    poison_watch.ended(CLOSED, [1], 0.1)
    poison_watch.ended(CLOSED, [1], 0.1)
    assert (poison_watch.careful, list(poison_watch.held)) == (True, [])
    assert poison_watch.acknowledged(1) is None
    poison_watch.ended(CLOSED, [1], 0.1)
    assert not poison_watch.held


def test_innocent_neighbours_of_a_guilty_record_go_at_once(store: Store) -> None:
    """What was left out with it is sent over the same connection."""
    line = Line(store)
    line.poison_watch.careful = True
    for trial in range(2):
        for _ in range(3):
            line.poison_watch.ended(CLOSED, [1], 0.1)
        if not trial:
            line.poison_watch.ended(CLOSED, [2], 0.1)
    assert line.poison_watch.held == range(1, 3)
    line.connect()
    assert store.queued == 0
    assert list(dead(store)) == [1]
