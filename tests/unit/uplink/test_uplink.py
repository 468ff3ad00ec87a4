"""The uplink as a whole, from the credentials on disk to the end of a session, on fake time."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from agent.config import StoreLimits
from agent.errors import StoppingError
from agent.facts import Facts
from agent.model import COUNT, NewRecord
from agent.store import open_store
from agent.updates import ROLLED_BACK, Outcome, Pending, Upgrades
from agent.updates.notes import write
from agent.uplink.birth import Birth
from agent.uplink.uplink import Uplink
from agent.uplink.waits import Backoff
from tests.fakes import Ticks
from tests.unit.uplink.broker import SUBSCRIBE, Broker
from tests.unit.uplink.conftest import NAME, Device, write_identity

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from agent.store import Store

ROOM = "sensors/room"


class Bench:
    """A registered device and its broker; a stop is ordered by what happens at the broker."""

    def __init__(self, device: Device, store: Store, before: Bench | None = None) -> None:
        if not before:
            write_identity(device.certs)
        self.device = device
        self.store = store
        self.ticks: Ticks = before.ticks if before else Ticks()
        self.broker: Broker = before.broker if before else Broker(self.ticks)
        self.caps: list[float] = []
        self.meanwhile: Callable[[], None] = lambda: None
        device.waits.meanwhile = self._waited
        self.updates = device.certs.parent / "updates"
        self.updates.mkdir(exist_ok=True)
        self.uplink = Uplink(
            device.config,
            store,
            birth=Birth("first start", None, device.clock.now()),
            facts=Facts(device.config, store, clock=device.clock, health=device.health),
            health=device.health,
            clock=device.clock,
            wakeup=device.waits.wakeup,
            upgrades=Upgrades(self.updates),
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
        self.meanwhile()

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
            self.meanwhile()
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


@pytest.mark.parametrize("number", [1, 4, 12])
def test_many_forbidden_topics_let_the_others_go_on(bench: Bench, number: int) -> None:
    """Under 3.1.1 a connection is lost for each; then a fresh reading waits for a backoff."""
    bench.broker.five = False
    bad = [f"sensors/bad{index}" for index in range(number)]
    bench.broker.forbidden = {f"{NAME}/{kind}" for kind in bad}
    lags: dict[int, float] = {}
    born: dict[int, float] = {}
    next_s = bench.ticks.now_s

    def live() -> None:
        nonlocal next_s
        for seq in bench.broker.seqs("/good"):
            lags.setdefault(seq, bench.ticks.now_s - born[seq])
        while bench.ticks.now_s >= next_s:
            next_s += 60.0
            for kind in bad:
                bench.store_one(kind)
            born[bench.store_one("sensors/good")] = bench.ticks.now_s

    bench.meanwhile = live
    bench.serve(until_s=bench.ticks.now_s + 7200)

    assert len(lags) >= 118
    assert max(lags.values()) <= number * 121
    assert max(list(lags.values())[2 * number :]) <= 2 * 121
    bench.broker.forbidden, bench.meanwhile = set(), lambda: None
    bench.serve(until_s=bench.ticks.now_s + 3700)
    assert bench.store.queued == 0
    assert bench.store.dropped == 0
    assert bench.conditions() == {}


@pytest.mark.parametrize("early", [True, False])
def test_a_session_that_began_unheard_is_subscribed(bench: Bench, early: bool) -> None:  # noqa: FBT001
    """CONNACK was lost, or the process stopped before it: the next one tells of a session."""
    bench.serve(until_s=bench.ticks.now_s + 5)
    assert bench.broker.subscribed
    bench.broker.lose_session()
    if early:
        bench.broker.maximum_packet_size = 20
    else:
        bench.broker.connack_lost = True
    bench.broker.cut = True
    bench.serve(until_s=bench.ticks.now_s + 5)
    bench.broker.maximum_packet_size = 1000

    bench.serve(until_s=bench.ticks.now_s + 100)

    assert bench.broker.subscribed


@pytest.mark.parametrize("orderly", [True, False])
def test_a_process_subscribes_again_after_a_crash_alone(bench: Bench, orderly: bool) -> None:  # noqa: FBT001
    """After an orderly stop the next one knows that the session is subscribed."""
    bench.serve(until_s=bench.ticks.now_s + 5)
    if orderly:
        bench.uplink.stop(bench.ticks.now_s + 3)
        bench.uplink.run()
        bench.device.waits.stopping = False
    assert bench.broker.subscribes == 1

    Bench(bench.device, bench.store, bench).serve(until_s=bench.ticks.now_s + 5)

    assert bench.broker.subscribes == (1 if orderly else 2)
    assert bench.store.recall("subscribed") == ""


@pytest.mark.parametrize(("begun", "reason"), [(True, "upgrade"), (False, "stopped")])
def test_a_farewell_says_why(bench: Bench, begun: bool, reason: str) -> None:  # noqa: FBT001
    """For an upgrade, where root has noted that one has begun since the process did."""
    bench.serve(until_s=bench.ticks.now_s + 5)
    if begun:
        write(Pending("1", "2", ready=True, online=True, began_s=1.0), bench.updates)
    bench.broker.step = lambda: bench.uplink.stop(bench.ticks.now_s + 3)
    bench.uplink.run()
    said = bench.broker.birth()
    assert (said["state"], said["reason"]) == ("offline", reason)


def test_a_birth_tells_of_a_version_that_was_taken_back(bench: Bench) -> None:
    """While root's note says so; by itself it says nothing of versions but its own."""
    bench.serve(until_s=bench.ticks.now_s + 5)
    assert "rolled_back" not in bench.broker.birth()
    write(Outcome(ROLLED_BACK, "0.1.0", "0.2.0", "it hangs", 1.0), bench.updates)
    bench.serve(until_s=bench.ticks.now_s + 5)
    assert bench.broker.birth()["rolled_back"] == {"version": "0.2.0", "reason": "it hangs"}


def test_wishes_to_try_again_do_not_hurry_the_broker(bench: Bench) -> None:
    """AWS IoT takes one CONNECT a second for a name."""
    bench.broker.down = True
    began_s, before = bench.ticks.now_s, bench.broker.connects
    bench.device.waits.wished_every_s = 0.1
    while bench.ticks.now_s < began_s + 11:
        bench.uplink.step()

    assert 8 <= bench.broker.connects - before <= 11


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
