"""One look at a sensor, from opening it to its values, as a value: all that may block in a call."""

from __future__ import annotations

import gc
import math
import time
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from agent.errors import NoDataError, SensorError
from agent.sampling.leaks import Leak
from agent.sensors.sensor import BUILT_IN

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from agent.clock import Clock
    from agent.config.settings import SensorConfig
    from agent.model import Moment
    from agent.sensors.sensor import Detections, Sensor


LEAKS = "mend the plug-in; what it cannot give back is gone with a restart of the agent"


@dataclass(slots=True)
class Look:
    """What came of it; `due` is what it was begun for, `error` says where it ended early.

    `sensor` is what is open now, None after a failure. `seen` holds the detections since the last
    look until `seen_at`; after an opening there are none before it. For `quiet_s` there will be no
    more. `values` were read at `values_at`, None if they were not asked for.
    """

    sensor: Sensor | None
    due: bool = False
    opened: bool = False
    seen: Detections | None = None
    seen_at: Moment | None = None
    quiet_s: float = math.inf
    values: Mapping[str, float | str] | None = None
    values_at: Moment | None = None
    took_s: float = 0.0
    error: SensorError | None = None


@dataclass(frozen=True, slots=True)
class Looker:
    """Looks at the sensor that `config` describes.

    A `counted` detector is read only if it was given an interval. The methods are called in any
    thread, one at a time for one sensor; they raise nothing.
    """

    config: SensorConfig
    clock: Clock
    open_sensor: Callable[..., Sensor]
    counted: bool
    monotonic_s: Callable[[], float] = field(default=time.monotonic)
    leak: Leak = field(default_factory=Leak)

    def look(
        self, sensor: Sensor | None, *, due: bool, call: Callable[[], None] = lambda: None
    ) -> Look:
        """Open the sensor if it is None, drain its detections, and read it if a reading is due.

        A sensor that fails is closed; one that has no value at this moment stays open. A counted
        one is given `call`, to be called when it detects.
        """
        began_s = self.monotonic_s()
        look = Look(sensor, due=due)
        try:
            if self.config.driver in BUILT_IN:
                self._look(look, call)
            else:
                self._watched_look(look, call)
        except NoDataError as error:
            look.error = _bare(error)
        except SensorError as error:
            self._give_up(look, error)
        except BaseException as error:  # noqa: BLE001 -- a driver may do anything, sys.exit() too
            text = f"{self.config.name}: {type(error).__name__}: {error}"
            self._give_up(look, SensorError(text, hint="mend the driver"))
        look.took_s = self.monotonic_s() - began_s
        return look

    def last_look(self, sensor: Sensor) -> Look:
        """Drain the sensor once more and close it."""
        look = Look(sensor)
        with suppress(SensorError):
            self._drain(look, sensor)
        _close(sensor)
        look.sensor = None
        return look

    def _look(self, look: Look, call: Callable[[], None]) -> None:
        if look.sensor is None:
            look.sensor = self.open_sensor(self.config, clock=self.clock)
            look.opened = True
            if self.counted:
                look.sensor.listen(call)
        sensor = look.sensor
        if sensor.detects:
            self._drain(look, sensor)  # after an opening it proves that it works
        only_counts = self.counted and sensor.detects and self.config.interval_s is None
        if look.due and not only_counts:
            look.values = sensor.read()
            look.values_at = self.clock.now()

    def _watched_look(self, look: Look, call: Callable[[], None]) -> None:
        """A look at a plug-in's sensor, whose leaks are the whole agent's."""
        if complaint := self.leak.complaint():
            gc.collect()  # what is open only because nobody has looked for it yet
            if self.leak.complaint():
                raise SensorError(f"{self.config.name}: {complaint}", hint=LEAKS)
        with self.leak:
            self._look(look, call)

    def _give_up(self, look: Look, error: SensorError) -> None:
        look.error = _bare(error)
        _close(look.sensor)
        look.sensor = None

    def _drain(self, look: Look, sensor: Sensor) -> None:
        seen = sensor.drain()
        look.seen, look.seen_at = seen, self.clock.now()
        if self.counted:
            look.quiet_s = sensor.quiet_s()


def _bare(error: SensorError) -> SensorError:
    """The same without its traceback, which keeps alive what the driver held."""
    error.__cause__ = error.__context__ = None
    return error.with_traceback(None)


def dispose(look: Look) -> None:
    """Close what a look that nobody waited for has left open."""
    _close(look.sensor)


def _close(sensor: Sensor | None) -> None:
    if sensor:
        with suppress(BaseException):  # as in a look
            sensor.close()
