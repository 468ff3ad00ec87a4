"""The wait between two attempts to connect: full jitter, reset only by a lasting success."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

#: AWS IoT accepts one CONNECT a second for a client id ("AWS IoT Core message broker quotas").
BETWEEN_CONNECTS_S = 1.1

#: A session shorter than this is no success: the delay goes on growing.
STABLE_S = 60.0


class Backoff:
    """Jitter under a cap that doubles: `uniform(min_s, min(max_s, min_s * 2**n))`, n from 1.

    The full jitter of "Exponential Backoff And Jitter" (AWS Architecture Blog), raised to `min_s`
    below. There is one for every cause of a failed or lost connection. Used by one thread.
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
        """How long to wait now; the next wait may be longer."""
        self._failures += 1
        cap_s = min(self._max_s, self._min_s * 2.0 ** min(self._failures, 32))
        return max(self._uniform(self._min_s, cap_s), BETWEEN_CONNECTS_S)

    def ended(self, online_s: float) -> None:
        """Note that a session ended that had been online for `online_s`."""
        if online_s >= STABLE_S:
            self._failures = 0
