"""A broker that does as a case says, and keeps every packet of the device with its time."""

from __future__ import annotations

import select
import socket
import ssl
import threading
import time
from collections import defaultdict
from contextlib import suppress
from typing import TYPE_CHECKING, Self

from tests.link import hello, wire

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.link.hello import ClientHello
    from tests.link.wire import Packet

    Answer = Callable[["Peer", Packet], object]


class Peer:
    """One connection; `number` counts from 1. Its thread reads, any thread may send."""

    def __init__(self, broker: Broker, raw: socket.socket, number: int) -> None:
        self.broker = broker
        self.number = number
        self.raw = raw
        self.secure: ssl.SSLSocket | None = None
        self.hello: ClientHello | None = None
        self.trouble = ""
        self.five = False
        #: Cleared, the peer reads no more: the device sees a zero window once buffers are full.
        self.reading = threading.Event()
        self.reading.set()
        self._tls = threading.Lock()
        self._sending = threading.Lock()

    def send(self, data: bytes) -> None:
        """Send bytes, whatever they are; nothing happens once the device has gone."""
        secure, rest = self.secure, memoryview(data)
        assert secure
        # One at a time: TLS of Python 3.11 is not made for two threads, even if one only reads.
        with suppress(OSError, ValueError), self._sending:
            while rest:
                try:
                    with self._tls:
                        rest = rest[secure.send(rest) :]
                except ssl.SSLWantWriteError:
                    select.select([], [secure], [], 60)

    def close(self) -> None:
        """End the connection; its thread then gives the socket back."""
        with suppress(OSError):
            # Not SSLSocket's own, which would have the thread go on reading without TLS.
            socket.socket.shutdown(self.secure or self.raw, socket.SHUT_RDWR)

    def serve(self) -> None:
        """Shake hands and answer packets until either side ends."""
        try:
            if self.broker.on_accept:
                self.broker.on_accept(self)
                return
            self.raw.settimeout(60)
            self.hello = hello.peek(self.raw)
            self.secure = self.broker.tls.wrap_socket(self.raw, server_side=True)
            self.secure.settimeout(0)
            with self.broker.changed:
                self.broker.secured += 1
                self.broker.changed.notify_all()
            while self._packet():
                self.reading.wait(60)
        except (OSError, ValueError) as error:  # ValueError: closed while it was waited for
            self.trouble = str(error)
        except AssertionError as error:
            self.broker.broken_rules.append(f"connection {self.number}: {error}")
        finally:
            with self.broker.changed:
                self.broker.ended[self.number] = time.monotonic()
                self.broker.changed.notify_all()
            (self.secure or self.raw).close()

    def _packet(self) -> bool:
        head = self._receive(1)
        length = shift = 0
        while head:
            byte = self._receive(1)
            if not byte:
                break
            length |= (byte[0] & 0x7F) << shift
            shift += 7
            if byte[0] < 0x80:
                body = self._receive(length)
                if len(body) < length:
                    break
                self._take(head[0], body)
                return True
        return False

    def _take(self, head: int, body: bytes) -> None:
        packet = wire.parse(time.monotonic(), self.number, head, body, five=self.five)
        if packet.kind == wire.CONNECT:
            self.five = packet.five
        with self.broker.changed:
            self.broker.packets.append(packet)
            self.broker.changed.notify_all()
        answer = self.broker.on.get(packet.kind)
        if answer:
            answer(self, packet)

    def _receive(self, size: int) -> bytes:
        secure, data = self.secure, b""
        assert secure
        while len(data) < size:
            try:
                with self._tls:
                    some = secure.recv(size - len(data))
            except ssl.SSLWantReadError:
                select.select([secure], [], [], 60)
                continue
            if not some:
                break
            data += some
        return data


class Broker:
    """Listens on loopback, or with `listener`; `on` says how each kind of packet is answered.

    A case changes that. Without more it is a good broker that remembers sessions and sends each
    message back to who subscribed to its topic.
    """

    def __init__(self, tls: ssl.SSLContext, *, listener: socket.socket | None = None) -> None:
        self.tls = tls
        self.changed = threading.Condition()
        self.packets: list[Packet] = []
        self.ended: dict[int, float] = {}
        self.secured = 0
        #: What the device did that MQTT forbids.
        self.broken_rules: list[str] = []
        self.peers: list[Peer] = []
        self.sessions: dict[str, set[str]] = defaultdict(set)
        self.properties = b""
        self.on_accept: Callable[[Peer], object] | None = None
        self.on: dict[int, Answer] = {
            wire.CONNECT: self.accept,
            wire.PUBLISH: self.acknowledge,
            wire.SUBSCRIBE: self.grant,
            wire.PINGREQ: lambda peer, _: peer.send(wire.PINGRESP_BYTES),
            wire.DISCONNECT: lambda peer, _: peer.close(),
        }
        self._listener = listener or socket.create_server(("127.0.0.1", 0))
        # Small, so that a device soon sees a zero window when the broker stops reading.
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16_384)
        self.port = int(self._listener.getsockname()[1])
        self._thread = threading.Thread(target=self._listen, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(5)
        for peer in self.peers:
            peer.reading.set()
            peer.close()
        assert not self.broken_rules, self.broken_rules

    def _listen(self) -> None:
        with suppress(OSError):
            while True:
                link, _ = self._listener.accept()
                link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                peer = Peer(self, link, len(self.peers) + 1)
                with self.changed:
                    self.peers.append(peer)
                    self.changed.notify_all()
                threading.Thread(target=peer.serve, daemon=True).start()

    # What a good broker answers.

    def accept(self, peer: Peer, packet: Packet) -> None:
        """CONNACK, with session present where there is one."""
        present = packet.client_id in self.sessions and not packet.clean
        self.sessions[packet.client_id] |= set()
        peer.send(wire.connack(five=peer.five, present=present, properties=self.properties))

    def acknowledge(self, peer: Peer, packet: Packet) -> None:
        """PUBACK, and the echo."""
        if packet.qos:
            peer.send(wire.puback(packet.mid))
        if any(packet.topic in filters for filters in self.sessions.values()):
            peer.send(wire.publish(packet.topic, packet.payload, five=peer.five, mid=packet.mid))

    def grant(self, peer: Peer, packet: Packet) -> None:
        """SUBACK."""
        for filters in self.sessions.values():
            filters.update(packet.filters)
        peer.send(wire.suback(packet.mid, b"\1" * len(packet.filters), five=peer.five))

    # What it saw.

    def seen(self, kind: int, *, link: int | None = None, topic: str = "") -> list[Packet]:
        """All packets of a kind so far: of one connection, on topics that end with `topic`."""
        return self._found(0, kind, link, topic)

    def _found(self, behind: int, kind: int, link: int | None, topic: str) -> list[Packet]:
        """The same, of those that came behind so many packets."""
        with self.changed:
            return [
                one
                for one in self.packets[behind:]
                if one.kind == kind
                and (link is None or one.link == link)
                and one.topic.endswith(topic)
            ]

    def wait(
        self,
        kind: int,
        count: int = 1,
        *,
        link: int | None = None,
        topic: str = "",
        timeout_s: float = 20,
    ) -> list[Packet]:
        """The same, once there are `count`; AssertionError says what came instead."""
        found: list[Packet] = []
        looked = 0

        def enough() -> bool:  # of thousands, each packet is looked at once
            nonlocal looked
            with self.changed:
                found.extend(self._found(looked, kind, link, topic))
                looked = len(self.packets)
            return len(found) >= count

        self.until(enough, timeout_s)
        return found

    def until(self, wanted: Callable[[], bool], timeout_s: float = 20) -> None:
        """Wait for what a packet or a connection brings about."""
        until_s = time.monotonic() + timeout_s
        while not wanted():
            with self.changed:
                self.changed.wait(0.05)
            if time.monotonic() > until_s:
                last = [(one.link, wire.NAMES[one.kind], one.topic) for one in self.packets[-12:]]
                raise AssertionError(f"not within {timeout_s:g} s; the last packets: {last}")
