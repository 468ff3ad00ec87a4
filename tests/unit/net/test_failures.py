"""Every way in which a connection fails has words of its own, and a hint."""

from __future__ import annotations

import errno
import ssl

import pytest

from agent.errors import LinkLostError
from agent.mqtt.answers import ClosedError, SilentError, link_broke
from agent.net import UnreachableError
from agent.net.failures import handshake_failed, not_reached


@pytest.mark.parametrize(
    ("code", "text", "hint"),
    [
        (errno.ETIMEDOUT, "timed out after 7 s", "firewall"),
        (errno.ECONNREFUSED, "connection refused", "[mqtt] endpoint"),
        (errno.ENETUNREACH, "network is unreachable", "router"),
        (errno.EHOSTUNREACH, "no route to host", "router"),
        (errno.EACCES, "permission denied", "network"),
    ],
)
def test_tcp_says_why(code: int, text: str, hint: str) -> None:
    """Refused, timed out and no network are different things to mend."""
    lost = not_reached("broker port 1", code, timeout_s=7)
    assert lost.text == f"broker port 1 cannot be reached: {text}"
    assert hint in lost.hint


def alert(reason: str) -> ssl.SSLError:
    """An error as OpenSSL gives it."""
    error = ssl.SSLError(1, f"[SSL: {reason}] (_ssl.c:1006)")
    error.reason = reason
    return error


@pytest.mark.parametrize(
    ("reason", "text", "hint"),
    [
        ("TLSV1_ALERT_UNKNOWN_CA", "refuses it: unknown ca", "provision"),
        ("TLSV13_ALERT_CERTIFICATE_REQUIRED", "refuses it: certificate required", "provision"),
        ("SSLV3_ALERT_HANDSHAKE_FAILURE", "refuses it: handshake failure", "cipher"),
        ("TLSV1_ALERT_PROTOCOL_VERSION", "refuses it: protocol version", "version"),
        ("WRONG_VERSION_NUMBER", "does not speak TLS", "port"),
        ("DECRYPTION_FAILED_OR_BAD_RECORD_MAC", "decryption failed", "intercept"),
    ],
)
def test_tls_says_who_refused_what(reason: str, text: str, hint: str) -> None:
    """In the handshake, and with TLS 1.3 also after it."""
    for lost in (handshake_failed("x", alert(reason), timeout_s=1), link_broke(alert(reason))):
        assert text in lost.text
        assert hint in lost.hint
        assert not isinstance(lost, UnreachableError)


@pytest.mark.parametrize("error", [TimeoutError(), ConnectionResetError(), ssl.SSLEOFError()])
def test_a_handshake_that_is_cut_off_may_work_by_another_port(error: OSError) -> None:
    """A firewall does that, and a broker that refuses says so."""
    assert isinstance(handshake_failed("x", error, timeout_s=1), UnreachableError)


@pytest.mark.parametrize(
    ("error", "kind", "text"),
    [
        (ConnectionResetError(104, "reset"), ClosedError, "cut the connection off"),
        (BrokenPipeError(32, "pipe"), ClosedError, "cut the connection off"),
        (ssl.SSLEOFError(8, "EOF"), ClosedError, "cut the connection off"),
        (TimeoutError(110, "timed out"), SilentError, "the network is silent"),
        (OSError(errno.EHOSTUNREACH, "No route to host"), LinkLostError, "no route to host"),
        (OSError(), LinkLostError, "oserror"),
    ],
)
def test_a_live_connection_says_how_it_broke(
    error: OSError, kind: type[LinkLostError], text: str
) -> None:
    """Cut off by someone, or by nobody hearing us."""
    lost = link_broke(error)
    assert type(lost) is kind
    assert text in lost.text
