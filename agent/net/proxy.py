"""Proxy on the way to the broker, and the tunnel that it is asked for (CONNECT, RFC 9110).

It is named as everywhere: by `https_proxy`, with exceptions in `no_proxy`; provisioning obeys the
same two. User name and password never leave this module but for the proxy.
"""

from __future__ import annotations

import base64
import re
from urllib.parse import unquote, urlsplit

from agent.errors import LinkLostError
from agent.net.failures import UnreachableError
from agent.value import Value, field

TYPE_CHECKING = False
if TYPE_CHECKING:
    import socket
    from collections.abc import Mapping

    from agent.net.waiter import Waiter

DEFAULT_PORT = 8080
HEAD_MAX = 16_384
OK, WANTS_CREDENTIALS = 200, 407

HINT = "check https_proxy in the environment of the service (`systemctl edit pi-iot-agent`)"


class Proxy(Value):
    """Address of the proxy, and the value of the Proxy-Authorization header, if any."""

    host: str
    port: int
    authorization: str = field(default="", secret=True)


def proxy_for(host: str, port: int, environment: Mapping[str, str]) -> Proxy | None:
    """The proxy for `host`, or None where there is none for it. Raises LinkLostError."""
    url = environment.get("https_proxy") or environment.get("HTTPS_PROXY") or ""
    exceptions = environment.get("no_proxy") or environment.get("NO_PROXY") or ""
    if not url or _excepted(host, port, exceptions):
        return None
    try:
        parts = urlsplit(url if "://" in url else f"http://{url}")
        name, number = parts.hostname, parts.port or DEFAULT_PORT
    except ValueError:
        name, number = None, 0
    if name is None or parts.scheme != "http":
        raise LinkLostError("https_proxy is not an address such as http://host:3128", hint=HINT)
    authorization = ""
    if parts.username is not None:
        pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        authorization = "Basic " + base64.b64encode(pair.encode()).decode()
    return Proxy(name, number, authorization)


def _excepted(host: str, port: int, exceptions: str) -> bool:
    """True if `no_proxy` (names with all that is below them, `*` for all) lists `host`."""
    for entry in exceptions.lower().split(","):
        name = entry.strip().lstrip(".")
        if name == "*":
            return True
        if name and f".{host.lower()}".endswith(f".{name.removesuffix(f':{port}')}"):
            return True
    return False


def tunnel(
    link: socket.socket, proxy: Proxy, target: str, waiter: Waiter, *, timeout_s: float
) -> None:
    """Have the proxy connect `link` with `target` (host:port).

    Raises UnreachableError where the proxy says no, LinkLostError, and StoppingError.
    """
    until_s = waiter.now_s() + timeout_s
    authorization = f"Proxy-Authorization: {proxy.authorization}\r\n" if proxy.authorization else ""
    request = f"CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n{authorization}\r\n"
    head = b""
    try:
        link.send(request.encode())  # a fresh socket has room for it
        while not head.endswith(b"\r\n\r\n"):
            if waiter.now_s() >= until_s or len(head) > HEAD_MAX:
                raise _failed(proxy, "gave no answer to CONNECT")
            if waiter.wait(until_s, readers=[link]):
                byte = link.recv(1)  # what follows the head belongs to TLS
                if not byte:
                    raise _failed(proxy, "ended the connection instead of answering CONNECT")
                head += byte
    except LinkLostError:
        raise
    except OSError:
        raise _failed(proxy, "cut the connection off") from None
    status = re.match(rb"HTTP/1\.[01] (\d{3})", head)
    code = int(status[1]) if status else 0
    if code == WANTS_CREDENTIALS:
        what = "refuses these" if proxy.authorization else "wants a"
        raise _failed(proxy, f"{what} user name and password (407)")
    if code != OK:
        raise UnreachableError(
            f"the proxy {proxy.host}:{proxy.port} does not connect to {target}: "
            + (f"status {code}" if code else "it does not speak HTTP"),
            hint="the proxy must allow CONNECT to this port, or to 443; " + HINT,
        )


def _failed(proxy: Proxy, what: str) -> LinkLostError:
    return LinkLostError(f"the proxy {proxy.host}:{proxy.port} {what}", hint=HINT)
