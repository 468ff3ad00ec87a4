"""Stand-ins for what a test cannot have: time that moves on command, sensors that misbehave."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent.clock import Clock
from agent.config import (
    Aws,
    Config,
    Count,
    Mqtt,
    Paths,
    Provisioning,
    SensorConfig,
    StoreLimits,
    Thing,
)

if TYPE_CHECKING:
    from pathlib import Path

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
        paths=Paths(runtime=directory),
        sensors=sensors,
    )


class FakeClock(Clock):
    """Both clocks, standing still until a test moves them."""

    def __init__(self, wall_s: float = 1_795_500_000.0, boot_s: float = 1000.0) -> None:
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


class FakeDriver:
    """A driver whose values and troubles a test sets."""

    def __init__(self) -> None:
        self.values: dict[str, float] = {"temperature_c": 20.0}
        self.trouble: BaseException | None = None
        self.reads = 0
        self.closed = 0

    def read(self) -> dict[str, float]:
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
