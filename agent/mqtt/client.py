"""The paho client as a connection uses it: the same in 1.6 and 2.x, and doing nothing by itself."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import paho.mqtt.client as paho
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable

    from agent.dialer import Dialer


@dataclass(frozen=True, slots=True)
class Options:
    """How to connect. Times in seconds; `will` is the payload of the last will on `will_topic`."""

    host: str
    port: int
    client_id: str
    protocol: str
    keepalive_s: int
    session_expiry_s: int
    timeout_s: float
    will_topic: str = ""
    will: bytes = b""


class Client(paho.Client):  # type: ignore[misc]  # paho 1.6 has no types
    """paho, less what it does of its own accord, and with its eyes lent to us.

    Two private methods are overridden, which are the same in 1.6 and 2.x (the integration tests run
    on both): how the socket is made, since paho can neither bound nor interrupt that, and the
    handling of a packet, since 1.6 hides the reasons of PUBACK and DISCONNECT.
    """

    dialer: Dialer
    on_packet: Callable[[int, bytes], None]

    @classmethod
    def make(
        cls,
        options: Options,
        dialer: Dialer,
        on_packet: Callable[[int, bytes], None],
        on_message: Callable[[object, object, paho.MQTTMessage], None],
    ) -> Self:
        """A client that has not connected yet; a new one is made for every connection."""
        arguments: dict[str, Any] = {"client_id": options.client_id, "reconnect_on_failure": False}
        if hasattr(paho, "CallbackAPIVersion"):
            arguments["callback_api_version"] = paho.CallbackAPIVersion.VERSION2
        if options.protocol == "5":
            client = cls(protocol=paho.MQTTv5, **arguments)
        else:
            client = cls(protocol=paho.MQTTv311, clean_session=False, **arguments)
        client.dialer = dialer
        client.on_packet = on_packet
        client.on_message = on_message
        client.max_inflight_messages_set(0)  # the window is ours
        if options.will_topic:
            client.will_set(options.will_topic, options.will, qos=1)
        return client

    def open(self, options: Options) -> None:
        """Dial and send CONNECT."""
        extra: dict[str, Any] = {}
        if options.protocol == "5":
            properties = Properties(PacketTypes.CONNECT)
            properties.SessionExpiryInterval = options.session_expiry_s
            extra = {"clean_start": False, "properties": properties}
        self.connect(options.host, options.port, options.keepalive_s, **extra)

    @property
    def pinging(self) -> bool:
        """Whether a PINGREQ is out that has no answer yet."""
        return bool(self._ping_t)

    def ping_due_s(self) -> float:
        """When to send PINGREQ, or to give up waiting for its answer (time.monotonic).

        Half a keep-alive after the ping makes the 1.5 that brokers use too; 0 means no pings.
        """
        if not self._keepalive:
            return math.inf
        if self._ping_t:
            return float(self._ping_t + self._keepalive / 2)
        heard = getattr(self, "_last_bytes_received", None) or self._last_msg_in
        return float(min(heard, self._last_msg_out) + self._keepalive)

    def obey(self, keepalive_s: int) -> None:
        """Use the keep-alive that the broker wants (1.6 does not by itself)."""
        self._keepalive = keepalive_s

    def drop(self) -> None:
        """Close the socket without a word."""
        self._sock_close()

    def _create_socket_connection(self) -> ssl.SSLSocket:
        return self.dialer.dial(self._host, self._port)

    def _packet_handle(self) -> int:
        kind = self._in_packet["command"] & 0xF0
        if kind != paho.PUBLISH:
            self.on_packet(kind, bytes(self._in_packet["packet"]))
        return int(super()._packet_handle())
