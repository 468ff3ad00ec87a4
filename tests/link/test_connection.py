"""One MQTT connection at its edges: what it reads, keeps back, sends again and gives up."""

from __future__ import annotations

import socket
import threading
import time
from contextlib import closing, suppress
from typing import TYPE_CHECKING

import pytest

from agent.errors import CredentialsError, LinkLostError
from agent.mqtt import Connection, Options, client
from agent.mqtt.answers import MalformedError, Published, SilentError, WithheldError
from agent.mqtt.client import BACKLOG
from agent.mqtt.connection import READ_S
from agent.net import Waiter
from agent.wakeup import Wakeup
from tests.link import wire
from tests.link.plain import PlainDialer
from tests.timing import allowed_s

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

TOPIC = "living-room/count"


class Line:
    """A connection that is open, and the broker's end of it."""

    def __init__(self, wakeup: Wakeup) -> None:
        self.dialer = PlainDialer(Waiter(wakeup, lambda: False))
        self.broker = self.dialer.theirs
        self.take: Callable[[str, bytes], None] = self._take
        self.messages: list[bytes] = []
        self.trouble: Exception | None = None
        self.connection: Connection

    def open(self, *, protocol: str = "5", keepalive_s: int = 60, properties: bytes = b"") -> None:
        """Connect; CONNACK waits already."""
        options = Options("broker", 8883, "living-room", protocol, keepalive_s, 60, 5.0)
        self.connection = Connection(
            options,
            self.dialer,  # type: ignore[arg-type]
            on_message=self.take,
        )
        five = protocol == "5"
        self.broker.sendall(wire.connack(five=five, properties=properties))
        self.connection.open()
        self.broker.recv(65_536)

    def _take(self, _topic: str, payload: bytes) -> None:
        if self.trouble:
            raise self.trouble
        self.messages.append(payload)

    def waiting(self) -> int:
        """How many packets wait to be written."""
        return self.connection._client._packets


@pytest.fixture
def line() -> Iterator[Line]:
    """A line, not open yet."""
    with Wakeup() as wakeup:
        one = Line(wakeup)
        with closing(one.broker):
            yield one
        if hasattr(one, "connection"):
            one.connection.close()


def message(number: int) -> bytes:
    """A small message at QoS 1."""
    return wire.publish(TOPIC, b"x", five=True, mid=number)


def pour(broker: socket.socket, count: int) -> threading.Thread:
    """Send so many messages from another thread, until the connection ends."""

    def work() -> None:
        with suppress(OSError):
            for begin in range(0, count, 100):
                broker.sendall(b"".join(message(1 + n) for n in range(begin, begin + 100)))

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    return thread


def test_a_broker_that_does_not_read_is_not_read_from(line: Line) -> None:
    """PUBACKs that it does not take pile up to a bound; they go when it reads again."""
    line.open()
    pour(line.broker, 20_000)
    for _ in range(300):
        line.connection.step(0.01)
        if line.waiting() > BACKLOG:
            break
    for _ in range(20):
        line.connection.step(0.01)
    assert BACKLOG < line.waiting() <= BACKLOG + 2

    taken = 0
    until_s = time.monotonic() + 30
    while taken < 20_000 * 4 and time.monotonic() < until_s:
        with suppress(BlockingIOError):
            taken += len(line.broker.recv(65_536, socket.MSG_DONTWAIT))
        line.connection.step(0.001)
    assert taken == 20_000 * 4


def test_what_was_read_already_is_handled_though_nothing_more_comes(line: Line) -> None:
    """It is in our memory, where select does not see it, once the broker reads again."""
    line.open()
    line.broker.sendall(b"".join(message(mid) for mid in range(1, BACKLOG + 300)))
    for _ in range(3):
        line.connection.step(0.0)
    assert not line.connection.drained
    line.broker.settimeout(5)
    while len(line.messages) < BACKLOG + 299:
        line.broker.recv(65_536)  # a PUBACK came for each, unless there are no more
        line.connection.step(0.0)


def test_a_flood_does_not_keep_a_step_for_ever(line: Line) -> None:
    """However fast the broker sends, there is time for anything else."""
    line.open()
    threading.Thread(target=_swallow, args=(line.broker,), daemon=True).start()
    pour(line.broker, 60_000)
    began_s = time.monotonic()
    line.connection.step(10.0)
    assert time.monotonic() - began_s < allowed_s(READ_S + 1.5)
    assert 0 < len(line.messages) < 60_000


def _swallow(broker: socket.socket) -> None:
    with suppress(OSError):
        while broker.recv(65_536):
            pass


def test_a_message_that_is_not_taken_is_not_acknowledged(line: Line) -> None:
    """The handler's own error leaves the step; the broker sends the message again some day."""
    line.open()
    line.trouble = OSError("no space left on device")
    line.broker.sendall(message(7))

    with pytest.raises(OSError, match="no space left"):
        line.connection.step(1.0)

    line.broker.settimeout(0)
    with pytest.raises(BlockingIOError):
        line.broker.recv(100)


def test_a_message_that_is_withheld_gets_no_puback_and_the_rest_goes_on(line: Line) -> None:
    """What cannot be kept now stays with the broker; the connection lives."""
    line.open()
    line.trouble = WithheldError()
    line.broker.sendall(message(7))
    line.connection.step(1.0)
    line.trouble = None
    line.broker.sendall(message(8))
    line.connection.step(1.0)
    line.connection.step(0.0)

    line.broker.settimeout(2)
    assert line.messages == [b"x"]
    assert line.broker.recv(100)[2:4] == (8).to_bytes(2, "big")


def test_a_server_keep_alive_of_0_leaves_ours(line: Line) -> None:
    """The server does not care; we want to know when the network dies."""
    line.open(keepalive_s=1, properties=wire.server_keep_alive(0))
    line.connection.step(1.5)
    line.broker.settimeout(1)
    assert line.broker.recv(100) == wire.packet(wire.PINGREQ, b"")


def test_nothing_is_sent_before_connack(line: Line) -> None:
    """Not even a ping, if the keep-alive is shorter than the time-out."""
    options = Options("broker", 8883, "living-room", "5", 1, 60, 2.5)
    line.connection = Connection(
        options,
        line.dialer,  # type: ignore[arg-type]
        on_message=line.take,
    )
    with pytest.raises(SilentError, match="did not answer CONNECT within"):
        line.connection.open()
    sent = line.broker.recv(65_536)
    assert sent[0] == wire.CONNECT
    assert len(sent) == 2 + sent[1]


def test_credentials_that_were_spoiled_meanwhile_are_told_as_that(line: Line) -> None:
    """The dialer reads them at each connection; that is no fault of the broker."""
    link = line.dialer.dial("unused")

    def dial(_host: str) -> socket.socket:
        link.close()
        raise CredentialsError("the key is gone")

    line.dialer.dial = dial  # type: ignore[method-assign, assignment]
    with pytest.raises(CredentialsError, match="the key is gone"):
        line.open()


def test_silence_is_a_lost_link_after_one_and_a_half_keep_alives(line: Line) -> None:
    """One until the ping, half of one for its answer; other traffic is no answer."""
    line.open(keepalive_s=1)
    began_s = time.monotonic()
    with pytest.raises(SilentError, match="did not answer a ping"):
        _chat(line)
    assert 1.4 <= time.monotonic() - began_s < allowed_s(3)


def test_what_is_sent_takes_the_place_of_a_ping(line: Line) -> None:
    """The reading of each minute is due when the ping is; unanswered, it is asked after by one."""
    line.open()
    client = line.connection._client
    client._heard_s = client._said_s = time.monotonic() - 60.0
    line.dialer.waiter.wakeup.set()
    line.connection.step(0.0)
    line.connection.publish(TOPIC, b"x")
    line.connection.step(0.0)
    sent = line.broker.recv(1000)
    assert (sent[0] & 0xF0, len(sent)) == (wire.PUBLISH, 2 + sent[1])
    client._asked_s -= 60.0
    line.connection.step(0.0)
    assert line.broker.recv(1000) == wire.packet(wire.PINGREQ, b"")


def _chat(line: Line) -> None:
    for number in range(1, 100):
        line.broker.sendall(wire.publish(TOPIC, b"%d" % number, five=True, qos=0))
        line.connection.step(0.1)
        time.sleep(0.05)


def test_only_what_fits_is_sent(line: Line) -> None:
    """The Maximum Packet Size counts all bytes of the packet."""
    line.open(properties=wire.maximum_packet_size(200))
    line.broker.settimeout(1)
    for size in range(100, 200):
        if line.connection.takes(TOPIC, b"x" * size):
            line.connection.publish(TOPIC, b"x" * size)
            line.connection.step(0.0)
            sent = line.broker.recv(1000)
            assert len(sent) <= 200
    assert len(sent) == 200


def test_a_packet_is_sent_again_once(line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    """Under 3.1.1, with the same id and DUP; not again, and not once it is answered."""
    monkeypatch.setattr(client, "RESEND_S", 0.1)
    line.open(protocol="3.1.1")
    line.broker.settimeout(1)
    mids = [line.connection.publish(TOPIC, b"x") for _ in range(3)]
    line.connection.step(0.0)
    line.broker.recv(100)
    line.broker.sendall(wire.puback(mids[1]))
    for _ in range(5):
        line.connection.step(0.1)
    again = line.broker.recv(100)
    expected = [wire.publish(TOPIC, b"x", five=False, mid=mid) for mid in (mids[0], mids[2])]
    assert again == b"".join(bytes([sent[0] | 0x08]) + sent[1:] for sent in expected)

    line.broker.sendall(wire.puback(mids[0]))
    assert line.connection.step(1.0) == [Published(mids[0], 0)]
    line.connection.step(0.3)
    line.broker.settimeout(0)
    with pytest.raises(BlockingIOError):
        line.broker.recv(100)


def test_what_is_sent_in_a_step_is_one_write(line: Line) -> None:
    """TLS costs by the write: a hundred packets at once cost little more than one."""
    line.open()
    line.broker.settimeout(5)
    before = len(line.dialer.ours.written)
    mids = [line.connection.publish(TOPIC, b"x") for _ in range(100)]
    line.connection.step(0.0)

    sent = b"".join(message(mid) for mid in mids)
    assert line.dialer.ours.written[before:] == [len(sent)]
    assert line.broker.recv(65_536) == sent


def test_a_write_that_the_socket_takes_in_parts_loses_nothing(line: Line) -> None:
    """The rest goes when there is room, before what came after it."""
    line.open()
    line.dialer.ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    sent, taken = b"", b""
    line.broker.settimeout(5)
    for number in range(20):
        payload = bytes([number]) * 50_000
        mid = line.connection.publish(TOPIC, payload)
        sent += wire.publish(TOPIC, payload, five=True, mid=mid)
        line.connection.step(0.0)
        taken += line.broker.recv(10_000)
    assert line.connection._client.writing
    while len(taken) < len(sent):
        line.connection.step(0.0)
        taken += line.broker.recv(65_536)
    assert taken == sent


def test_a_message_is_acknowledged_before_the_next_is_handled(line: Line) -> None:
    """Though both came at once: to make the next durable may take a while."""
    seen: list[bytes] = []

    def take(_topic: str, _payload: bytes) -> None:
        with suppress(BlockingIOError):
            seen.append(line.broker.recv(100, socket.MSG_DONTWAIT))

    line.take = take
    line.open()
    line.broker.sendall(message(7) + message(8))
    line.connection.step(1.0)
    assert seen == [wire.puback(7)]


def test_a_farewell_goes_behind_what_waits(line: Line) -> None:
    """DISCONNECT is the last that the broker reads."""
    line.open()
    line.broker.settimeout(5)
    mid = line.connection.publish(TOPIC, b"x")
    line.connection.finish()
    sent = wire.publish(TOPIC, b"x", five=True, mid=mid)
    assert line.broker.recv(100) == sent + wire.packet(wire.DISCONNECT, b"")


def test_the_last_answers_are_handed_out_before_the_end_is_told(line: Line) -> None:
    """What was acknowledged in the same breath is acknowledged."""
    line.open()
    mid = line.connection.publish(TOPIC, b"x")
    line.broker.sendall(wire.puback(mid) + wire.disconnect(0x8B))
    assert line.connection.step(1.0) == [Published(mid, 0)]
    with pytest.raises(Exception, match="server shutting down"):
        line.connection.step(1.0)


def test_nothing_is_sent_on_a_link_that_is_known_to_be_lost(line: Line) -> None:
    """The last answers are handed out first; what is sent then would look like the cause."""
    line.open()
    mid = line.connection.publish(TOPIC, b"x")
    line.broker.sendall(wire.puback(mid) + wire.disconnect(0x8B))
    assert line.connection.step(1.0) == [Published(mid, 0)]
    with pytest.raises(LinkLostError, match="server shutting down"):
        line.connection.publish(TOPIC, b"x")
    with pytest.raises(LinkLostError, match="server shutting down"):
        line.connection.subscribe(TOPIC)


def test_a_link_with_answers_unread_is_not_drained(line: Line) -> None:
    """Neither while they are in the socket, nor while TLS has decrypted them already."""
    line.open()
    seen = [line.connection.drained]
    line.broker.sendall(wire.publish(TOPIC, b"1", five=True) * 3)
    until_s = time.monotonic() + 10
    while line.connection.drained and time.monotonic() < until_s:
        time.sleep(0.01)
    seen.append(line.connection.drained)
    line.connection.step(1.0)
    seen.append(line.connection.drained)
    assert seen == [True, False, True]


@pytest.mark.parametrize(
    "properties",
    [
        b"\x01\x01",
        b"\x02\0\0\0\x3c",
        b"\x08\0\3a/b",
        b"\x09\0\2\xff\0",
        b"\x0b\x80\x01\x0b\x02",
        b"\x26\0\1a\0\1b" * 500,
        b"\x01\0\x26\0\0\0\0\x09\0\0",
    ],
)
def test_properties_that_a_broker_may_send_are_passed_by(line: Line, properties: bytes) -> None:
    """All seven but the topic alias; the message is taken."""
    line.open()
    length = len(properties)
    prefix = bytes([length]) if length < 128 else bytes([length & 0x7F | 0x80, length >> 7])
    line.broker.sendall(wire.publish(TOPIC, b"1", five=True, mid=5, properties=prefix + properties))
    line.connection.step(5.0)
    line.broker.settimeout(5)
    assert line.broker.recv(100)[:4] == b"\x40\x02\0\5"


def test_an_error_of_ours_is_not_laid_to_the_broker(line: Line) -> None:
    """The library refuses a value of ours: the link is given up; nothing blames the endpoint."""
    line.open()
    with pytest.raises(LinkLostError, match="the MQTT library failed: ValueError") as caught:
        line.connection.publish("living-room/#", b"{}")
    assert "endpoint" not in caught.value.hint
    assert not isinstance(caught.value, MalformedError)


def test_a_puback_of_ours_that_cannot_be_made_is_not_laid_to_the_broker(line: Line) -> None:
    """A defect while a message is answered is a lost link with a reason of its own."""
    line.open()

    def defect(_mid: int) -> None:
        raise TypeError("no such packet")

    line.connection._client.acknowledge = defect  # type: ignore[assignment,method-assign]  # fails on purpose
    line.broker.sendall(wire.publish(TOPIC, b"1", five=True, mid=5))
    with pytest.raises(LinkLostError, match="the MQTT library failed: TypeError") as caught:
        line.connection.step(5.0)
    assert not isinstance(caught.value, MalformedError)
