"""Client of paho as a connection uses it: the same in 1.6 and 2.x, doing nothing by itself."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING, Any, Self

from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from agent.model import MIB
from agent.mqtt.lean_paho import paho
from agent.value import Value

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable

    from agent.net import Dialer

#: The largest packet that is read; AWS IoT sends payloads up to 128 KiB. A hostile broker could
#: announce 256 MiB.
LARGEST_PACKET = MIB

#: The same for all but PUBLISH, which have no payload, but properties that paho reads slowly.
LARGEST_ANSWER = 16_384

#: Packets that wait to be written because the broker does not read: no more is read from it then.
BACKLOG = 1000

#: Under 3.1.1 a packet without an answer is sent again once, after this time. AWS Device Advisor
#: allows 15 s ("MQTT_Long_Duration"); MQTT 5 forbids it on a live connection ([MQTT-4.4.0-1]).
RESEND_S = 10.0

DUP = 0x08


class Options(Value):
    """Options of a connection; `will` is the payload of the last will on `will_topic`, if any.

    A `clean` one takes up no session and leaves none behind.
    """

    host: str
    port: int
    client_id: str
    protocol: str
    keepalive_s: int
    session_expiry_s: int
    timeout_s: float
    will_topic: str = ""
    will: bytes = b""
    clean: bool = False

    @property
    def five(self) -> bool:
        """True for MQTT 5, with properties and reason codes."""
        return self.protocol == "5"


class Unanswered(Value, frozen=False):
    """A packet as it was sent, when (time.monotonic), and whether it was sent again."""

    packet: bytes
    sent_s: float
    again: bool = False


class Client(paho.Client):  # type: ignore[misc]  # paho 1.6 has no types
    """paho's client without acting of its own accord; each packet goes to `on_packet` first.

    Private methods are overridden that are the same in 1.6 and 2.x (the link tests run on both):
    how the socket is made, since paho can neither bound nor interrupt that; receiving and sending,
    since 2.x hides what the socket raised; the handling of a packet, since 1.6 hides the reasons of
    PUBACK and DISCONNECT; the queueing of a packet, to send it again.
    """

    dialer: Dialer
    on_packet: Callable[[int, bytes], None]
    #: The error that the socket raised when it broke.
    broken: OSError | None = None
    #: Infinite until CONNACK, before which nothing else may be sent.
    keepalive_s = math.inf
    # Times of the last bytes in and out; paho's own notes are not kept up in every branch.
    _heard_s = _said_s = 0.0
    #: By packet id, what waits for its answer and may be sent again; empty under MQTT 5.
    unanswered: dict[int, Unanswered]
    resends: bool

    @classmethod
    def make(
        cls, options: Options, dialer: Dialer, on_packet: Callable[[int, bytes], None]
    ) -> Self:
        """A client that has not connected yet; a new one is made for every connection."""
        arguments: dict[str, Any] = {"client_id": options.client_id, "reconnect_on_failure": False}
        if hasattr(paho, "CallbackAPIVersion"):
            arguments["callback_api_version"] = paho.CallbackAPIVersion.VERSION2
        if options.five:
            client = cls(protocol=paho.MQTTv5, **arguments)
        else:
            client = cls(protocol=paho.MQTTv311, clean_session=options.clean, **arguments)
        client.dialer = dialer
        client.on_packet = on_packet
        client.resends = not options.five
        client.unanswered = {}
        client.max_inflight_messages_set(0)  # the window is ours
        if options.will_topic:
            client.will_set(options.will_topic, options.will, qos=1)
        return client

    def open(self, options: Options) -> None:
        """Dial and send CONNECT."""
        extra: dict[str, Any] = {}
        if options.five:
            properties = Properties(PacketTypes.CONNECT)
            properties.SessionExpiryInterval = 0 if options.clean else options.session_expiry_s
            properties.MaximumPacketSize = LARGEST_PACKET
            extra = {"clean_start": options.clean, "properties": properties}
        self.connect(options.host, options.port, options.keepalive_s, **extra)

    @property
    def pinging(self) -> bool:
        """True if a PINGREQ is out that has no answer yet."""
        return bool(self._ping_t)

    def ping_due_s(self) -> float:
        """Time to send PINGREQ, or to give up waiting for its answer (time.monotonic).

        Half a keep-alive after the ping makes the 1.5 that brokers use too.
        """
        if self._ping_t:
            return float(self._ping_t + self.keepalive_s / 2)
        return min(self._heard_s, self._said_s) + self.keepalive_s

    def ping(self) -> int:
        """Send PINGREQ; paho's error code. Its own clock would obey a keep-alive of 0."""
        return int(self._send_pingreq())

    def accepted(self, keepalive_s: float) -> None:
        """Note CONNACK: pings are due from now on."""
        self.keepalive_s = keepalive_s

    def acknowledge(self, mid: int) -> None:
        """Send PUBACK."""
        self._send_puback(mid)

    @property
    def oversize(self) -> int:
        """The length of the packet that is coming in, if it is too long to be read; else 0."""
        length = int(self._in_packet["remaining_length"])
        publish = self._in_packet["command"] & 0xF0 == paho.PUBLISH
        return length if length > (LARGEST_PACKET if publish else LARGEST_ANSWER) else 0

    @property
    def congested(self) -> bool:
        """True if more than BACKLOG packets wait for the broker to read them."""
        return len(self._out_packet) > BACKLOG

    def answered(self, mid: int) -> None:
        """Note that packet `mid` has its answer."""
        self.unanswered.pop(mid, None)

    def resend_due_s(self) -> float:
        """Time to send the next packet again (time.monotonic); infinite if none is to be."""
        due = (one.sent_s + RESEND_S for one in self.unanswered.values() if not one.again)
        return min(due, default=math.inf)

    def resend(self) -> None:
        """Send again, once, what has waited long for its answer: the same packet, the same id."""
        now_s = time.monotonic()
        for mid, one in self.unanswered.items():
            if not one.again and one.sent_s + RESEND_S <= now_s:
                one.again = True
                packet = bytearray(one.packet)
                if packet[0] & 0xF0 == paho.PUBLISH:
                    packet[0] |= DUP
                super()._packet_queue(packet[0], packet, mid, 1)

    def drop(self) -> None:
        """Close the socket without a word."""
        self._sock_close()

    def _create_socket_connection(self) -> ssl.SSLSocket:
        link = self.dialer.dial(self._host)
        self._heard_s = self._said_s = time.monotonic()
        return link

    def _sock_recv(self, bufsize: int) -> bytes:
        try:
            data = bytes(super()._sock_recv(bufsize))
        except BlockingIOError:
            raise
        except OSError as error:
            self.broken = error
            raise
        self._heard_s = time.monotonic()
        return data

    def _sock_send(self, buf: bytes) -> int:
        try:
            sent = int(super()._sock_send(buf))
        except BlockingIOError:
            raise
        except OSError as error:
            self.broken = error
            raise
        self._said_s = time.monotonic()
        return sent

    def _packet_handle(self) -> int:
        command = self._in_packet["command"]
        self.on_packet(command, bytes(self._in_packet["packet"]))
        if command & 0xF0 == paho.PUBLISH:
            return 0  # paho would read its properties, in a time that grows with their square
        return int(super()._packet_handle())

    def _packet_queue(
        self, command: int, packet: bytes, mid: int, qos: int, info: object = None
    ) -> int:
        if self.resends and command & 0xF0 in {paho.PUBLISH, paho.SUBSCRIBE}:
            self.unanswered[mid] = Unanswered(packet, time.monotonic())
        return int(super()._packet_queue(command, packet, mid, qos, info))
