"""The records on their way over one connection: which goes next, and which are unacknowledged.

The newest count goes first, and while a backlog drains each new count goes ahead of it; everything
else keeps its order. A record leaves the store only with an acknowledgement that says yes.
"""

from __future__ import annotations

import time
from collections import deque
from typing import TYPE_CHECKING, NamedTuple

from agent.model import COUNT
from agent.mqtt.answers import PAYLOAD_FORMAT_INVALID, REFUSED, TOPIC_NAME_INVALID, reason_text

if TYPE_CHECKING:
    from collections.abc import Callable

    from agent.errors import LinkLostError
    from agent.model import Record
    from agent.store import Store
    from agent.uplink.poison import PoisonWatch
    from agent.uplink.waits import Backoff

#: AWS IoT takes this much in a second on one connection ("AWS IoT Core message broker quotas").
BYTES_PER_S = 512 * 1024

#: While the store cannot take acknowledgements, the backlog waits; this long at a time.
CONGESTED_S = 1.0

POISON = "the broker ends the connection on it"

#: The reasons that no waiting mends: the record itself is at fault.
HOPELESS = frozenset({TOPIC_NAME_INVALID, PAYLOAD_FORMAT_INVALID})


class Outcome(NamedTuple):
    """Outcome of the broker's answer for a record: it has arrived if there is no `reason` why not.

    Else it was `set_aside`, since no waiting mends that, or it stays, and all wait for the backoff.
    `guilty_seq` is a record that this arrival proves to be at fault, and that was set aside for it.
    """

    record: Record
    reason: str = ""
    set_aside: bool = False
    guilty_seq: int | None = None


class Outbox:
    """Hands out records, at most `window` unacknowledged and `per_s` a second.

    Belongs to one connection and its thread; what it knows ends with it, the store knows the rest.
    Memory holds one window, whatever the backlog. `backoff` spaces the retries after a refusal,
    `poison_watch` knows of a record that is to be left out, and outlives the connection.
    """

    def __init__(
        self,
        store: Store,
        *,
        window: int,
        per_s: float,
        backoff: Backoff,
        poison_watch: PoisonWatch,
        monotonic_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store = store
        self._window = window
        self._interval_s = 1.0 / per_s
        self._backoff = backoff
        self._poison_watch = poison_watch
        self._monotonic_s = monotonic_s
        self._flying: dict[int, tuple[Record, float]] = {}
        self._others: set[int] = set()  # packets in the window that are no records
        self._page: deque[Record] = deque()
        self._again: deque[Record] = deque()
        self._ahead: set[int] = set()
        self._up_to_seq = 0
        self._looked_up_to_seq = 0
        self._next_s = 0.0
        self._held_until_s = 0.0

    @property
    def flying(self) -> int:
        """The number of records sent and not acknowledged."""
        return len(self._flying)

    @property
    def full(self) -> bool:
        """True if the window has no room for one more."""
        window = 1 if self._poison_watch.careful else self._window
        return self.flying + len(self._others) >= window

    def wait_s(self) -> float:
        """Seconds until `take()` is worth asking again, if nothing else happens."""
        if self.full or not self._anything():
            return float("inf")
        return max(self._next_s, self._held_until_s) - self._monotonic_s()

    def take(self) -> Record | None:
        """The record to publish next, or None if none may go now. Say `sent()` when it went."""
        now_s = self._monotonic_s()
        if self.full or now_s < max(self._next_s, self._held_until_s):
            return None
        record = self._fresh_count() or self._oldest()
        if record:
            # A burst of a tenth of a second is allowed, so that a late wake-up costs no throughput.
            self._next_s = max(self._next_s, now_s - 0.1) + self._interval_s
        return record

    def sent(self, mid: int, record: Record, size: int) -> None:
        """Note that `record` went out as packet `mid` with a payload of `size` bytes."""
        self._flying[mid] = (record, self._monotonic_s())
        self._next_s += size / BYTES_PER_S

    def sent_other(self, mid: int) -> None:
        """Note that packet `mid`, which is no record, takes room in the window until answered."""
        self._others.add(mid)

    def set_aside(self, record: Record, reason: str) -> Outcome:
        """Give up a record that was taken and never can be sent; the store keeps it apart."""
        self._store.set_aside(record.seq, reason)
        return Outcome(record, reason, set_aside=True)

    def answered(self, mid: int, reason: int) -> Outcome | None:
        """Note the broker's answer for packet `mid`; what became of its record, if it is one.

        A reason from 0x80 on is a refusal: the record goes back to its place and everything waits,
        or, where the record itself is at fault, it is set aside.
        """
        self._others.discard(mid)
        record, _ = self._flying.pop(mid, (None, 0.0))
        if record is None:
            return None
        if reason < REFUSED:
            self._store.acknowledge(record.seq)
            guilty_seq = self._poison_watch.acknowledged(record.seq)
            if guilty_seq is not None:
                self._store.set_aside(guilty_seq, POISON)
                self._begin_again(guilty_seq)
            return Outcome(record, guilty_seq=guilty_seq)
        if reason in HOPELESS:
            return self.set_aside(record, reason_text(reason))
        self._again = deque(sorted([*self._again, record], key=lambda one: one.seq))
        if self._held_until_s <= self._monotonic_s():
            self._held_until_s = self._monotonic_s() + self._backoff.next_s()
        return Outcome(record, reason_text(reason))

    def ended(self, lost: LinkLostError) -> None:
        """Note how the connection ended, for the next one's outbox to take care."""
        flying = self._flying.values()
        sent_s = max((sent_s for _, sent_s in flying), default=0.0)
        numbers = [record.seq for record, _ in flying]
        self._poison_watch.ended(lost, numbers, self._monotonic_s() - sent_s)

    def oldest_flight_s(self) -> float:
        """Seconds since the oldest unacknowledged record was sent; 0 if there is none."""
        for _, sent_s in self._flying.values():
            return self._monotonic_s() - sent_s
        return 0.0

    def _begin_again(self, behind_seq: int) -> None:
        """Look once more at what was left out; nothing is flying, for records go one at a time."""
        self._page.clear()
        self._again.clear()
        self._up_to_seq = behind_seq

    def _anything(self) -> bool:
        return bool(self._again or self._page or self._store.newest_seq > self._up_to_seq)

    def _fresh_count(self) -> Record | None:
        """The newest count that was not considered yet; asking costs only the rows added since."""
        newest_seq = self._store.newest_seq
        if newest_seq == self._looked_up_to_seq:
            return None
        record = self._store.newest(COUNT, self._looked_up_to_seq)
        self._looked_up_to_seq = max(newest_seq, record.seq if record else 0)
        if record is None or record.seq <= self._up_to_seq or self._held(record):
            return None
        self._ahead.add(record.seq)
        return record

    def _oldest(self) -> Record | None:
        if self._again:
            return self._again.popleft()
        while True:
            if not self._page and self._store.congested:
                self._next_s = self._monotonic_s() + CONGESTED_S
                return None
            if not self._page:
                newest_seq = self._store.newest_seq
                self._page.extend(self._store.waiting(self._up_to_seq, self._window))
            if not self._page:
                # What went ahead may be acknowledged already, and is found here no more.
                self._up_to_seq = max(self._up_to_seq, newest_seq)
                self._ahead.clear()
                return None
            record = self._page.popleft()
            self._up_to_seq = record.seq
            if record.seq not in self._ahead and not self._held(record):
                return record
            self._ahead.discard(record.seq)

    def _held(self, record: Record) -> bool:
        return record.seq in self._poison_watch.held
