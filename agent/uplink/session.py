"""One MQTT session while it is online: birth, subscription, records up, commands down, farewell."""

from __future__ import annotations

import math
import time

from agent.errors import LinkLostError
from agent.health import conditions
from agent.health.health import FSYNC_S
from agent.model import COUNT
from agent.mqtt import publish_size
from agent.mqtt.answers import SilentError
from agent.uplink.announcement import OFFLINE, STATUS, STOPPED, announcement
from agent.uplink.forbidden import SUBSCRIBE
from agent.uplink.inbox import UNCONFIRMED
from agent.uplink.waits import BEAT_S

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from agent.clock import Clock
    from agent.health.health import Health
    from agent.model import Json, Record
    from agent.mqtt import Connection
    from agent.store import Store
    from agent.uplink.inbox import Inbox, Totals
    from agent.uplink.outbox import Outbox, Outcome

TOO_LARGE = "larger than the broker takes"

#: A broker that owes an answer for so long is not there any more, whatever the socket says.
ANSWER_WITHIN_S = 20.0

#: Times of a stop: for what still flies, so that there is room for the farewell, and for that.
LANDING_S, FAREWELL_S = 1.0, 0.3


class Session:
    """Serves one accepted connection in the uplink thread until it ends or is told to finish.

    `subscription` names what the broker is to remember; SUBSCRIBE is sent until a SUBACK says so.
    `on_call` is called when a call for help has had its answer.
    """

    def __init__(
        self,
        thing: str,
        connection: Connection,
        outbox: Outbox,
        *,
        subscription: str,
        inbox: Inbox,
        totals: Totals,
        store: Store,
        health: Health,
        clock: Clock,
        on_call: Callable[[], None] = lambda: None,
        monotonic_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._thing = thing
        self._connection = connection
        self._outbox = outbox
        self._subscription = subscription
        self._inbox = inbox
        self._totals = totals
        self._store = store
        self._health = health
        self._clock = clock
        self._on_call = on_call
        self._monotonic_s = monotonic_s
        #: State and facts, until the broker took them.
        self._announcement: tuple[str, Mapping[str, Json]] | None = None
        self._status_mid = self._subscribe_mid = 0
        self._subscribed_again = False
        self._leaving = False

    def announce(self, state: str, facts: Mapping[str, Json]) -> None:
        """Have `state` published on `<thing>/status`, which is no record: no number, not kept."""
        self._announcement, self._status_mid = (state, facts), 0

    def step(self, at_most_s: float = BEAT_S) -> None:
        """Send what may go, wait for an answer or a wake-up, and act on it.

        Raises LinkLostError once the connection is of no use, StoreError if the store is.
        """
        self._subscribe()
        self._publish_status()
        self._publish_records()
        more_s = self._outbox.wait_s() if self._may_publish() else math.inf
        self._tell()
        shown_s = self._health.rest(more=bool(self._outbox.unanswered()))
        wait_s = min(at_most_s, more_s, shown_s, self._silence_s())
        answers = self._connection.step(max(0.0, wait_s))
        for mid, outcome in self._outbox.answered(answers).items():
            self._answered(mid, outcome)
        self._tell()
        self._check_answers()
        if self._inbox.has_withheld():
            raise LinkLostError("a command waits at the broker, which a new connection brings")

    def finish(self, until_s: float, *, why: Mapping[str, Json] = STOPPED) -> None:
        """Send what waits until nothing does or `until_s` (monotonic), then say farewell.

        Where the farewell cannot go any more, the broker sends the last will: no DISCONNECT then.
        """
        now_s = self._monotonic_s()
        landing_s = until_s - min(LANDING_S, (until_s - now_s) / 3)
        while now_s < until_s:
            self._leaving = now_s >= landing_s
            more = not self._leaving and self._outbox.wait_s() < LANDING_S
            if not (more or self._outbox.unanswered()):
                break
            self.step((until_s if self._leaving else landing_s) - now_s)
            now_s = self._monotonic_s()
        self._leaving = True
        self._store.flush()
        self.announce(OFFLINE, why)
        until_s = max(self._monotonic_s(), until_s) + FAREWELL_S
        while self._announcement and (left_s := until_s - self._monotonic_s()) > 0:
            if STATUS in self._outbox.held():
                break
            self.step(left_s)
        if self._status_mid or not self._announcement:
            self._connection.finish()

    def _tell(self) -> None:
        self._health.update(
            published=self._totals.published,
            acked=self._totals.acked,
            last_ack=self._totals.last_ack,
        )

    def _subscribe(self) -> None:
        if (
            not self._subscribe_mid
            and self._totals.subscribed != self._subscription
            and self._outbox.may_send(SUBSCRIBE)
        ):
            self._subscribe_mid = self._connection.subscribe(f"{self._thing}/{COUNT}")
            self._outbox.sent(self._subscribe_mid, SUBSCRIBE)

    def _publish_status(self) -> None:
        if self._announcement is None or self._status_mid or not self._outbox.may_send(STATUS):
            return
        topic = f"{self._thing}/{STATUS}"
        payload = announcement(*self._announcement, wall_s=self._clock.wall_s())
        if self._connection.takes(topic, payload):
            self._status_mid = self._connection.publish(topic, payload)
            self._outbox.sent(self._status_mid, STATUS)
        else:
            self._announcement = None

    def _may_publish(self) -> bool:
        """True if records may go; behind much that waits to be written they stay in the store."""
        return not self._leaving and self._connection.has_room()

    def _publish_records(self) -> None:
        while self._may_publish() and (record := self._outbox.take()):
            topic, payload = record.topic(self._thing), record.payload()
            if self._connection.takes(topic, payload):
                mid = self._connection.publish(topic, payload)
                size = publish_size(topic, payload, five=True)  # one byte more than with 3.1.1
                self._outbox.sent(mid, record.kind, record, size)
                self._totals.was_published()
            else:
                self._store.set_aside(record.seq, TOO_LARGE)
                self._tell_set_aside(record.seq, record.kind, TOO_LARGE)
        while self._outbox.spoiled:
            self._tell_set_aside(*self._outbox.spoiled.pop())

    def _answered(self, mid: int, outcome: Outcome) -> None:
        record, reason = outcome.flight.record, outcome.reason
        if outcome.held:
            text = f"the broker refuses to publish: {reason}"
            self._health.report(conditions.NOT_AUTHORIZED, text, key="publish")
        if mid == self._subscribe_mid:
            self._subscribe_mid = 0
            if not reason:
                self._totals.subscribed = self._subscription
        elif record and outcome.set_aside:
            self._tell_set_aside(record.seq, record.kind, reason)
        elif mid == self._status_mid and (outcome.set_aside or reason):
            self._status_mid = 0
            self._announcement = None if outcome.set_aside else self._announcement
        elif not reason:
            self._arrived(mid, record)
        if outcome.flight.urgent:
            if not reason:
                self._store.remember(sos_arrived=f"{self._clock.wall_s():.0f}")
            elif outcome.set_aside:
                self._store.remember(sos_arrived="")  # nor is one before it shown as this one
            self._on_call()

    def _arrived(self, mid: int, record: Record | None) -> None:
        self._health.clear(conditions.NOT_AUTHORIZED, key="publish")
        if mid == self._status_mid:
            self._announcement, self._status_mid = None, 0
            self._totals.was_announced()
            self._store.told_skipped()
        elif record:
            self._totals.was_acknowledged(self._clock.wall_s())
            if record.kind == COUNT:
                self._check_echoes(record.seq)

    def _tell_set_aside(self, seq: int, kind: str, reason: str) -> None:
        self._health.report(conditions.RECORD_REFUSED, f"record {seq}, {kind}: {reason}")

    def _check_echoes(self, acknowledged_seq: int) -> None:
        """Tell when counts are acknowledged and do not come back; subscribe once more."""
        since_s = self._totals.unconfirmed_since_s(acknowledged_seq, self._monotonic_s())
        subscribed = self._totals.subscribed == self._subscription
        if subscribed and self._monotonic_s() - since_s > ANSWER_WITHIN_S:
            self._health.report(
                conditions.NOT_CONFIRMED,
                f"{UNCONFIRMED} counts were acknowledged and none came back",
            )
            if not self._subscribed_again:
                self._subscribed_again = True
                self._totals.subscribed = ""

    def _silence_s(self) -> float:
        """Seconds for which the broker may still owe what it owes now."""
        return ANSWER_WITHIN_S - (self._monotonic_s() - self._outbox.owed_since_s)

    def _check_answers(self) -> None:
        """Take the broker for gone if it owes an answer, and none lies unread in the socket."""
        late_s = -self._silence_s()
        if late_s >= 0 and (self._connection.drained or late_s > FSYNC_S):
            raise SilentError(f"the broker owes an answer since {ANSWER_WITHIN_S + late_s:.0f} s")
