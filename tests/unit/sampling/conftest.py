"""A bench for the sampler, whose clock stands still and whose sensors a test commands."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from unittest.mock import ANY

import pytest

from agent.config import Config, Count, SensorConfig, StoreLimits
from agent.errors import StoreError
from agent.facts import Facts
from agent.health.health import Health
from agent.sampling import Recorder, Sampler
from agent.sensors import Sensor
from agent.store import open_store
from agent.wakeup import Wakeup
from tests import fakes
from tests.fakes import START_S, FakeClock, FakeDetector, FakeDriver, live_facts

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from agent.clock import Clock
    from agent.model import Record
    from agent.store import Store


@dataclass
class Bench:
    """A sampler on a clock that stands still, with sensors that a test commands."""

    directory: Path
    clock: FakeClock
    health: Health
    store: Store
    wakeup: Wakeup
    drivers: dict[str, FakeDriver] = field(default_factory=dict)
    refusals: dict[str, Exception] = field(default_factory=dict)
    opened: list[str] = field(default_factory=list)
    samplers: list[Sampler] = field(default_factory=list)
    recorders: list[Recorder] = field(default_factory=list)
    built_in: bool = False
    online: bool = False
    stored: int = 0
    count: Count = field(default_factory=lambda: Count(sensor=("motion",), window_s=600))
    settle_s: float = 10.0  # that what does not hang is over when a step is

    def sampler(self, *sensors: SensorConfig) -> Sampler:
        """A sampler of these sensors that counts the one named motion."""
        limits = StoreLimits(path=self.directory / "store.db")
        config = fakes.config(self.directory, *sensors, count=self.count, store=limits)
        sampler = Sampler(
            config,
            self.recorder(config),
            clock=self.clock,
            health=self.health,
            wakeup=self.wakeup,
            open_sensor=self.open,
            settle_s=self.settle_s,
        )
        self.samplers.append(sampler)
        return sampler

    def recorder(self, config: Config) -> Recorder:
        """What keeps the records of a sampler, as a start of the agent makes it."""
        facts = Facts(config, self.store, clock=self.clock, health=self.health)
        facts.begin("restart", None)
        recorder = Recorder(
            config,
            self.store,
            clock=self.clock,
            health=self.health,
            facts=facts,
            on_records=self.on_records,
        )
        recorder.begin()
        self.recorders.append(recorder)
        return recorder

    def on_records(self) -> bool:
        """Count the calls; True if it goes up."""
        self.stored += 1
        return self.online

    def open(self, config: SensorConfig, *, clock: Clock) -> Sensor:
        """The fake driver of that name, or the refusal that was set."""
        assert clock is self.clock
        self.opened.append(config.name)
        if refusal := self.refusals.get(config.name):
            raise refusal
        return Sensor(config.name, self.drivers[config.name], built_in=self.built_in)

    def thermometer(self, name: str, interval_s: float | None = 60.0) -> SensorConfig:
        """A sensor that is read."""
        self.drivers[name] = FakeDriver()
        return SensorConfig(name=name, driver="fake", interval_s=interval_s)

    def motion(self, interval_s: float | None = None) -> tuple[SensorConfig, FakeDetector]:
        """The sensor that is counted."""
        driver = self.drivers["motion"] = FakeDetector()
        return SensorConfig(name="motion", driver="fake", interval_s=interval_s), driver

    def records(self) -> list[Record]:
        """All that is stored."""
        return self.store.page(0, 1000).records

    def times(self, kind: str) -> list[float]:
        """When the records of a kind were made, in seconds from the start."""
        return [record.timestamp_s - START_S for record in self.records() if record.kind == kind]

    def ended(self, sampler: Sampler) -> bool:
        """Wait for polls that do not hang, however slow this machine is; True if there was one."""
        found = False
        for target in sampler._targets:
            who: tuple[Any, ...] = (self.drivers.get(target.name), self.open)
            releases = [one.release for one in who if hasattr(one, "release")]
            if target._job and all(release.is_set() for release in releases):
                found |= target._job.wait(30.0)
        return found

    def settled(self, sampler: Sampler) -> float:
        """Have a step done, and those of polls that end late, which would wake it; what it says."""
        wait_s = sampler.step()
        while self.ended(sampler):
            wait_s = sampler.step()
        return wait_s

    def work(self, sampler: Sampler, seconds: float) -> int:
        """Let the sampler work for a while, as `run` does; how often it woke up."""
        end_s = self.clock.now_boot_s + seconds
        steps = 0
        while True:
            wait_s = self.settled(sampler)
            steps += 1
            sampler.wait(0.0)
            if self.clock.now_boot_s + wait_s > end_s:
                self.clock.pass_by(end_s - self.clock.now_boot_s)
                return steps
            self.clock.pass_by(max(wait_s, 1e-6))


def told(*, last: float | None, error: str = "") -> dict[str, object]:
    """What health is told of a sensor; whether the poll took no time does not matter."""
    return {"last": last, "ok": not error, "error": error, "took_ms": ANY}


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    """A bench with a real store and real health."""
    clock = FakeClock(START_S)
    limits = StoreLimits(path=tmp_path / "store.db")
    with open_store(limits, boot_s=clock.boot_s) as store, Wakeup() as wakeup:
        health = Health(live=lambda: live_facts(store), wall_s=clock.wall_s, boot_s=clock.boot_s)
        bench = Bench(tmp_path, clock, health, store, wakeup)
        yield bench
        for sampler in bench.samplers:
            with suppress(StoreError):
                sampler.close()
