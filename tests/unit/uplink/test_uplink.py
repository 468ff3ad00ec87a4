"""The uplink as a whole, from the credentials on disk to the end of a session, on fake time."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from agent.config import StoreLimits
from agent.errors import StoppingError
from agent.model import COUNT, NewRecord
from agent.store import open_store
from agent.uplink.birth import Birth
from agent.uplink.uplink import Uplink
from agent.uplink.waits import Backoff
from tests.fakes import Ticks
from tests.unit.uplink.broker import SUBSCRIBE, Broker
from tests.unit.uplink.conftest import NAME, Device, write_identity

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from agent.store import Store

ROOM = "sensors/room"


class Bench:
    """A registered device and its broker; a stop is ordered by what happens at the broker."""

    def __init__(self, device: Device, store: Store) -> None:
        write_identity(device.certs)
        self.device = device
        self.store = store
        self.ticks = Ticks()
        self.broker = Broker(self.ticks)
        self.caps: list[float] = []
        device.waits.meanwhile = self._waited
        self.uplink = Uplink(
            device.config,
            store,
            birth=Birth("first start", None, device.clock.now()),
            health=device.health,
            clock=device.clock,
            wakeup=device.waits.wakeup,
            open_connection=self.broker.connection,
            waits=device.waits,
            monotonic_s=self.ticks,
        )
        self.uplink._backoff = Backoff(1.0, 120.0, uniform=self._draw)

    def _draw(self, _low_s: float, cap_s: float) -> float:
        self.caps.append(cap_s)
        return cap_s

    def _waited(self, _total_s: float) -> None:
        self.ticks.now_s += self.device.waits.noted_s[-1]

    def store_one(self, kind: str) -> int:
        """Store a record; its number."""
        detections = 1 if kind == COUNT else None
        return self.store.append(
            NewRecord(kind, self.device.clock.wall_s(), self.device.clock.now()),
            detections=detections,
        ).seq

    def serve(self, *, until_s: float) -> None:
        """Run the uplink until that time."""

        def stop() -> None:
            if self.ticks.now_s >= until_s:
                raise StoppingError

        self.broker.step = stop
        with suppress(StoppingError):
            while True:
                self.uplink.step()
                stop()

    def conditions(self) -> dict[str, str]:
        """What stands."""
        return self.device.conditions()


@pytest.fixture
def bench(device: Device, tmp_path: Path) -> Iterator[Bench]:
    """One with an empty store."""
    with open_store(StoreLimits(path=tmp_path / "store.db")) as store:
        yield Bench(device, store)


@pytest.mark.parametrize("five", [True, False])
def test_a_forbidden_topic_stops_no_other(bench: Bench, five: bool) -> None:  # noqa: FBT001
    """With or without a reason code: it is held, told by its name, and goes once it may."""
    bench.broker.five = five
    bench.broker.forbidden = {f"{NAME}/{ROOM}"}
    room = [bench.store_one(ROOM) for _ in range(3)]
    others = [bench.store_one(kind) for kind in ("sensors/hall", COUNT) * 3]

    bench.serve(until_s=bench.ticks.now_s + 50)

    assert sorted(set(bench.broker.seqs())) == others
    assert bench.store.queued == len(room)
    assert f"{NAME}/{ROOM}" in bench.conditions()["not-authorized"]
    bench.broker.forbidden = set()
    bench.serve(until_s=bench.ticks.now_s + 60)
    assert bench.store.queued == 0
    assert bench.broker.seqs(ROOM) == room
    assert "not-authorized" not in bench.conditions()


@pytest.mark.parametrize("five", [True, False])
def test_a_forbidden_status_stops_nothing(bench: Bench, five: bool) -> None:  # noqa: FBT001
    """And it is announced once it may be."""
    bench.broker.five = five
    bench.broker.forbidden = {f"{NAME}/status"}
    counts = [bench.store_one(COUNT) for _ in range(3)]

    bench.serve(until_s=bench.ticks.now_s + 50)

    assert sorted(bench.broker.seqs()) == counts
    assert f"{NAME}/status" in bench.conditions()["not-authorized"]
    bench.broker.forbidden = set()
    bench.serve(until_s=bench.ticks.now_s + 60)
    assert bench.broker.birth()["reason"] == "first start"


@pytest.mark.parametrize("five", [True, False])
def test_a_forbidden_subscribe_condemns_nothing(bench: Bench, five: bool) -> None:  # noqa: FBT001
    """Readings go up without it, and it is sent again after a minute."""
    bench.broker.five = five
    bench.broker.forbidden = {SUBSCRIBE}
    readings = [bench.store_one(ROOM) for _ in range(3)]

    bench.serve(until_s=bench.ticks.now_s + 50)

    assert sorted(set(bench.broker.seqs())) == readings
    assert list(bench.conditions()) == ["not-subscribed"]
    bench.broker.forbidden = set()
    bench.serve(until_s=bench.ticks.now_s + 60)
    assert bench.broker.subscribed
    assert bench.conditions() == {}


def test_no_reading_is_given_up_for_a_network_that_always_ends(bench: Bench) -> None:
    """However often a connection ends, and on whatever: it all arrives once it holds."""
    numbers = [bench.store_one(kind) for kind in (ROOM, ROOM, COUNT, "sensors/hall") * 10]
    for number in range(60):
        bench.broker.ends_in = number % 4
        bench.serve(until_s=bench.ticks.now_s + 5)
    bench.broker.ends_in = None

    bench.serve(until_s=bench.ticks.now_s + 7200)

    assert sorted(set(bench.broker.seqs())) == numbers
    assert bench.store.queued == 0
    assert bench.store.dropped == 0
    assert bench.conditions() == {}


def test_a_stable_session_resets_the_backoff(bench: Bench) -> None:
    """A minute online is a success; less is not."""
    bench.broker.down = True
    while len(bench.caps) < 4:
        bench.uplink.step()
    assert bench.caps == [2.0, 4.0, 8.0, 16.0]

    bench.broker.down = False
    for online_s, cap_s in ((59.0, 32.0), (61.0, 2.0)):

        def end(online_s: float = online_s) -> None:
            bench.ticks.now_s += online_s
            bench.broker.ends_in = 0
            bench.broker.step = lambda: None

        bench.broker.step = end
        bench.uplink.step()
        assert bench.caps[-1] == cap_s


def test_a_broker_that_takes_only_tiny_packets_condemns_nothing(bench: Bench) -> None:
    """It is no broker of use; the readings wait for another."""
    bench.broker.maximum_packet_size = 20
    for _ in range(5):
        bench.store_one(ROOM)

    bench.serve(until_s=bench.ticks.now_s + 50)

    assert bench.store.queued == 5
    assert "takes 20 bytes at most" in bench.conditions()["offline"]
