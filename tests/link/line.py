"""A connection to a broker of which a test has the other end of the line."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

from agent.mqtt import Connection, Options
from agent.mqtt.client import BACKLOG
from agent.net import Waiter
from tests.link import wire
from tests.link.plain import PlainDialer

if TYPE_CHECKING:
    from collections.abc import Callable

    from agent.wakeup import Wakeup

TOPIC = "living-room/count"


class Line:
    """A connection that is open, and the broker's end of it."""

    def __init__(self, wakeup: Wakeup) -> None:
        self.dialer = PlainDialer(Waiter(wakeup, lambda: False))
        self.broker = self.dialer.theirs
        self.take: Callable[[str, bytes], None] = self._take
        self.messages: list[bytes] = []
        self.trouble: Exception | None = None
        self.connection: Connection

    def open(
        self,
        *,
        protocol: str = "5",
        keepalive_s: int = 60,
        properties: bytes = b"",
        behind: bytes = b"",
        leaves: bool = False,
    ) -> None:
        """Connect; CONNACK waits already, and behind it what is `behind`, or the broker's end."""
        options = Options("broker", 8883, "living-room", protocol, keepalive_s, 60, 5.0)
        self.connection = Connection(
            options,
            self.dialer,  # type: ignore[arg-type]
            on_message=self.take,
        )
        five = protocol == "5"
        self.broker.sendall(wire.connack(five=five, properties=properties) + behind)
        if leaves:
            self.broker.shutdown(socket.SHUT_WR)
        self.connection.open()
        if not (behind or leaves):
            self.connection.step(0.0)  # sees that nothing came with CONNACK
        self.broker.recv(65_536)

    def _take(self, _topic: str, payload: bytes) -> None:
        if self.trouble:
            raise self.trouble
        self.messages.append(payload)

    def waiting(self) -> int:
        """How many bytes wait to be written."""
        return len(self.connection._client._unsent)

    def fill(self) -> None:
        """Publish until little less waits to be written than is too much to read on."""
        self.dialer.ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        while self.waiting() < BACKLOG - 4096:
            self.connection.publish(TOPIC, b"x" * 1000)
            self.connection.step(0.0)


def message(number: int) -> bytes:
    """A small message at QoS 1."""
    return wire.publish(TOPIC, b"x", five=True, mid=number)
