"""Subscription: SUBSCRIBE is sent only when needed, and rarely where it is forbidden.

Under MQTT 3.1.1 AWS IoT drops the connection on a SUBSCRIBE that the policy forbids, without a
word. Sending it each time would keep a device from ever publishing.
"""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

#: A session that ends this soon after SUBSCRIBE is laid to its charge.
SUSPICIOUS_S = 5.0
SUSPICIONS = 3

FIRST_RETRY_S = 60.0
LAST_RETRY_S = 3600.0


class Subscription:
    """State of our one subscription over many connections; used in the uplink thread."""

    def __init__(self, *, monotonic_s: Callable[[], float] = time.monotonic) -> None:
        self._monotonic_s = monotonic_s
        self._lost = False
        self._sent_s: float | None = None
        self._suspicions = 0
        self._retry_s = FIRST_RETRY_S
        self._not_before_s = -math.inf

    @property
    def forbidden(self) -> bool:
        """True from a refusal to the next grant: publishing goes on without it."""
        return self._not_before_s > -math.inf

    def connected(self, *, session_present: bool) -> None:
        """Note a CONNACK: the broker remembers our subscription, or not.

        A session that ended before SUBACK may be present and lack it, so that does not count.
        """
        self._lost = self._lost or not session_present
        self._sent_s = None

    def wait_s(self) -> float:
        """Seconds until SUBSCRIBE should be sent; 0 for now, infinite for not at all."""
        if not self._lost or self._sent_s is not None:
            return math.inf
        return max(0.0, self._not_before_s - self._monotonic_s())

    def lose(self) -> None:
        """Have it sent once more, though the broker says that it knows it."""
        self._lost = True
        self._sent_s = None

    def sent(self) -> None:
        """Note that SUBSCRIBE went out."""
        self._sent_s = self._monotonic_s()

    def granted(self) -> None:
        """Note a SUBACK that says yes."""
        self._lost = False
        self._suspicions = 0
        self._retry_s = FIRST_RETRY_S
        self._not_before_s = -math.inf

    def refused(self) -> None:
        """Note a SUBACK that says no: it is tried again after 1, 2, 4 … 60 minutes."""
        self._not_before_s = self._monotonic_s() + self._retry_s
        self._retry_s = min(self._retry_s * 2, LAST_RETRY_S)
        self._sent_s = None

    def ended(self) -> None:
        """Note that the connection was lost; several times soon after SUBSCRIBE is a refusal."""
        if self._sent_s is None or not self._lost:
            return
        if self._monotonic_s() - self._sent_s < SUSPICIOUS_S:
            self._suspicions += 1
            if self._suspicions >= SUSPICIONS:
                self.refused()
