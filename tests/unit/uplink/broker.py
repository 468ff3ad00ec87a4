"""A broker in memory, with sessions, policies and a will of its own, and connections to it."""

from __future__ import annotations

import json
import math
from collections import deque
from typing import TYPE_CHECKING, Any, Protocol, Self

from agent.errors import LinkLostError
from agent.mqtt.answers import (
    NOT_AUTHORIZED,
    PACKET_MAX,
    Accepted,
    Answer,
    ClosedError,
    Published,
    Subscribed,
    WithheldError,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from agent.mqtt import Connection
    from agent.wakeup import Wakeup

SUBSCRIBE = "SUBSCRIBE"


def closed() -> LinkLostError:
    """An end without a word."""
    return ClosedError("the broker closed the connection")


class Time(Protocol):
    """A clock that can be moved."""

    now_s: float


class Broker:
    """Takes what a device publishes, in order; one device, one session.

    What is `forbidden` (topics, SUBSCRIBE) is refused with a reason under MQTT 5 and ends the
    connection under 3.1.1; so are the next publishes, for the `reasons`. `ends_in` ends the
    connection before so many more packets, `ends_after` once so many were taken, but not the last
    one's answer; `end` says how. With `puback_lost` the device takes the next message, and the link
    ends before the broker knows. While `silent` nothing is answered; `pace` is how much is, in one
    step; a link that is `cut` ends before anything else, one with `connack_lost` before CONNACK.
    `step` runs in each wait, which is to take `wait_s` if nothing happens; `event(name, *of)` when
    something has: "sent" (topic, payload) and "answered" (and reason) at the device, "taken" here,
    "message" (payload) taken by the device, "ended" (topics unanswered) at the link.
    """

    def __init__(self, ticks: Time, *, five: bool = True) -> None:
        self.ticks = ticks
        self.five = five
        self.forbidden: set[str] = set()
        self.reasons: deque[int] = deque()
        self.ends_in: int | None = None
        self.ends_after: int | None = None
        self.end: Callable[[], LinkLostError] = closed
        self.puback_lost = False
        self.silent = self.down = self.cut = self.connack_lost = False
        self.pace = math.inf
        self.receive_maximum = 100
        self.maximum_packet_size = PACKET_MAX
        self.session = self.subscribed = False
        self.connects = self.subscribes = self.farewells = 0
        self.current: BrokerConnection | None = None  # the newest that was accepted
        #: What was taken, in order, duplicates included: topic and payload.
        self.taken: list[tuple[str, dict[str, Any]]] = []
        #: Messages for the device that it has not acknowledged, oldest first.
        self.pending: deque[tuple[str, bytes]] = deque()
        self.step: Callable[[], None] = lambda: None
        self.wait_s = 0.0
        self.event: Callable[..., None] = lambda *_: None

    def connection(
        self,
        *_: object,
        wakeup: Wakeup,
        on_message: Callable[[str, bytes], None],
        **__: object,
    ) -> Connection:
        """A connection that is not open yet, as `agent.uplink.connect` makes them."""
        return BrokerConnection(self, wakeup, on_message)  # type: ignore[return-value]

    def lose_session(self) -> None:
        """Forget the device, and what waits for it."""
        self.session = self.subscribed = False
        self.pending.clear()

    def tell(self, topic: str, payload: bytes) -> bool:
        """Send a message to the device; True if that is subscribed to it."""
        if self.subscribed:
            self.pending.append((topic, payload))
        return self.subscribed

    def seqs(self, topic_end: str = "") -> list[int]:
        """The numbers of the records that were taken, by the end of their topics."""
        return [
            body["seq"] for topic, body in self.taken if topic.endswith(topic_end) and "seq" in body
        ]

    def birth(self) -> dict[str, Any]:
        """The newest status that was taken."""
        return [body for topic, body in self.taken if topic.endswith("/status")][-1]


class BrokerConnection:
    """One connection; what is sent is judged in the next `step`."""

    def __init__(
        self, broker: Broker, wakeup: Wakeup, on_message: Callable[[str, bytes], None]
    ) -> None:
        self._broker = broker
        self._wakeup = wakeup
        self._on_message = on_message
        self._sent: deque[tuple[int, str, bytes]] = deque()
        self._delivered = 0  # of what is pending
        self._mid = 0
        self._lost: LinkLostError | None = None
        self.present = False  # a session, at CONNACK
        #: What the device has no answer to: topic (or SUBSCRIBE) and payload.
        self.unanswered: dict[int, tuple[str, bytes]] = {}
        self.drained = True
        self.asked = False
        self.receive_maximum = self.maximum_packet_size = 0  # not accepted yet

    def __enter__(self) -> Self:
        """Itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing is held."""

    def open(self) -> Accepted:
        """CONNACK."""
        broker = self._broker
        broker.connects += 1
        if broker.down:
            raise LinkLostError("the network is down")
        self.asked = True
        if broker.connack_lost:
            broker.subscribed &= broker.session
            broker.session, broker.connack_lost = True, False
            raise LinkLostError("nobody answers CONNECT")
        broker.current = self
        self.receive_maximum = broker.receive_maximum
        self.maximum_packet_size = broker.maximum_packet_size
        self.present = present = broker.session
        broker.session = True
        broker.subscribed &= present
        return Accepted(present, broker.receive_maximum, broker.maximum_packet_size, 0)

    def takes(self, topic: str, payload: bytes) -> bool:
        """Its size is small enough."""
        return len(topic) + len(payload) <= self.maximum_packet_size

    def has_room(self) -> bool:
        """It always has."""
        return True

    def publish(self, topic: str, payload: bytes) -> int:
        """Send a message."""
        return self._send(topic, payload)

    def subscribe(self, topic_filter: str) -> int:
        """Send SUBSCRIBE."""
        assert topic_filter.endswith("/count")
        return self._send(SUBSCRIBE, b"")

    def step(self, timeout_s: float) -> list[Answer]:
        """Have the broker act on what was sent, deliver what it has, or let time pass."""
        assert timeout_s >= 0
        if self._lost:
            raise self._lost
        broker, answers = self._broker, list[Answer]()
        delivered = False
        try:
            broker.wait_s = timeout_s
            broker.step()
            if broker.cut:
                broker.cut = False
                raise closed()
            while self._sent and not broker.silent and len(answers) < broker.pace:
                answers.append(self._judge(*self._sent.popleft()))
            delivered = self._deliver()
        except LinkLostError as lost:
            self._lost = lost
            broker.event("ended", {topic for topic, _ in self.unanswered.values()})
            if not answers:
                raise
        if not (answers or delivered or self._wakeup.wait(0.0)):
            broker.ticks.now_s += min(timeout_s, 3600.0)
        for answer in answers:
            broker.event("answered", *self.unanswered.pop(answer.mid), answer.reason)
        return answers

    def finish(self) -> None:
        """Send DISCONNECT."""
        self._broker.farewells += 1

    def _send(self, topic: str, payload: bytes) -> int:
        if self._lost:
            raise self._lost
        self._mid += 1
        self._sent.append((self._mid, topic, payload))
        self._broker.event("sent", topic, payload)
        self.unanswered[self._mid] = topic, payload
        publishes = [one for one, _ in self.unanswered.values() if one != SUBSCRIBE]
        assert len(publishes) <= self.receive_maximum
        return self._mid

    def _judge(self, mid: int, topic: str, payload: bytes) -> Answer:
        broker = self._broker
        broker.ends_in = _left(broker.ends_in, broker)
        reason = NOT_AUTHORIZED if topic in broker.forbidden else 0
        if broker.reasons and not reason and topic != SUBSCRIBE:
            reason = broker.reasons.popleft()
        if reason and not broker.five:
            raise closed()
        answer: Answer = Published(mid, reason)
        if topic == SUBSCRIBE:
            broker.subscribes += 1
            broker.subscribed |= not reason
            answer = Subscribed(mid, reason)
        elif not reason:
            broker.taken.append((topic, json.loads(payload)))
            if topic.endswith("/count"):
                broker.tell(topic, payload)
        if not reason:
            broker.event("taken", topic, payload)
            broker.ends_after = _left(broker.ends_after, broker)
        return answer

    def _deliver(self) -> bool:
        """Hand over what is pending, once a connection, in order; True if there was something."""
        pending, before = self._broker.pending, self._delivered
        while self._delivered < len(pending):
            topic, payload = pending[self._delivered]
            try:
                self._on_message(topic, payload)
            except WithheldError:
                self._delivered += 1
            else:
                self._broker.event("message", payload)
                if self._broker.puback_lost:
                    self._broker.puback_lost = False
                    raise self._broker.end()
                del pending[self._delivered]
                before -= 1
        return self._delivered > before


def _left(packets: int | None, broker: Broker) -> int | None:
    """The number of packets before an end, one later; raises the end, once, where it has come."""
    if packets == 0:
        broker.ends_in = None if broker.ends_in == 0 else broker.ends_in
        broker.ends_after = None if broker.ends_after == 0 else broker.ends_after
        raise broker.end()
    return packets and packets - 1
