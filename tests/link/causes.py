"""Every cause of a lost link is told apart in text and hint; the broker's limits are obeyed."""

from __future__ import annotations

import datetime as dt
import itertools
import json
import socket
import ssl
import time
from typing import TYPE_CHECKING

from tests.link import wire
from tests.link.bench import case
from tests.link.device import THING, TOPIC
from tests.timing import allowed_s

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.link.bench import Bench
    from tests.link.broker import Broker, Peer
    from tests.link.wire import Packet

REASONS_ARE_5 = "reasons and limits are MQTT 5's"


@case("a name that does not exist")
def _dns(bench: Bench) -> None:
    device = bench.device(8883, endpoint="nowhere.invalid")
    assert "DNS" in device.wait_condition("offline", "nowhere.invalid cannot be looked up")


@case("connection refused")
def _refused(bench: Bench) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        device = bench.device(nobody.getsockname()[1])
        assert "endpoint and port" in device.wait_condition("offline", "connection refused")


def _accepts(bench: Bench, on_accept: Callable[[Peer], object], text: str) -> str:
    broker = bench.broker()
    broker.on_accept = on_accept
    return bench.device(broker.port).wait_condition("offline", text)


@case("silent in the TLS handshake")
def _silent_tls(bench: Bench) -> None:
    _accepts(bench, lambda _: time.sleep(5), "did not answer the TLS handshake within 2 s")


@case("cut off in the TLS handshake")
def _cut_tls(bench: Bench) -> None:
    _accepts(bench, lambda peer: peer.raw.recv(100), "cut the connection off in the TLS handshake")


@case("something that does not speak TLS")
def _no_tls(bench: Bench) -> None:
    def answer(peer: Peer) -> None:
        peer.raw.recv(4096)
        peer.raw.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        peer.raw.recv(4096)

    assert "[mqtt] port" in _accepts(bench, answer, "does not speak TLS")


@case("a clock that is too early")
def _clock(bench: Bench) -> None:
    begins, ends = dt.timedelta(2), dt.timedelta(9)
    broker = bench.broker(bench.certificates.context(begins=begins, ends=ends))
    said = bench.device(broker.port).wait_condition("offline", "not yet valid")
    assert "the clock of this machine says" in said


def _refused_certificate(bench: Bench, version: ssl.TLSVersion) -> None:
    stranger = bench.certificates.context(version=version, trusts=False)
    said = bench.device(bench.broker(stranger).port).wait_condition("offline", "unknown ca")
    assert "(JITP, JITR)" in said  # an own certificate that was never let in


@case("the device's certificate refused, TLS 1.2")
def _refused_1_2(bench: Bench) -> None:
    _refused_certificate(bench, ssl.TLSVersion.TLSv1_2)


@case("the device's certificate refused, TLS 1.3")
def _refused_1_3(bench: Bench) -> None:
    _refused_certificate(bench, ssl.TLSVersion.TLSv1_3)


@case("no CONNACK")
def _no_connack(bench: Bench) -> None:
    broker = bench.broker()
    broker.on.pop(wire.CONNECT)
    bench.device(broker.port).wait_condition("offline", "did not answer CONNECT within 2 s")


@case("closed instead of CONNACK")
def _closed(bench: Bench) -> None:
    broker = bench.broker()
    broker.on[wire.CONNECT] = lambda peer, _: peer.close()
    said = bench.device(broker.port).wait_condition("offline", "instead of answering CONNECT")
    assert "(JITP, JITR)" in said


def _answer_connect(bench: Bench, reason_5: int, reason_3: int) -> Broker:
    broker = bench.broker()
    broker.on[wire.CONNECT] = lambda peer, _: peer.send(
        wire.connack(five=peer.five, reason=reason_5 if peer.five else reason_3)
    )
    return broker


@case("CONNECT refused: not authorized")
def _not_authorized(bench: Bench) -> None:
    device = bench.device(_answer_connect(bench, 0x87, 5).port)
    device.wait_condition("not-authorized", "not authorized")
    assert "offline" in device.conditions()


@case("CONNECT refused: bad credentials")
def _bad_credentials(bench: Bench) -> None:
    device = bench.device(_answer_connect(bench, 0x86, 4).port)
    assert "active" in device.wait_condition("not-authorized", "bad user name or password")


@case("CONNECT refused: server busy")
def _busy(bench: Bench) -> None:
    device = bench.device(_answer_connect(bench, 0x88, 3).port)
    assert "no room now" in device.wait_condition("offline", "server unavailable")
    assert "not-authorized" not in device.conditions()


@case("session taken over")
def _taken_over(bench: Bench) -> None:
    bench.only_five(REASONS_ARE_5)
    broker, device = bench.online()
    broker.peers[0].send(wire.disconnect(0x8E))
    assert "if this comes again" in device.wait_condition("taken-over", "session taken over")
    broker.wait(wire.PUBLISH, link=2)
    broker.peers[1].send(wire.disconnect(0x8E))
    assert "[thing] name" in device.wait_condition("taken-over", "takes turns with us")


@case("server shuts down")
def _shuts_down(bench: Bench) -> None:
    bench.only_five(REASONS_ARE_5)
    broker, device = bench.online()
    broker.peers[0].send(wire.disconnect(0x8B))
    device.wait_condition("offline", "server shutting down")


@case("SUBSCRIBE refused: publishing goes on")
def _not_subscribed(bench: Bench) -> None:
    broker = bench.broker()
    reason = b"\x87" if bench.five else b"\x80"
    broker.on[wire.SUBSCRIBE] = lambda peer, packet: peer.send(
        wire.suback(packet.mid, reason, five=peer.five)
    )
    device = bench.device(broker.port)
    device.wait_condition("not-subscribed", f"SUBSCRIBE to {TOPIC}")
    device.count()
    device.wait_empty()
    assert len(broker.peers) == 1


@case("dropped at SUBSCRIBE: publishes without", long=True)
def _dropped_at_subscribe(bench: Bench) -> None:
    broker = bench.broker()
    broker.on[wire.SUBSCRIBE] = lambda peer, _: peer.close()
    device = bench.device(broker.port, backoff_max_s=1)
    broker.wait(wire.CONNECT, 4, timeout_s=30)
    device.count()
    device.wait_empty()
    assert "not-subscribed" in device.conditions()
    assert broker.seen(wire.SUBSCRIBE, link=4) == []


@case("a topic forbidden: all others go on", long=True)
def _forbidden_topic(bench: Bench) -> None:
    broker = bench.broker()
    good = broker.on[wire.PUBLISH]

    def judge(peer: Peer, packet: Packet) -> None:
        if not packet.topic.endswith("/room"):
            good(peer, packet)
        elif bench.five:
            peer.send(wire.puback(packet.mid, 0x87))
        else:
            peer.close()

    broker.on[wire.PUBLISH] = judge
    device = bench.device(broker.port, backoff_max_s=1)
    device.count(3, kind="sensors/room")
    others = device.count(3)
    device.wait_condition("not-authorized", f"{THING}/sensors/room", timeout_s=30)
    device.wait(lambda: device.store.queued == 3)
    assert {
        json.loads(one.payload)["seq"] for one in broker.seen(wire.PUBLISH, topic="/count")
    } == {record.seq for record in others}
    assert device.store.dropped == 0
    broker.on[wire.PUBLISH] = good
    device.retry()
    device.wait_empty()
    assert "not-authorized" not in device.conditions()


@case("no PUBACK for 20 s: a new connection", long=True)
def _no_puback(bench: Bench) -> None:
    broker, device = bench.online(keepalive_s=1200)
    good, broker.on[wire.PUBLISH] = broker.on[wire.PUBLISH], lambda *_: None
    device.count()
    (published,) = broker.wait(wire.PUBLISH, topic="/count")
    device.wait_condition("offline", "owes an answer since 20 s", timeout_s=30)
    broker.on[wire.PUBLISH] = good
    broker.until(lambda: 1 in broker.ended)
    assert 19 < broker.ended[1] - published.time_s < allowed_s(25)
    device.wait_empty()


@case("a commit of 21 s: the answers in the socket count", long=True)
def _slow_commit(bench: Bench) -> None:
    broker, device = bench.online(keepalive_s=1200)
    good, broker.on[wire.PUBLISH] = broker.on[wire.PUBLISH], lambda *_: None
    device.count(2)
    first, second = broker.wait(wire.PUBLISH, 2, topic="/count")
    with device.store._lock:  # as an append whose fsync lasts
        good(broker.peers[0], first)
        time.sleep(1)
        good(broker.peers[0], second)
        time.sleep(20)
    broker.on[wire.PUBLISH] = good
    device.count()
    device.wait_empty()
    assert len(broker.peers) == 1


@case("no echo: not confirmed, subscribed once more", long=True)
def _no_echo(bench: Bench) -> None:
    broker, device = bench.online()
    broker.on[wire.PUBLISH] = lambda peer, packet: peer.send(wire.puback(packet.mid))
    device.count(3)
    device.wait_empty()
    time.sleep(21)
    device.count()
    assert "iot:Receive" in device.wait_condition("not-confirmed")
    broker.wait(wire.SUBSCRIBE, 2, link=1)
    device.count(2)
    device.wait_empty()
    assert len(broker.seen(wire.SUBSCRIBE)) == 2


@case("Receive Maximum")
def _receive_maximum(bench: Bench) -> None:
    bench.only_five(REASONS_ARE_5)
    broker = bench.broker()
    broker.properties = wire.receive_maximum(3)
    broker.on.pop(wire.PUBLISH)
    device = bench.device(broker.port)
    device.wait_online()
    device.count(10)
    first = broker.wait(wire.PUBLISH, 3)
    time.sleep(1)
    assert len(broker.seen(wire.PUBLISH)) == 3  # the birth among them
    broker.on[wire.PUBLISH] = broker.acknowledge
    for one in first:
        broker.acknowledge(broker.peers[0], one)
    device.wait_empty()


@case("Maximum Packet Size")
def _maximum_packet_size(bench: Bench) -> None:
    bench.only_five(REASONS_ARE_5)
    broker = bench.broker()
    broker.properties = wire.maximum_packet_size(300)
    device = bench.device(broker.port)
    device.count(note="x" * 300)
    device.count()
    device.wait_condition("record-refused", "larger than the broker takes")
    device.wait_empty()
    assert {
        json.loads(one.payload)["seq"] for one in broker.seen(wire.PUBLISH, topic="/count")
    } == {2}


@case("payloads above AWS's 128 KiB")
def _too_large_for_aws(bench: Bench) -> None:
    broker, device = bench.online()
    device.count(note="x" * 131_072)
    device.wait_condition("record-refused", "larger than the broker takes")
    device.count()
    device.wait_empty()
    assert len(broker.peers) == 1


@case("Server Keep Alive")
def _server_keep_alive(bench: Bench) -> None:
    bench.only_five(REASONS_ARE_5)
    broker = bench.broker()
    broker.properties = wire.server_keep_alive(2)
    bench.device(broker.port)
    pings = broker.wait(wire.PINGREQ, 4)
    between_s = [b.time_s - a.time_s for a, b in itertools.pairwise(pings)]
    assert all(1.5 < one < allowed_s(3.0) for one in between_s), between_s
    assert len(broker.peers) == 1


@case("never faster than max_publish_per_s, nor more than max_inflight")
def _rate(bench: Bench) -> None:
    broker, device = bench.online(max_publish_per_s=20, max_inflight=4)
    held: list[tuple[Peer, Packet]] = []

    broker.on[wire.PUBLISH] = lambda peer, packet: held.append((peer, packet))
    device.count(10)
    broker.wait(wire.PUBLISH, 4, topic="/count")
    time.sleep(0.5)
    assert len(held) == 4
    broker.on[wire.PUBLISH] = broker.acknowledge
    for peer, packet in held:
        broker.acknowledge(peer, packet)
    device.count(40)
    device.wait_empty()
    times = [one.time_s for one in broker.seen(wire.PUBLISH, topic="/count")]
    assert len(times) == 50
    # 45 intervals after the hold, less the burst, and what a busy machine sees late.
    assert times[-1] - times[4] >= 45 / 20 - 0.1 - 0.6
