"""A connection without TLS and TCP, for what needs neither."""

from __future__ import annotations

import fcntl
import socket
import sys
import termios
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from agent.net import Waiter


class Plain(socket.socket):
    """A socket as TLS would be, without it; `written` has the size of each write."""

    written: list[int]

    def send(self, data: bytes | bytearray, flags: int = 0) -> int:  # type: ignore[override]
        """Write, and note it."""
        self.written.append(super().send(data, flags))
        return self.written[-1]

    def pending(self) -> int:
        """How many bytes wait to be read."""
        waiting = fcntl.ioctl(self, termios.FIONREAD, b"\0" * 4)
        return int.from_bytes(waiting, sys.byteorder)


class PlainDialer:
    """Gives one end of a pair of sockets to the connection."""

    def __init__(self, waiter: Waiter) -> None:
        self.waiter = waiter
        ours, self.theirs = socket.socketpair()
        self.ours = Plain(fileno=ours.detach())
        self.ours.written = []

    def dial(self, _host: str) -> Plain:
        """The one end."""
        return self.ours
