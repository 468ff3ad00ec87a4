"""The sampler: the worker that turns what sensors see into records in the store.

A sensor that may block is looked at in a thread of the pool, so that one that hangs is left behind
and the others never notice. A counted detector without `interval_s` only counts; any other sensor
is read every `interval_s`, on the boot clock and without drift. One that fails is closed, and
opened anew after a while that grows.
"""

from __future__ import annotations

import logging
import math
import sys
import threading
import time
from typing import TYPE_CHECKING, Self

from agent.errors import NoDataError, SensorError
from agent.health.health import CONFIG_WARNING, SENSOR_FAILING, SENSOR_SUSPECT
from agent.model import Reading, reading_record
from agent.sampling.counting import Counted
from agent.sampling.poll import Looker
from agent.sampling.pool import Pool
from agent.sampling.target import Place
from agent.sensors.sensor import open_sensor

if TYPE_CHECKING:
    from collections.abc import Callable

    from agent.clock import Clock
    from agent.config.settings import Config
    from agent.health.health import Health
    from agent.model import Moment
    from agent.sampling.poll import Look
    from agent.sampling.recorder import Custody
    from agent.sensors.sensor import Detections, Sensor
    from agent.wakeup import Wakeup

#: A sensor without a value is well until it has none so often in a row.
NO_DATA_MAX = 3

#: Most looks take less; a step waits so long for them, and is woken by those that take more.
SETTLE_S = 0.02

#: Threads take turns so often (Python's default), and while a look does not end: a driver that
#: computes for ever then gives way to the others before it holds them up.
TURN_S = 0.005
SHORT_TURN_S = 0.0005

#: The longest wait at once, so that the watchdog sees life.
WAIT_MAX_S = 60.0

#: Within this time after a wait the worker beats again.
LATENESS_S = 30.0

#: How long `close` waits for sensors, and for a step that still runs in the worker's thread.
CLOSE_WAIT_S = 1.0

log = logging.getLogger(__name__)


class Sampler:
    """Reads, counts and stores; `step` and `run` belong to one thread, the rest to any.

    `wakeup` ends the wait of `run`, `open_sensor(config, clock=...)` is that of `agent.sensors`.
    """

    def __init__(
        self,
        config: Config,
        custody: Custody,
        *,
        clock: Clock,
        health: Health,
        wakeup: Wakeup,
        open_sensor: Callable[..., Sensor] = open_sensor,
        settle_s: float = SETTLE_S,
    ) -> None:
        self._settle_s = settle_s
        self._custody = custody
        self._clock = clock
        self._health = health
        self._wakeup = wakeup
        self._pool = Pool(on_done=wakeup.set)
        self._counted = Counted(
            (one.name for one in config.sensors if one.name in config.count.sensor),
            window_s=config.count.window_s,
            tested=[one.name for one in config.sensors if one.test],
        )
        self._places = [
            Place(Looker(one, clock, open_sensor, counted=one.name in self._counted), wakeup.set)
            for one in config.sensors
        ]
        self._working = threading.Lock()
        self._stopping = False
        self._closed = False

    def __enter__(self) -> Self:
        """Itself."""
        return self

    def __exit__(self, *_: object) -> None:
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
            begun = [place for place in self._places if self._advance(place)]
            self._settle(begun, self._settle_s)
            now = self._clock.now()
            if now.boot_s >= self._counted.closes_boot_s and not self._awaited():
                self._report(now)
            waits = any(place.busy or place.hangs for place in self._places)
            sys.setswitchinterval(SHORT_TURN_S if waits else TURN_S)
            due_s = min(self._custody.tend(), self._next_boot_s())
            return max(0.0, min(WAIT_MAX_S, due_s - now.boot_s))

    def close(self) -> None:
        """Store the open window as partial and close the sensors; more than once does no harm.

        A sensor that hangs is left behind. Raises StoreError.
        """
        if not self._working.acquire(timeout=CLOSE_WAIT_S):
            log.warning("sampler: it hangs and is left behind")
            return
        try:
            if not self._closed:
                self._closed = True
                self._close()
        finally:
            self._working.release()

    def _close(self) -> None:
        self._settle(self._places, CLOSE_WAIT_S / 2)
        for place in self._places:
            place.begin_last(self._pool)
        self._settle(self._places, CLOSE_WAIT_S / 2)
        for place in self._places:
            if place.leave():
                log.warning("sampler: %s hangs and is left behind", place.name)
        self._pool.close()
        self._report(self._clock.now())

    def _advance(self, place: Place) -> bool:
        """Take what came of a look that is over, begin the next if due; whether one has begun."""
        now_s = self._clock.boot_s()
        try:
            if look := place.ended(now_s):
                self._take(place, look)
            over = now_s >= self._counted.closes_boot_s and self._counted.awaited(place.name)
            if place.busy or not (now_s >= place.next_boot_s or over):
                return False
            place.begin(self._pool, now_s)
            return True
        except SensorError as error:
            self._lost(place, error)
            return False

    def _settle(self, places: list[Place], timeout_s: float) -> None:
        """Give looks that have begun the chance to end, and take what came of those that do."""
        until_s = time.monotonic() + timeout_s
        for place in places:
            look = place.ended(-math.inf, wait_s=until_s - time.monotonic())
            if look:
                self._take(place, look)

    def _take(self, place: Place, look: Look) -> None:
        """Store and tell what came of a look."""
        if look.opened and look.sensor:
            self._opened(place, look.sensor)
        if look.seen and look.seen_at and place.name in self._counted:
            self._saw(place, look.seen, look.seen_at, opened=look.opened)
        if doubt := place.judge(look):
            self._health.report(SENSOR_SUSPECT, f"{place.name}: {doubt}", key=place.name)
        else:
            self._health.clear(SENSOR_SUSPECT, key=place.name)
        if look.due:
            place.pace(self._clock.boot_s())
        if isinstance(look.error, NoDataError):
            place.missing += 1
            if place.missing >= NO_DATA_MAX:
                self._failed(place, look.error)
        elif look.error:
            self._lost(place, look.error)
        elif look.due:
            self._read(place, look)

    def _saw(self, place: Place, seen: Detections, now: Moment, *, opened: bool) -> None:
        """Count what a detector saw, and keep a copy of the open window."""
        if opened:
            self._counted.joins(place.name, now)
        else:
            self._counted.saw(place.name, seen, now)
        if so_far := self._counted.so_far(now):
            self._custody.mirror(*so_far)

    def _opened(self, place: Place, sensor: Sensor) -> None:
        if place.name in self._counted and not sensor.detects:
            text = f"count.sensor: {place.name} does not detect, so nothing is counted"
            self._health.report(CONFIG_WARNING, text, key=f"count.sensor {place.name}")
        if place.config.test:
            text = f"{place.name}: test is true, so what it detects is not counted"
            self._health.report(CONFIG_WARNING, text, key=f"test {place.name}")

    def _read(self, place: Place, look: Look) -> None:
        place.failures = place.missing = 0
        if look.values and look.values_at:
            place.last_s = look.values_at.wall_s
            if place.change.is_news(look.values, look.values_at.boot_s):
                reading = Reading(place.name, look.values, look.values_at)
                self._custody.append(reading_record(reading))
        self._well(place)

    def _awaited(self) -> bool:
        """Whether a counted sensor has still to be asked what it saw in the window that is over."""
        return any(self._counted.awaited(place.name) for place in self._places)

    def _next_boot_s(self) -> float:
        due_s = [place.next_boot_s for place in self._places]
        asked = any(place.busy and self._counted.awaited(place.name) for place in self._places)
        return min([*due_s, math.inf if asked else self._counted.closes_boot_s])

    def _report(self, now: Moment) -> None:
        """Store what was counted in the window, which ends now."""
        watching = [place for place in self._places if self._counted.watches(place.name)]
        suspects = [place.name for place in self._places if place.doubt]
        so_far = self._counted.so_far(now)
        record = self._counted.close(now, suspects=suspects)
        if not (record and so_far):
            return
        self._custody.report(so_far[0], record)
        for place in watching:
            place.last_s = now.wall_s
            if not place.failures:
                self._well(place)

    def _well(self, place: Place) -> None:
        self._health.clear(SENSOR_FAILING, key=place.name)
        self._tell(place, "")

    def _lost(self, place: Place, error: SensorError) -> None:
        """Go on without a sensor that had to be closed, until it is opened again."""
        self._counted.leaves(place.name)
        self._failed(place, error)

    def _failed(self, place: Place, error: SensorError) -> None:
        place.change.forget()
        place.put_off(self._clock.boot_s())
        self._tell(place, error.text)
        self._health.report(SENSOR_FAILING, error.text, hint=error.hint, key=place.name)

    def _tell(self, place: Place, error: str) -> None:
        """Show how a sensor is, if that is news."""
        news = (place.last_s, error)
        if news != place.told:
            place.told = news
            self._health.sensor(
                place.name, last_s=place.last_s, ok=not error, error=error, took_s=place.took_s
            )
