"""Packets that come in, read from their bytes: MQTT 5 and 3.1.1, sections 3.2, 3.3, 3.4, 3.9."""

from __future__ import annotations

import struct
from typing import NamedTuple

from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

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

#: The longest topic, in bytes of UTF-8 (MQTT 5, section 1.5.4).
TOPIC_MAX = 65_535


class Message(NamedTuple):
    """A PUBLISH; `mid` is 0 at QoS 0. What is no UTF-8 in the topic is shown in hexadecimal."""

    topic: str
    payload: bytes
    mid: int


def connack(body: bytes, *, five: bool) -> Accepted:
    """CONNACK. Raises ConnectRefusedError, and what a malformed one leads to."""
    flags, reason = struct.unpack_from("!BB", body)
    if reason:
        raise ConnectRefusedError(reason if five else CONNECT_REFUSALS_3.get(reason, REFUSED))
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
    mid, reason = struct.unpack_from("!HB", body + b"\0")
    return Published(mid, reason if five else 0)


def suback(body: bytes, *, five: bool) -> Subscribed:
    """SUBACK with a reason for our one filter."""
    (mid,) = struct.unpack_from("!H", body)
    at = _skip_properties(body, 2) if five else 2
    reasons = tuple(body[at:])
    if len(reasons) != 1:
        raise MalformedError("a SUBACK that does not answer our one filter")
    return Subscribed(mid, reasons)


def publish(command: int, body: bytes, *, five: bool) -> Message:
    """PUBLISH at QoS 0 or 1; nobody asked for QoS 2. Its properties mean nothing to us."""
    qos = command >> 1 & 3
    if qos > 1:
        raise MalformedError(f"a message at QoS {qos}, which nobody asked for")
    (length,) = struct.unpack_from("!H", body)
    at = 2 + length
    mid = 0
    if qos:
        (mid,) = struct.unpack_from("!H", body, at)
        at += 2
        if mid == 0:
            raise MalformedError("a message with packet id 0")
    if five:
        at = _skip_properties(body, at)
    if at > len(body):
        raise MalformedError("a message shorter than it says")
    topic = body[2 : 2 + length].decode(errors="backslashreplace")
    return Message(topic, body[at:], mid)


def publish_size(topic: str, payload: bytes, *, five: bool) -> int:
    """Bytes of a PUBLISH at QoS 1 without properties."""
    remaining = 2 + len(topic.encode()) + 2 + five + len(payload)
    length_bytes = 1
    while remaining >> 7 * length_bytes:
        length_bytes += 1
    return 1 + length_bytes + remaining


def is_topic_name(topic: str) -> bool:
    """True for a topic that may be published on (MQTT 5, section 4.7)."""
    try:
        size = len(topic.encode())
    except UnicodeEncodeError:
        return False
    return 0 < size <= TOPIC_MAX and not any(one in topic for one in "+#\0")


def _skip_properties(body: bytes, at: int) -> int:
    """The end of the properties that begin at `at` with their length, a variable byte integer."""
    length = 0
    for position in range(4):
        byte = body[at + position]
        length |= (byte & 0x7F) << 7 * position
        if not byte & 0x80:
            return at + position + 1 + length
    raise MalformedError("a malformed length")
