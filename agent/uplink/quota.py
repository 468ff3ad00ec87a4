"""The quota of one connection: messages and bytes a second, which are spent in bursts."""

from __future__ import annotations

import math

#: What was not sent in this time may go at once, so that a late wake-up costs no throughput.
SAVED_S = 0.1

#: Once all is spent, the wait lasts until so much is back: one wake-up for each burst, not for each
#: message. By that much is a fresh count late at most.
BURST_S = 0.05

#: AWS IoT takes this much in a second on one connection ("AWS IoT Core message broker quotas");
#: with what was saved before it, no second has more.
BYTES_PER_S = 512 * 1024 / (1 + SAVED_S)


class Quota:
    """Lets `per_s` messages go a second, and BYTES_PER_S, evenly or in bursts.

    Times are seconds of one monotonic clock.
    """

    def __init__(self, per_s: float) -> None:
        self._interval_s = 1.0 / per_s
        self._spent_s = -math.inf  # as much is left as this lies back

    def spend(self, size: int, now_s: float) -> float:
        """Note that a message of `size` bytes went; the time from which on the next one may."""
        cost_s = self._interval_s + size / BYTES_PER_S
        self._spent_s = max(self._spent_s, now_s - SAVED_S) + cost_s
        return self._spent_s + BURST_S if self._spent_s > now_s else now_s
