"""Client of paho as a connection uses it: the same in 1.6 and 2.x, doing nothing by itself."""

from __future__ import annotations

import math
import ssl
import time

from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from agent.mqtt import packets
from agent.mqtt.lean_paho import paho
from agent.mqtt.packets import LARGEST_PACKET
from agent.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Self

    from agent.net import Dialer

#: Bytes that are written at once, all that TLS puts into one record; and read at once. While more
#: waits to be written, nothing new is put behind it but answers.
CHUNK = 16_384

#: Bytes that wait to be written because the broker does not read: no more is read from it then.
#: Only PUBACKs make so many.
BACKLOG = 262_144

#: Under 3.1.1 a packet without an answer is sent again once, after this time. AWS Device Advisor
#: allows 15 s ("MQTT_Long_Duration"); MQTT 5 forbids it on a live connection ([MQTT-4.4.0-1]).
RESEND_S = 10.0

#: What a socket raises that has to be waited for.
WAIT = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)


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


class Client(paho.Client):  # type: ignore[misc]  # paho 1.6 has no types
    """paho's client, without acting of its own accord: it writes CONNECT and DISCONNECT.

    What goes over the socket, and when, is ours: packets wait in a buffer for `flush()`, which puts
    those of a step into one write, and `read()` gives what came in. Private methods are overridden
    that are the same in 1.6 and 2.x (the link tests run on both): how the socket is made, since
    paho can neither bound nor interrupt that, and the queueing of a packet.
    """

    dialer: Dialer
    five: bool
    #: Infinite until CONNACK, before which nothing else may be sent.
    keepalive_s = math.inf
    #: True if no packet that came in waits to be read, as far as is known.
    dry = True
    # Times of the last bytes in and out.
    _heard_s = _said_s = 0.0
    #: Time of the last packet that asked for an answer; a ping's answer is due by the other.
    _asked_s = 0.0
    _pong_by_s = math.inf
    #: The last packet id, and those that wait for an answer.
    _mid = 0
    _open: set[int]
    #: What came in, and what is to go out.
    _incoming: bytearray
    _unsent: bytearray
    #: What the socket raised when it was written to.
    _broken: OSError | None = None
    #: By packet id, what waits for its answer and may be sent again, oldest first, with the time
    #: at which it was sent (time.monotonic); empty under MQTT 5.
    _unanswered: dict[int, tuple[float, bytes]]

    @classmethod
    def make(cls, options: Options, dialer: Dialer) -> Self:
        """A client that has not connected yet; a new one is made for every connection."""
        arguments: dict[str, Any] = {"client_id": options.client_id, "reconnect_on_failure": False}
        if hasattr(paho, "CallbackAPIVersion"):
            arguments["callback_api_version"] = paho.CallbackAPIVersion.VERSION2
        if options.five:
            client = cls(protocol=paho.MQTTv5, **arguments)
        else:
            client = cls(protocol=paho.MQTTv311, clean_session=options.clean, **arguments)
        client.dialer = dialer
        client.five = options.five
        client._incoming, client._unsent = bytearray(), bytearray()
        client._unanswered, client._open = {}, set()
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
        self.flush()

    def flush(self) -> None:
        """Write what waits, as far as the socket takes it; where it breaks, `read` tells.

        TLS gives nothing back before all of a write has gone, so that is never much.
        """
        link = self.socket()
        try:
            while self._unsent and link:
                del self._unsent[: link.send(self._unsent[:CHUNK])]
                self._said_s = time.monotonic()
        except WAIT:
            return
        except OSError as error:
            self._broken = error
            self._unsent.clear()
            self.dry = False

    def read(self) -> tuple[int, bytes] | None:
        """The next packet, first byte and body; None if there is no whole one yet.

        Raises EOFError where the broker has closed, MalformedError, and what the socket does: what
        it did when it was written to only once all has been read, which may say why.
        """
        link = self.socket()
        while not (packet := packets.taken_off(self._incoming)):
            try:
                data = link.recv(CHUNK) if link else b""
            except WAIT:
                if self._broken:
                    raise self._broken from None
                break
            if not data:
                raise self._broken or EOFError
            self._incoming += data
            self._heard_s = time.monotonic()
        self.dry = packet is None
        return packet

    @property
    def writing(self) -> bool:
        """True if something waits to be written."""
        return bool(self._unsent)

    @property
    def congested(self) -> bool:
        """True if more than BACKLOG bytes wait for the broker to read them."""
        return len(self._unsent) > BACKLOG

    @property
    def crowded(self) -> bool:
        """True if nothing new is to be put behind what waits to be written."""
        return len(self._unsent) >= CHUNK

    def message(self, topic: str, payload: bytes) -> int:
        """Have PUBLISH sent at QoS 1; its packet id."""
        mid = self._next_mid()
        self._ask(mid, packets.publish_packet(topic, payload, mid, five=self.five))
        return mid

    def filter(self, topic_filter: str) -> int:
        """Have SUBSCRIBE sent at QoS 1; its packet id."""
        mid = self._next_mid()
        self._ask(mid, packets.subscribe_packet(topic_filter, mid, five=self.five))
        return mid

    def acknowledge(self, mid: int) -> None:
        """Send PUBACK."""
        self._put(packets.puback_packet(mid))
        self.flush()

    def answered(self, mid: int) -> None:
        """Note that packet `mid` has its answer."""
        self._open.discard(mid)
        self._unanswered.pop(mid, None)

    def accepted(self, keepalive_s: float) -> None:
        """Note CONNACK: pings are due from now on."""
        self.keepalive_s = keepalive_s

    @property
    def pinging(self) -> bool:
        """True if a PINGREQ is out that has no answer yet."""
        return self._pong_by_s < math.inf

    def ping_due_s(self) -> float:
        """Time to send PINGREQ, or to give up waiting for its answer (time.monotonic).

        Half a keep-alive after the ping makes the 1.5 that brokers use too. What asks for an answer
        is as good as a ping for half of that, and leaves it the other half.
        """
        if self.pinging:
            return self._pong_by_s
        patience = 1.25 if self._asking else 1.0
        return min(self._heard_s, self._said_s) + patience * self.keepalive_s

    def ping(self) -> None:
        """Send PINGREQ."""
        patience = 0.25 if self._asking else 0.5
        self._pong_by_s = time.monotonic() + patience * self.keepalive_s
        self._put(packets.PINGREQ)

    def ponged(self) -> None:
        """Note PINGRESP."""
        self._pong_by_s = math.inf

    def resend_due_s(self) -> float:
        """Time to send the next packet again (time.monotonic); infinite if none is to be."""
        if self.crowded:
            return math.inf
        return next((sent_s + RESEND_S for sent_s, _ in self._unanswered.values()), math.inf)

    def resend(self) -> None:
        """Send again, once, what has waited long for its answer: the same packet, the same id."""
        while self.resend_due_s() <= time.monotonic():
            _, packet = self._unanswered.pop(next(iter(self._unanswered)))
            again = packets.DUP if packet[0] & 0xF0 == packets.PUBLISH else 0
            self._put(bytes([packet[0] | again]) + packet[1:])

    def drop(self) -> None:
        """Close the socket without a word."""
        self._sock_close()

    @property
    def _asking(self) -> bool:
        """True if an answer was asked for since the broker was heard."""
        return self._asked_s > self._heard_s

    def _next_mid(self) -> int:
        self._mid = self._mid % 0xFFFF + 1
        while self._mid in self._open:
            self._mid = self._mid % 0xFFFF + 1
        return self._mid

    def _ask(self, mid: int, packet: bytes) -> None:
        self._asked_s = time.monotonic()
        self._open.add(mid)
        if not self.five:
            self._unanswered[mid] = self._asked_s, packet
        self._put(packet)

    def _put(self, packet: bytes) -> None:
        self._unsent += packet

    def _create_socket_connection(self) -> ssl.SSLSocket:
        link = self.dialer.dial(self._host)
        self._heard_s = self._said_s = time.monotonic()
        return link

    def _packet_queue(self, _command: int, packet: bytes, *_: object) -> int:
        self._put(packet)
        return 0
