"""Traffic of a device in a month: messages and bytes, and what AWS asks for them.

What is assumed is a constant here, and told. AWS counts what it takes and gives in units of 5 KiB:
CONNECT, SUBSCRIBE, PUBLISH both ways and the device's PUBACK. The broker's answers cost nothing,
nor do pings at 30 s or more ("AWS IoT Core pricing, additional metering details").
"""

from __future__ import annotations

import math

from agent.facts import DIGEST, EVENTS
from agent.model import COUNT, DAY_S, KIB, MINUTE_S, encode
from agent.mqtt import publish_size
from agent.sampling import INTERVAL_S
from agent.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from agent.cli.payloads import Payloads
    from agent.config import Config

MONTH_S = 30 * DAY_S

#: Connections that are made in a month: the network fails, the router starts anew.
CONNECTS = 30

#: Beginnings and ends of rules, and an SOS: as many as nobody would bear for long.
EVENTS_MAX = 300
EVENTS_WHEN = (
    f"when a rule begins or ends, or an SOS button is pressed, assumed to be {EVENTS_MAX} at most"
)

#: Bytes of a record of TLS 1.3 about its content, and of the headers of TCP and IPv4 in a packet.
RECORD, PACKET = 22, 52

#: Packets of a message, its acknowledgement, and TCP's of that.
PACKETS = 3

#: Bytes of PUBACK and of PINGREQ or PINGRESP, of a TLS handshake with both certificates, and of
#: CONNECT, CONNACK, SUBSCRIBE, SUBACK and DISCONNECT, beside the names; its packets.
PUBACK, PING, HANDSHAKE, SESSION, CONNECT_PACKETS = 4, 2, 6000, 250, 20

#: Messages that AWS takes of one connection in a second ("AWS IoT Core endpoints and quotas").
AWS_PER_S = 100

#: A ping costs nothing if none went for so long.
FREE_PING_S = 30

#: List prices in US dollars for a million messages, and a million minutes of connection.
MESSAGES_USD, MINUTES_USD = 1.00, 0.08
MILLION = 1_000_000
PRICE = (
    "US$ 1.00 for a million messages of 5 KiB and 0.08 for a million minutes of connection: AWS's "
    "list price in Europe (Ireland), aws.amazon.com/iot-core/pricing as read on 2026-09-20; Tokyo "
    "asks 1.20 and 0.096. Rules, storage and alarms in the cloud come on top"
)

#: Bytes for which AWS counts one message.
UNIT = 5 * KIB


class Span(Value):
    """The least and the most of something."""

    least: float
    most: float

    def __add__(self, other: Span) -> Span:
        """The sum."""
        return Span(self.least + other.least, self.most + other.most)

    def __mul__(self, factor: float) -> Span:
        """So many times as much."""
        return Span(self.least * factor, self.most * factor)


class Flow(Value):
    """Messages of one kind in a month: how often, in words and numbers; bytes of each.

    `payload` is the JSON alone, `tls` what one message and its acknowledgement put into TCP, both
    ways, if it goes by itself, and `metered` AWS's units for it. A count comes back, and is
    acknowledged.
    """

    kind: str
    when: str
    messages: Span
    payload: int
    tls: int
    packets: int
    metered: int


class Month(Value):
    """Traffic of 30 days: pings, bytes in TCP and on the wire, AWS's units and minutes, dollars."""

    messages: Span
    pings: Span
    tls_bytes: Span
    wire_bytes: Span
    metered: Span
    minutes: int
    usd: Span


def flow(config: Config, one: Payloads) -> Flow:
    """The messages of one kind, at the size of its example."""
    payload = encode(one.example)
    topic = f"{config.thing.name}/{one.kind}"
    sent = publish_size(topic, payload, five=config.mqtt.protocol == "5") + PUBACK + 2 * RECORD
    units = math.ceil(len(payload) / UNIT)
    when, messages = _pace(config, one.kind)
    ways = 2 if one.kind == COUNT else 1  # the broker sends the count back, as proof
    metered = 2 * units + 1 if one.kind == COUNT else units
    return Flow(one.kind, when, messages, len(payload), ways * sent, ways * PACKETS, metered)


def month(config: Config, flows: Sequence[Flow]) -> Month:
    """All that goes over the connection in a month that has no long outage."""
    messages = tls = packets = metered = Span(0, 0)
    for one in flows:
        messages += one.messages
        tls += one.messages * one.tls
        packets += one.messages * one.packets
        metered += one.messages * one.metered
    pings, connects = _pings(config, flows), Span(CONNECTS, CONNECTS)
    tls += pings * (2 * (PING + RECORD)) + connects * (HANDSHAKE + SESSION)
    packets += pings * PACKETS + connects * CONNECT_PACKETS
    metered += connects * 2  # CONNECT and SUBSCRIBE
    if config.mqtt.keepalive_s < FREE_PING_S:
        metered += pings
    minutes = MONTH_S // MINUTE_S
    online = minutes * MINUTES_USD / MILLION
    usd = metered * (MESSAGES_USD / MILLION) + Span(online, online)
    return Month(messages, pings, tls, tls + packets * PACKET, metered, minutes, usd)


def excess(config: Config, month: Month) -> str:
    """Words for more messages than can be sent; "" where they can."""
    per_s, most = month.messages.most / MONTH_S, config.mqtt.max_publish_per_s
    if per_s <= min(most, AWS_PER_S):
        return ""
    return (
        f"These are {per_s:,.0f} messages a second, more than can be sent: AWS takes {AWS_PER_S} of"
        f" a device, and [mqtt] max_publish_per_s is {most}. What is beyond fills the store"
    )


def _pace(config: Config, kind: str) -> tuple[str, Span]:
    """Frequency of messages of this kind, in words, and in a month."""
    if kind == COUNT:
        window_s = config.count.window_s
        each = MONTH_S / window_s
        return f"every {window_s} s, and at a stop", Span(each, each)
    if kind == DIGEST:
        return f"once a day, for the day before, at {config.digest.at}", Span(30, 30)
    if kind == EVENTS:
        return EVENTS_WHEN, Span(0, EVENTS_MAX)
    sensor = next((one for one in config.sensors if kind == f"sensors/{one.name}"), None)
    if sensor is None:
        told = f"at each connection, assumed to be {CONNECTS}; at a stop; when one is lost"
        return told, Span(CONNECTS, CONNECTS)
    interval_s = sensor.interval_s or INTERVAL_S
    most = MONTH_S / interval_s
    if sensor.report == "always":
        return f"every {_seconds(interval_s)} s", Span(most, most)
    heartbeat_s = max(interval_s, sensor.heartbeat_s)
    often, seldom = _seconds(interval_s), _seconds(heartbeat_s)
    told = f"every {often} s if a quantity has moved, else every {seldom} s"
    return told, Span(MONTH_S / heartbeat_s, most)


def _seconds(value: float) -> str:
    return f"{value:.3f}".rstrip("0").rstrip(".")


def _pings(config: Config, flows: Sequence[Flow]) -> Span:
    """Pings: none while a message goes within `keepalive_s`, each gap of the most frequent ones."""
    keepalive_s = config.mqtt.keepalive_s
    found = []
    for most in (True, False):
        messages = max(one.messages.most if most else one.messages.least for one in flows)
        gap_s = MONTH_S / messages
        found.append(messages * max(0, math.ceil(gap_s / keepalive_s) - 1))
    return Span(min(found), max(found))
