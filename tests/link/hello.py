"""The offers of a TLS client, read from its first record (RFC 8446, section 4.1.2)."""

from __future__ import annotations

import socket
import time
from dataclasses import dataclass

from tests.link.wire import Reader

SERVER_NAME, ALPN = 0, 16


@dataclass(frozen=True, slots=True)
class ClientHello:
    """Cipher suites by their numbers, the name it wants, and the protocols it names."""

    suites: tuple[int, ...]
    server_name: str
    alpn: tuple[str, ...]


def peek(link: socket.socket) -> ClientHello | None:
    """The client's offer, left in the socket for TLS to read; None if none comes."""
    until_s = time.monotonic() + 5
    while time.monotonic() < until_s:
        record = link.recv(16_384, socket.MSG_PEEK)
        if not record:
            return None
        if len(record) > 5 and len(record) >= 5 + int.from_bytes(record[3:5], "big"):
            return parse(record[5:])
        time.sleep(0.01)
    return None


def parse(handshake: bytes) -> ClientHello:
    """A ClientHello without its record's head."""
    reader = Reader(handshake)
    reader.take(1 + 3 + 2 + 32)
    reader.take(reader.take(1)[0])
    suites = reader.string()
    reader.take(reader.take(1)[0])
    extensions = Reader(reader.string())
    server_name, alpn = "", []
    while extensions.body:
        kind, body = extensions.number(), Reader(extensions.string())
        if kind == SERVER_NAME:
            names = Reader(body.string())
            names.take(1)
            server_name = names.string().decode()
        elif kind == ALPN:
            protocols = Reader(body.string())
            while protocols.body:
                alpn.append(protocols.take(protocols.take(1)[0]).decode())
    numbers = [int.from_bytes(suites[at : at + 2], "big") for at in range(0, len(suites), 2)]
    return ClientHello(tuple(numbers), server_name, tuple(alpn))
