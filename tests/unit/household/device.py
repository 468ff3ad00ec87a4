"""The device in the household: the agent's own parts, driven through its life by a moved clock."""

from __future__ import annotations

import errno
import json
import math
import shutil
from dataclasses import dataclass, field
from functools import partial
from operator import itemgetter
from typing import TYPE_CHECKING

from agent.config import Count, Digest, SensorConfig, StoreLimits
from agent.config.rule import Rule
from agent.daemon.lifetime import note_stop
from agent.daemon.wiring import _begin
from agent.facts import Facts, Mode
from agent.health.health import Health
from agent.sampling import Recorder, Sampler
from agent.sampling.sampler import WAIT_MAX_S
from agent.sensors import Sensor
from agent.store import open_store
from agent.value import replace
from agent.wakeup import Wakeup
from tests.fakes import FakeClock, config, live_facts
from tests.unit.household.calendar import DAYS, at

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from agent.clock import Clock
    from agent.model import Json
    from agent.sensors.sensor import Driver
    from tests.unit.household.life import Life, Span

WINDOW_S, READING_S = 600, 1800

#: Steps are so far apart where nothing is due: seldom enough to be quick, often enough to be sure
#: that somebody looked all the time.
STEP_S = 150.0

#: So many records wait for each other on their way to the cloud.
DRAINED = 24

#: What time servers take to set the clock after a boot.
UNSET_S = 45.0

RULES = (
    Rule(name="still", quiet_for_s=4 * 3600.0, hours="07:00-22:00"),
    Rule(name="heat", sensor="room", quantity="wbgt_c", above=28.0, for_s=1800.0, hysteresis=1.0),
    Rule(name="cut-off", offline_for_s=3600.0),
)


@dataclass
class Seen:
    """What the hardware has been asked for: the household's own account of it."""

    opened: list[float] = field(default_factory=list)
    drained: list[list[float]] = field(default_factory=list)  # a list for each opening
    readings: list[tuple[float, dict[str, float]]] = field(default_factory=list)


class Motion:
    """A motion sensor that sees the household."""

    instant = True

    def __init__(self, device: Device) -> None:
        self._device = device
        self._since_s = device.clock.true_s
        device.seen.opened.append(self._since_s)
        device.seen.drained.append([self._since_s])

    def drain(self) -> tuple[int, float]:
        """Detections since the last call."""
        now_s = self._device.clock.true_s
        self._device.fail_if_broken("motion")
        seen = self._device.life.seen(self._since_s, now_s)
        self._since_s = now_s
        self._device.seen.drained[-1].append(now_s)
        return seen, 2.0 * seen

    def quiet_s(self) -> float:
        """The time to the next."""
        return self._device.life.next_detection_s(self._since_s) - self._device.clock.true_s

    def read(self) -> dict[str, float]:
        """Nothing to read."""
        return {}

    def close(self) -> None:
        """Nothing to give back."""


class Room:
    """A thermometer in the room."""

    instant = True

    def __init__(self, device: Device) -> None:
        self._device = device

    def read(self) -> dict[str, float]:
        """What it shows now."""
        self._device.fail_if_broken("room")
        now_s = self._device.clock.true_s
        life = self._device.life
        values = {
            "temperature_c": life.temperature_c(now_s),
            "humidity_pct": life.humidity_pct(now_s),
        }
        self._device.seen.readings.append((now_s, values))
        return values

    def close(self) -> None:
        """Nothing to give back."""


class HouseholdClock(FakeClock):
    """A clock that may be wrong by `error_s`, while the household's time is `true_s`."""

    def __init__(self) -> None:
        super().__init__(wall_s=at(0), boot_s=40.0)
        self.error_s = 0.0
        self.boots = 0

    @property
    def true_s(self) -> float:
        """The time."""
        return self.now_wall_s - self.error_s

    def boot(self, error_s: float) -> None:
        """Start from zero, with a wall clock that nobody has set yet."""
        self.boots += 1
        self._boot_id = f"5a1f3a58-6a8f-4c8a-9a53-{self.boots:012}"
        self.now_boot_s = 20.0
        self.error_s = error_s
        self.now_wall_s += error_s
        self.was_set = False

    def set(self) -> None:
        """Be set by a time server."""
        self.now_wall_s -= self.error_s
        self.error_s, self.was_set = 0.0, True


@dataclass
class Device:
    """A device in `directory`; `received` is what the cloud has got, in order."""

    life: Life
    directory: Path
    received: list[dict[str, Json]] = field(default_factory=list)
    topics: list[str] = field(default_factory=list)
    seen: Seen = field(default_factory=Seen)

    def __post_init__(self) -> None:
        self.clock = HouseholdClock()
        self.runtime, self.state = self.directory / "run", self.directory / "state"
        self.state.mkdir()
        limits = StoreLimits(path=self.state / "store.db")
        motion = SensorConfig(name="motion", driver="gpio", interval_s=WINDOW_S)
        room = SensorConfig(name="room", driver="iio", interval_s=READING_S)
        self.config = replace(
            config(self.state, motion, room, count=Count(sensor=("motion",)), store=limits),
            digest=Digest(at="07:00"),
            rules=RULES,
        )
        paths = replace(self.config.paths, runtime=self.runtime)
        self.config = replace(self.config, paths=paths)

    def fail_if_broken(self, name: str) -> None:
        """Raise OSError if the sensor is broken at this time."""
        broken = self.life.motion_broken if name == "motion" else self.life.room_broken
        if any(self.clock.true_s in span for span in broken):
            raise OSError(errno.ENODEV, "it does not answer")

    def live(self) -> None:
        """Live through all."""
        life = self.life
        plan: list[tuple[float, Callable[[], None]]] = [
            *((span.since_s, partial(self.went_down, span.what)) for span in life.offline),
            *((span.until_s, self.went_up) for span in life.offline),
            *((span.since_s, partial(self.set_mode, span)) for span in life.modes),
            *((span.since_s, partial(self.end, span)) for span in life.away),
        ]
        plan.sort(key=itemgetter(0))
        self.start()
        for at_s, act in plan:
            self.run_until(at_s)
            act()
        self.run_until(at(DAYS, "07:30"))
        self.stop()

    def start(self) -> None:
        """Start the agent, as the daemon's wiring does."""
        clock, settings = self.clock, self.config
        self.runtime.mkdir(exist_ok=True)
        self.store = open_store(settings.store, wall_s=clock.wall_s, boot_s=clock.boot_s)
        self.health = Health(
            live=lambda: live_facts(self.store), wall_s=clock.wall_s, boot_s=clock.boot_s
        )
        self.facts = Facts(settings, self.store, clock=clock, health=self.health)
        _begin(self.store, self.facts, clock, self.runtime)
        self.recorder = Recorder(
            settings,
            self.store,
            clock=clock,
            health=self.health,
            facts=self.facts,
            on_records=lambda: False,
        )
        self.recorder.begin()
        self.wakeup = Wakeup()
        self.sampler = Sampler(
            settings,
            self.recorder,
            clock=clock,
            health=self.health,
            wakeup=self.wakeup,
            open_sensor=self.open,
            settle_s=10.0,
        )
        self.facts.link.went_up()

    def open(self, sensor: SensorConfig, *, clock: Clock) -> Sensor:
        """One of the two sensors."""
        assert clock is self.clock
        self.fail_if_broken(sensor.name)
        driver: Driver = Motion(self) if sensor.name == "motion" else Room(self)
        return Sensor(sensor.name, driver, built_in=True)

    def stop(self) -> None:
        """End in order."""
        self.sampler.close()
        self.facts.end()
        note_stop(self.store, self.clock.now(), self.runtime)
        self.drain()
        self.store.close()
        self.wakeup.close()

    def went_down(self, why: str) -> None:
        """Lose the link."""
        self.facts.link.went_down(why)

    def went_up(self) -> None:
        """Have a link again."""
        self.facts.link.went_up()

    def set_mode(self, span: Span) -> None:
        """Have somebody set a mode."""
        self.facts.modes.set(Mode(span.what, span.until_s))

    def end(self, span: Span) -> None:
        """End, and begin anew once that is over."""
        why = span.what
        if why == "restart":
            self.stop()
        else:
            self.store._write_behind.db.close()
            self.wakeup.close()
        self.clock.pass_by(span.until_s - span.since_s)
        if why == "power cut":
            shutil.rmtree(self.runtime)
            # A board without a clock goes on from its last shutdown: here whole windows ago.
            behind_s = math.ceil((span.until_s - span.since_s) / WINDOW_S) * WINDOW_S
            self.clock.boot(-float(behind_s))
            self.start()
            self.run_until(self.clock.true_s + UNSET_S)
            self.clock.set()
        else:
            self.start()

    def run_until(self, until_s: float) -> None:
        """Let the agent run, each step when something is due."""
        clock = self.clock
        while (left_s := until_s - clock.true_s) > 0:
            wait_s = self.sampler.step()
            self.recorder.hand_on()
            if self.store.queued >= DRAINED:
                self.drain()
            if wait_s >= WAIT_MAX_S:  # what is due later than that, it does not say
                window_s = WINDOW_S - clock.true_s % WINDOW_S
                detection_s = self.life.next_detection_s(clock.true_s) - clock.true_s
                due_s = self.recorder.due_s() - clock.boot_s()
                wait_s = min(STEP_S, window_s, detection_s, due_s)
            clock.pass_by(min(left_s, max(0.25, math.ceil(wait_s * 4) / 4)))

    def drain(self) -> None:
        """Have what waits arrive in the cloud, if there is a link."""
        while self.store.queued and self.facts.link.state.up:
            records = self.store.page(0, 100).records
            for record in records:
                self.topics.append(record.kind)
                self.received.append(json.loads(record.payload()))
            self.store.acknowledge(*(record.seq for record in records))
