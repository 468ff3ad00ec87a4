"""MQTT 3.1.1 and 5 as bytes, from the broker's side; just enough, and independent of paho."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field

CONNECT, CONNACK, PUBLISH, PUBACK = 0x10, 0x20, 0x30, 0x40
SUBSCRIBE, SUBACK, PINGREQ, PINGRESP, DISCONNECT = 0x80, 0x90, 0xC0, 0xD0, 0xE0

NAMES = {
    CONNECT: "CONNECT",
    PUBLISH: "PUBLISH",
    PUBACK: "PUBACK",
    SUBSCRIBE: "SUBSCRIBE",
    PINGREQ: "PINGREQ",
    DISCONNECT: "DISCONNECT",
}


@dataclass(frozen=True, slots=True)
class Packet:
    """A packet from the device: when it came (monotonic), on which connection, what it says."""

    time_s: float
    link: int
    kind: int
    flags: int
    mid: int = 0
    topic: str = ""
    payload: bytes = b""
    qos: int = 0
    five: bool = False
    client_id: str = ""
    keepalive_s: int = 0
    clean: bool = False
    will_topic: str = ""
    filters: tuple[str, ...] = field(default=())

    @property
    def dup(self) -> bool:
        """Whether a PUBLISH says that it was sent before."""
        return bool(self.flags & 8)


class Reader:
    """Takes fields off the front of a packet's body."""

    def __init__(self, body: bytes) -> None:
        self.body = body

    def take(self, size: int) -> bytes:
        """So many bytes."""
        assert len(self.body) >= size, "the device sent a truncated packet"
        taken, self.body = self.body[:size], self.body[size:]
        return taken

    def number(self) -> int:
        """Two bytes."""
        return int.from_bytes(self.take(2), "big")

    def string(self) -> bytes:
        """A length and so many bytes."""
        return self.take(self.number())

    def properties(self) -> bytes:
        """A block of properties, MQTT 5."""
        length = shift = 0
        while True:
            byte = self.take(1)[0]
            length |= (byte & 0x7F) << shift
            if byte < 0x80:
                return self.take(length)
            shift += 7


def parse(time_s: float, link: int, head: int, body: bytes, *, five: bool) -> Packet:
    """The packet; AssertionError where the device broke the rules."""
    kind, flags = head & 0xF0, head & 0x0F
    reader = Reader(body)
    if kind == CONNECT:
        return _connect(time_s, link, reader)
    if kind == PUBLISH:
        topic = reader.string().decode()
        qos = flags >> 1 & 3
        mid = reader.number() if qos else 0
        if five:
            reader.properties()
        return Packet(
            time_s, link, kind, flags, mid=mid, topic=topic, payload=reader.body, qos=qos, five=five
        )
    if kind == SUBSCRIBE:
        assert flags == 2, "SUBSCRIBE has reserved flags"
        mid = reader.number()
        if five:
            reader.properties()
        filters = []
        while reader.body:
            filters.append(reader.string().decode())
            reader.take(1)
        return Packet(time_s, link, kind, flags, mid=mid, filters=tuple(filters))
    mid = reader.number() if kind == PUBACK else 0
    return Packet(time_s, link, kind, flags, mid=mid)


def _connect(time_s: float, link: int, reader: Reader) -> Packet:
    assert reader.string() == b"MQTT"
    five = reader.take(1)[0] == 5
    flags = reader.take(1)[0]
    keepalive_s = reader.number()
    if five:
        reader.properties()
    client_id = reader.string().decode()
    will_topic = ""
    if flags & 4:
        if five:
            reader.properties()
        will_topic = reader.string().decode()
    return Packet(
        time_s,
        link,
        CONNECT,
        0,
        five=five,
        client_id=client_id,
        keepalive_s=keepalive_s,
        clean=bool(flags & 2),
        will_topic=will_topic,
    )


def packet(head: int, body: bytes) -> bytes:
    """A packet with its length in front."""
    length, encoded = len(body), b""
    while True:
        byte, length = length & 0x7F, length >> 7
        encoded += bytes([byte | (0x80 if length else 0)])
        if not length:
            return bytes([head]) + encoded + body


def connack(
    *, five: bool, present: bool = False, reason: int = 0, properties: bytes = b""
) -> bytes:
    """CONNACK; `properties` as bytes, less than 128."""
    tail = bytes([len(properties)]) + properties if five else b""
    return packet(CONNACK, bytes([present, reason]) + tail)


def receive_maximum(number: int) -> bytes:
    """A property of CONNACK."""
    return struct.pack("!BH", 0x21, number)


def maximum_packet_size(size: int) -> bytes:
    """A property of CONNACK."""
    return struct.pack("!BI", 0x27, size)


def server_keep_alive(seconds: int) -> bytes:
    """A property of CONNACK."""
    return struct.pack("!BH", 0x13, seconds)


def puback(mid: int, reason: int = 0) -> bytes:
    """PUBACK; a reason only where there is one to give, which makes it MQTT 5's."""
    return packet(PUBACK, struct.pack("!H", mid) + (bytes([reason]) if reason else b""))


def suback(mid: int, reasons: bytes, *, five: bool) -> bytes:
    """SUBACK."""
    return packet(SUBACK, struct.pack("!H", mid) + (b"\0" if five else b"") + reasons)


def publish(
    topic: str | bytes,
    payload: bytes,
    *,
    five: bool,
    mid: int = 1,
    qos: int = 1,
    properties: bytes = b"\0",
) -> bytes:
    """PUBLISH; `properties` with their length."""
    name = topic.encode() if isinstance(topic, str) else topic
    body = struct.pack("!H", len(name)) + name + (struct.pack("!H", mid) if qos else b"")
    return packet(PUBLISH | qos << 1, body + (properties if five else b"") + payload)


def disconnect(reason: int) -> bytes:
    """DISCONNECT from the server, MQTT 5."""
    return packet(DISCONNECT, bytes([reason]))


PINGRESP_BYTES = packet(PINGRESP, b"")
