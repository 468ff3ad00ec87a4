"""The machine that scripts/in-kernel starts, made ready for programs that talk to each other."""

from __future__ import annotations

import fcntl
import socket
import struct

SIOCSIFFLAGS, IFF_UP = 0x8914, 1  # netdevice(7)


def loopback_up() -> None:
    """Switch on the only network that it has."""
    with socket.socket() as any_socket:
        fcntl.ioctl(any_socket, SIOCSIFFLAGS, struct.pack("16sH14x", b"lo", IFF_UP))
