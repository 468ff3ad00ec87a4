"""The uplink's children, which replace and remove certificates: one at a time, and while online."""

from __future__ import annotations

import datetime as dt
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from agent import files
from agent.config import StoreLimits
from agent.errors import StoppingError
from agent.facts import Facts
from agent.health.progress import Progress
from agent.identity import Generations
from agent.store import open_store
from agent.uplink.birth import Birth
from agent.uplink.retirement import Retirement
from agent.uplink.rotation import Rotation
from agent.uplink.uplink import Uplink
from tests.fakes import Ticks
from tests.unit.uplink.broker import Broker
from tests.unit.uplink.conftest import NAME, Device, Script, write_generation

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

STEPS = 9
REPORTS = [Progress("certificate", "certificate 00")] * STEPS


class Bench:
    """A registered device whose certificate ends in twenty days, its broker, and scripted children.

    Each child needs some steps of a session.
    """

    def __init__(self, device: Device, uplink: Uplink, broker: Broker, ticks: Ticks) -> None:
        self.device = device
        self.uplink = uplink
        self.broker = broker
        self.ticks = ticks
        device.waits.meanwhile = self._waited
        uplink._retirement = Retirement(
            device.config,
            health=device.health,
            waits=device.waits,
            start=device.children,
            monotonic_s=ticks,
        )
        uplink._rotation = Rotation(
            device.config,
            health=device.health,
            waits=device.waits,
            clock=device.clock,
            start=device.children,
            monotonic_s=ticks,
        )

    def _waited(self, _total_s: float) -> None:
        self.ticks.now_s += self.device.waits.noted_s[-1]

    def running(self) -> int:
        """How many of the children run."""
        return sum(one.exit_code is None for one in self.device.children.started)


@pytest.fixture
def bench(device: Device, tmp_path: Path) -> Iterator[Bench]:
    """Such a one."""
    generations, ticks = Generations(device.certs, NAME), Ticks()
    ends = dt.datetime.fromtimestamp(device.clock.wall_s(), dt.UTC) + dt.timedelta(days=20)
    write_generation(device.certs, "0123456789ab", not_after=ends)
    files.switch_link(generations.current, f".{NAME}.0123456789ab")
    broker = Broker(ticks)
    with open_store(StoreLimits(path=tmp_path / "store.db")) as store:
        uplink = Uplink(
            device.config,
            store,
            birth=Birth("first start", None, device.clock.now()),
            facts=Facts(device.config, store, clock=device.clock, health=device.health),
            health=device.health,
            clock=device.clock,
            wakeup=device.waits.wakeup,
            open_connection=broker.connection,
            waits=device.waits,
            monotonic_s=ticks,
        )
        yield Bench(device, uplink, broker, ticks)


def test_no_certificate_is_made_while_another_is_removed(bench: Bench) -> None:
    """Both children need the lock of the directory: they run one after the other."""
    stale = bench.device.certs / f".{NAME}.ba9876543210"
    stale.mkdir()
    bench.device.children.scripts = [
        Script(REPORTS, 0, stale.rmdir),
        Script([*REPORTS, Progress("certificate", "AWS refuses it", "provisioning-refused")], 77),
    ]
    running: list[int] = []

    def look() -> None:
        running.append(bench.running())
        if len(running) > 4 * STEPS:
            raise StoppingError

    bench.broker.step = look
    with suppress(StoppingError):
        bench.uplink.step()

    assert bench.device.children.retiring == [True, False]
    assert bench.device.children.rotating == [False, True]
    assert max(running) == 1


@pytest.mark.parametrize("stale", [True, False])
def test_no_child_outlives_its_session(bench: Bench, stale: bool) -> None:  # noqa: FBT001
    """Whether it removes or makes a certificate: nothing is done while offline."""
    if stale:
        (bench.device.certs / f".{NAME}.ba9876543210").mkdir()
    bench.device.children.scripts = [Script(REPORTS)]

    def end() -> None:
        if bench.running():
            bench.broker.cut = True

    bench.broker.step = end
    bench.uplink.step()

    assert bench.device.children.retiring == [stale]
    assert bench.running() == 0
