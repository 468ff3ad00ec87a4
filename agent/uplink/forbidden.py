"""Prohibitions: what the broker forbids is left out for a while, told, and tried again.

Under MQTT 5 a refusal has a reason code. Under 3.1.1 AWS IoT just closes the connection on what the
policy forbids. So packets go one at a time after such an end, until it is known on which.
"""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING, NamedTuple

from agent.health import conditions
from agent.model import COUNT, MINUTE_S
from agent.mqtt.answers import (
    NOT_AUTHORIZED,
    REFUSED,
    ClosedError,
    ServerEndedError,
    reason_text,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from agent.errors import LinkLostError
    from agent.health.health import Health
    from agent.model import Record

#: Name of SUBSCRIBE beside those of topics; no kind of record is written like it.
SUBSCRIBE = "SUBSCRIBE"

#: A connection that ends so soon after a packet is laid to its charge; so many running prove it.
SUSPICIOUS_S = 5.0
SUSPICIONS = 3

#: What may go before the packets that were unanswered: SUBSCRIBE, the birth, a new count.
BEFORE = 3

FIRST_S, LAST_S = 60.0, 3600.0

#: Reasons of a DISCONNECT that speak of a packet: malformed, protocol error, not authorized,
#: topic name, too large, payload format; and those that say nothing.
TELLING = frozenset({0x80, 0x81, 0x82, 0x83, NOT_AUTHORIZED, 0x90, 0x95, 0x99})


class Flight(NamedTuple):
    """A packet without its answer: SUBSCRIBE, or a message by its topic below the thing's name."""

    name: str
    sent_s: float
    record: Record | None = None


class _Ban(NamedTuple):
    delay_s: float
    until_s: float


class Forbidden:
    """Knowledge over many connections of what the broker forbids; used in the uplink thread.

    The names are those of `Flight`. What is forbidden is held for 1, 2, 4 … 60 minutes.
    """

    def __init__(
        self, thing: str, *, health: Health, monotonic_s: Callable[[], float] = time.monotonic
    ) -> None:
        self._thing = thing
        self._health = health
        self._monotonic_s = monotonic_s
        self._bans: dict[str, _Ban] = {}
        self._suspect, self._suspicions = "", 0
        self._alone = 0

    @property
    def careful(self) -> bool:
        """True while packets are to go one at a time."""
        return self._alone > 0

    def held(self) -> frozenset[str]:
        """The names of what may not go now."""
        now_s = self._monotonic_s()
        return frozenset(name for name, ban in self._bans.items() if now_s < ban.until_s)

    def wait_s(self) -> float:
        """Seconds until something that is held may go; infinite if nothing is."""
        now_s = self._monotonic_s()
        ends = (ban.until_s for ban in self._bans.values())
        return min((end_s - now_s for end_s in ends if now_s < end_s), default=math.inf)

    def retry(self) -> None:
        """Let all that is held be tried now."""
        self._bans = {name: ban._replace(until_s=-math.inf) for name, ban in self._bans.items()}

    def answered(self, name: str, reason: int) -> None:
        """Note the broker's answer to a packet."""
        self._alone = max(0, self._alone - 1)
        if name == self._suspect:
            self._suspect, self._suspicions = "", 0
        if reason < REFUSED:
            if self._bans.pop(name, None):
                self._health.clear(self._condition(name), key=name)
        elif reason == NOT_AUTHORIZED or name == SUBSCRIBE:
            self._hold(name, reason_text(reason))

    def ended(self, lost: LinkLostError, unanswered: Collection[Flight]) -> None:
        """Note how a connection ended, and what was unanswered then."""
        told = isinstance(lost, ClosedError) or (
            isinstance(lost, ServerEndedError) and lost.reason in TELLING
        )
        # While SUBSCRIBE waits for its answer, nothing is concluded about the others.
        suspects = [one for one in unanswered if one.name == SUBSCRIBE] or unanswered
        sent_s = max((one.sent_s for one in suspects), default=-math.inf)
        suspicious = told and self._monotonic_s() - sent_s <= SUSPICIOUS_S
        self._alone = len(unanswered) + BEFORE if suspicious else 0
        names = {one.name for one in suspects} if suspicious else set()
        name = names.pop() if len(names) == 1 else ""
        self._suspicions = self._suspicions + 1 if name == self._suspect else 1
        self._suspect = name
        if name and (self._suspicions >= SUSPICIONS or name in self._bans):
            self._hold(name, "it ends the connection")

    def _hold(self, name: str, why: str) -> None:
        now_s, ban = self._monotonic_s(), self._bans.get(name)
        if ban and now_s < ban.until_s:
            return  # this one was on its way already
        delay_s = min(2 * ban.delay_s, LAST_S) if ban else FIRST_S
        self._bans[name] = _Ban(delay_s, now_s + delay_s)
        what = f"SUBSCRIBE to {self._thing}/{COUNT}"
        if name != SUBSCRIBE:
            what = f"to publish on {self._thing}/{name}"
        self._health.report(
            self._condition(name),
            f"the broker forbids {what}: {why}; tried again in {delay_s / MINUTE_S:.0f} min",
            key=name,
        )

    @staticmethod
    def _condition(name: str) -> conditions.Condition:
        return conditions.NOT_SUBSCRIBED if name == SUBSCRIBE else conditions.NOT_AUTHORIZED
