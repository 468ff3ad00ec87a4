"""Answers of the broker, as values: acknowledgements, and refusals with their reasons.

The reason codes are those of MQTT 5, section 2.4.
"""

from __future__ import annotations

import ssl

from agent.errors import ANEW, LinkLostError
from agent.net import tls_broke
from agent.value import Value

#: AWS IoT's largest payload ("AWS IoT Core message broker quotas"), and MQTT's largest packet.
PAYLOAD_MAX = 131_072
PACKET_MAX = 268_435_460

#: AWS IoT accepts one CONNECT a second for a client id ("AWS IoT Core message broker quotas").
BETWEEN_CONNECTS_S = 1.1

#: The lowest reason code of a refusal.
REFUSED = 0x80
NOT_AUTHORIZED = 0x87
SESSION_TAKEN_OVER = 0x8E
TOPIC_NAME_INVALID = 0x90
PACKET_TOO_LARGE = 0x95
PAYLOAD_FORMAT_INVALID = 0x99

#: Client id not valid, bad user name or password, banned, bad authentication method.
BAD_CREDENTIALS = frozenset({0x85, 0x86, 0x8A, 0x8C})
NOT_LET_IN = BAD_CREDENTIALS | {NOT_AUTHORIZED}

#: Waiting mends these: unavailable, busy, shutting down, message rate, quota, connection rate.
BUSY = frozenset({0x88, 0x89, 0x8B, 0x96, 0x97, 0x9F})

#: MQTT 3.1.1, section 3.2.2.3, in the terms of MQTT 5; 7 is what AWS IoT has said for 5.
CONNECT_REFUSALS_3 = {1: 0x84, 2: 0x85, 3: 0x88, 4: 0x86, 5: NOT_AUTHORIZED, 7: NOT_AUTHORIZED}

#: Words for each reason code.
REASONS = {
    0x00: "in order",
    0x80: "unspecified error",
    0x81: "malformed packet",
    0x82: "protocol error",
    0x83: "implementation specific error",
    0x84: "protocol version not supported",
    0x85: "client id not valid",
    0x86: "bad user name or password",
    0x87: "not authorized",
    0x88: "server unavailable",
    0x89: "server busy",
    0x8A: "banned",
    0x8B: "server shutting down",
    0x8C: "bad authentication method",
    0x8D: "keep-alive timeout",
    0x8E: "session taken over",
    0x8F: "topic filter not valid",
    0x90: "topic name not valid",
    0x91: "packet id in use",
    0x93: "receive maximum exceeded",
    0x94: "topic alias not valid",
    0x95: "packet too large",
    0x96: "message rate too high",
    0x97: "quota exceeded",
    0x98: "administrative action",
    0x99: "payload format not valid",
    0x9A: "retained messages not supported",
    0x9B: "QoS not supported",
    0x9C: "use another server",
    0x9D: "server moved",
    0x9E: "shared subscriptions not supported",
    0x9F: "connection rate exceeded",
    0xA0: "maximum connect time",
    0xA1: "subscription identifiers not supported",
    0xA2: "wildcard subscriptions not supported",
}


def reason_text(reason: int) -> str:
    """A reason code in words."""
    return REASONS.get(reason, f"reason 0x{reason:02x}")


def reason_hint(reason: int) -> str:
    """The hint for a refused or ended connection; empty where nothing special is known."""
    if reason in BUSY:
        return "the broker has no room now; it is tried again by itself"
    if reason in BAD_CREDENTIALS:
        return f"the certificate or the name is not accepted; {ANEW}"
    if reason == SESSION_TAKEN_OVER:
        return "if this comes again, another device uses this name"
    return ""


class WithheldError(Exception):
    """A message cannot be taken now: it gets no PUBACK, and comes again with the next session."""


class ClosedError(LinkLostError):
    """The broker closed the connection without a word."""


class UnansweredError(LinkLostError):
    """The broker closed the connection instead of sending CONNACK; AWS IoT refuses like this."""


class SilentError(LinkLostError):
    """The broker owes an answer and keeps silent, whatever the socket says."""

    def __init__(self, text: str) -> None:
        super().__init__(text, hint="the network or the broker went silent; a new try is made")


class MalformedError(LinkLostError):
    """The broker sent what no broker may send."""

    def __init__(self, what: str) -> None:
        super().__init__(
            f"the broker sent what it may not: {what}",
            hint="something other than an MQTT broker may answer; check [mqtt] endpoint and port",
        )


class ConnectRefusedError(LinkLostError):
    """The broker answered CONNECT with no; `reason` is the MQTT 5 code."""

    def __init__(self, reason: int) -> None:
        text = f"the broker refuses the connection: {reason_text(reason)}"
        super().__init__(text, hint=reason_hint(reason))
        self.reason = reason


class ServerEndedError(LinkLostError):
    """The broker sent DISCONNECT; `reason` is the MQTT 5 code."""

    def __init__(self, reason: int) -> None:
        text = f"the broker ended the connection: {reason_text(reason)}"
        super().__init__(text, hint=reason_hint(reason))
        self.reason = reason


class Accepted(Value):
    """CONNACK: whether the broker kept our session, and its limits; a `keepalive_s` of 0 is ours.

    `receive_maximum` is how much it takes unacknowledged, `maximum_packet_size` is in bytes.
    """

    session_present: bool
    receive_maximum: int
    maximum_packet_size: int
    keepalive_s: int


class Published(Value):
    """PUBACK for packet `mid`; 3.1.1 has no reasons, so there it is always 0."""

    mid: int
    reason: int


class Subscribed(Value):
    """SUBACK for packet `mid`, whose reason is that of its one filter."""

    mid: int
    reason: int


Answer = Published | Subscribed


def link_broke(error: OSError) -> LinkLostError:
    """The error for a connection that was up and failed with what the socket raised."""
    if isinstance(error, ssl.SSLEOFError | ConnectionResetError | BrokenPipeError):
        return ClosedError("the broker cut the connection off")
    if isinstance(error, ssl.SSLError):
        return tls_broke("the TLS connection broke", error)
    if isinstance(error, TimeoutError):
        return SilentError("the network is silent: nobody acknowledges what was sent")
    reason = error.strerror or str(error) or type(error).__name__
    return LinkLostError(f"the connection broke: {reason.lower()}")
