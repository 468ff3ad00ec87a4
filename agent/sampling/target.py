"""One configured sensor: where it stands, when it is due, and the look at it that runs."""

from __future__ import annotations

import math
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

from agent.errors import SensorError
from agent.sampling.dead_band import DeadBand
from agent.sampling.poll import Poll, dispose
from agent.sensors import Plausibility

if TYPE_CHECKING:
    from collections.abc import Callable

    from agent.sampling.poll import Poller
    from agent.sampling.pool import Job, Pool
    from agent.sensors import Sensor

INTERVAL_S = 60.0
RETRY_MAX_S = 300.0

#: Detections are asked for this often at most, however many there are.
BETWEEN_S = 1.0

#: A driver has its own time to give up; this much later it is left behind.
LATE_S = 1.0

HANGS = "check the wiring; a restart of the agent lets go of what hangs"


class Target:
    """Belongs to the sampler's thread; `now_s` is always the boot clock.

    `wake` is called, in any thread, when a counted sensor has detected something. While a look
    runs, the sensor is the look's alone. `failures` and `missing` count looks in a row that failed,
    or had no value.
    """

    def __init__(self, poller: Poller, wake: Callable[[], None]) -> None:
        self.config = poller.config
        self.name = poller.config.name
        self.interval_s = poller.config.interval_s or INTERVAL_S
        self.dead_band = DeadBand(poller.config)
        self.doubt = ""  # why a detector is not to be believed
        self.failures = 0
        self.missing = 0
        self.last_s: float | None = None  # when it last gave a value, on the wall clock
        self.took_s: float | None = None
        self.told: tuple[float | None, str] | None = None  # what health knows: last_s, the error
        self._poller = poller
        self._plausibility: Plausibility | None = None  # of a detector that is to be judged
        self._sensor: Sensor | None = None  # None: to be opened when due
        self._job: Job[Poll] | None = None
        self._hanging: Job[Poll] | None = None
        self._wake = wake
        self._called = False
        self._due_boot_s = -math.inf
        self._late_boot_s = math.inf
        self._polled_boot_s = -math.inf
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
        return min(self._due_boot_s, max(detected_boot_s, self._polled_boot_s + BETWEEN_S))

    def begin(self, pool: Pool, now_s: float) -> None:
        """Begin a look, in a thread of `pool` if it may block. Raises SensorError if it cannot."""
        if self.hangs:
            raise SensorError(f"{self.name}: it still hangs", hint=HANGS)
        self._hanging = None
        due = now_s >= self._due_boot_s
        if not self._sensor:
            self._due_boot_s = now_s  # the pace is that of the opening
        self._called, self._polled_boot_s = False, now_s
        work = partial(self._poller.poll, self._sensor, due=due, call=self._call)
        instant = self._sensor is not None and self._sensor.instant
        try:
            self._job = pool.run(work) if instant else pool.start(work)
        except RuntimeError as error:  # the system gives no more threads
            dispose(Poll(self._sensor))
            self._sensor = None
            raise SensorError(f"{self.name}: {error}", hint=HANGS) from error
        self._late_boot_s = now_s + self.config.timeout_s + LATE_S

    def begin_last(self, pool: Pool) -> None:
        """Begin the look that closes the sensor, if it is open and no other look runs."""
        if self._sensor and not self._job:
            with suppress(RuntimeError):  # the system gives no more threads
                self._job = pool.start(partial(self._poller.last_poll, self._sensor))

    def ended(self, now_s: float, *, wait_s: float = 0.0) -> Poll | None:
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
        poll, self._job = job.result(), None
        self._sensor, self.took_s = poll.sensor, poll.took_s
        self._quiet_boot_s = self._polled_boot_s + poll.took_s + poll.quiet_s
        return poll

    def leave(self) -> bool:
        """Leave a look behind that may still run; whether there was one."""
        return self._job is not None and self._job.leave_behind(dispose)

    def judge(self, poll: Poll) -> str:
        """Why what it detects is not to be believed, in words; empty if it is, or is not judged."""
        if poll.opened and poll.sensor and poll.sensor.limits and not self._plausibility:
            self._plausibility = Plausibility(poll.sensor.limits)
        if self._plausibility and poll.seen and poll.seen_at:
            seen, now_s = poll.seen, poll.seen_at.boot_s
            if poll.opened:
                self._plausibility.begin(now_s)
            else:
                self.doubt = self._plausibility.judge(
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
