"""What the broker answers, as values: acknowledgements, and refusals with their reasons.

The reason codes are those of MQTT 5, section 2.4.
"""

from __future__ import annotations

from dataclasses import dataclass

from agent.errors import LinkLostError

#: From here on a reason code says no.
REFUSED = 0x80
NOT_AUTHORIZED = 0x87
SESSION_TAKEN_OVER = 0x8E
TOPIC_NAME_INVALID = 0x90
PAYLOAD_FORMAT_INVALID = 0x99

#: Client id not valid, bad user name or password, not authorized.
NOT_LET_IN = frozenset({0x85, 0x86, NOT_AUTHORIZED})

#: MQTT 3.1.1, section 3.2.2.3, in the terms of MQTT 5.
CONNECT_REFUSALS_3 = {1: 0x84, 2: 0x85, 3: 0x88, 4: 0x86, 5: NOT_AUTHORIZED}

#: What a person reads for the reasons that AWS IoT gives.
REASONS = {
    0x00: "the broker ended the connection in order",
    0x80: "unspecified error",
    0x81: "malformed packet",
    0x82: "protocol error",
    0x84: "protocol version not supported",
    0x85: "client id not valid",
    0x86: "bad user name or password",
    0x87: "not authorized",
    0x88: "server unavailable",
    0x89: "server busy",
    0x8B: "server shutting down",
    0x8D: "keep-alive timeout",
    0x8E: "session taken over",
    0x8F: "topic filter not valid",
    0x90: "topic name not valid",
    0x91: "packet id in use",
    0x93: "receive maximum exceeded",
    0x95: "packet too large",
    0x97: "quota exceeded",
    0x98: "administrative action",
    0x99: "payload format not valid",
}


def reason_text(reason: int) -> str:
    """A reason code in words."""
    return REASONS.get(reason, f"reason 0x{reason:02x}")


class ConnectRefusedError(LinkLostError):
    """The broker answered CONNECT with no; `reason` is the MQTT 5 code."""

    def __init__(self, reason: int) -> None:
        super().__init__(f"the broker refuses the connection: {reason_text(reason)}")
        self.reason = reason


class ServerEndedError(LinkLostError):
    """The broker sent DISCONNECT; `reason` is the MQTT 5 code."""

    def __init__(self, reason: int) -> None:
        super().__init__(f"the broker ended the connection: {reason_text(reason)}")
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Accepted:
    """CONNACK: whether the broker kept our session, and how much it takes unacknowledged."""

    session_present: bool
    receive_maximum: int


@dataclass(frozen=True, slots=True)
class Published:
    """PUBACK for packet `mid`; 3.1.1 has no reasons, so there it is always 0."""

    mid: int
    reason: int


@dataclass(frozen=True, slots=True)
class Subscribed:
    """SUBACK for packet `mid`, one reason for each filter."""

    mid: int
    reasons: tuple[int, ...]


Answer = Published | Subscribed
