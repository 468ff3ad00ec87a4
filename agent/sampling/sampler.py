"""The sampler: the worker that turns what sensors see into records in the store.

A sensor that may block is polled in a thread of the pool, so that one that hangs is left behind
and the others never notice. A counted detector without `interval_s` only counts; any other sensor
is read every `interval_s`, on the boot clock and without drift. One that fails is closed, and
opened anew after a while that grows.
"""

from __future__ import annotations

import logging
import sys
import threading
import time

from agent.health import conditions
from agent.health.health import SAMPLER
from agent.sampling.counting import CountWindow
from agent.sampling.leaks import Leaks
from agent.sampling.poll import Poller
from agent.sampling.pool import Pool
from agent.sampling.target import BETWEEN_S, LOST_HINT, Target
from agent.sensors import open_sensor

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Self

    from agent.clock import Clock
    from agent.config import Config
    from agent.health.health import Health
    from agent.model import Moment
    from agent.sampling.poll import Poll
    from agent.sampling.recorder import Recorder
    from agent.sensors import Sensor
    from agent.wakeup import Wakeup

#: Most polls take less; a step waits so long for them, and is woken by those that take more.
SETTLE_S = 0.02

#: Threads take turns so often (Python's default), and while a poll does not end: a driver that
#: computes for ever then gives way to the others before it holds them up.
TURN_S = 0.005
SHORT_TURN_S = 0.0005

#: The longest wait at once, so that the watchdog sees life.
WAIT_MAX_S = 60.0

#: Within this time after a wait the worker beats again.
LATENESS_S = 30.0

#: Longest wait of `close` for sensors, and for a step that still runs in the worker's thread.
CLOSE_WAIT_S = 1.0

log = logging.getLogger(__name__)


class Sampler:
    """Reads, counts and stores; `step`, `wait` and `run` belong to one thread, the rest to any.

    `wakeup` ends the wait of `run`, `open_sensor(config, clock=...)` is that of `agent.sensors`.
    """

    name = SAMPLER

    def __init__(
        self,
        config: Config,
        recorder: Recorder,
        *,
        clock: Clock,
        health: Health,
        wakeup: Wakeup,
        open_sensor: Callable[..., Sensor] = open_sensor,
        settle_s: float = SETTLE_S,
    ) -> None:
        self._settle_s = settle_s
        self._recorder = recorder
        self._clock = clock
        self._health = health
        self._wakeup = wakeup
        self._pool = Pool(on_done=wakeup.set)
        self._asked = config.count.asked
        self._window = CountWindow(
            (one.name for one in config.sensors if one.name in config.count.sensor),
            clock.now(),
            window_s=config.count.window_s,
            tested=[one.name for one in config.sensors if one.test],
        )
        self._targets = [
            Target(Poller(one, clock, open_sensor, counts, Leaks()), wakeup.set)
            for one in config.sensors
            for counts in (one.sos or one.name in self._window,)
        ]
        self._told: dict[str, tuple[float | None, str]] = {}  # what health knows of each
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
            self._health.beat(self.name, within_s=wait_s + LATENESS_S)
            self.wait(wait_s)

    def wait(self, timeout_s: float) -> None:
        """Wait until something happens: at a descriptor, in a poll, or that `stop` is called."""
        waits = {one.descriptor: one for one in self._targets if one.descriptor is not None}
        self._recorder.hand_on()
        for descriptor in self._wakeup.wait_for(timeout_s, *waits):
            if target := waits.get(descriptor):
                target.detected()

    def stop(self) -> None:
        """End `run`, after the step that it may be in."""
        self._stopping = True
        self._wakeup.set()

    def step(self) -> float:
        """Do all that is due; in how many seconds something will be due again, at most 60."""
        with self._working:
            if self._closed:
                return WAIT_MAX_S
            self._recorder.tend(self._pool, watching=self._watching())
            self._settle(self._targets)
            self._report_due()  # windows that went by before anybody could be asked
            # What has been due for longest is first to get a thread, should they be short.
            due = sorted(self._targets, key=lambda target: target.next_boot_s)
            self._settle([target for target in due if self._begin(target)], self._settle_s)
            now_s = self._report_due()
            self._recorder.flush()
            waits = any(target.busy or target.hangs for target in self._targets)
            sys.setswitchinterval(SHORT_TURN_S if waits else TURN_S)
            due_s = min(self._recorder.due_s(), self._next_boot_s(now_s))
            return max(0.0, min(WAIT_MAX_S, due_s - now_s))

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
                try:
                    self._close()
                finally:  # the lamps go out, whatever the store says
                    self._recorder.close()
        finally:
            self._working.release()

    def _close(self) -> None:
        self._settle(self._targets, CLOSE_WAIT_S / 2)
        self._report_due()
        for target in self._targets:
            target.begin_last(self._pool)
        self._settle(self._targets, CLOSE_WAIT_S / 2)
        for target in self._targets:
            if poll := target.leave("it hangs and is left behind"):
                self._take(target, poll)
        self._pool.close()
        now = self._clock.now()
        if now.boot_s >= self._window.closes_boot_s:
            self._report(now)
        if self._window.so_far(now)[0].watched:  # else the next start, or silence, says as much
            self._report(now)

    def _begin(self, target: Target) -> bool:
        """Begin a poll if one is due; True if it has begun."""
        now_s = self._clock.boot_s()
        if target.busy or now_s < self._due_s(target, now_s):
            return False
        if target.begin(self._pool, now_s):
            return True
        if target.verdict.error and not self._window.watches(target.name):
            self._window.leaves(target.name)
        self._tell(target)
        return False

    def _settle(self, targets: list[Target], timeout_s: float = 0.0) -> None:
        """Take polls that are over in time, or late, and what those have seen that run on."""
        until_s = time.monotonic() + timeout_s
        for target in targets:
            if poll := target.ended(self._clock.boot_s(), wait_s=until_s - time.monotonic()):
                self._take(target, poll)
            elif target.busy:
                self._count(target, target.poll)

    def _take(self, target: Target, poll: Poll) -> None:
        """Count, store and tell what came of a poll."""
        if poll.opened and poll.sensor:
            self._warn(target, poll.sensor)
        self._count(target, poll)
        if poll.lost:
            self._window.leaves(target.name)
        if reading := target.take(poll, self._clock.boot_s()):
            self._recorder.keep(reading)
        self._tell(target)

    def _watching(self) -> bool:
        """True if every counted sensor that is in use watches, and is to be believed."""
        counted = [one for one in self._targets if one.name in self._window and not one.config.test]
        return bool(counted) and all(
            self._window.watches(one.name) and not one.verdict.doubt for one in counted
        )

    def _count(self, target: Target, poll: Poll) -> None:
        """Count what a poll that is over, or runs, has seen; once."""
        if not poll.seen:
            return
        (seen, now), poll.seen = poll.seen, None
        target.judge(seen, now, opened=poll.opened)
        if target.name in self._window:
            if poll.opened:
                self._window.joins(target.name, now)
            else:
                self._window.saw(target.name, seen, now)
                if not target.config.test:
                    self._recorder.saw(seen, now)
            self._recorder.mirror(self._window.so_far(now))
        elif target.config.sos and seen.count and not poll.opened:
            self._recorder.called(target.config, now)

    def _warn(self, target: Target, sensor: Sensor) -> None:
        """Tell of a configuration that does not do what it seems to."""
        if target.name in self._window and not sensor.detects:
            if self._asked:  # else it was only guessed that it might
                text = f"count.sensor: {target.name} does not detect, so it is not counted"
                key = f"count.sensor {target.name}"
                self._health.report(conditions.CONFIG_WARNING, text, key=key)
            self._window.ignores(target.name)

    def _due_s(self, target: Target, now_s: float) -> float:
        """The time at which there is something to do with a sensor; a window awaits it at once."""
        over = now_s >= self._window.closes_boot_s and self._window.awaited(target.name)
        return now_s if over and not target.busy else target.next_boot_s

    def _next_boot_s(self, now_s: float) -> float:
        """The time at which something is due; where threads are short, one is asked for again."""
        soon_s = now_s + BETWEEN_S
        due_s = [soon_s if target.waits else self._due_s(target, now_s) for target in self._targets]
        return min([*due_s, self._window.due_s(now_s)])

    def _report_due(self) -> float:
        """Report each window that is to be closed; the time on the boot clock."""
        now = self._clock.now()
        while now.boot_s >= self._window.due_s(now.boot_s):
            self._report(now)
        return now.boot_s

    def _report(self, now: Moment) -> None:
        """Store what was counted in the window, which ends now."""
        watching = [one for one in self._targets if self._window.watches(one.name) and not one.busy]
        suspects = [target.name for target in self._targets if target.verdict.doubt]
        if self._recorder.report(self._window.close(now, suspects=suspects)):
            self._recorder.mirror(self._window.so_far(now))
        for target in watching:
            target.watched(now.wall_s)
            if not target.verdict.error:
                self._tell(target)

    def _tell(self, target: Target) -> None:
        """Show how a sensor is, if that is news."""
        name, verdict = target.name, target.verdict
        doubt = verdict.doubt or verdict.loss
        hint = "" if verdict.doubt else LOST_HINT
        text = doubt and f"{name}: {doubt}"
        self._health.stand(conditions.SENSOR_SUSPECT, text, hint=hint, key=name)
        if verdict.error is None:
            return
        self._health.stand(conditions.SENSOR_FAILING, verdict.error, hint=verdict.hint, key=name)
        self._health.stand(
            conditions.QUANTITY_MISSING, verdict.missing, hint=verdict.missing_hint, key=name
        )
        last_s, error = news = verdict.last_s, verdict.error
        if news != self._told.get(name):
            self._told[name] = news
            self._recorder.sensor_is(name, error)
            took_s = verdict.took_s
            self._health.sensor(name, last_s=last_s, ok=not error, error=error, took_s=took_s)
