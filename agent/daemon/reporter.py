"""The reporter: tells systemd and `status.json` how the agent is, and feeds the watchdog.

`status.json` is written when something has turned, or figures have changed and a worker rests, and
else about once a minute; it says when.
"""

from __future__ import annotations

import json
import logging
import math
import select
import time

from agent import files
from agent.daemon.notify import watchdog_interval_s
from agent.model import DAY_S

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from agent.daemon.config_watch import ConfigWatch
    from agent.daemon.notify import Notifier
    from agent.daemon.updates_watch import UpdatesWatch
    from agent.health.health import Health, Snapshot
    from agent.wakeup import Wakeup

#: status.json is replaced at most this often, and where that fails, tried again after AGAIN_S; what
#: turns within BURST_S is shown together.
STATUS_EVERY_S = 1.0
AGAIN_S = 5.0
BURST_S = 0.1

#: The longest sleep. Longer than a minute, so that the reading of each minute ends it.
TICK_S = 75.0

log = logging.getLogger(__name__)


class Reporter:
    """Runs in one thread; `stop` belongs to any.

    `turned` is set by what a person would want to know at once, `rested` by a worker that rests
    after figures have changed. Each of `watches` has its look with each tick.
    """

    name = "reporter"

    def __init__(
        self,
        health: Health,
        notifier: Notifier,
        *,
        rested: Wakeup,
        turned: Wakeup,
        status_file: Path,
        watches: Iterable[ConfigWatch | UpdatesWatch],
        monotonic_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._health = health
        self._notifier = notifier
        self._rested = rested
        self._turned = turned
        self._status_file = status_file
        self._watches = tuple(watches)
        self._monotonic_s = monotonic_s
        self._stopping = False
        self._trouble = ""
        self._tried_s = -math.inf
        self._turned_s = -math.inf
        self._pending = False
        self._watchdog_s = watchdog_interval_s() or DAY_S
        self._fed_s = -math.inf

    def run(self) -> None:
        """Report until `stop`, and once more at the end."""
        while not self._stopping:
            self._wait(self.tick())
        self._show()

    def stop(self) -> None:
        """End `run`."""
        self._stopping = True
        self._turned.set()

    def tick(self) -> float:
        """Feed the watchdog and tell the status; the seconds to the next call at the latest."""
        now_s = self._monotonic_s()
        self._feed(now_s)
        for watch in self._watches:
            watch.look()
        self._rested.clear()
        due_s = self._tried_s + (AGAIN_S if self._trouble else STATUS_EVERY_S)
        due_s = max(self._turned_s + BURST_S, due_s)
        self._pending = now_s < due_s
        if self._pending:
            self._notifier.status(self._health.snapshot().line())
        else:
            self._show()
        longest_s = min(TICK_S, self._unfed_s(now_s), self._health.next_change_s())
        if self._pending:
            return min(longest_s, due_s - now_s)
        return min(longest_s, AGAIN_S) if self._trouble else longest_s

    def _wait(self, wait_s: float) -> None:
        """Wait for a change; while one is about to be written, for a turn only."""
        watched = [self._turned] if self._pending else [self._turned, self._rested]
        ready, _, _ = select.select(watched, [], [], wait_s)
        if self._turned in ready:
            self._turned.clear()
            if not self._pending:
                self._turned_s = self._monotonic_s()

    def _feed(self, now_s: float) -> None:
        """Feed the watchdog if a quarter of its interval has gone, and no worker is late.

        So the wake-ups that there are do it, and there are none for it alone (see `_unfed_s`).
        """
        if now_s - self._fed_s >= self._watchdog_s / 4 and not self._late():
            self._notifier.watchdog()
            self._fed_s = now_s

    def _unfed_s(self, now_s: float) -> float:
        """Seconds until it is to be fed at the latest, at half its interval; or not, once more."""
        return max(self._fed_s + self._watchdog_s / 2 - now_s, self._watchdog_s / 4)

    def _late(self) -> bool:
        late = self._health.late()
        if late:
            log.error("no progress in %s: the watchdog is not fed", " and ".join(late))
        return bool(late)

    def _show(self) -> None:
        snapshot = self._health.snapshot()
        self._notifier.status(snapshot.line())
        self._write(snapshot)

    def _write(self, snapshot: Snapshot) -> None:
        content = (json.dumps(snapshot.as_json()) + "\n").encode()
        self._tried_s = self._monotonic_s()
        trouble = ""
        try:
            files.replace(self._status_file, content, mode=files.PUBLIC_FILE, durable=False)
        except OSError as error:
            trouble = error.strerror or str(error)
        if trouble != self._trouble:
            self._trouble = trouble
            told = f"cannot be written: {trouble}" if trouble else "is written again"
            log.log(logging.WARNING if trouble else logging.INFO, "%s %s", self._status_file, told)
