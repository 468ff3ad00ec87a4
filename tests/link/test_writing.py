"""What a connection writes: when, how much at once, what again; and where it cannot."""

from __future__ import annotations

import socket
import time

import pytest

from agent.errors import LinkLostError
from agent.mqtt import client
from agent.mqtt.answers import ClosedError, Published, ServerEndedError
from agent.mqtt.client import CHUNK
from tests.link import wire
from tests.link.line import TOPIC, Line, message


def test_what_is_sent_takes_the_place_of_a_ping(line: Line) -> None:
    """The reading of each minute is due when the ping is; unanswered, a ping asks as well.

    The end comes no later for that: 1.5 keep-alives after the last byte of the broker.
    """
    line.open()
    client = line.connection._client
    client._heard_s = client._said_s = time.monotonic() - 60.0
    line.dialer.waiter.wakeup.set()
    line.connection.step(0.0)
    line.connection.publish(TOPIC, b"x")
    line.connection.step(0.0)
    sent = line.broker.recv(1000)
    assert (sent[0] & 0xF0, len(sent)) == (wire.PUBLISH, 2 + sent[1])
    client._heard_s -= 15.0
    line.connection.step(0.0)
    assert line.broker.recv(1000) == wire.packet(wire.PINGREQ, b"")
    assert client.ping_due_s() - client._heard_s == pytest.approx(90, abs=5)


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


def test_a_farewell_goes_behind_what_waits(line: Line) -> None:
    """DISCONNECT is the last that the broker reads."""
    line.open()
    line.broker.settimeout(5)
    mid = line.connection.publish(TOPIC, b"x")
    line.connection.finish()
    sent = wire.publish(TOPIC, b"x", five=True, mid=mid)
    assert line.broker.recv(100) == sent + wire.packet(wire.DISCONNECT, b"")


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


def test_a_large_write_goes_in_parts(line: Line) -> None:
    """TLS tells nothing before a whole write has gone; what went is kept no longer."""
    line.open()
    mid = line.connection.publish(TOPIC, b"x" * 100_000)
    line.connection.step(0.0)
    sent = len(wire.publish(TOPIC, b"x" * 100_000, five=True, mid=mid))
    assert line.dialer.ours.written[-7:] == [*[CHUNK] * 6, sent - 6 * CHUNK]


def test_there_is_no_room_behind_what_is_not_read(line: Line) -> None:
    """What is published waits in the store then, not in memory; and nothing is sent again."""
    line.open(protocol="3.1.1")
    assert line.connection.has_room()
    line.fill()
    paho = line.connection._client
    assert not line.connection.has_room()
    assert paho.resend_due_s() == float("inf")

    line.broker.settimeout(5)
    while not line.connection.has_room():
        line.broker.recv(65_536)
    assert paho.resend_due_s() < float("inf")


def test_answers_are_read_though_much_waits_to_be_written(line: Line) -> None:
    """As much of ours as may; else both ends could wait for the other for ever."""
    line.open()
    line.fill()
    line.broker.sendall(wire.puback(1))
    assert line.connection.step(5.0) == [Published(1, 0)]


def test_an_id_without_an_answer_is_not_given_again(line: Line) -> None:
    """After 65,535 packets the ids begin anew, and pass by those that are in use."""
    line.open()
    first = line.connection.publish(TOPIC, b"x")
    second = line.connection.subscribe(TOPIC)
    third = line.connection.publish(TOPIC, b"x")
    line.broker.sendall(wire.puback(third))
    line.connection.step(5.0)
    line.connection._client._mid = 0xFFFF
    assert (first, second) == (1, 2)
    assert [line.connection.publish(TOPIC, b"x") for _ in range(2)] == [third, 4]


def test_why_the_broker_has_left_is_read_before_it_is_missed(line: Line) -> None:
    """It does not wait for our PUBACK: that breaks, and the reason lies behind the message."""
    line.open()
    line.broker.sendall(message(7) + wire.disconnect(0x8E))
    line.broker.close()
    with pytest.raises(ServerEndedError, match="session taken over"):
        line.connection.step(5.0)
    assert line.messages == [b"x"]


def test_a_broker_that_cannot_be_written_to_is_gone(line: Line) -> None:
    """Though nothing says so to who reads; at a farewell that does not matter any more."""
    line.open()
    line.broker.shutdown(socket.SHUT_RD)
    line.connection.finish()
    line.connection.publish(TOPIC, b"x")
    with pytest.raises(ClosedError, match="cut the connection off"):
        line.connection.step(5.0)
