"""One MQTT session while it is online: birth, subscription, records up, commands down, farewell."""

from __future__ import annotations

import logging
import math
import time
from typing import TYPE_CHECKING

from agent.errors import LinkLostError
from agent.health import conditions
from agent.model import COUNT, Json, encode
from agent.mqtt.answers import REFUSED, Published, SilentError, reason_text
from agent.uplink.outbox import POISON, Outcome
from agent.uplink.waits import BEAT_S

if TYPE_CHECKING:
    from collections.abc import Callable

    from agent.clock import Clock
    from agent.health.health import Health
    from agent.mqtt import Connection
    from agent.mqtt.answers import Subscribed
    from agent.store import Store
    from agent.uplink.inbox import Inbox, Totals
    from agent.uplink.outbox import Outbox
    from agent.uplink.subscription import Subscription

#: A broker that owes an answer for so long is not there any more, whatever the socket says.
ANSWER_WITHIN_S = 20.0

#: Counts acknowledged without an echo until the way back is taken for broken.
UNCONFIRMED = 3

log = logging.getLogger(__name__)


class Session:
    """Serves one accepted connection in the uplink thread until it ends or is told to finish."""

    def __init__(
        self,
        thing: str,
        connection: Connection,
        outbox: Outbox,
        *,
        subscription: Subscription,
        inbox: Inbox,
        totals: Totals,
        store: Store,
        health: Health,
        clock: Clock,
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
        self._monotonic_s = monotonic_s
        self._status_mid = 0
        self._subscribe_mid = 0
        self._asked_s = 0.0
        self._unconfirmed: list[tuple[int, float]] = []  # seq of a count, and when acknowledged
        self._subscribed_again = False

    def announce(self, state: str, **facts: Json) -> None:
        """Publish `state` on `<thing>/status`, which is no record: no number, not kept."""
        payload = encode({"Timestamp": round(self._clock.wall_s(), 3), "state": state, **facts})
        topic = f"{self._thing}/status"
        if self._connection.objection(topic, payload):
            return
        self._status_mid = self._connection.publish(topic, payload)
        self._outbox.sent_other(self._status_mid)
        self._asked_s = self._monotonic_s()

    def step(self, at_most_s: float = BEAT_S) -> None:
        """Send what may go, wait for an answer or a wake-up, and act on it.

        Raises LinkLostError once the connection is of no use, StoreError if the store is.
        """
        if self._subscription.wait_s() <= 0:
            self._subscribe()
        while record := self._outbox.take():
            topic, payload = record.topic(self._thing), record.payload()
            if objection := self._connection.objection(topic, payload):
                self._was_set_aside(self._outbox.set_aside(record, objection))
            else:
                mid = self._connection.publish(topic, payload)
                self._outbox.sent(mid, record, len(payload))
                self._totals.was_published()
        wait_s = min(at_most_s, self._outbox.wait_s(), self._subscription.wait_s())
        for answer in self._connection.step(min(wait_s, self._silence_s())):
            if isinstance(answer, Published):
                self._published(answer)
            elif answer.mid == self._subscribe_mid:
                self._subscription_answered(answer)
        self._check_answers()
        if self._inbox.withheld and not self._store.blocked:
            raise LinkLostError("a command waits at the broker, which a new connection brings")
        self._health.update(
            queued=self._store.queued,
            published=self._totals.published,
            acked=self._totals.acked,
            last_ack=self._totals.last_ack,
        )

    def finish(self, until_s: float) -> None:
        """Send what waits until nothing does or `until_s` (monotonic), then say farewell."""
        while self._monotonic_s() < until_s and (
            self._outbox.flying or self._outbox.wait_s() < 1.0
        ):
            self.step(until_s - self._monotonic_s())
        self._store.flush()
        if not self._outbox.full:
            self.announce("offline", reason="stopped")
        farewell_until_s = max(self._monotonic_s() + 0.3, until_s)
        while self._status_mid and self._monotonic_s() < farewell_until_s:
            self.step(farewell_until_s - self._monotonic_s())
        self._connection.finish()

    def _subscribe(self) -> None:
        self._subscribe_mid = self._connection.subscribe(f"{self._thing}/{COUNT}")
        self._asked_s = self._monotonic_s()
        self._subscription.sent()

    def _published(self, answer: Published) -> None:
        outcome = self._outbox.answered(answer.mid, answer.reason)
        if answer.mid == self._status_mid:
            self._status_mid = 0
            if answer.reason < REFUSED:
                self._totals.was_announced()
                self._store.told_skipped()
        elif outcome and not outcome.reason:
            self._arrived(outcome)
        elif outcome and outcome.set_aside:
            self._was_set_aside(outcome)
        elif outcome:
            text = f"the broker refuses to publish: {outcome.reason}"
            self._health.report(conditions.NOT_AUTHORIZED, text, key="publish")

    def _arrived(self, outcome: Outcome) -> None:
        self._totals.was_acknowledged(self._clock.wall_s())
        self._health.clear(conditions.NOT_AUTHORIZED, key="publish")
        if outcome.guilty_seq is not None:
            text = f"record {outcome.guilty_seq}: {POISON}"
            self._health.report(conditions.RECORD_REFUSED, text)
        if outcome.record.kind == COUNT:
            self._check_echoes(outcome.record.seq)

    def _was_set_aside(self, outcome: Outcome) -> None:
        text = f"record {outcome.record.seq}, {outcome.record.kind}: {outcome.reason}"
        self._health.report(conditions.RECORD_REFUSED, text)

    def _check_echoes(self, acknowledged_seq: int) -> None:
        """Tell when counts are acknowledged and do not come back; subscribe once more."""
        now_s = self._monotonic_s()
        echoed_seq = self._inbox.echoed_seq
        waiting = [*self._unconfirmed, (acknowledged_seq, now_s)]
        self._unconfirmed = [one for one in waiting if one[0] > echoed_seq][:UNCONFIRMED]
        if len(self._unconfirmed) < UNCONFIRMED or self._subscription.forbidden:
            return
        if now_s - self._unconfirmed[0][1] > ANSWER_WITHIN_S:
            self._health.report(
                conditions.NOT_CONFIRMED,
                f"{UNCONFIRMED} counts were acknowledged and none came back",
            )
            if not self._subscribed_again:
                self._subscribed_again = True
                self._subscription.lose()

    def _subscription_answered(self, answer: Subscribed) -> None:
        self._subscribe_mid = 0
        refusals = [reason for reason in answer.reasons if reason >= REFUSED]
        if refusals:
            self._subscription.refused()
            self._health.report(
                conditions.NOT_SUBSCRIBED,
                f"the broker refuses SUBSCRIBE to {self._thing}/{COUNT}: "
                f"{reason_text(refusals[0])}",
            )
        else:
            self._subscription.granted()
            self._health.clear(conditions.NOT_SUBSCRIBED)

    def _silence_s(self) -> float:
        """Seconds for which the broker may still owe what it owes now."""
        if not (self._outbox.flying or self._subscribe_mid or self._status_mid):
            return math.inf
        waited_s = self._outbox.oldest_flight_s()
        if self._subscribe_mid or self._status_mid:
            waited_s = max(waited_s, self._monotonic_s() - self._asked_s)
        return ANSWER_WITHIN_S - waited_s

    def _check_answers(self) -> None:
        if self._silence_s() <= 0:
            raise SilentError(f"the broker owes an answer since {ANSWER_WITHIN_S:g} s")
