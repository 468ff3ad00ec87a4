"""Relay between a device and its broker that counts what goes over the wire.

It stands where the network is, so that each contestant is measured by the same means, without the
right to capture packets. A capture shows the same number of bytes, but for 68 of the handshake of
TCP. TLS passes through it unread.
"""

from __future__ import annotations

import select
import socket
import struct
import threading
from contextlib import AbstractContextManager, suppress
from typing import TYPE_CHECKING, NamedTuple, Self

if TYPE_CHECKING:
    from collections.abc import Iterator

#: Headers of a segment: IPv4 (20 bytes), TCP (20) and its timestamps (12), as Linux sends them.
HEADERS = 52

#: tcpi_segs_out and tcpi_segs_in, where they stand in struct tcp_info (linux/tcp.h).
SEGMENTS = struct.Struct("136xII")

#: Length of a TLS record that holds PINGREQ, two bytes: TLS 1.3 adds its type and 16 bytes, TLS 1.2
#: 16 bytes with ChaCha20-Poly1305, and 8 more with AES-GCM (RFC 8446, 5.2; RFC 5246, 6.2.3.3).
PINGS = (19, 18, 26)
APPLICATION_DATA = 23
HEAD = 5


class Traffic(NamedTuple):
    """Traffic of connections as the device sees it: payload of TCP, segments, PINGREQs."""

    up: int = 0
    down: int = 0
    segments: int = 0
    pings: int = 0

    @property
    def wire(self) -> int:
        """Bytes, with the headers of TCP and IP."""
        return self.up + self.down + HEADERS * self.segments

    def plus(self, other: Traffic) -> Traffic:
        """The sum of both."""
        return Traffic(*(mine + its for mine, its in zip(self, other, strict=True)))

    def since(self, earlier: Traffic) -> Traffic:
        """What has come in addition."""
        return Traffic(*(now - then for now, then in zip(self, earlier, strict=True)))


class Records:
    """Lengths of the TLS records in a stream that comes in pieces (RFC 8446, section 5.1)."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> Iterator[tuple[int, int]]:
        """Type and length of each record whose last byte has come."""
        self._rest += data
        while len(self._rest) >= HEAD:
            kind, length = self._rest[0], int.from_bytes(self._rest[3:HEAD])
            if len(self._rest) < HEAD + length:
                return
            self._rest = self._rest[HEAD + length :]
            yield kind, length


class Link:
    """One device's connection and the one to the broker for it; its thread carries the bytes."""

    def __init__(self, device: socket.socket, broker: socket.socket) -> None:
        self._device = device
        self._broker = broker
        self._records = Records()
        self._up = self._down = self._pings = self._segments = 0
        self._thread = threading.Thread(target=self._carry, daemon=True)
        for one in (device, broker):  # each piece goes on as it came
            one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def start(self) -> None:
        """Carry from now on."""
        self._thread.start()

    @property
    def traffic(self) -> Traffic:
        """What it has carried so far."""
        self._note_segments()
        return Traffic(self._up, self._down, self._segments, self._pings)

    def close(self) -> None:
        """End both connections; more than once does no harm."""
        for one in (self._device, self._broker):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
        self._thread.join(5)

    def _carry(self) -> None:
        with self._device, self._broker:
            with suppress(OSError):
                while self._step():
                    pass
            self._note_segments()  # the kernel forgets them with the socket

    def _note_segments(self) -> None:
        with suppress(OSError):  # closed: it stays as it was then
            told = self._device.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 256)
            self._segments = sum(SEGMENTS.unpack_from(told))

    def _step(self) -> bool:
        """Wait for bytes of either side and hand them on; False once one has ended."""
        ready, _, _ = select.select([self._device, self._broker], [], [])
        for one in ready:
            if not (data := one.recv(65536)):
                return False
            if one is self._device:
                self._up += len(data)
                for kind, length in self._records.feed(data):
                    self._pings += kind == APPLICATION_DATA and length in PINGS
                self._broker.sendall(data)
            else:
                self._down += len(data)
                self._device.sendall(data)
        return True


class Relay(AbstractContextManager["Relay"]):
    """Listens at `port` of loopback and carries each connection to the broker at `to_port`."""

    def __init__(self, to_port: int) -> None:
        self._to_port = to_port
        self._links: list[Link] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._accept, daemon=True)

    def __enter__(self) -> Self:
        """Itself, listening."""
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Close."""
        self.close()

    @property
    def connections(self) -> int:
        """The number of connections so far."""
        return len(self._links)

    @property
    def traffic(self) -> Traffic:
        """What all connections have carried so far."""
        total = Traffic()
        for link in list(self._links):
            total = total.plus(link.traffic)
        return total

    def close(self) -> None:
        """End all connections and listen no more; more than once does no harm."""
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        if self._thread.is_alive():
            self._thread.join(5)
        self._listener.close()
        for link in self._links:
            link.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                device, _ = self._listener.accept()
                try:
                    broker = socket.create_connection(("127.0.0.1", self._to_port), 5)
                except OSError:  # the broker is away: so is the relay, to the device
                    device.close()
                    continue
                broker.settimeout(None)
                link = Link(device, broker)
                self._links.append(link)  # before it can have carried anything
                link.start()
