"""TCP connection to a name: looked up, then its addresses raced ("Happy Eyeballs", RFC 8305)."""

from __future__ import annotations

import errno
import socket
import threading
from collections import deque
from itertools import chain, zip_longest

from agent.net.failures import look_up_failed, look_up_hung, no_thread, not_reached

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from agent.net.waiter import Waiter

Address = tuple[socket.AddressFamily, socket.SocketKind, int, str, tuple[object, ...]]

#: Deadline of a name look-up. getaddrinfo(3) can be neither bounded nor interrupted, so it
#: has a thread of its own, which is left behind if it must be.
LOOK_UP_S = 30.0

#: The head start of an address over the next one (RFC 8305, section 5).
HEAD_START_S = 0.25

#: Longest time that sent bytes stay unacknowledged before the kernel gives the connection up
#: (TCP_USER_TIMEOUT, tcp(7)); without it a write into a dead network lasts a quarter of an hour.
USER_TIMEOUT_MS = 30_000


def connect(host: str, port: int, waiter: Waiter, *, timeout_s: float) -> socket.socket:
    """A connected socket that never blocks; `timeout_s` is for all addresses together.

    The name look-up comes on top. Raises LinkLostError, UnreachableError if no address answers, and
    StoppingError once interrupted.
    """
    return race(
        look_up(host, port, waiter), waiter, where=f"{host} port {port}", timeout_s=timeout_s
    )


def look_up(
    host: str, port: int, waiter: Waiter, *, timeout_s: float = LOOK_UP_S
) -> Sequence[Address]:
    """The addresses of `host`, in the system's order of preference (RFC 6724).

    Raises LinkLostError, and StoppingError once interrupted.
    """
    outcome: list[Sequence[Address] | Exception] = []
    done, doing = socket.socketpair()

    def ask() -> None:
        with doing:  # its end is how the other side hears of it
            try:
                outcome.append(socket.getaddrinfo(spelled(host), port, type=socket.SOCK_STREAM))
            except (OSError, UnicodeError) as error:
                outcome.append(error)

    until_s = waiter.now_s() + timeout_s
    with done:
        try:
            threading.Thread(target=ask, name="look-up", daemon=True).start()
        except RuntimeError:
            doing.close()
            raise no_thread(host) from None
        while not outcome:
            if waiter.now_s() >= until_s:
                raise look_up_hung(host, timeout_s)
            waiter.wait(until_s, readers=[done])
    if isinstance(outcome[0], Exception):
        raise look_up_failed(host, outcome[0])
    return outcome[0]


def spelled(host: str) -> str | bytes:
    """The name of a host for `socket` and `ssl`; in bytes, they need no tables of other scripts.

    Those tables (`encodings.idna`) take a third of a MiB.
    """
    return host.encode() if host.isascii() else host


def race(
    addresses: Sequence[Address], waiter: Waiter, *, where: str, timeout_s: float
) -> socket.socket:
    """The first socket to connect; a new address joins at each failure and each head start.

    Raises UnreachableError, and StoppingError once interrupted.
    """
    until_s = waiter.now_s() + timeout_s
    waiting = deque(alternating(addresses))
    trying: set[socket.socket] = set()
    code = errno.EADDRNOTAVAIL
    next_s = waiter.now_s()
    try:
        while waiting or trying:
            if waiter.now_s() >= until_s:
                raise not_reached(where, errno.ETIMEDOUT, timeout_s=timeout_s)
            if waiting and (not trying or waiter.now_s() >= next_s):
                next_s = waiter.now_s() + HEAD_START_S
                code = _begin(waiting.popleft(), trying) or code
            ready = waiter.wait(min(until_s, next_s) if waiting else until_s, writers=trying)
            for link in ready:
                trying.discard(link)
                failed = link.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
                if not failed:
                    return link
                link.close()
                code, next_s = failed, waiter.now_s()
    finally:
        for link in trying:
            link.close()
    raise not_reached(where, code, timeout_s=timeout_s)


def alternating(addresses: Sequence[Address]) -> list[Address]:
    """Both families by turns, beginning with the preferred one (RFC 8305, section 4)."""
    families = list(dict.fromkeys(address[0] for address in addresses))
    columns = [[one for one in addresses if one[0] == family] for family in families]
    return [one for one in chain.from_iterable(zip_longest(*columns)) if one is not None]


def _begin(address: Address, trying: set[socket.socket]) -> int:
    """Start to connect and join `trying`; else the error number, such as of IPv6 switched off."""
    family, kind, protocol, _, where = address
    try:
        link = socket.socket(family, kind, protocol)
    except OSError as error:
        return error.errno or errno.EAFNOSUPPORT
    try:
        link.settimeout(0)
        link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        link.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, USER_TIMEOUT_MS)
        code = link.connect_ex(where)
    except BaseException:
        link.close()
        raise
    if code not in {0, errno.EINPROGRESS}:
        link.close()
        return code
    trying.add(link)
    return 0
