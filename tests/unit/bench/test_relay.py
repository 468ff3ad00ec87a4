"""The relay: it carries every byte, and counts bytes, segments and PINGREQs."""

from __future__ import annotations

import socket
from contextlib import closing

from hypothesis import given
from hypothesis import strategies as st

from bench.relay import HEADERS, Records, Relay, Traffic

RECORDS = [(22, b"hello"), (23, b"x" * 19), (23, b""), (23, b"y" * 300)]


def tls(kind: int, content: bytes) -> bytes:
    """A TLS record."""
    return bytes([kind, 3, 3]) + len(content).to_bytes(2) + content


@given(st.lists(st.integers(1, 40)))
def test_records_are_found_however_the_stream_is_cut(cuts: list[int]) -> None:
    """Each record is told once, when its last byte has come."""
    stream, records = b"".join(tls(*one) for one in RECORDS), Records()
    found: list[tuple[int, int]] = []
    for cut in [*cuts, len(stream)]:
        piece, stream = stream[:cut], stream[cut:]
        found += records.feed(piece)

    assert found == [(kind, len(content)) for kind, content in RECORDS]


def test_traffic_has_the_headers_of_each_segment() -> None:
    """What one has that the other has not yet is the difference, headers included."""
    early, late = Traffic(100, 10, 3, 1), Traffic(300, 50, 7, 1)

    assert late.since(early) == Traffic(200, 40, 4, 0)
    assert late.since(early).wire == 240 + 4 * HEADERS
    assert early.plus(late.since(early)) == late


def receive(peer: socket.socket, size: int) -> bytes:
    """So many bytes, or what came before the end."""
    peer.settimeout(60)
    data = b""
    while len(data) < size and (some := peer.recv(size - len(data))):
        data += some
    return data


def test_the_relay_carries_both_ways_and_counts() -> None:
    """Bytes, segments and pings are those of the device's side, also once it has gone."""
    up, down = tls(23, b"p" * 19) + tls(23, b"q" * 500), b"answer"
    with (
        closing(socket.create_server(("127.0.0.1", 0))) as server,
        Relay(server.getsockname()[1]) as relay,
        closing(socket.create_connection(("127.0.0.1", relay.port))) as device,
        closing(server.accept()[0]) as broker,
    ):
        device.sendall(up)
        assert receive(broker, len(up)) == up
        broker.sendall(down)
        assert receive(device, len(down)) == down
        online = relay.traffic
        device.close()
        assert receive(broker, 1) == b""

    gone = relay.traffic
    assert (online.up, online.down, online.pings) == (len(up), len(down), 1)
    assert gone[:2] == online[:2]
    assert gone.segments >= online.segments >= 2
    assert relay.connections == 1


def test_a_device_is_let_go_while_the_broker_is_away() -> None:
    """The connection ends, as one to the broker itself would."""
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        port = server.getsockname()[1]
    with (
        Relay(port) as relay,
        closing(socket.create_connection(("127.0.0.1", relay.port))) as device,
    ):
        assert receive(device, 1) == b""
        assert relay.connections == 0
