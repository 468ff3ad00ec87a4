"""A broker in memory, with sessions, policies and a will of its own, and connections to it."""

from __future__ import annotations

import json
from collections import deque
from typing import TYPE_CHECKING, Any, Self

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
    from tests.fakes import Ticks

SUBSCRIBE = "SUBSCRIBE"


class Broker:
    """Takes what a device publishes, in order; one device, one session.

    What is `forbidden` (topics, SUBSCRIBE) is refused with a reason under MQTT 5 and ends the
    connection under 3.1.1. `reasons` answer the next publishes; `ends_in` ends the connection
    before so many more packets; while `silent` nothing is answered. `step` runs in each wait.
    """

    def __init__(self, ticks: Ticks, *, five: bool = True) -> None:
        self.ticks = ticks
        self.five = five
        self.forbidden: set[str] = set()
        self.reasons: deque[int] = deque()
        self.ends_in: int | None = None
        self.silent = self.down = False
        self.receive_maximum = 100
        self.maximum_packet_size = PACKET_MAX
        self.session = self.subscribed = False
        self.connects = self.subscribes = self.farewells = 0
        #: What was taken, in order, duplicates included: topic and payload.
        self.taken: list[tuple[str, dict[str, Any]]] = []
        #: Messages for the device that it has not acknowledged, oldest first.
        self.pending: deque[tuple[str, bytes]] = deque()
        self.step: Callable[[], None] = lambda: None

    def connection(
        self, *_: object, on_message: Callable[[str, bytes], None], **__: object
    ) -> Connection:
        """A connection that is not open yet, as `agent.uplink.connect` makes them."""
        return BrokerConnection(self, on_message)  # type: ignore[return-value]

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

    def __init__(self, broker: Broker, on_message: Callable[[str, bytes], None]) -> None:
        self._broker = broker
        self._on_message = on_message
        self._sent: deque[tuple[int, str, bytes]] = deque()
        self._delivered = 0  # of what is pending
        self._mid = 0
        self._lost: LinkLostError | None = None
        self.flying = 0
        self.drained = True

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
        present, broker.session = broker.session, True
        broker.subscribed &= present
        return Accepted(present, broker.receive_maximum, broker.maximum_packet_size, 0)

    def takes(self, topic: str, payload: bytes) -> bool:
        """Its size is small enough."""
        return len(topic) + len(payload) <= self._broker.maximum_packet_size

    def publish(self, topic: str, payload: bytes) -> int:
        """Send a message."""
        self.flying += 1
        assert self.flying <= self._broker.receive_maximum
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
        answers: list[Answer] = []
        try:
            self._broker.step()
            while self._sent and not self._broker.silent:
                answers.append(self._judge(*self._sent.popleft()))
            delivered = self._deliver()
        except LinkLostError as lost:
            self._lost = lost
            if not answers:
                raise
            return answers
        if not (answers or delivered):
            self._broker.ticks.now_s += min(timeout_s, 3600.0)
        return answers

    def finish(self) -> None:
        """Send DISCONNECT."""
        self._broker.farewells += 1

    def _send(self, topic: str, payload: bytes) -> int:
        assert self._lost is None, "something was sent on a link that is known to be lost"
        self._mid += 1
        self._sent.append((self._mid, topic, payload))
        return self._mid

    def _judge(self, mid: int, topic: str, payload: bytes) -> Answer:
        broker = self._broker
        if broker.ends_in is not None:
            if not broker.ends_in:
                broker.ends_in = None
                raise ClosedError("the broker closed the connection")
            broker.ends_in -= 1
        reason = NOT_AUTHORIZED if topic in broker.forbidden else 0
        if reason and not broker.five:
            raise ClosedError("the broker closed the connection")
        if topic == SUBSCRIBE:
            broker.subscribes += 1
            broker.subscribed |= not reason
            return Subscribed(mid, (reason,))
        self.flying -= 1
        if broker.reasons and not reason:
            reason = broker.reasons.popleft()
        if not reason:
            broker.taken.append((topic, json.loads(payload)))
            if broker.subscribed and topic.endswith("/count"):
                broker.pending.append((topic, payload))
        return Published(mid, reason)

    def _deliver(self) -> bool:
        """Hand over what is pending, once a connection, in order; True if there was something."""
        pending, before = self._broker.pending, self._delivered
        while self._delivered < len(pending):
            try:
                self._on_message(*pending[self._delivered])
            except WithheldError:
                self._delivered += 1
            else:
                del pending[self._delivered]
                before -= 1
        return self._delivered > before
