"""A poll of a sensor, from opening it to its values, as a value: all that may block in a call."""

from __future__ import annotations

import math
import time
from contextlib import nullcontext, suppress

from agent.errors import NoDataError, SensorError
from agent.sensors import BUILT_IN
from agent.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from agent.clock import Clock
    from agent.config import SensorConfig
    from agent.model import Moment
    from agent.sampling.leaks import Leaks
    from agent.sensors import Detections, Sensor


class Poll(Value, frozen=False):
    """A poll and what came of it; `due`: it is for a reading; `error` says where it ended early.

    `sensor` is what is open, None before an opening and after a failure. `seen` holds the
    detections since the last poll, and until when; after an opening there are none before that. For
    `quiet_s` there will be no more. `values` were read at `values_at`, None if they were not asked
    for; `missing` has the reason for each quantity that has none. What it has seen can be looked at
    while it runs.
    """

    sensor: Sensor | None
    due: bool = False
    opened: bool = False
    seen: tuple[Detections, Moment] | None = None
    quiet_s: float = math.inf
    values: Mapping[str, float | str] | None = None
    missing: Mapping[str, SensorError] = {}
    values_at: Moment | None = None
    took_s: float = 0.0
    error: SensorError | None = None

    @property
    def lost(self) -> bool:
        """True if the sensor had to be closed; one without a value at this moment stays open."""
        return self.error is not None and not isinstance(self.error, NoDataError)

    def close(self) -> None:
        """Close what it has left open."""
        sensor, self.sensor = self.sensor, None
        if sensor:
            with suppress(BaseException):  # a driver may do anything, sys.exit() too
                sensor.close()


class Poller(Value):
    """Polls the sensor that `config` describes.

    A detector that is `counted`, or whose detections are calls for help, is drained as soon as it
    detects, and read only if it was given an interval. The methods are called in any thread, one at
    a time for one sensor; they raise nothing.
    """

    config: SensorConfig
    clock: Clock
    open_sensor: Callable[..., Sensor]
    counted: bool
    leaks: Leaks
    monotonic_s: Callable[[], float] = time.monotonic

    def poll(self, poll: Poll, call: Callable[[], None] = lambda: None) -> Poll:
        """Open the sensor if it is None, drain its detections, and read it if a reading is due.

        A sensor that fails is closed; one that has no value at this moment stays open. Such
        a one is given `call`, to be called when it detects.
        """
        began_s = self.monotonic_s()
        try:
            with (
                nullcontext()
                if self.config.driver in BUILT_IN
                else self.leaks.watch(self.config.name)
            ):
                self._poll(poll, call)
        except BaseException as error:  # noqa: BLE001 -- a driver may do anything, sys.exit() too
            text = f"{self.config.name}: {type(error).__name__}: {error}"
            odd = SensorError(text, hint="mend the driver")
            told = error if isinstance(error, SensorError) else odd
            told.__cause__ = told.__context__ = None
            poll.error = told.with_traceback(None)  # which keeps alive what the driver held
            if poll.lost:
                poll.close()
        poll.took_s = self.monotonic_s() - began_s
        return poll

    def last_poll(self, poll: Poll) -> Poll:
        """Drain the open sensor of `poll` once more and close it."""
        with suppress(BaseException):  # as in a poll
            if poll.sensor:
                self._drain(poll, poll.sensor)
        poll.close()
        return poll

    def _poll(self, poll: Poll, call: Callable[[], None]) -> None:
        if poll.sensor is None:
            poll.sensor = self.open_sensor(self.config, clock=self.clock)
            poll.opened = True
            if self.counted:
                poll.sensor.listen(call)
        sensor = poll.sensor
        if sensor.detects:
            self._drain(poll, sensor)  # after an opening it proves that it works
        only_counts = self.counted and sensor.detects and self.config.interval_s is None
        if poll.due and not only_counts:
            measured = sensor.read()
            poll.values, poll.missing = measured.values, measured.missing
            poll.values_at = self.clock.now()

    def _drain(self, poll: Poll, sensor: Sensor) -> None:
        poll.seen = sensor.drain(), self.clock.now()
        if self.counted or sensor.descriptor is not None:
            poll.quiet_s = sensor.quiet_s()
