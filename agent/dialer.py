"""A TLS connection to a host: every address tried, under deadlines that are ours, interruptible."""

from __future__ import annotations

import os
import select
import socket
import ssl
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from agent.errors import LinkLostError, StoppingError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from agent.wakeup import Wakeup

#: How long sent bytes may stay unacknowledged before the kernel gives the connection up
#: (TCP_USER_TIMEOUT, tcp(7)); without it a write into a dead network lasts a quarter of an hour.
USER_TIMEOUT_MS = 30_000


class Dialer:
    """Opens connections in the uplink thread; `interrupted()` is asked whenever `wakeup` is set.

    TCP and TLS each have `timeout_s`. The name look-up comes on top: getaddrinfo(3) can be neither
    bounded nor interrupted.
    """

    def __init__(
        self,
        tls: ssl.SSLContext,
        *,
        timeout_s: float,
        wakeup: Wakeup,
        interrupted: Callable[[], bool],
        boot_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._tls = tls
        self._timeout_s = timeout_s
        self._wakeup = wakeup
        self.interrupted = interrupted
        self._boot_s = boot_s

    def dial(self, host: str, port: int) -> ssl.SSLSocket:
        """Connect to `host`, trying its addresses in turn, and finish the TLS handshake.

        Raises LinkLostError saying which step failed, StoppingError once interrupted.
        """
        try:
            addresses = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:
            raise LinkLostError(
                f"the name {host} cannot be looked up: {error}",
                hint="check the network and its DNS server",
            ) from None
        return self._handshake(self._connect(addresses, host, port), host)

    def _connect(self, addresses: Sequence[_Address], host: str, port: int) -> socket.socket:
        deadline_s = self._boot_s() + self._timeout_s
        reason: object = "it has no address"
        for left, (family, kind, protocol, _, address) in zip(
            range(len(addresses), 0, -1), addresses, strict=True
        ):
            # An equal share of what is left for each, so that a dead IPv6 leaves time for IPv4.
            share_s = (deadline_s - self._boot_s()) / left
            try:
                link = socket.socket(family, kind, protocol)
            except OSError as error:  # IPv6 may be switched off
                reason = error.strerror
                continue
            try:
                link.settimeout(0)
                link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                link.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, USER_TIMEOUT_MS)
                with suppress(BlockingIOError):
                    link.connect(address)
                self._wait([], [link], self._boot_s() + share_s)
                if code := link.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
                    raise OSError(code, os.strerror(code))  # noqa: TRY301 -- one way out for both
            except OSError as error:
                link.close()
                reason = error.strerror or error
            except BaseException:
                link.close()
                raise
            else:
                return link
        raise LinkLostError(
            f"{host} port {port} cannot be reached: {reason}",
            hint="check the network; a firewall may block the port",
        )

    def _handshake(self, link: socket.socket, host: str) -> ssl.SSLSocket:
        deadline_s = self._boot_s() + self._timeout_s
        secure = self._tls.wrap_socket(link, server_hostname=host, do_handshake_on_connect=False)
        try:
            while True:
                try:
                    secure.do_handshake()
                    return secure
                except ssl.SSLWantReadError:
                    self._wait([secure], [], deadline_s)
                except ssl.SSLWantWriteError:
                    self._wait([], [secure], deadline_s)
        except ssl.SSLCertVerificationError as error:
            secure.close()
            raise LinkLostError(
                f"the certificate of {host} is not accepted: {error.verify_message}",
                hint=_verification_hint(error),
            ) from None
        except OSError as error:
            secure.close()
            raise LinkLostError(
                f"no TLS connection with {host}: {error.strerror or error}",
                hint="the certificate may be inactive, or something intercepts the connection",
            ) from None
        except BaseException:
            secure.close()
            raise

    def _wait(
        self, readers: list[ssl.SSLSocket], writers: list[socket.socket], deadline_s: float
    ) -> None:
        """Wait for a socket. Raises TimeoutError at the deadline, StoppingError if interrupted."""
        while True:
            left_s = deadline_s - self._boot_s()
            if left_s <= 0:
                raise TimeoutError(110, "timed out")
            watched: list[Wakeup | socket.socket] = [self._wakeup, *readers]
            ready, writable, _ = select.select(watched, writers, [], left_s)
            if self._wakeup in ready:
                self._wakeup.clear()
            if self.interrupted():
                raise StoppingError
            if writable or any(one is not self._wakeup for one in ready):
                return


_Address = tuple[socket.AddressFamily, socket.SocketKind, int, str, tuple[object, ...]]


def _verification_hint(error: ssl.SSLCertVerificationError) -> str:
    expired, not_yet_valid = 10, 9  # X509_V_ERR_CERT_HAS_EXPIRED, X509_V_ERR_CERT_NOT_YET_VALID
    if error.verify_code in (expired, not_yet_valid):
        return "check the clock of this machine"
    return "check [mqtt] endpoint and ca_file; something may intercept the connection"
