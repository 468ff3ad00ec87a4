"""The sampler: the worker that turns what sensors see into records in the store.

A detector without `interval_s` only counts; any other sensor is read every `interval_s`, on the
boot clock and without drift. One that fails is closed, and opened anew after a while that grows;
the others never notice.
"""

from __future__ import annotations

import logging
import math
import threading
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from agent.counting import close_window, next_window, open_window
from agent.errors import SensorError
from agent.health import CONFIG_WARNING, SENSOR_FAILING
from agent.model import Reading, reading_record
from agent.sensors import open_sensor

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from agent.clock import Clock
    from agent.config import Config, SensorConfig
    from agent.counting import Window
    from agent.health import Health
    from agent.model import Moment, NewRecord
    from agent.sensors import Sensor
    from agent.store import Store
    from agent.wakeup import Wakeup

INTERVAL_S = 60.0
RETRY_MAX_S = 300.0

#: The longest wait at once, so that the watchdog sees life.
WAIT_MAX_S = 60.0

#: Within this time after a wait the worker beats again; and after an fsync on a tired card.
LATENESS_S = 30.0
FSYNC_S = 120.0

#: Acknowledgements that no new record takes along are committed after this time.
FLUSH_S = 59.0

#: How long `close` waits for a step that still runs in the worker's thread.
CLOSE_WAIT_S = 1.0

log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Place:
    """One configured sensor and where it stands."""

    config: SensorConfig
    sensor: Sensor | None = None  # None: to be opened when due
    due_boot_s: float = -math.inf  # of the next reading, or the next try to open
    window: Window | None = None  # only while its detections are counted
    failures: int = 0
    last_s: float | None = None

    @property
    def interval_s(self) -> float:
        return self.config.interval_s or INTERVAL_S

    @property
    def reads(self) -> bool:
        """Whether it has readings to take, not only detections."""
        detects = self.sensor is not None and self.sensor.detects
        return self.config.interval_s is not None or not detects


class Sampler:
    """Reads, counts and stores; `step` and `run` belong to one thread, the rest to any.

    `on_record` is called after each record is stored, `wakeup` ends the wait of `run`,
    `open_sensor(config, clock=...)` is that of `agent.sensors`.
    """

    def __init__(
        self,
        config: Config,
        store: Store,
        *,
        clock: Clock,
        health: Health,
        on_record: Callable[[], None],
        wakeup: Wakeup,
        open_sensor: Callable[..., Sensor] = open_sensor,
    ) -> None:
        self._open_sensor = open_sensor
        self._count = config.count
        self._store = store
        self._clock = clock
        self._health = health
        self._on_record = on_record
        self._wakeup = wakeup
        self._places = [_Place(sensor) for sensor in config.sensors]
        self._committed_boot_s = clock.boot_s()
        self._working = threading.Lock()
        self._stopping = False
        self._closed = False

    def __enter__(self) -> Self:
        """Itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close."""
        self.close()

    def run(self) -> None:
        """Sample until `stop`. Raises StoreError when a record cannot be stored."""
        while not self._stopping:
            wait_s = self.step()
            self._health.beat("sampler", within_s=wait_s + LATENESS_S)
            self._wakeup.wait(wait_s)

    def stop(self) -> None:
        """End `run`, after the step that it may be in."""
        self._stopping = True
        self._wakeup.set()

    def step(self) -> float:
        """Do all that is due; in how many seconds something will be due again, at most 60."""
        with self._working:
            if self._closed:
                return WAIT_MAX_S
            for place in self._places:
                self._visit(place)
            now_s = self._clock.boot_s()
            if now_s - self._committed_boot_s >= FLUSH_S:
                self._health.beat("sampler", within_s=FSYNC_S)
                self._store.flush()
                self._committed_boot_s = now_s
            due_s = [place.due_boot_s for place in self._places]
            due_s += [place.window.closes_boot_s for place in self._places if place.window]
            return max(0.0, min([WAIT_MAX_S, *(one_s - now_s for one_s in due_s)]))

    def close(self) -> None:
        """Store the open window as partial and close the sensors; more than once does no harm.

        A step that hangs in a driver is left behind. Raises StoreError.
        """
        if not self._working.acquire(timeout=CLOSE_WAIT_S):
            log.warning("sampler: a sensor hangs and is left behind")
            return
        try:
            places = [] if self._closed else self._places
            self._closed = True
            for place in places:
                self._shut(place)
        finally:
            self._working.release()

    def _visit(self, place: _Place) -> None:
        now = self._clock.now()
        try:
            if place.sensor is None and now.boot_s >= place.due_boot_s:
                self._open(place)
            if place.sensor is None:
                return
            window = place.window
            if window and now.boot_s >= window.closes_boot_s:
                ended = self._report(place, place.sensor, window)
                place.window = next_window(window, ended)
                self._well(place)
            if now.boot_s >= place.due_boot_s:
                self._read(place, place.sensor)
        except SensorError as error:
            self._failed(place, error)

    def _open(self, place: _Place) -> None:
        self._health.beat("sampler", within_s=FSYNC_S)
        place.sensor = self._open_sensor(place.config, clock=self._clock)
        name = place.config.name
        if name == self._count.sensor:
            if place.sensor.detects:
                place.sensor.drain()  # proves that it works, and begins from nothing
                place.window = open_window(self._clock.now(), self._count.window_s)
            else:
                text = f"count.sensor: {name} does not detect, so nothing is counted"
                self._health.report(CONFIG_WARNING, text, key="count.sensor")
        if place.reads:
            place.due_boot_s = self._clock.boot_s()
        else:
            place.due_boot_s = math.inf
            self._well(place)

    def _read(self, place: _Place, sensor: Sensor) -> None:
        """Take a reading; slots that were missed meanwhile are left out."""
        self._health.beat("sampler", within_s=FSYNC_S)
        values = sensor.read()
        now = self._clock.now()
        missed = math.floor((now.boot_s - place.due_boot_s) / place.interval_s)
        place.due_boot_s += (max(0, missed) + 1) * place.interval_s
        if values:
            place.last_s = now.wall_s
            self._append(reading_record(Reading(sensor.name, values, now)))
        self._well(place)

    def _report(self, place: _Place, sensor: Sensor, window: Window) -> Moment:
        """Store what was counted in the window, which ends with the moment that this returns."""
        seen = sensor.drain()
        now = self._clock.now()
        place.last_s = now.wall_s
        self._append(close_window(window, seen, now), detections=seen.count)
        return now

    def _append(self, record: NewRecord, *, detections: int | None = None) -> None:
        self._health.beat("sampler", within_s=FSYNC_S)
        self._store.append(record, detections=detections)
        self._committed_boot_s = self._clock.boot_s()
        self._health.update(
            total=self._store.total, queued=self._store.queued, dropped=self._store.dropped
        )
        self._on_record()

    def _well(self, place: _Place) -> None:
        place.failures = 0
        name = place.config.name
        self._health.clear(SENSOR_FAILING, key=name)
        self._health.sensor(name, last_s=place.last_s, ok=True)

    def _failed(self, place: _Place, error: SensorError) -> None:
        """Close a sensor and have it opened again after its interval, doubled each time."""
        self._shut(place)
        patience_s = max(place.interval_s, RETRY_MAX_S)
        delay_s = min(patience_s, place.interval_s * 2.0 ** min(place.failures, 32))
        place.failures += 1
        place.due_boot_s = self._clock.boot_s() + delay_s
        name = place.config.name
        self._health.sensor(name, last_s=place.last_s, ok=False, error=error.text)
        self._health.report(SENSOR_FAILING, error.text, hint=error.hint, key=name)

    def _shut(self, place: _Place) -> None:
        """Close a sensor; its open window is reported if it still tells what it saw."""
        sensor, place.sensor = place.sensor, None
        window, place.window = place.window, None
        if sensor:
            with suppress(SensorError):
                if window:
                    self._report(place, sensor, window)
            with suppress(SensorError):
                sensor.close()
