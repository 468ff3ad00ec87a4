"""Driver `simulated`: plausible values without hardware, told by the clock alone."""

from __future__ import annotations

import math

from agent.config.fields import number
from agent.model import DAY_S
from agent.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from agent.clock import Clock

DRAUGHT_S = 900.0

#: All that it reads.
QUANTITIES = ("temperature_c",)


class Options(Value, kw_only=True):
    """Keys of its `[[sensors]]` table; with `detections_per_s` it detects, evenly spaced."""

    detections_per_s: float | None = number(None, 0, 10_000)

    @property
    def detects(self) -> bool:
        """True if it has detections to count."""
        return self.detections_per_s is not None


class Simulated:
    """A room whose temperature goes up and down with the day, and a little between."""

    instant = True

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def read(self) -> dict[str, float]:
        """`temperature_c`, from 17.7 to 24.3."""
        wall_s = self._clock.wall_s()
        day = math.sin(math.tau * wall_s / DAY_S)
        draught = math.sin(math.tau * wall_s / DRAUGHT_S)
        return {"temperature_c": round(21.0 + 3.0 * day + 0.3 * draught, 2)}

    def close(self) -> None:
        """Do nothing: there is no hardware."""


class SimulatedDetector(Simulated):
    """The room, and somebody who passes at a steady pace from the opening on."""

    def __init__(self, clock: Clock, per_s: float) -> None:
        super().__init__(clock)
        self._per_s = per_s
        self._opened_boot_s = clock.boot_s()
        self._drained = 0

    def drain(self) -> tuple[int, float]:
        """Detections since the last call; each lasts half of the time to the next, at most 1 s."""
        passed = math.floor((self._clock.boot_s() - self._opened_boot_s) * self._per_s)
        count = max(0, passed - self._drained)
        self._drained += count
        return count, count * min(1.0, 0.5 / self._per_s) if count else 0.0

    def quiet_s(self) -> float:
        """Seconds until the next detection; infinite if there is none."""
        if not self._per_s:
            return math.inf
        next_s = (self._drained + 1) / self._per_s
        return max(0.0, next_s - (self._clock.boot_s() - self._opened_boot_s))


def open_driver(options: Options, *, clock: Clock) -> Simulated:
    """A thermometer, and with `detections_per_s` a detector too."""
    if options.detections_per_s is None:
        return Simulated(clock)
    return SimulatedDetector(clock, options.detections_per_s)
