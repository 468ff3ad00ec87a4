"""The uplink's waits: only a stop or a wish to try again ends one, never a new reading."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from agent.errors import StoppingError

if TYPE_CHECKING:
    from agent.health.health import Health
    from agent.wakeup import Wakeup

#: The longest sleep between two heartbeats.
BEAT_S = 60.0

#: How long a blocking step may take that nothing can interrupt: an fsync on a dying card.
FSYNC_S = 120.0


class Patience:
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
        """Whether `retry()` was called since this was asked last."""
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
