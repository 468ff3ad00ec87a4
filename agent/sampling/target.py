"""One configured sensor: where it stands, when it is due, and the look at it that runs."""

from __future__ import annotations

import math
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

from agent.errors import SensorError
from agent.sampling.dead_band import Change
from agent.sampling.poll import Look, dispose
from agent.sensors.plausibility import Truth

if TYPE_CHECKING:
    from collections.abc import Callable

    from agent.sampling.poll import Looker
    from agent.sampling.pool import Job, Pool
    from agent.sensors.sensor import Sensor

INTERVAL_S = 60.0
RETRY_MAX_S = 300.0

#: Detections are asked for this often at most, however many there are.
BETWEEN_S = 1.0

#: A driver has its own time to give up; this much later it is left behind.
LATE_S = 1.0

HANGS = "check the wiring; a restart of the agent lets go of what hangs"


class Place:
    """Belongs to the sampler's thread; `now_s` is always the boot clock.

    `wake` is called, in any thread, when a counted sensor has detected something. While a look
    runs, the sensor is the look's alone. `failures` and `missing` count looks in a row that failed,
    or had no value.
    """

    def __init__(self, looker: Looker, wake: Callable[[], None]) -> None:
        self.config = looker.config
        self.name = looker.config.name
        self.interval_s = looker.config.interval_s or INTERVAL_S
        self.change = Change(looker.config)
        self.doubt = ""  # why a detector is not to be believed
        self.failures = 0
        self.missing = 0
        self.last_s: float | None = None  # when it last gave a value, on the wall clock
        self.took_s: float | None = None
        self.told: tuple[float | None, str] | None = None  # what health knows: last_s, the error
        self._looker = looker
        self._truth: Truth | None = None  # of a detector that is to be judged
        self._sensor: Sensor | None = None  # None: to be opened when due
        self._job: Job[Look] | None = None
        self._hanging: Job[Look] | None = None
        self._wake = wake
        self._called = False
        self._due_boot_s = -math.inf
        self._late_boot_s = math.inf
        self._looked_boot_s = -math.inf
        self._quiet_boot_s = math.inf  # until then there is nothing to drain

    @property
    def busy(self) -> bool:
        """Whether a look runs."""
        return self._job is not None

    @property
    def hangs(self) -> bool:
        """Whether a look that was left behind still runs."""
        return self._hanging is not None and not self._hanging.done

    @property
    def next_boot_s(self) -> float:
        """When there is something to do: begin a look, or leave one behind."""
        if self._job:
            return self._late_boot_s
        detected_boot_s = -math.inf if self._called else self._quiet_boot_s
        return min(self._due_boot_s, max(detected_boot_s, self._looked_boot_s + BETWEEN_S))

    def begin(self, pool: Pool, now_s: float) -> None:
        """Begin a look, in a thread of `pool` if it may block. Raises SensorError if it cannot."""
        if self.hangs:
            raise SensorError(f"{self.name}: it still hangs", hint=HANGS)
        self._hanging = None
        due = now_s >= self._due_boot_s
        if not self._sensor:
            self._due_boot_s = now_s  # the pace is that of the opening
        self._called, self._looked_boot_s = False, now_s
        work = partial(self._looker.look, self._sensor, due=due, call=self._call)
        instant = self._sensor is not None and self._sensor.instant
        try:
            self._job = pool.run(work) if instant else pool.start(work)
        except RuntimeError as error:  # the system gives no more threads
            dispose(Look(self._sensor))
            self._sensor = None
            raise SensorError(f"{self.name}: {error}", hint=HANGS) from error
        self._late_boot_s = now_s + self.config.timeout_s + LATE_S

    def begin_last(self, pool: Pool) -> None:
        """Begin the look that closes the sensor, if it is open and no other look runs."""
        if self._sensor and not self._job:
            with suppress(RuntimeError):  # the system gives no more threads
                self._job = pool.start(partial(self._looker.last_look, self._sensor))

    def ended(self, now_s: float, *, wait_s: float = 0.0) -> Look | None:
        """What came of the look, waited for at most `wait_s`; None if none is over.

        One that is late is left behind: raises SensorError.
        """
        job = self._job
        if not job:
            return None
        late = not job.wait(wait_s) and now_s >= self._late_boot_s
        if late and job.leave_behind(dispose):
            self._job, self._sensor, self._hanging = None, None, job
            text = f"{self.name}: it gives no answer within {self.config.timeout_s:g} s"
            raise SensorError(text, hint=HANGS)
        if not job.done:
            return None
        look, self._job = job.result(), None
        self._sensor, self.took_s = look.sensor, look.took_s
        self._quiet_boot_s = self._looked_boot_s + look.took_s + look.quiet_s
        return look

    def leave(self) -> bool:
        """Leave a look behind that may still run; whether there was one."""
        return self._job is not None and self._job.leave_behind(dispose)

    def judge(self, look: Look) -> str:
        """Why what it detects is not to be believed, in words; empty if it is, or is not judged."""
        if look.opened and look.sensor and look.sensor.limits and not self._truth:
            self._truth = Truth(look.sensor.limits)
        if self._truth and look.seen and look.seen_at:
            seen, now_s = look.seen, look.seen_at.boot_s
            if look.opened:
                self._truth.begin(now_s)
            else:
                self.doubt = self._truth.judge(
                    now_s, count=seen.count, active_s=seen.active_s, edges=seen.edges
                )
        return self.doubt

    def pace(self, now_s: float) -> None:
        """Be due after the interval; slots that were missed are left out."""
        missed = max(0, math.floor((now_s - self._due_boot_s) / self.interval_s))
        self._due_boot_s += (missed + 1) * self.interval_s

    def put_off(self, now_s: float) -> None:
        """Be due after the interval, doubled with each failure."""
        patience_s = max(self.interval_s, RETRY_MAX_S)
        delay_s = min(patience_s, self.interval_s * 2.0 ** min(self.failures, 32))
        self.failures += 1
        self._due_boot_s = now_s + delay_s

    def _call(self) -> None:
        """Called in any thread: there is something to drain. A line that chatters wakes once."""
        if not self._called:
            self._called = True
            self._wake()
