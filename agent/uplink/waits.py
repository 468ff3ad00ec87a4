"""Waits of the uplink, above all the backoff between two attempts to connect.

Only a stop or a wish to try again ends a wait, never a new reading.
"""

from __future__ import annotations

import random
import time

from agent.errors import StoppingError
from agent.health.health import FSYNC_S
from agent.mqtt import BETWEEN_CONNECTS_S

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from agent.health.health import Health
    from agent.wakeup import Wakeup

#: The longest sleep between two heartbeats: more than a minute, so that the reading of each minute
#: ends it.
BEAT_S = 75.0

#: While a call for help waits, no wait before the next attempt is longer.
CALLED_S = 10.0

#: A session shorter than this is no success: the delay goes on growing.
STABLE_S = 60.0


class Backoff:
    """Jitter under a cap that doubles: `uniform(min_s, min(max_s, min_s * 2**n))`, n from 1.

    The full jitter of "Exponential Backoff And Jitter" (AWS Architecture Blog), raised to `min_s`
    below. One serves every cause of a failed or lost connection. Used by one thread.
    """

    def __init__(
        self,
        min_s: float,
        max_s: float,
        *,
        uniform: Callable[[float, float], float] = random.uniform,
    ) -> None:
        self._min_s = min_s
        self._max_s = max_s
        self._uniform = uniform
        self._failures = 0

    def next_s(self) -> float:
        """Seconds to wait now, at least BETWEEN_CONNECTS_S; the next wait may be longer."""
        self._failures += 1
        cap_s = min(self._max_s, self._min_s * 2.0 ** min(self._failures, 32))
        return max(self._uniform(self._min_s, cap_s), BETWEEN_CONNECTS_S)

    def anew(self) -> None:
        """Begin with short waits again: what failed before has nothing to do with what does now."""
        self._failures = 0

    def ended(self, online_s: float) -> None:
        """Note that a session ended that had been online for `online_s`."""
        if online_s >= STABLE_S:
            self._failures = 0


class Waits:
    """Waits in the thread of `worker`; any thread or signal handler may call `stop` and `retry`."""

    def __init__(self, worker: str, *, health: Health, wakeup: Wakeup) -> None:
        self._worker = worker
        self._health = health
        self.wakeup = wakeup
        # Plain flags: they are set in signal handlers, where a lock could be held already.
        self._retrying = False
        self.stopping = False

    def stop(self) -> None:
        """End this wait and all later ones."""
        self.stopping = True
        self.wakeup.set()

    def retry(self) -> None:
        """End the wait that is going on."""
        self._retrying = True
        self.wakeup.set()

    def retry_wanted(self) -> bool:
        """True if `retry()` was called since this was asked last."""
        if not self._retrying:
            return False
        self._retrying = False
        return True

    def beat(self, within_s: float = BEAT_S + FSYNC_S) -> None:
        """Say that the worker makes progress and will say so again within `within_s`."""
        self._health.beat(self._worker, within_s)

    def wait(self, wait_s: float) -> bool:
        """Wait; True if `retry()` ended it early. Raises StoppingError once stopped."""
        until_s = time.monotonic() + wait_s
        while True:
            if self.stopping:
                raise StoppingError
            if self.retry_wanted():
                return True
            left_s = until_s - time.monotonic()
            if left_s <= 0:
                return False
            self.beat()
            self.wakeup.wait(min(left_s, BEAT_S))
