"""Walk test: shows live what a detector sees, for `read --watch` and for `setup`."""

from __future__ import annotations

import math
import time

from agent.errors import EXIT_FAILURE, EXIT_OK
from agent.sensors import open_sensor

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from agent.clock import Clock
    from agent.config import SensorConfig
    from agent.sensors import Sensor

#: Time between two looks at the detector, short for a person who walks past it.
EVERY_S = 0.05

#: A trial ends by itself after so long without a change.
PATIENCE_S = 60.0


def pause(seconds: float) -> bool:
    """Wait; False, since nobody ends the test but by Ctrl-C."""
    time.sleep(seconds)
    return False


def show(
    sensor: Sensor,
    clock: Clock,
    invitation: str,
    *,
    ended: Callable[[float], bool] = pause,
    patience_s: float = math.inf,
) -> Walk:
    """Print the invitation, each change of a detector until Ctrl-C, and the sum; the walk it was.

    `ended` waits for some seconds and says whether the person has seen enough; `patience_s` without
    a change ends it too. Raises SensorError.
    """
    walk = Walk(sensor, clock)
    print(invitation, flush=True)
    try:
        while not ended(EVERY_S):
            if walk.quiet_s() >= patience_s:
                print(f"No change for {patience_s:g} s: the test ends.", flush=True)
                break
            for line in walk.step():
                print(line, flush=True)
    except KeyboardInterrupt:
        pass
    print(walk.sum(), flush=True)
    return walk


def trial(config: SensorConfig, where: str, clock: Clock, ended: Callable[[float], bool]) -> int:
    """Walk test of a sensor at `where`, for somebody who is asked about it next.

    The exit code says whether something was detected. Raises SensorError.
    """
    sensor = open_sensor(config, clock=clock)
    try:
        limit = f"{PATIENCE_S:g} s without a change"
        invitation = f"Walk past {config.name} now; Enter ends the test, as do {limit}."
        if show(sensor, clock, invitation, ended=ended, patience_s=PATIENCE_S).count:
            return EXIT_OK
        print(f"Nothing yet: is it wired to {where}, to 5 V and to ground?", flush=True)
        print("A motion sensor warms up for a minute, and is blind for some seconds after.")
    finally:
        sensor.close()
    return EXIT_FAILURE


class Walk:
    """Detections of one sensor since this was made, told change by change."""

    def __init__(self, sensor: Sensor, clock: Clock) -> None:
        self._sensor = sensor
        self._clock = clock
        self._began_s = self._changed_s = clock.boot_s()
        self.count = 0
        self._edges = self._lost = 0
        self._active_s = 0.0
        self._active_since_s: float | None = None
        sensor.drain()

    def step(self) -> Iterator[str]:
        """Changes since the last call, a line each. Raises SensorError."""
        active = self._sensor.read().values.get("active")  # first: what it shows is drained then
        seen = self._sensor.drain()
        now_s = self._clock.boot_s()
        self.count += seen.count
        self._edges += seen.edges
        self._lost += seen.lost
        self._active_s += seen.active_s
        if seen.count:
            yield self._line(f"detected, {self.count} so far")
        if active and self._active_since_s is None:
            self._active_since_s = now_s
            yield self._line("active")
        elif active == 0 and self._active_since_s is not None:
            yield self._line(f"still again, after {now_s - self._active_since_s:.1f} s")
            self._active_since_s = None

    def quiet_s(self) -> float:
        """Seconds since the last change, or since the beginning."""
        return self._clock.boot_s() - self._changed_s

    def sum(self) -> str:
        """The sum in one line."""
        took_s = self._clock.boot_s() - self._began_s
        noun = "detection" if self.count == 1 else "detections"
        bounces = max(0, self._edges - 2 * self.count)
        told = f"; {bounces} changes of the line were too short to count" if bounces > 1 else ""
        told += f"; {self._lost} changes of the line were lost" if self._lost else ""
        return (
            f"{self._sensor.name}: {self.count} {noun} in {took_s:.0f} s, "
            f"active for {self._active_s:.1f} s{told}"
        )

    def _line(self, what: str) -> str:
        self._changed_s = self._clock.boot_s()
        wall_s = self._clock.wall_s()
        clock = time.strftime("%H:%M:%S", time.localtime(wall_s))
        return f"{clock}.{int(wall_s % 1 * 10)} {self._sensor.name}: {what}"
