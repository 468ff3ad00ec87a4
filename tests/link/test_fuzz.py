"""A connection ends in a LinkLostError, a message is taken or ignored, whatever bytes arrive."""

from __future__ import annotations

import json
import os
import socket
import struct
import time
from contextlib import closing, suppress
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.config import StoreLimits
from agent.errors import LinkLostError
from agent.facts import MODE_FILE, ModeFile
from agent.health.health import Health
from agent.mqtt import Connection, Options, packets
from agent.mqtt.answers import MalformedError
from agent.net import Waiter, proxy
from agent.store import open_store
from agent.uplink.inbox import Inbox, Totals
from agent.wakeup import Wakeup
from tests.link import wire
from tests.link.plain import PlainDialer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

#: scripts/fuzz raises it; by default this file takes about 20 seconds.
EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "600"))
FUZZ = settings(max_examples=EXAMPLES)

THING = "living-room"
TOPICS = st.sampled_from([f"{THING}/count", "", "other", f"{THING}/status"]) | st.text(max_size=20)
PAYLOADS = st.binary(max_size=64) | st.sampled_from([b"7", b'{"set": 3, "id": "x"}', b"{}"])
FIVE = st.booleans()


@st.composite
def streams(draw: st.DrawFn, *, five: bool) -> bytes:
    """Packets of a broker, most of them sound, some cut, changed or made up."""
    sound = [
        st.builds(
            lambda topic, payload, mid, qos: wire.publish(
                topic, payload, five=five, mid=mid, qos=qos
            ),
            TOPICS,
            PAYLOADS,
            st.integers(0, 0xFFFF),
            st.integers(0, 3),
        ),
        st.builds(wire.puback, st.integers(0, 0xFFFF), st.integers(0, 0xFF)),
        st.builds(
            lambda mid, reasons: wire.suback(mid, reasons, five=five),
            st.integers(0, 0xFFFF),
            st.binary(max_size=3),
        ),
        st.just(wire.PINGRESP_BYTES),
        st.builds(wire.packet, st.integers(0, 0xFF), st.binary(max_size=40)),
    ]
    parts = [wire.connack(five=five)] if draw(st.integers(0, 9)) else []
    parts += draw(st.lists(st.one_of(*sound, st.binary(max_size=12)), max_size=12))
    stream = bytearray(b"".join(parts))
    for _ in range(draw(st.integers(0, 2))):
        if stream:
            stream[draw(st.integers(0, len(stream) - 1))] = draw(st.integers(0, 0xFF))
    return bytes(stream)


@given(st.data())
@FUZZ
def test_a_stream_of_any_bytes_ends_as_a_lost_link(data: st.DataObject) -> None:
    """No exception but LinkLostError, no hang, and a PUBACK for each message taken at QoS 1."""
    five = data.draw(FIVE)
    stream = data.draw(streams(five=five))
    options = Options("broker", 8883, THING, "5" if five else "3.1.1", 60, 60, 5.0)
    taken: list[tuple[str, bytes]] = []
    with Wakeup() as wakeup:
        dialer = PlainDialer(Waiter(wakeup, lambda: False))
        connection = Connection(
            options,
            dialer,  # type: ignore[arg-type]
            on_message=lambda topic, payload: taken.append((topic, payload)),
        )
        dialer.theirs.sendall(stream)
        dialer.theirs.shutdown(socket.SHUT_WR)
        with connection, pytest.raises(LinkLostError):
            _use(connection)
        with closing(dialer.theirs):
            assert _pubacks(dialer.theirs) <= len(taken)


def _use(connection: Connection) -> None:
    connection.open()
    while True:
        connection.step(1.0)


def _pubacks(link: socket.socket) -> int:
    """How many messages the device has acknowledged."""
    sent = b""
    with suppress(OSError):
        while some := link.recv(65_536):
            sent += some
    return sent.count(b"\x40\x02")


@given(
    FIVE,
    TOPICS.filter(packets.is_topic_name),
    st.binary(max_size=200),
    st.integers(1, 0xFFFF),
    st.integers(0, 1),
)
@FUZZ
def test_a_message_is_read_as_it_was_sent(
    five: bool,  # noqa: FBT001 -- hypothesis gives it
    topic: str,
    payload: bytes,
    mid: int,
    qos: int,
) -> None:
    """Our reading of PUBLISH is the inverse of the scripted broker's writing."""
    properties = b"\x05\x26\0\0\0\0" if five else b""
    sent = wire.publish(topic, payload, five=five, mid=mid, qos=qos, properties=properties)
    head = 2 if len(sent) < 130 else 3

    read = packets.publish(sent[0], sent[head:], five=five)

    assert read == packets.Message(topic, payload, mid if qos else 0)


@given(
    FIVE,
    TOPICS.filter(packets.is_topic_name),
    st.binary(max_size=200) | st.sampled_from([16_384 - 20, 16_384, 131_072]).map(bytes),
    st.integers(1, 0xFFFF),
    st.data(),
)
@FUZZ
def test_a_packet_is_whole_or_waits(
    five: bool,  # noqa: FBT001 -- hypothesis gives it
    topic: str,
    payload: bytes,
    mid: int,
    data: st.DataObject,
) -> None:
    """We write PUBLISH as the broker does; wherever one is cut, the rest makes it whole."""
    sent = packets.publish_packet(topic, payload, mid, five=five)
    assert sent == wire.publish(topic, payload, five=five, mid=mid)
    assert packets.publish_size(topic, payload, five=five) == len(sent)

    cut = data.draw(st.integers(0, len(sent) - 1))
    came = bytearray(sent[:cut])
    assert packets.taken_off(came) is None
    came += sent[cut:] + wire.puback(mid)
    command, body = packets.taken_off(came) or (0, b"")
    assert packets.publish(command, body, five=five) == packets.Message(topic, payload, mid)
    assert packets.taken_off(came) == (wire.PUBACK, wire.puback(mid)[2:])
    assert not came


@given(FIVE, st.binary(max_size=12) | st.sampled_from([b"", b"a/#", b"+", b"a\0"]))
@FUZZ
def test_a_topic_is_one_or_the_message_is_malformed(five: bool, topic: bytes) -> None:  # noqa: FBT001
    """UTF-8 without NUL or wildcard, and not empty; nothing else is raised."""
    sent = wire.publish(topic, b"", five=five)
    try:
        valid = packets.is_topic_name(topic.decode())
    except UnicodeDecodeError:
        valid = False
    if valid:
        assert packets.publish(sent[0], sent[2:], five=five).topic == topic.decode()
    else:
        with pytest.raises(MalformedError):
            packets.publish(sent[0], sent[2:], five=five)


@given(st.binary(max_size=20))
@FUZZ
def test_properties_are_read_to_their_end_or_are_malformed(properties: bytes) -> None:
    """Whatever the bytes: the payload is what comes behind them."""
    sent = wire.publish("a", b"x", five=True, properties=bytes([len(properties)]) + properties)
    # The connection takes all three for a malformed packet.
    with suppress(MalformedError, IndexError, struct.error):
        assert packets.publish(sent[0], sent[2:], five=True).payload == b"x"


@pytest.fixture(scope="module")
def inbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Inbox]:
    """The handler of messages, with a store."""
    path: Path = tmp_path_factory.mktemp("fuzz") / "store.db"
    with open_store(StoreLimits(path=path)) as store:
        modes = ModeFile(path.with_name(MODE_FILE), time.time)
        yield Inbox(THING, store, Health(), Totals(), modes=modes)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["set", "reset", "mode", "until", "id", "epoch", "seq", "x"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=8,
)
MODES = st.fixed_dictionaries(
    {"mode": st.sampled_from(["away", "visitor", "test", "off"]) | JSON, "id": st.text(max_size=2)},
    optional={
        "until": JSON | st.floats(1e9, 3e9) | st.datetimes().map(str) | st.text("0123456789:-TZ+ ")
    },
)


@given(st.data())
@FUZZ
def test_no_payload_harms_the_handler(inbox: Inbox, data: st.DataObject) -> None:
    """Bytes, or JSON of any shape with the words that mean something: nothing is raised."""
    topic = data.draw(TOPICS)
    payload = data.draw(
        st.binary(max_size=100) | (JSON | MODES).map(lambda value: json.dumps(value).encode())
    )
    inbox.message(topic, payload)
    inbox.message(f"{THING}/count", payload)


@given(
    st.binary(max_size=200), st.sampled_from([b"", b"HTTP/1.1 200 OK\r\n", b"HTTP/1.0 407 x\r\n"])
)
@FUZZ
def test_a_proxy_may_answer_anything(tail: bytes, head: bytes) -> None:
    """A tunnel, or a LinkLostError."""
    ours, theirs = socket.socketpair()
    with Wakeup() as wakeup, closing(ours), closing(theirs), suppress(LinkLostError):
        theirs.sendall(head + tail)
        theirs.shutdown(socket.SHUT_WR)
        proxy.tunnel(
            ours,
            proxy.Proxy("proxy", 3128),
            "broker:8883",
            Waiter(wakeup, lambda: False),
            timeout_s=1.0,
        )
