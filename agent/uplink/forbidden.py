"""Prohibitions: what the broker forbids is left out for a while, told, and tried again.

Under MQTT 5 a refusal has a reason code. Under 3.1.1 AWS IoT just closes the connection on what the
policy forbids. So what was unanswered at such an end goes alone the next time, until it has its
answer; what ended a connection alone lets the others go first.
"""

from __future__ import annotations

import math
import time

from agent.facts import EVENTS
from agent.health import conditions
from agent.model import COUNT, MINUTE_S
from agent.mqtt.answers import (
    NOT_AUTHORIZED,
    REFUSED,
    ClosedError,
    ServerEndedError,
    reason_text,
)
from agent.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable

    from agent.errors import LinkLostError
    from agent.health.health import Health
    from agent.model import Record

#: Name of SUBSCRIBE beside those of topics; no kind of record is written like it.
SUBSCRIBE = "SUBSCRIBE"

#: A connection that ends so soon after a packet is laid to its charge; so many times prove it.
SUSPICIOUS_S, SUSPICIONS = 5.0, 3

#: What is suspected lets others go first for so long; what is forbidden waits from so long to that.
OTHERS_FIRST_S = 5.0
FIRST_S, LAST_S = 60.0, 3600.0

#: Reasons of a DISCONNECT that speak of a packet: malformed, protocol error, not authorized,
#: topic name, too large, payload format; and those that say nothing.
TELLING = frozenset({0x80, 0x81, 0x82, 0x83, NOT_AUTHORIZED, 0x90, 0x95, 0x99})

NONE_HELD = frozenset[str]()


class Flight(Value):
    """A packet without its answer: SUBSCRIBE, or a message by its topic below the thing's name.

    One that is `urgent` is a call for help.
    """

    name: str
    sent_s: float
    record: Record | None = None
    urgent: bool = False


class _Doubt(Value, frozen=False):
    """Doubt in a name: it ended so many connections alone, is held until then, was for so long."""

    ends: int = 0
    until_s: float = -math.inf
    delay_s: float = 0.0


class Forbidden:
    """Knowledge over many connections of what the broker forbids; used in the uplink thread.

    The names are those of `Flight`. What is forbidden is held for 1, 2, 4 … 60 minutes; events for
    one, while a call for help waits among them: then `urgent` gives what is true.
    """

    def __init__(
        self,
        thing: str,
        *,
        health: Health,
        urgent: Callable[[], object] = lambda: None,
        monotonic_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._thing = thing
        self._health = health
        self._urgent = urgent
        self._monotonic_s = monotonic_s
        self._doubts: dict[str, _Doubt] = {}

    def doubts(self, name: str, flying: Iterable[Flight] = ()) -> bool:
        """True if a packet of that name is to go alone, or one of those that fly is."""
        return bool(self._doubts) and (
            name in self._doubts or any(one.name in self._doubts for one in flying)
        )

    def held(self) -> frozenset[str]:
        """The names of what may not go now."""
        if not self._doubts:
            return NONE_HELD
        now_s = self._monotonic_s()
        return frozenset(name for name, doubt in self._doubts.items() if now_s < doubt.until_s)

    def wait_s(self) -> float:
        """Seconds until something that is held may go; infinite if nothing is."""
        now_s = self._monotonic_s()
        ends = (doubt.until_s - now_s for doubt in self._doubts.values())
        return min((left_s for left_s in ends if left_s > 0), default=math.inf)

    def retry(self, *names: str) -> None:
        """Let these be tried now, or all that is held."""
        for name, doubt in self._doubts.items():
            if not names or name in names:
                doubt.until_s = -math.inf

    def connected(self) -> None:
        """Note a new connection: what ended one before lets the others go first."""
        for name, doubt in self._doubts.items():
            if doubt.ends:
                self.postpone(name, self._monotonic_s())

    def postpone(self, name: str, until_s: float) -> None:
        """Hold a name until the others had their time after `until_s`."""
        doubt = self._doubts.setdefault(name, _Doubt())
        doubt.until_s = max(doubt.until_s, until_s + OTHERS_FIRST_S)

    def answered(self, name: str, reason: int) -> None:
        """Note the broker's answer to a packet; one that forbids nothing clears the name of it."""
        if reason == NOT_AUTHORIZED or (name == SUBSCRIBE and reason >= REFUSED):
            self._hold(name, reason_text(reason))
        elif doubt := self._doubts.pop(name, None):
            if doubt.delay_s:
                self._health.clear(self._condition(name), key=name)
            if reason >= REFUSED:
                self._doubts[name] = _Doubt(until_s=doubt.until_s)

    def ended(self, lost: LinkLostError, unanswered: Collection[Flight]) -> None:
        """Note how a connection ended, and what was unanswered then."""
        told = isinstance(lost, ClosedError) or (
            isinstance(lost, ServerEndedError) and lost.reason in TELLING
        )
        # While SUBSCRIBE waits for its answer, nothing is concluded about the others.
        suspects = [one for one in unanswered if one.name == SUBSCRIBE] or unanswered
        sent_s = max((one.sent_s for one in suspects), default=-math.inf)
        if not told or self._monotonic_s() - sent_s > SUSPICIOUS_S:
            return
        for flight in unanswered:
            self._doubts.setdefault(flight.name, _Doubt())
        names = {one.name for one in suspects}
        if len(names) == 1:
            (name,) = names
            self._doubts[name].ends += 1
            if self._doubts[name].ends >= SUSPICIONS:
                self._hold(name, "it ends the connection")

    def _hold(self, name: str, why: str) -> None:
        now_s, doubt = self._monotonic_s(), self._doubts.setdefault(name, _Doubt())
        if doubt.delay_s and now_s < doubt.until_s:
            return  # this one was on its way already
        last_s = FIRST_S if name == EVENTS and self._urgent() else LAST_S
        doubt.delay_s = min(2 * doubt.delay_s, last_s) or FIRST_S
        doubt.until_s = now_s + doubt.delay_s
        what = f"SUBSCRIBE to {self._thing}/{COUNT}"
        if name != SUBSCRIBE:
            what = f"to publish on {self._thing}/{name}"
        self._health.report(
            self._condition(name),
            f"the broker forbids {what}: {why}; tried again in {doubt.delay_s / MINUTE_S:.0f} min",
            key=name,
        )

    @staticmethod
    def _condition(name: str) -> conditions.Condition:
        return conditions.NOT_SUBSCRIBED if name == SUBSCRIBE else conditions.NOT_AUTHORIZED
