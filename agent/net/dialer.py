"""Dialer: TLS to the broker, through a proxy if there is one, and by another port if need be.

Each phase has a deadline of ours and can be interrupted: look-up, TCP, tunnel, handshake.
"""

from __future__ import annotations

import logging
import os
import ssl

from agent.errors import LinkLostError
from agent.net import tcp
from agent.net.failures import UnreachableError, handshake_failed

TYPE_CHECKING = False
if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Mapping

    from agent.net.ports import Ports
    from agent.net.waiter import Waiter

log = logging.getLogger(__name__)


class Dialer:
    """Opens connections in the uplink thread. TCP, tunnel and TLS each have `timeout_s`.

    `tls` makes the context for a port, since one port wants ALPN and another does not.
    """

    def __init__(
        self,
        tls: Callable[[int], ssl.SSLContext],
        *,
        ports: Ports,
        timeout_s: float,
        waiter: Waiter,
        environment: Mapping[str, str] = os.environ,
    ) -> None:
        self._tls = tls
        self._ports = ports
        self._timeout_s = timeout_s
        self._environment = environment
        self.waiter = waiter

    def dial(self, host: str) -> ssl.SSLSocket:
        """Connect to `host` through the first port that leads there; TLS is done.

        Raises LinkLostError saying which step failed, StoppingError once interrupted.
        """
        first, *others = self._ports.in_order()
        try:
            port, secure = first, self.secure(host, first)
        except UnreachableError as blocked:
            if not others:
                raise
            port, secure = self._detour(host, others[0], blocked)
        except LinkLostError:
            self._ports.failed()
            raise
        self._ports.worked(port)
        return secure

    def _detour(self, host: str, port: int, blocked: UnreachableError) -> tuple[int, ssl.SSLSocket]:
        try:
            secure = self.secure(host, port)
        except LinkLostError as also:
            self._ports.failed()
            raise LinkLostError(f"{blocked.text}; and {also.text}", hint=blocked.hint) from None
        log.info("%s; port %s works", blocked.text, port)
        return port, secure

    def secure(self, host: str, port: int) -> ssl.SSLSocket:
        """Connect to `host` through `port` and nothing else. Raises as `dial` does."""
        return self.handshake(self.reach(host, port), host, port)

    def reach(self, host: str, port: int) -> socket.socket:
        """A TCP connection to `host`, or a tunnel through the proxy. Raises as `dial` does."""
        if {"https_proxy", "HTTPS_PROXY"} & self._environment.keys():
            return self._through_proxy(host, port)
        return tcp.connect(host, port, self.waiter, timeout_s=self._timeout_s)

    def _through_proxy(self, host: str, port: int) -> socket.socket:
        """A TCP connection as `reach`, where a proxy is named."""
        from agent.net import proxy  # noqa: PLC0415 -- only few are behind one

        via = proxy.proxy_for(host, port, self._environment)
        if via is None:
            return tcp.connect(host, port, self.waiter, timeout_s=self._timeout_s)
        try:
            link = tcp.connect(via.host, via.port, self.waiter, timeout_s=self._timeout_s)
        except LinkLostError as lost:  # no other port of the broker would mend that
            raise LinkLostError(f"no way to the proxy: {lost.text}", hint=proxy.HINT) from None
        try:
            target = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
            proxy.tunnel(link, via, target, self.waiter, timeout_s=self._timeout_s)
        except BaseException:
            link.close()
            raise
        return link

    def handshake(self, link: socket.socket, host: str, port: int) -> ssl.SSLSocket:
        """The TLS handshake on `link`, which is closed if that fails. Raises as `dial` does."""
        until_s = self.waiter.now_s() + self._timeout_s
        try:
            secure = self._tls(port).wrap_socket(
                link, server_hostname=tcp.spelled(host), do_handshake_on_connect=False
            )
        except BaseException as error:
            link.close()
            if isinstance(error, OSError | ValueError):  # the name, or the peer has gone already
                raise LinkLostError(f"no TLS connection with {host}: {error}") from None
            raise
        try:
            while True:
                try:
                    secure.do_handshake()
                    return secure
                except ssl.SSLWantReadError:
                    readers, writers = [secure], []
                except ssl.SSLWantWriteError:
                    readers, writers = [], [secure]
                if self.waiter.now_s() >= until_s:
                    raise TimeoutError  # noqa: TRY301 -- one way out for all that fails
                self.waiter.wait(until_s, readers=readers, writers=writers)
        except OSError as error:
            secure.close()
            where = f"{host} port {port}"
            raise handshake_failed(where, error, timeout_s=self._timeout_s) from None
        except BaseException:
            secure.close()
            raise
