"""A target of polls: one configured sensor, when it is due, the poll that runs, how it is."""

from __future__ import annotations

import math
from contextlib import suppress
from functools import partial

from agent.errors import NoDataError, SensorError
from agent.model import Reading
from agent.sampling.dead_band import DeadBand
from agent.sampling.lacks import NO_DATA_MAX, Lacks
from agent.sampling.poll import Poll
from agent.sensors import BUILT_IN, Plausibility
from agent.value import Value, replace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from agent.model import Moment
    from agent.sampling.poll import Poller
    from agent.sampling.pool import Job, Pool
    from agent.sensors import Detections, Sensor

INTERVAL_S = 60.0
RETRY_MAX_S = 300.0

#: Detections are asked for this often at most, however many there are.
BETWEEN_S = 1.0

#: A driver has its own time to give up; this much later it is left behind.
LATE_S = 1.0

#: That edges were lost is told for so long; the window that they were in says how many.
LOSS_TOLD_S = 60.0

LOST = "changes of the line were lost: it changes faster than it can be read"
LOST_HINT = "raise its debounce_ms; a long or loose cable picks up interference"

HANGS = "check the wiring; a restart of the agent lets go of what hangs"
NO_THREAD = "other sensors hang: see what is said of them; a restart lets go of them"


class Verdict(Value):
    """State of a sensor, in words: why it fails, what to do, why a detector is not to be believed.

    It gave its last value at `last_s` of the wall clock; the last poll took `took_s` seconds.
    `error` is empty while it works, None as long as nothing is known of that. `missing` names what
    it lacks while the rest is sent, `missing_hint` says what to do about that; `loss` tells of
    edges that were lost a moment ago, which leaves the others to be believed.
    """

    last_s: float | None = None
    took_s: float | None = None
    error: str | None = None
    hint: str = ""
    doubt: str = ""
    loss: str = ""
    missing: str = ""
    missing_hint: str = ""


class Target:
    """Belongs to the sampler's thread; `now_s` is always the boot clock.

    `wake` is called, in any thread, when a counted sensor has detected something. While a poll
    runs, the sensor is the poll's alone.
    """

    def __init__(self, poller: Poller, wake: Callable[[], None]) -> None:
        self.config = poller.config
        self.name = poller.config.name
        self.verdict = Verdict()
        self._patience_s = poller.config.timeout_s + LATE_S
        self._interval_s = poller.config.interval_s or INTERVAL_S
        # A reading may be wanted rarely; a detector that is away misses what it is there for.
        counts = poller.counted
        self._retry_s = min(self._interval_s, INTERVAL_S) if counts else self._interval_s
        self._dead_band = DeadBand(poller.config)
        self._failures = 0  # polls in a row that failed
        self._missing = 0  # and those that had no value
        self._lacks = Lacks(self.name)
        self._poller = poller
        self._plausibility: Plausibility | None = None  # of a detector that is to be judged
        self._sensor: Sensor | None = None  # None: to be opened when due
        self._proven = poller.config.driver in BUILT_IN  # its last poll has come to an end
        self.poll = Poll(None)  # the one that runs, or was the last
        self._job: Job | None = None
        self._hanging: Job | None = None
        self._wake = wake
        self._called = False
        self._due_boot_s = -math.inf
        self._late_boot_s = math.inf
        self._waits_since_boot_s = math.inf
        self._polled_boot_s = -math.inf
        self._lost_boot_s = -math.inf  # the last time at which edges were lost
        self._quiet_boot_s = math.inf  # until then there is nothing to drain

    @property
    def busy(self) -> bool:
        """True while a poll runs."""
        return self._job is not None

    @property
    def waits(self) -> bool:
        """True while a poll is due for which there was no thread."""
        return self._waits_since_boot_s < math.inf

    @property
    def descriptor(self) -> int | None:
        """Descriptor that is readable when it detects, while that is to be waited for.

        What was told once, or is being polled, would end each wait until it has been drained.
        """
        return self._sensor.descriptor if self._sensor and not (self._job or self._called) else None

    @property
    def hangs(self) -> bool:
        """True while a poll that was left behind still runs."""
        return self._hanging is not None and not self._hanging.done

    @property
    def next_boot_s(self) -> float:
        """The time at which there is something to do: begin a poll, or leave one behind."""
        if self._job:
            return self._late_boot_s
        if not self._sensor:  # though one that was left behind may still call
            return self._due_boot_s
        detected_boot_s = -math.inf if self._called else self._quiet_boot_s
        return min(self._due_boot_s, max(detected_boot_s, self._polled_boot_s + BETWEEN_S))

    def begin(self, pool: Pool, now_s: float) -> bool:
        """Begin a poll, in a thread of `pool` if it may block; False if that is not possible now.

        If it is not for longer than a poll may take, the sensor fails, and is open all the same.
        """
        if self.hangs:
            self.fail(SensorError(f"{self.name}: it still hangs", hint=HANGS), now_s)
            return False
        self._hanging = None
        poll, called = Poll(self._sensor, due=now_s >= self._due_boot_s), self._called
        self._called = False
        work = partial(self._poller.poll, poll, self._call)
        instant = self._sensor is not None and self._sensor.instant
        try:
            job = pool.run(work) if instant else pool.start(work, proven=self._proven)
        except RuntimeError:
            self._called |= called
            self._wait(now_s)
            return False
        if not self._sensor:
            self._due_boot_s = now_s  # the pace is that of the opening
        self.poll, self._job = poll, job
        self._waits_since_boot_s = math.inf
        self._polled_boot_s, self._late_boot_s = now_s, now_s + self._patience_s
        return True

    def detected(self) -> None:
        """Note that there is something to drain, in the sampler's thread."""
        self._called = True

    def begin_last(self, pool: Pool) -> None:
        """Begin the poll that closes the sensor, if it is open and no other poll runs."""
        if self._sensor and not self._job:
            self.poll = Poll(self._sensor)
            with suppress(RuntimeError):  # no thread is free
                self._job = pool.start(partial(self._poller.last_poll, self.poll))

    def ended(self, now_s: float, *, wait_s: float = 0.0) -> Poll | None:
        """The poll that is over, waited for at most `wait_s`; None if none is.

        One that is late is left behind, and over.
        """
        job = self._job
        if not job:
            return None
        if not job.wait(wait_s) and now_s >= self._late_boot_s:
            return self.leave(f"it gives no answer within {self.config.timeout_s:g} s")
        if not job.done:
            return None
        poll: Poll = job.result()
        self._job, self._proven = None, True
        self._sensor = poll.sensor
        instant = poll.sensor is not None and poll.sensor.instant  # it took no time
        self._quiet_boot_s = self._polled_boot_s + poll.quiet_s + (0.0 if instant else poll.took_s)
        return poll

    def leave(self, text: str) -> Poll | None:
        """Leave a poll behind that still runs: what it has seen so far, failed as `text` says."""
        if not (self._job and self._job.leave_behind(Poll.close)):
            return None
        self._job, self._sensor, self._hanging, self._proven = None, None, self._job, False
        error = self.poll.error if self.poll.lost else None  # where it hangs in closing
        error = error or SensorError(f"{self.name}: {text}", hint=HANGS)
        return replace(self.poll, sensor=None, error=error, took_s=self._patience_s)

    def take(self, poll: Poll, now_s: float) -> Reading | None:
        """Take what came of a poll into the verdict; the reading that is worth sending, if any."""
        self.verdict = replace(self.verdict, took_s=poll.took_s)
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

    def judge(self, seen: Detections, now: Moment, *, opened: bool) -> None:
        """Judge whether to believe what a poll has seen, if the sensor is to be judged."""
        sensor = self.poll.sensor
        if opened and sensor and sensor.limits and not self._plausibility:
            self._plausibility = Plausibility(sensor.limits)
        if self._plausibility and opened:
            self._plausibility.begin(now.boot_s)
        elif self._plausibility:
            doubt = self._plausibility.judge(
                now.boot_s,
                count=seen.count,
                active_s=seen.active_s,
                edges=seen.edges,
            )
            self.verdict = replace(self.verdict, doubt=doubt)
        if seen.lost:
            self._lost_boot_s = now.boot_s
        loss = LOST if now.boot_s < self._lost_boot_s + LOSS_TOLD_S else ""
        self.verdict = replace(self.verdict, loss=loss)

    def fail(self, error: SensorError, now_s: float) -> None:
        """Note that it fails, and be due again after the interval, doubled with each failure.

        One that is counted is after a minute at the latest, doubled alike.
        """
        longest_s = max(self._retry_s, RETRY_MAX_S)
        delay_s = min(longest_s, self._retry_s * 2.0 ** min(self._failures, 32))
        self._failures += 1
        self._due_boot_s = now_s + delay_s
        self._dead_band.forget()
        self._lacks.note({})  # nothing at all is left
        self.verdict = replace(
            self.verdict, error=error.text, hint=error.hint, missing="", missing_hint=""
        )

    def watched(self, wall_s: float) -> None:
        """Note that it has watched until then: that counts as a value."""
        self.verdict = replace(self.verdict, last_s=wall_s)

    def _wait(self, now_s: float) -> None:
        """Wait for a thread, and say so once it takes long."""
        self._waits_since_boot_s = min(self._waits_since_boot_s, now_s)
        if now_s >= self._waits_since_boot_s + self._patience_s:
            self._waits_since_boot_s = math.inf
            text = f"{self.name}: no thread was free to poll it for {self._patience_s:g} s"
            self.fail(SensorError(text, hint=NO_THREAD), now_s)

    def _reading(self, poll: Poll) -> Reading | None:
        self._failures = self._missing = 0
        self._lacks.note(poll.missing)
        self.verdict = replace(
            self.verdict,
            last_s=poll.values_at.wall_s if poll.values and poll.values_at else self.verdict.last_s,
            error="",
            hint="",
            missing=self._lacks.text,
            missing_hint=self._lacks.hint,
        )
        if not (poll.values and poll.values_at):
            return None
        news = self._dead_band.is_news(poll.values, poll.values_at.boot_s)
        return Reading(self.name, poll.values, poll.values_at) if news else None

    def _pace(self, now_s: float) -> None:
        """Be due after the interval; slots that were missed are left out."""
        missed = max(0, math.floor((now_s - self._due_boot_s) / self._interval_s))
        self._due_boot_s += (missed + 1) * self._interval_s

    def _call(self) -> None:
        """Called in any thread: there is something to drain. A line that chatters wakes once."""
        if not self._called:
            self._called = True
            self._wake()
