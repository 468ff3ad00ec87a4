"""The way to the broker: addresses raced, a proxy asked, ports tried, all of it interruptible."""

from __future__ import annotations

import socket
import ssl
import threading
import time
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from agent.errors import LinkLostError, StoppingError
from agent.identity import Credentials, tls_context
from agent.net import Dialer, Ports, UnreachableError, Waiter, tcp
from agent.net.ports import DETOUR_S
from agent.net.proxy import proxy_for
from agent.wakeup import Wakeup
from tests.fakes import Ticks
from tests.link.bench import Bench
from tests.timing import allowed_s

if TYPE_CHECKING:
    from collections.abc import Iterator

LOCAL = "127.0.0.1"


def address(port: int) -> tcp.Address:
    """A port on loopback, as getaddrinfo tells it."""
    return (socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", (LOCAL, port))


class Hand:
    """A watch that a test can interrupt."""

    def __init__(self, wakeup: Wakeup) -> None:
        self.interrupted = False
        self._wakeup = wakeup
        self.waiter = Waiter(wakeup, lambda: self.interrupted)

    def interrupt(self, after_s: float) -> None:
        """Interrupt in a while."""

        def work() -> None:
            time.sleep(after_s)
            self.interrupted = True
            self._wakeup.set()

        threading.Thread(target=work, daemon=True).start()


@pytest.fixture
def hand() -> Iterator[Hand]:
    """A watch and what interrupts it."""
    with Wakeup() as wakeup:
        yield Hand(wakeup)


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    """Where brokers come from."""
    with ExitStack() as stack:
        yield Bench(tmp_path, "5", stack)


@contextmanager
def deaf() -> Iterator[int]:
    """A port that answers no SYN: its queue of connections is full."""
    with socket.create_server((LOCAL, 0), backlog=0) as listener, ExitStack() as stack:
        for _ in range(4):
            one = stack.enter_context(socket.socket())
            one.settimeout(0)
            one.connect_ex(listener.getsockname())
        time.sleep(0.05)
        yield listener.getsockname()[1]


def closed_port() -> int:
    """A port that nobody serves."""
    with socket.socket() as probe:
        probe.bind((LOCAL, 0))
        return int(probe.getsockname()[1])


def test_a_dead_address_costs_the_next_one_a_head_start(hand: Hand) -> None:
    """Not its whole time-out: the next is tried after a quarter of a second, beside it."""
    with deaf() as dead, socket.create_server((LOCAL, 0)) as alive:
        began_s = time.monotonic()
        addresses = [address(dead), address(alive.getsockname()[1])]
        with tcp.race(addresses, hand.waiter, where="x", timeout_s=10) as link:
            assert tcp.HEAD_START_S <= time.monotonic() - began_s < allowed_s(2)
            assert link.getpeername() == alive.getsockname()
            assert link.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
            waited_ms = link.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT)
            assert waited_ms == tcp.USER_TIMEOUT_MS


def test_a_refusal_starts_the_next_address_at_once(hand: Hand) -> None:
    """There is nothing to wait for: a head start for each would be more than there is time."""
    closed = [address(closed_port())] * round(60 / tcp.HEAD_START_S)
    with socket.create_server((LOCAL, 0)) as alive:
        addresses = [*closed, address(alive.getsockname()[1])]
        tcp.race(addresses, hand.waiter, where="x", timeout_s=30).close()


def test_one_deadline_holds_for_all_addresses(hand: Hand) -> None:
    """However many there are."""
    with deaf() as dead:
        began_s = time.monotonic()
        with pytest.raises(UnreachableError, match=r"timed out after 0\.6 s"):
            tcp.race([address(dead)] * 9, hand.waiter, where="x", timeout_s=0.6)
        assert time.monotonic() - began_s < allowed_s(2)


def test_families_take_turns() -> None:
    """IPv6 and IPv4 alternate, beginning with what the system prefers (RFC 8305, section 4)."""
    six = (socket.AF_INET6, socket.SOCK_STREAM, 6, "", ("::1", 1))
    four = address(1)
    assert tcp.alternating([six, six, six, four, four]) == [six, four, six, four, six]
    assert tcp.alternating([]) == []


def test_a_connect_can_be_interrupted(hand: Hand) -> None:
    """A stop does not wait for the time-out."""
    hand.interrupt(after_s=0.1)
    with deaf() as dead:
        began_s = time.monotonic()
        with pytest.raises(StoppingError):
            tcp.race([address(dead)], hand.waiter, where="x", timeout_s=10)
        assert time.monotonic() - began_s < allowed_s(2)


@pytest.fixture
def hanging_resolver(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A system whose name look-up blocks until the test is over."""
    over = threading.Event()

    def hang(*_: object, **__: object) -> list[object]:
        over.wait(30)
        return []

    monkeypatch.setattr(socket, "getaddrinfo", hang)
    yield
    over.set()


@pytest.mark.usefixtures("hanging_resolver")
def test_a_look_up_that_hangs_has_a_deadline(hand: Hand) -> None:
    """Though getaddrinfo(3) has none."""
    with pytest.raises(LinkLostError, match=r"no DNS server answered within 0\.2 s"):
        tcp.look_up("broker", 8883, hand.waiter, timeout_s=0.2)


@pytest.mark.usefixtures("hanging_resolver")
def test_a_look_up_that_hangs_can_be_interrupted(hand: Hand) -> None:
    """A stop does not wait for it."""
    hand.interrupt(after_s=0.1)
    with pytest.raises(StoppingError):
        tcp.look_up("broker", 8883, hand.waiter)


def test_a_name_that_is_none_is_a_lost_link(hand: Hand) -> None:
    """Not an exception of Python's codecs."""
    for name in ("a" * 70, "..", "x\udc80"):
        with pytest.raises(LinkLostError, match="cannot be looked up"):
            tcp.look_up(name, 8883, hand.waiter)


# Ports.


def test_443_is_remembered_for_an_hour_and_then_8883_comes_first_again() -> None:
    """A detour that works is not paid for at each connection, nor for ever."""
    ticks = Ticks()
    ports = Ports(8883, monotonic_s=ticks)
    assert ports.in_order() == (8883, 443)
    ports.worked(443)
    assert ports.in_order() == (443, 8883)
    ticks.now_s += DETOUR_S - 1
    ports.worked(443)
    assert ports.in_order() == (443, 8883)
    ticks.now_s += 1
    assert ports.in_order() == (8883, 443)
    ports.worked(443)
    ports.worked(8883)
    assert ports.in_order() == (8883, 443)


def test_a_failed_detour_is_forgotten() -> None:
    """The network may have changed."""
    ports = Ports(8883)
    ports.worked(443)
    ports.failed()
    assert ports.in_order() == (8883, 443)


@pytest.mark.parametrize("port", [443, 1883, 30001])
def test_another_port_has_no_detour(port: int) -> None:
    """Who configures it knows why."""
    assert Ports(port).in_order() == (port,)


# Proxies.


class HttpProxy:
    """An HTTP proxy that knows CONNECT, and refuses with `status` if that is set."""

    def __init__(self, *, credentials: str = "", status: int = 0) -> None:
        self._credentials = credentials
        self._status = status
        self.heads: list[str] = []
        self._listener = socket.create_server((LOCAL, 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self) -> None:
        """Serve no more."""
        self._listener.close()

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                link, _ = self._listener.accept()
                threading.Thread(target=self._tunnel, args=(link,), daemon=True).start()

    def _tunnel(self, link: socket.socket) -> None:
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += link.recv(1)
        self.heads.append(head.decode())
        status = self._status
        if self._credentials and self._credentials not in head.decode():
            status = 407
        if status:
            link.sendall(f"HTTP/1.1 {status} No\r\nX: y\r\n\r\n".encode())
            link.close()
            return
        port = int(head.split()[1].rpartition(b":")[2])
        far = socket.create_connection((LOCAL, port))
        link.sendall(b"HTTP/1.1 200 Connection established\r\nVia: test\r\n\r\n")
        back = threading.Thread(target=_pour, args=(far, link), daemon=True)
        back.start()
        _pour(link, far)
        back.join()
        far.close()
        link.close()


def _pour(source: socket.socket, sink: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65_536):
            sink.sendall(data)
    for one in (source, sink):
        with suppress(OSError):
            one.shutdown(socket.SHUT_RDWR)


def dialer(bench: Bench, hand: Hand, port: int, **environment: str) -> Dialer:
    """A dialer with these in its environment."""
    files = bench.certificates.device
    found = Credentials(files.certificate, files.key, (files.root,), None)
    return Dialer(
        lambda _: tls_context(found, alpn=False),
        ports=Ports(port),
        timeout_s=3.0,
        waiter=hand.waiter,
        environment=environment,
    )


@pytest.mark.parametrize("credentials", ["", "me:pa%20ss@"])
def test_tls_goes_through_a_proxy(bench: Bench, hand: Hand, credentials: str) -> None:
    """CONNECT with the broker's name, and with user and password where the address has them."""
    broker = bench.broker()
    basic = "Proxy-Authorization: Basic bWU6cGEgc3M=\r\n" if credentials else ""
    with closing(HttpProxy(credentials=basic)) as via:
        url = f"http://{credentials}{LOCAL}:{via.port}"
        with dialer(bench, hand, broker.port, https_proxy=url).dial("localhost") as secure:
            assert secure.version() == "TLSv1.3"
    assert via.heads[0].startswith(f"CONNECT localhost:{broker.port} HTTP/1.1\r\nHost: localhost:")
    assert basic in via.heads[0]


@pytest.mark.parametrize(
    ("status", "error", "text"),
    [
        (407, LinkLostError, r"the proxy 127.0.0.1:\d+ refuses these user name and password"),
        (403, UnreachableError, r"does not connect to localhost:\d+: status 403"),
    ],
)
def test_a_proxy_that_refuses_is_named_without_its_credentials(
    bench: Bench, hand: Hand, status: int, error: type[LinkLostError], text: str
) -> None:
    """Only a refused port may have another one tried."""
    with closing(HttpProxy(status=status)) as via:
        url = f"http://me:secret@{LOCAL}:{via.port}"
        with pytest.raises(error, match=text) as caught:
            dialer(bench, hand, 9, HTTPS_PROXY=url).dial("localhost")
    assert "secret" not in caught.value.text + caught.value.hint
    assert "https_proxy" in caught.value.hint


def test_a_proxy_that_is_not_there_is_told_from_a_broker_that_is_not(
    bench: Bench, hand: Hand
) -> None:
    """The text names the proxy, the hint its setting."""
    url = f"http://me:secret@{LOCAL}:{closed_port()}"
    with pytest.raises(LinkLostError, match=r"no way to the proxy: 127\.0\.0\.1 port") as caught:
        dialer(bench, hand, 8883, https_proxy=url).dial("localhost")
    assert "https_proxy" in caught.value.hint
    assert "secret" not in caught.value.text


@pytest.mark.parametrize(
    ("exceptions", "excepted"),
    [
        ("", False),
        ("*", True),
        ("localhost, iot.example.com", True),
        (".example.com", True),
        ("EXAMPLE.com", True),
        ("iot.example.com:8883", True),
        ("iot.example.com:443", False),
        ("ample.com", False),
        (",,", False),
    ],
)
def test_no_proxy_lists_names_and_what_is_below_them(exceptions: str, *, excepted: bool) -> None:
    """As curl and Python's urllib have it."""
    environment = {"https_proxy": "http://proxy:3128", "no_proxy": exceptions}
    assert (proxy_for("iot.example.com", 8883, environment) is None) == excepted


@pytest.mark.parametrize("url", ["https://proxy:1", "socks5://proxy:1", "http://", "http://x:y:z"])
def test_an_address_of_a_proxy_that_means_nothing_is_an_error(url: str) -> None:
    """It is not passed over: the device would look blocked."""
    with pytest.raises(LinkLostError, match="https_proxy is not an address"):
        proxy_for("broker", 8883, {"https_proxy": url})


def test_a_proxys_credentials_do_not_show() -> None:
    """Neither in its representation nor without being asked for."""
    via = proxy_for("broker", 8883, {"https_proxy": "http://me:secret@proxy"})
    assert via
    assert (via.host, via.port) == ("proxy", 8080)
    assert "authorization" not in repr(via)


# TLS.


def test_port_443_says_which_protocol_it_means(bench: Bench) -> None:
    """ALPN on 443 alone ("Device protocols": x-amzn-mqtt-ca)."""
    files = bench.certificates.device
    found = Credentials(files.certificate, files.key, (files.root,), None)
    broker = bench.broker()
    for alpn in (False, True):
        with socket.create_connection((LOCAL, broker.port)) as link:
            context = tls_context(found, alpn=alpn)
            with context.wrap_socket(link, server_hostname="localhost") as secure:
                assert secure.selected_alpn_protocol() == ("x-amzn-mqtt-ca" if alpn else None)


def test_no_version_below_tls_1_2_is_spoken(bench: Bench) -> None:
    """AWS's policies begin there."""
    files = bench.certificates.device
    found = Credentials(files.certificate, files.key, (files.root,), None)
    assert tls_context(found, alpn=False).minimum_version == ssl.TLSVersion.TLSv1_2


def test_nothing_is_left_open_when_a_handshake_fails(bench: Bench, hand: Hand) -> None:
    """A hundred failures cost no descriptor."""
    broker = bench.broker()
    broker.on_accept = lambda peer: peer.raw.recv(1)
    dialling = dialer(bench, hand, broker.port)
    for round_ in range(30):
        with pytest.raises(UnreachableError):
            dialling.dial("localhost")
        if round_ == 5:
            before = len(list(Path("/proc/self/fd").iterdir()))
    assert len(list(Path("/proc/self/fd").iterdir())) <= before + 3
