"""Packets as bytes, read and written: MQTT 5 and 3.1.1, sections 3.2, 3.3, 3.4, 3.8, 3.9, 3.12.

What comes in is trusted in nothing. CONNECT and DISCONNECT are written by paho.
"""

from __future__ import annotations

import re
import struct

from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from agent.model import MIB
from agent.mqtt.answers import (
    CONNECT_REFUSALS_3,
    PACKET_MAX,
    REFUSED,
    Accepted,
    ConnectRefusedError,
    MalformedError,
    Published,
    Subscribed,
)
from agent.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    #: What a property consists of: each gives a part's value and its end.
    Parts = tuple[Callable[[bytes, int], tuple[object, int]], ...]

#: The first byte of a packet, without its flags.
CONNACK, PUBLISH, PUBACK, SUBACK, PINGRESP, DISCONNECT = 0x20, 0x30, 0x40, 0x90, 0xD0, 0xE0

PINGREQ = b"\xc0\0"

#: Flags of a PUBLISH: sent again, and QoS 1.
DUP, QOS_1 = 0x08, 0x02

#: The largest packet that is read; AWS IoT sends payloads up to 128 KiB. A hostile broker could
#: announce 256 MiB.
LARGEST_PACKET = MIB

#: The same for all but PUBLISH, which have no payload, but properties that paho reads slowly.
LARGEST_ANSWER = 16_384

#: The longest topic, in bytes of UTF-8 (MQTT 5, section 1.5.4).
TOPIC_MAX = 65_535

#: What the name of a topic does not have.
_NO_NAME = re.compile("[+#\0]")


class Message(Value):
    """A PUBLISH; `mid` is 0 at QoS 0."""

    topic: str
    payload: bytes
    mid: int


def taken_off(data: bytearray) -> tuple[int, bytes] | None:
    """The first packet of `data`, which loses it: first byte and body; None until it is whole.

    Raises MalformedError for one that is too large, as soon as its length is there.
    """
    if not data:
        return None
    try:
        length, at = _variable(data, 1)
    except IndexError:
        return None
    kind, end = data[0] & 0xF0, at + length
    if length > (LARGEST_PACKET if kind == PUBLISH else LARGEST_ANSWER):
        raise MalformedError(f"a packet of {length} bytes")
    if end > len(data):
        return None
    packet = data[0], bytes(data[at:end])
    del data[:end]
    return packet


def connack(body: bytes, *, five: bool) -> Accepted:
    """CONNACK. Raises ConnectRefusedError, and what a malformed one leads to."""
    flags, reason = struct.unpack_from("!BB", body)
    if reason:
        raise ConnectRefusedError(reason if five else CONNECT_REFUSALS_3.get(reason, REFUSED))
    if body[2:] and not five:
        raise MalformedError("a CONNACK longer than it may be")
    properties = Properties(PacketTypes.CONNACK)
    if five:
        properties.unpack(body[2:])
    receive_maximum = getattr(properties, "ReceiveMaximum", 0xFFFF)
    maximum_packet_size = getattr(properties, "MaximumPacketSize", PACKET_MAX)
    if receive_maximum == 0 or maximum_packet_size == 0:
        raise MalformedError("a CONNACK with a maximum of 0")
    return Accepted(
        session_present=bool(flags & 1),
        receive_maximum=receive_maximum,
        maximum_packet_size=maximum_packet_size,
        keepalive_s=getattr(properties, "ServerKeepAlive", 0),
    )


def puback(body: bytes, *, five: bool) -> Published:
    """PUBACK; without a reason code it says yes."""
    end = _check_properties(body, 3, OF_ANSWER) if five and body[3:] else 2 + five
    if len(body) > end:
        raise MalformedError("a PUBACK longer than it says")
    mid, reason = struct.unpack_from("!HB", body + b"\0")
    return Published(mid, reason)


def suback(body: bytes, *, five: bool) -> Subscribed:
    """SUBACK with a reason for our one filter."""
    (mid,) = struct.unpack_from("!H", body)
    at = _check_properties(body, 2, OF_ANSWER) if five else 2
    if len(body) != at + 1:
        raise MalformedError("a SUBACK that does not answer our one filter")
    return Subscribed(mid, body[at])


def publish(command: int, body: bytes, *, five: bool) -> Message:
    """PUBLISH at QoS 0 or 1; nobody asked for QoS 2. Its properties mean nothing to us."""
    qos = command >> 1 & 3
    if qos > 1:
        raise MalformedError(f"a message at QoS {qos}, which nobody asked for")
    topic, at = _text(body, 0)
    if not is_topic_name(topic):  # an alias, for which it may be empty, we have not allowed
        raise MalformedError("a message whose topic is not valid")
    mid = 0
    if qos:
        (mid,) = struct.unpack_from("!H", body, at)
        at += 2
        if mid == 0:
            raise MalformedError("a message with packet id 0")
    if five:
        at = _check_properties(body, at, OF_PUBLISH)
    if at > len(body):
        raise MalformedError("a message shorter than it says")
    return Message(topic, body[at:], mid)


def publish_size(topic: str, payload: bytes, *, five: bool) -> int:
    """Bytes of a PUBLISH at QoS 1 without properties."""
    length = 2 + len(topic.encode()) + 2 + five + len(payload)
    return 1 + -(-length.bit_length() // 7) + length


def publish_packet(topic: str, payload: bytes, mid: int, *, five: bool) -> bytes:
    """PUBLISH at QoS 1 without properties. Raises ValueError for what is no topic."""
    if not is_topic_name(topic):
        raise ValueError(f"no topic: {topic}")
    name = topic.encode()
    head = struct.pack(f"!H{len(name)}sH", len(name), name, mid)
    return _packet(PUBLISH | QOS_1, head + bytes(five) + payload)


def subscribe_packet(topic_filter: str, mid: int, *, five: bool) -> bytes:
    """SUBSCRIBE to one filter at QoS 1."""
    name = topic_filter.encode()
    head = struct.pack("!H", mid) + bytes(five)
    return _packet(0x82, head + struct.pack(f"!H{len(name)}sB", len(name), name, 1))


def puback_packet(mid: int) -> bytes:
    """PUBACK that says yes."""
    return struct.pack("!BBH", PUBACK, 2, mid)


def is_topic_name(topic: str) -> bool:
    """True for a topic that may be published on (MQTT 5, section 4.7)."""
    try:
        size = len(topic.encode())
    except UnicodeEncodeError:
        return False
    return 0 < size <= TOPIC_MAX and not _NO_NAME.search(topic)


def _packet(command: int, body: bytes) -> bytes:
    """A packet with its length in front of the body."""
    length, head = len(body), [command]
    while length >> 7:
        head.append(length & 0x7F | 0x80)
        length >>= 7
    return bytes([*head, length]) + body


def _check_properties(body: bytes, at: int, allowed: Mapping[int, Parts]) -> int:
    """The end of the properties at `at`. Raises MalformedError for any that may not be there.

    paho would read them in a time that grows with the square of their number.
    """
    length, at = _variable(body, at)
    end, seen = at + length, set()
    if end > len(body):
        raise MalformedError("a packet shorter than it says")
    while at < end:
        name, at = body[at], at + 1
        if name not in allowed or (name in seen and name not in REPEATED):
            raise MalformedError(f"a packet with the property 0x{name:02x}")
        seen.add(name)
        for skip in allowed[name]:
            _, at = skip(body, at)
    if at != end:
        raise MalformedError("a packet with properties longer than they say")
    return end


def _flag(body: bytes, at: int) -> tuple[int, int]:
    """A byte that is 0 or 1, and its end."""
    if body[at] > 1:
        raise MalformedError("a packet with a flag that is neither 0 nor 1")
    return body[at], at + 1


def _four_bytes(body: bytes, at: int) -> tuple[int, int]:
    """An integer of four bytes, and its end."""
    return int.from_bytes(body[at : at + 4], "big"), at + 4


def _binary(body: bytes, at: int) -> tuple[bytes, int]:
    """Bytes with their length before them, and their end."""
    (length,) = struct.unpack_from("!H", body, at)
    return body[at + 2 : at + 2 + length], at + 2 + length


def _text(body: bytes, at: int) -> tuple[str, int]:
    """A text with its length before it, and its end (MQTT 5, section 1.5.4)."""
    data, end = _binary(body, at)
    try:
        text = data.decode()
    except UnicodeDecodeError:
        raise MalformedError("a text that is not UTF-8") from None
    if "\0" in text:
        raise MalformedError("a text with a NUL")
    return text, end


def _variable(body: bytes | bytearray, at: int) -> tuple[int, int]:
    """A variable byte integer, and its end (MQTT 5, section 1.5.5)."""
    value = 0
    for position in range(4):
        byte = body[at + position]
        value |= (byte & 0x7F) << 7 * position
        if not byte & 0x80:
            return value, at + position + 1
    raise MalformedError("a malformed length")


#: Properties of a PUBLISH, and what each consists of (MQTT 5, section 3.3.2.3): format, expiry,
#: response topic, correlation data, subscription identifier, user property. No topic alias: CONNECT
#: has allowed none.
OF_PUBLISH: dict[int, Parts] = {
    0x01: (_flag,),
    0x02: (_four_bytes,),
    0x08: (_text,),
    0x09: (_binary,),
    0x0B: (_variable,),
    0x26: (_text, _text),
}
#: The same of PUBACK and SUBACK: reason in words, user property.
OF_ANSWER: dict[int, Parts] = {0x1F: (_text,), 0x26: (_text, _text)}
REPEATED = frozenset({0x0B, 0x26})
