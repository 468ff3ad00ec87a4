"""A target of polls: one configured sensor, when it is due, the poll that runs, how it is."""

from __future__ import annotations

import math
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from agent.errors import NoDataError, SensorError
from agent.model import Reading
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

#: A sensor without a value is well until it has none so often in a row.
NO_DATA_MAX = 3

HANGS = "check the wiring; a restart of the agent lets go of what hangs"


class Verdict(NamedTuple):
    """State of a sensor, in words: why it fails, what to do, why a detector is not to be believed.

    It gave its last value at `last_s` of the wall clock; the last poll took `took_s` seconds.
    `error` is empty while it works, None as long as nothing is known of that.
    """

    last_s: float | None = None
    took_s: float | None = None
    error: str | None = None
    hint: str = ""
    doubt: str = ""


class Target:
    """Belongs to the sampler's thread; `now_s` is always the boot clock.

    `wake` is called, in any thread, when a counted sensor has detected something. While a poll
    runs, the sensor is the poll's alone.
    """

    def __init__(self, poller: Poller, wake: Callable[[], None]) -> None:
        self.config = poller.config
        self.name = poller.config.name
        self.verdict = Verdict()
        self._interval_s = poller.config.interval_s or INTERVAL_S
        self._dead_band = DeadBand(poller.config)
        self._failures = 0  # polls in a row that failed
        self._missing = 0  # and those that had no value
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
        """True while a poll runs."""
        return self._job is not None

    @property
    def hangs(self) -> bool:
        """True while a poll that was left behind still runs."""
        return self._hanging is not None and not self._hanging.done

    @property
    def next_boot_s(self) -> float:
        """The time at which there is something to do: begin a poll, or leave one behind."""
        if self._job:
            return self._late_boot_s
        detected_boot_s = -math.inf if self._called else self._quiet_boot_s
        return min(self._due_boot_s, max(detected_boot_s, self._polled_boot_s + BETWEEN_S))

    def begin(self, pool: Pool, now_s: float) -> None:
        """Begin a poll, in a thread of `pool` if it may block. Raises SensorError if it cannot."""
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
        """Begin the poll that closes the sensor, if it is open and no other poll runs."""
        if self._sensor and not self._job:
            with suppress(RuntimeError):  # the system gives no more threads
                self._job = pool.start(partial(self._poller.last_poll, self._sensor))

    def ended(self, now_s: float, *, wait_s: float = 0.0) -> Poll | None:
        """The poll that is over, waited for at most `wait_s`; None if none is.

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
        self._sensor = poll.sensor
        self._quiet_boot_s = self._polled_boot_s + poll.took_s + poll.quiet_s
        return poll

    def leave(self) -> bool:
        """Leave a poll behind that may still run; True if there was one."""
        return self._job is not None and self._job.leave_behind(dispose)

    def take(self, poll: Poll, now_s: float) -> Reading | None:
        """Take what came of a poll into the verdict; the reading that is worth sending, if any."""
        self.verdict = self.verdict._replace(took_s=poll.took_s, doubt=self._doubt(poll))
        if poll.due:
            self._pace(now_s)
        if isinstance(poll.error, NoDataError):
            self._missing += 1
            if self._missing >= NO_DATA_MAX:
                self.fail(poll.error, now_s)
        elif poll.error:
            self.fail(poll.error, now_s)
        elif poll.due:
            return self._reading(poll)
        return None

    def fail(self, error: SensorError, now_s: float) -> None:
        """Note that it fails, and be due again after the interval, doubled with each failure."""
        longest_s = max(self._interval_s, RETRY_MAX_S)
        delay_s = min(longest_s, self._interval_s * 2.0 ** min(self._failures, 32))
        self._failures += 1
        self._due_boot_s = now_s + delay_s
        self._dead_band.forget()
        self.verdict = self.verdict._replace(error=error.text, hint=error.hint)

    def watched(self, wall_s: float) -> None:
        """Note that it has watched until then: that counts as a value."""
        self.verdict = self.verdict._replace(last_s=wall_s)

    def _reading(self, poll: Poll) -> Reading | None:
        self._failures = self._missing = 0
        self.verdict = self.verdict._replace(error="", hint="")
        if not (poll.values and poll.values_at):
            return None
        self.verdict = self.verdict._replace(last_s=poll.values_at.wall_s)
        news = self._dead_band.is_news(poll.values, poll.values_at.boot_s)
        return Reading(self.name, poll.values, poll.values_at) if news else None

    def _doubt(self, poll: Poll) -> str:
        """The reason not to believe what it detects; empty if there is none or it is not judged."""
        if poll.opened and poll.sensor and poll.sensor.limits and not self._plausibility:
            self._plausibility = Plausibility(poll.sensor.limits)
        if not (self._plausibility and poll.seen and poll.seen_at):
            return self.verdict.doubt
        seen, now_s = poll.seen, poll.seen_at.boot_s
        if poll.opened:
            self._plausibility.begin(now_s)
            return self.verdict.doubt
        return self._plausibility.judge(
            now_s, count=seen.count, active_s=seen.active_s, edges=seen.edges
        )

    def _pace(self, now_s: float) -> None:
        """Be due after the interval; slots that were missed are left out."""
        missed = max(0, math.floor((now_s - self._due_boot_s) / self._interval_s))
        self._due_boot_s += (missed + 1) * self._interval_s

    def _call(self) -> None:
        """Called in any thread: there is something to drain. A line that chatters wakes once."""
        if not self._called:
            self._called = True
            self._wake()
