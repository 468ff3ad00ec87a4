"""Stand-ins for what a test cannot have: time on command, sensors that misbehave, a house."""

from __future__ import annotations

import ctypes
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from agent.clock import Clock
from agent.config import (
    Aws,
    Config,
    Count,
    Digest,
    Mqtt,
    Paths,
    Provisioning,
    SensorConfig,
    StoreLimits,
    Thing,
)
from agent.facts import Facts
from agent.health.health import Health
from agent.sampling import Recorder, Sampler, mirrored_facts
from agent.sensors import Sensor
from agent.store import open_store
from agent.value import replace
from agent.wakeup import Wakeup

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from agent.model import Json, Record
    from agent.store import Store

START_S = 1_795_500_000.0  # a multiple of 600
BOOT_ID = "5a1f3a58-6a8f-4c8a-9a53-3d3a6c3f8f10"


def config(
    directory: Path,
    *sensors: SensorConfig,
    count: Count,
    store: StoreLimits | None = None,
) -> Config:
    """The configuration of an agent with these sensors, whose runtime directory is `directory`."""
    return Config(
        path=directory / "agent.toml",
        thing=Thing(name="living-room"),
        aws=Aws(),
        provisioning=Provisioning(),
        mqtt=Mqtt(),
        store=store or StoreLimits(),
        count=count,
        paths=Paths(runtime=directory, state=directory),
        sensors=sensors,
        digest=Digest(at="off"),
    )


class FakeClock(Clock):
    """Both clocks, standing still until a test moves them."""

    def __init__(self, wall_s: float = START_S, boot_s: float = 1000.0) -> None:
        super().__init__()
        self._boot_id = BOOT_ID
        self.was_set = True
        self.now_wall_s = wall_s
        self.now_boot_s = boot_s

    def wall_s(self) -> float:
        """The wall clock."""
        return self.now_wall_s

    def boot_s(self) -> float:
        """The boot clock."""
        return self.now_boot_s

    def is_set(self) -> bool:
        """Whether a time service has set it."""
        return self.was_set

    def pass_by(self, seconds: float) -> None:
        """Let time pass, on both clocks alike."""
        self.now_wall_s += seconds
        self.now_boot_s += seconds

    def jump(self, seconds: float) -> None:
        """Set the wall clock, as a person or a time server does."""
        self.now_wall_s += seconds

    def reboot(self, off_s: float) -> None:
        """Start the machine anew, after it was off for so long."""
        self.now_wall_s += off_s
        self.now_boot_s = 10.0
        self._boot_id = f"{BOOT_ID[:-1]}{self.now_wall_s:.0f}"


class FakeDriver:
    """A driver whose values and troubles a test sets."""

    instant = False

    def __init__(self) -> None:
        self.values: Mapping[str, float | str | Exception | None] = {"temperature_c": 20.0}
        self.trouble: BaseException | None = None
        self.reads = 0
        self.closed = 0

    def read(self) -> Mapping[str, float | str | Exception | None]:
        """What the test has set."""
        self.reads += 1
        if self.trouble:
            raise self.trouble
        return self.values

    def close(self) -> None:
        """Count how often."""
        self.closed += 1


class FakeDetector(FakeDriver):
    """A driver that detects what a test tells it to; it is judged once it has `limits`.

    With `always_active` it has been active all the time, on that clock.
    """

    def __init__(self) -> None:
        super().__init__()
        self.seen = 0
        self.active_s = 0.0
        self.limits: object = None
        self.always_active: FakeClock | None = None
        self._drained_s = 0.0

    def drain(self) -> tuple[int, float]:
        """What was seen since the last call."""
        if self.trouble:
            raise self.trouble
        drained = self.seen, self.active_s
        self.seen, self.active_s = 0, 0.0
        if self.always_active:
            now_s = self.always_active.boot_s()
            drained = drained[0], now_s - self._drained_s
            self._drained_s = now_s
        return drained


class Ticks:
    """A clock, for code that takes one as a function, that stands until it is moved."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        """The time."""
        return self.now_s


class PromptDetector(FakeDetector):
    """A detector that will detect something each second, and says so."""

    def quiet_s(self) -> float:
        """The time to the next."""
        return 1.0


def live_facts(store: Store) -> dict[str, Json]:
    """What status.json tells of a store."""
    return {"queued": store.queued, "dropped": store.dropped, "total": store.total}


@dataclass
class House:
    """A place with a motion sensor, whose agent can crash and be started again."""

    directory: Path
    clock: FakeClock = field(default_factory=FakeClock)
    detector: FakeDetector = field(default_factory=PromptDetector)
    limits: StoreLimits = field(default_factory=StoreLimits)

    def __post_init__(self) -> None:
        self.limits = replace(self.limits, path=self.directory / "store.db")
        self.health = Health(live=lambda: live_facts(self.store))

    def start(self) -> None:
        """Start the agent."""
        settings = config(
            self.directory,
            SensorConfig(name="motion", driver="fake"),
            count=Count(sensor=("motion",), window_s=600),
            store=self.limits,
        )
        self.store = open_store(self.limits, wall_s=self.clock.wall_s, boot_s=self.clock.boot_s)
        self.facts = Facts(settings, self.store, clock=self.clock, health=self.health)
        self.facts.begin("restart", None, mirrored_facts(self.directory))
        self.recorder = Recorder(
            settings,
            self.store,
            clock=self.clock,
            health=self.health,
            facts=self.facts,
            on_records=lambda: False,
        )
        self.recorder.begin()
        self.wakeup = Wakeup()
        self.sampler = Sampler(
            settings,
            self.recorder,
            clock=self.clock,
            health=self.health,
            wakeup=self.wakeup,
            open_sensor=self.open,
            settle_s=10.0,
        )

    def open(self, config: SensorConfig, *, clock: Clock) -> Sensor:
        """The detector."""
        assert clock is self.clock
        return Sensor(config.name, self.detector)

    def live(self, seconds: float, *, detections: int = 0) -> None:
        """Let time pass, a second at a time; the first ones have a detection each."""
        self.sampler.step()
        for second in range(int(seconds)):
            self.clock.pass_by(1.0)
            self.detector.seen += second < detections
            self.sampler.step()
        self.recorder.hand_on()

    def crash(self) -> None:
        """End without a word."""
        self.store._write_behind.db.close()
        self.wakeup.close()

    def stop(self) -> None:
        """End in order."""
        self.sampler.close()
        self.facts.end()
        self.store.close()
        self.wakeup.close()

    def records(self) -> list[Record]:
        """All that waits."""
        return self.store.page(0, 10_000).records

    def counts(self) -> list[tuple[float, int, str]]:
        """Time from the start, detections (-1: unknown) and quality of each count that waits."""
        return [
            (
                one.timestamp_s - START_S,
                -1 if (seen := one.body["detect_count"]) is None else int(str(seen)),
                str(one.body["quality"]),
            )
            for one in self.records()
            if one.kind == "count"
        ]

    def conditions(self) -> dict[str, str]:
        """Code and text of the conditions that stand."""
        return {one.code: one.text for one in self.health.snapshot().conditions}


@contextmanager
def bound_by_modes() -> Iterator[None]:
    """Have files' modes count for this thread though it be root's (capabilities(7))."""
    libc = ctypes.CDLL(None)
    header = (ctypes.c_uint32 * 2)(0x20080522, 0)  # version 3; this thread
    sets = (ctypes.c_uint32 * 6)()
    assert libc.capget(header, sets) == 0
    effective = sets[0]
    sets[0] &= ~0b110  # CAP_DAC_OVERRIDE and CAP_DAC_READ_SEARCH
    assert libc.capset(header, sets) == 0
    try:
        yield
    finally:
        sets[0] = effective
        assert libc.capset(header, sets) == 0
