"""The packets on their way over one connection: what goes next, and what is unanswered.

A call for help goes ahead of all, past window and quota. Then the newest count, and while a backlog
drains each new one goes ahead of it; everything else keeps its order. A record leaves the store
only with an acknowledgement that says yes.
"""

from __future__ import annotations

import math
import time
from collections import deque

from agent.facts import EVENTS
from agent.model import COUNT
from agent.mqtt.answers import (
    NOT_AUTHORIZED,
    PACKET_MAX,
    PACKET_TOO_LARGE,
    PAYLOAD_FORMAT_INVALID,
    REFUSED,
    TOPIC_NAME_INVALID,
    reason_text,
)
from agent.uplink.forbidden import SUBSCRIBE, Flight
from agent.uplink.quota import Quota
from agent.uplink.waits import CALLED_S
from agent.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from agent.model import Record
    from agent.mqtt.answers import Accepted, Answer
    from agent.store import Store
    from agent.uplink.forbidden import Forbidden
    from agent.uplink.waits import Backoff

#: While the store cannot take acknowledgements, the backlog waits; this long at a time.
CONGESTED_S = 1.0


class Outcome(Value):
    """Outcome of the broker's answer to `flight`: yes if there is no `reason` why not.

    Else its record was `set_aside`, since no waiting mends that, or it stays, and is forbidden or
    `held` with all others for the backoff.
    """

    flight: Flight
    reason: str = ""
    set_aside: bool = False
    held: bool = False


class Outbox:
    """Hands out records, at most `window` unanswered and `per_s` a second; knows all packets.

    Belongs to one connection, which was `accepted`, and to its thread; what it knows ends with it,
    the store knows the rest. Memory holds one window, whatever the backlog. `backoff` spaces the
    retries after a refusal, `forbidden` outlives the connection. So many places of the broker's
    Receive Maximum are `spare`, kept for calls for help.
    """

    def __init__(
        self,
        store: Store,
        accepted: Accepted,
        *,
        window: int,
        per_s: float,
        backoff: Backoff,
        forbidden: Forbidden,
        spare: int = 0,
        monotonic_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store = store
        self._window = min(window, max(1, accepted.receive_maximum - spare))
        self._receive_maximum = accepted.receive_maximum
        # A broker that told its largest packet and refuses a smaller one speaks of something else.
        self._hopeless = {TOPIC_NAME_INVALID, PAYLOAD_FORMAT_INVALID}
        if accepted.maximum_packet_size >= PACKET_MAX:
            self._hopeless.add(PACKET_TOO_LARGE)
        self._quota = Quota(per_s)
        self._backoff = backoff
        self._forbidden = forbidden
        self._monotonic_s = monotonic_s
        self._flying: dict[int, Flight] = {}
        self._page: deque[Record] = deque()
        self._page_up_to_seq = 0
        self._gone: set[int] = set()  # numbers above `_up_to_seq` that went already
        self._up_to_seq = 0
        self._looked_up_to_seq = 0
        self._urged = store.urged
        self._make_way = False  # something is to go alone, or flies alone
        self._refused: set[str] = set()
        forbidden.connected()
        self._held = forbidden.held()
        self._next_s = self._held_until_s = -math.inf
        #: What was set aside since it was read from the file: number, kind and reason.
        self.spoiled: list[tuple[int, str, str]] = []

    def held(self) -> frozenset[str]:
        """The names of what may not go now."""
        return self._forbidden.held()

    def may_send(self, name: str) -> bool:
        """True if a packet of that name may go now: SUBSCRIBE, or a message on a topic.

        What is to go alone has nothing else sent from now on, until it went.
        """
        if self._monotonic_s() < self._held_until_s or name in self.held():
            return False
        if self._flying and self._forbidden.doubts(name, self._flying.values()):
            self._make_way = True
        return not self._make_way and len(self._flying) < self._receive_maximum

    def wait_s(self) -> float:
        """Seconds until there is something to do, if nothing else happens."""
        now_s = self._monotonic_s()
        if now_s < self._held_until_s:
            return self._held_until_s - now_s
        over = self._held - self.held()
        more = over or self._page or self._store.newest_seq > self._up_to_seq
        next_s = self._next_s if more and not self._full() else math.inf
        return min(max(0.0, next_s - now_s), self._forbidden.wait_s())

    def take(self) -> Record | None:
        """The record to publish next, or None if none may go now. Say `sent()` when it went."""
        if call := self._call():
            return call
        now_s = self._monotonic_s()
        if self._full() or now_s < max(self._next_s, self._held_until_s):
            return None
        left_out, self._held = self._held, self.held()
        if left_out - self._held:
            self._begin_again()
        record = self._fresh_count() or self._oldest()
        if record and not self.may_send(record.kind):
            self._begin_again()
            return None
        return record

    def retry(self) -> None:
        """End the wait after a refusal, and that for what is forbidden."""
        self._held_until_s = min(self._held_until_s, self._monotonic_s())
        self._forbidden.retry()

    def sent(self, mid: int, name: str, record: Record | None = None, size: int = 0) -> None:
        """Note that a packet of `size` bytes went out, with `record`, if it is one."""
        now_s = self._monotonic_s()
        urgent = record is not None and record.seq in self._store.urgent
        self._flying[mid] = Flight(name, now_s, record, urgent)
        self._next_s = max(self._next_s, self._quota.spend(size, now_s))

    def answered(self, answers: Iterable[Answer]) -> dict[int, Outcome]:
        """Act on the broker's answers; the outcome of each that is ours, by the packet's id.

        A reason that says yes lets a record go. Else it stays, and is sent again: what is forbidden
        after a while, anything after the backoff; or, where the record is at fault, set aside.
        """
        outcomes = {
            one.mid: self._outcome(flight, one.reason)
            for one in answers
            if (flight := self._flying.pop(one.mid, None))
        }
        flights = [one.flight for one in outcomes.values() if not one.reason]
        if arrived := [flight.record.seq for flight in flights if flight.record]:
            self._store.acknowledge(*arrived)
        return outcomes

    def _outcome(self, flight: Flight, reason: int) -> Outcome:
        self._forbidden.answered(flight.name, reason)
        self._make_way = False
        if reason < REFUSED:
            self._refused.discard(flight.name)
            return Outcome(flight)
        if reason in self._hopeless:
            if flight.record:
                self._store.set_aside(flight.record.seq, reason_text(reason))
            return Outcome(flight, reason_text(reason), set_aside=True)
        held = reason != NOT_AUTHORIZED and flight.name != SUBSCRIBE
        if held:
            self._hold(flight.name)
        self._begin_again()
        return Outcome(flight, reason_text(reason), held=held)

    def unanswered(self) -> list[Flight]:
        """The packets without an answer, oldest first."""
        return list(self._flying.values())

    @property
    def owed_since_s(self) -> float:
        """The time from which on the broker owes an answer (monotonic); infinite if it does not."""
        oldest = next(iter(self._flying.values()), None)
        return oldest.sent_s if oldest else math.inf

    def _full(self) -> bool:
        return self._make_way or len(self._flying) >= self._window

    def _hold(self, name: str) -> None:
        """Let nothing go until the backoff is over, which begins anew after a time without.

        What is refused again and again then lets the others go first.
        """
        now_s = self._monotonic_s()
        if now_s >= self._held_until_s:
            self._backoff.ended(now_s - self._held_until_s)
            delay_s = self._backoff.next_s()
            self._held_until_s = now_s + (min(delay_s, CALLED_S) if self._store.urgent else delay_s)
            if name in self._refused:
                self._forbidden.postpone(name, self._held_until_s)
        self._refused.add(name)

    def _begin_again(self) -> None:
        """Look once more from the oldest on: the store knows what is left, but for what flies."""
        self._page.clear()
        self._up_to_seq = self._page_up_to_seq = self._looked_up_to_seq = 0
        self._gone = {flight.record.seq for flight in self._flying.values() if flight.record}

    def _call(self) -> Record | None:
        """The oldest call for help that does not fly, if it may go; at once with each press."""
        if not (calls := self._store.urgent):
            return None
        if self._store.urged != self._urged:
            self._urged = self._store.urged
            self._held_until_s = min(self._held_until_s, self._monotonic_s())
            self._forbidden.retry(EVENTS)
        flying = {one.record.seq for one in self._flying.values() if one.record}
        next_seq = next((seq for seq in calls if seq not in flying), 0)
        record = self._store.next_urgent(next_seq - 1) if next_seq else None
        if not record or record.seq in flying or not self.may_send(record.kind):
            return None
        self._gone.add(record.seq)  # for the others, once it has flown
        return record

    def _fresh_count(self) -> Record | None:
        """The newest count, if it has come since this was asked last and was not considered yet."""
        newest_seq = self._store.newest_seq
        if newest_seq == self._looked_up_to_seq or COUNT in self._held:
            return None
        self._looked_up_to_seq = newest_seq
        record = self._store.newest(COUNT)
        if record is None or record.seq <= self._up_to_seq or record.seq in self._gone:
            return None
        self._gone.add(record.seq)
        return record

    def _oldest(self) -> Record | None:
        """The oldest that has not gone; one slice of the file at most is looked at for it."""
        if not self._page:
            if self._store.newest_seq <= self._up_to_seq:
                self._gone.clear()
                return None
            if self._store.congested:
                self._next_s = self._monotonic_s() + CONGESTED_S
                return None
            page = self._store.page(self._up_to_seq, self._window, without=self._held)
            self._page.extend(page.records)
            self._page_up_to_seq = page.up_to_seq
            self.spoiled += page.set_aside
        while self._page:
            record = self._page.popleft()
            self._up_to_seq = record.seq
            if record.seq not in self._gone:
                return record
        self._up_to_seq = max(self._up_to_seq, self._page_up_to_seq)
        self._gone = {seq for seq in self._gone if seq > self._up_to_seq}
        return None
