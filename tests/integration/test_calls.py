"""A call for help goes ahead of thousands that wait, at a real broker."""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from agent import config as configuration
from agent.clock import Clock
from agent.facts import Facts
from agent.health.health import Health
from agent.model import NewRecord
from agent.sensors import options_of
from agent.store import open_store
from agent.uplink import Uplink
from agent.uplink.birth import Birth
from agent.wakeup import Wakeup
from tests.timing import allowed_s

if TYPE_CHECKING:
    from collections.abc import Iterator

    from agent.model import Record
    from agent.store import Store
    from tests.integration.agent_process import AgentProcess
    from tests.integration.conftest import MakeAgent
    from tests.tools.cloud import LocalAws

BACKLOG = 3000


def stored(store: Store, kind: str = "sensors/room", *, urgent: bool = False) -> Record:
    """A record that was stored a moment ago."""
    now = Clock().now()
    return store.append(NewRecord(kind, now.wall_s, now), urgent=urgent)


@contextmanager
def uplink(agent: AgentProcess, store: Store) -> Iterator[Uplink]:
    """The uplink of a device, at work in a thread, without sensors."""
    config = configuration.load(agent.config, options_of=options_of)
    clock, health = Clock(), Health()
    with Wakeup() as wakeup:
        made = Uplink(
            config,
            store,
            birth=Birth("restart", None, clock.now()),
            facts=Facts(config, store, clock=clock, health=health),
            health=health,
            clock=clock,
            wakeup=wakeup,
        )
        thread = threading.Thread(target=made.run)
        thread.start()
        try:
            yield made
        finally:
            made.stop(time.monotonic())
            thread.join(20)


def test_a_call_goes_ahead_of_a_backlog(cloud: LocalAws, make_agent: MakeAgent) -> None:
    """One that waited goes right behind the birth; one in the middle of the drain goes next."""
    agent = make_agent(name="calls", sensors=[], mqtt={"max_publish_per_s": 40, "max_inflight": 5})
    assert agent.command("provision").returncode == 0

    def numbers() -> list[int]:
        arrived = cloud.observer.messages("calls/#")
        return [one.json()["seq"] for one in arrived if b'"seq"' in one.payload]

    config = configuration.load(agent.config, options_of=options_of)
    with open_store(config.store) as store:
        for _ in range(BACKLOG):
            stored(store)
        first = stored(store, "events", urgent=True)
        stored(store)
        with uplink(agent, store) as up:
            birth = cloud.observer.wait("calls/status")[0]
            call = cloud.observer.wait("calls/events")[0]
            assert call.json()["seq"] == first.seq
            assert call.time_s - birth.time_s < allowed_s(1.0)
            assert numbers()[0] == first.seq
            cloud.observer.wait("calls/sensors/room", count=50)

            cloud.observer.clear()
            second = stored(store, "events", urgent=True)
            up.records_wait()
            (call,) = cloud.observer.wait("calls/events")
            assert call.json()["seq"] == second.seq
            assert len(numbers()[: numbers().index(second.seq)]) <= 40
        assert store.queued > BACKLOG / 2
        assert not store.urgent


def test_a_press_finds_a_broker_that_is_back_at_once(
    cloud: LocalAws, make_agent: MakeAgent
) -> None:
    """Though the next attempt were a long way off; and the call is the first record."""
    waits = {"backoff_min_s": 600, "backoff_max_s": 600}
    agent = make_agent(name="back", sensors=[], mqtt=waits)
    assert agent.command("provision").returncode == 0
    config = configuration.load(agent.config, options_of=options_of)
    with open_store(config.store) as store, uplink(agent, store) as up:
        cloud.observer.wait("back/status")
        cloud.broker.stop()
        for _ in range(100):
            stored(store)
            up.records_wait()
        while up.records_wait():
            time.sleep(0.01)
        cloud.broker.start()
        cloud.observer.clear()
        call = stored(store, "events", urgent=True)
        pressed_s = time.time()
        up.records_wait()
        cloud.observer.wait("back/events")
        assert time.time() - pressed_s < allowed_s(5.0)
    arrived = cloud.observer.messages("back/#")
    records = [one.json()["seq"] for one in arrived if b'"seq"' in one.payload]
    assert records[0] == call.seq
