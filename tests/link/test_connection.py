"""One MQTT connection at its edges: what it reads, keeps back, acknowledges and gives up."""

from __future__ import annotations

import socket
import threading
import time
from contextlib import suppress

import pytest

from agent.errors import CredentialsError, LinkLostError
from agent.mqtt import Connection, Options
from agent.mqtt.answers import ClosedError, MalformedError, Published, SilentError, WithheldError
from agent.mqtt.client import BACKLOG
from agent.mqtt.connection import READ_S
from tests.link import wire
from tests.link.line import TOPIC, Line, message
from tests.timing import allowed_s


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
    line.fill()
    pour(line.broker, 5000)
    for _ in range(300):
        line.connection.step(0.01)
        if line.waiting() > BACKLOG:
            break
    for _ in range(20):
        line.connection.step(0.01)
    assert BACKLOG < line.waiting() <= BACKLOG + 4

    taken = b""
    until_s = time.monotonic() + 30
    while taken[-4:] != wire.puback(5000) and time.monotonic() < until_s:
        with suppress(BlockingIOError):
            taken += line.broker.recv(65_536, socket.MSG_DONTWAIT)
        line.connection.step(0.001)
    assert taken.endswith(b"".join(wire.puback(mid) for mid in range(4901, 5001)))


def test_what_was_read_already_is_handled_though_nothing_more_comes(line: Line) -> None:
    """It is in our memory, where select does not see it, once the broker reads again."""
    line.open()
    line.fill()
    line.broker.sendall(b"".join(message(mid) for mid in range(1, 1300)))
    for _ in range(3):
        line.connection.step(0.0)
    assert not line.connection.drained
    assert len(line.messages) < 1299
    line.broker.settimeout(5)
    while len(line.messages) < 1299:
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


def _chat(line: Line) -> None:
    for number in range(1, 100):
        line.broker.sendall(wire.publish(TOPIC, b"%d" % number, five=True, qos=0))
        line.connection.step(0.1)
        time.sleep(0.05)


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


def test_the_last_answers_are_handed_out_before_the_end_is_told(line: Line) -> None:
    """What was acknowledged in the same breath is acknowledged."""
    line.open()
    mid = line.connection.publish(TOPIC, b"x")
    line.broker.sendall(wire.puback(mid) + wire.disconnect(0x8B))
    assert line.connection.step(1.0) == [Published(mid, 0)]
    with pytest.raises(Exception, match="server shutting down"):
        line.connection.step(1.0)


@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
def test_an_end_in_the_same_breath_as_connack_is_told_after_it(line: Line, protocol: str) -> None:
    """The broker has accepted, so that neither the certificate nor the policy is at fault."""
    line.open(protocol=protocol, leaves=True)
    with pytest.raises(ClosedError, match="closed the connection"):
        line.connection.step(5.0)


def test_what_comes_in_the_same_breath_as_connack_is_for_the_first_step(line: Line) -> None:
    """A caller of `open()` learns whether it was let in before it has to take anything."""
    line.open(behind=message(7))
    assert line.messages == []
    line.connection.step(0.0)
    assert line.messages == [b"x"]


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


@pytest.mark.parametrize(
    ("answer", "five"),
    [
        (wire.packet(wire.PUBACK, b"\0\1\0"), False),
        (wire.packet(wire.PUBACK, b"\0\1\0\x20"), True),
        (wire.packet(wire.PUBACK, b"\0\1\0\0\0"), True),
        (wire.packet(wire.PUBACK, b"\0\1\0\2\x01\0"), True),
        (wire.packet(wire.SUBACK, b"\0\1\2\x01\0\0"), True),
        (wire.packet(wire.PINGRESP, b"\0"), True),
    ],
)
def test_an_answer_that_is_none_is_malformed(line: Line, answer: bytes, *, five: bool) -> None:
    """Longer than it may be, or than it says, or with properties of other packets."""
    line.open(protocol="5" if five else "3.1.1")
    line.broker.sendall(answer)
    with pytest.raises(MalformedError):
        line.connection.step(5.0)


def test_a_connack_without_properties_is_of_two_bytes(line: Line) -> None:
    """As 3.1.1 has it; what is longer is something else."""
    line.broker.sendall(wire.packet(wire.CONNACK, b"\0\0\0"))
    with pytest.raises(MalformedError, match="CONNACK longer"):
        line.open(protocol="3.1.1")


def test_a_puback_may_have_words(line: Line) -> None:
    """A reason in words and properties of the user's; and a reason alone."""
    line.open()
    words = b"\x1f\0\2ok\x26\0\1a\0\1b"
    line.broker.sendall(wire.packet(wire.PUBACK, b"\0\1\0" + bytes([len(words)]) + words))
    line.broker.sendall(wire.packet(wire.PUBACK, b"\0\2\x10"))
    assert line.connection.step(5.0) == [Published(1, 0), Published(2, 0x10)]


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
