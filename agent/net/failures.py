"""Failures of a connection, in words that a person can act on.

Every cause is told apart: name look-up, refused, timed out, TLS and which check of it, clock,
silence. `doctor` and the condition `offline` show them alike.
"""

from __future__ import annotations

import errno
import os
import ssl
import time

from agent.errors import ANEW, LinkLostError

#: X509_V_ERR_CERT_NOT_YET_VALID, X509_V_ERR_CERT_HAS_EXPIRED, X509_V_ERR_HOSTNAME_MISMATCH.
_NOT_YET_VALID, _EXPIRED, _OTHER_NAME = 9, 10, 62

_OUR_CERTIFICATE = (
    f"the device's certificate is not accepted: it may be inactive or deleted; {ANEW}"
)

#: TLS alerts (RFC 8446, section 6.2) by which a server means the certificate of the client.
_ABOUT_US = ("CERTIFICATE", "UNKNOWN_CA", "ACCESS_DENIED", "DECRYPT_ERROR")


class CertificateRefusedError(LinkLostError):
    """A server's TLS does not accept our certificate."""


class UnreachableError(LinkLostError):
    """A port does not answer, or something on the way cuts it off: another port may work."""


def look_up_failed(host: str, error: Exception) -> LinkLostError:
    """The error for a name that could not be looked up (getaddrinfo(3))."""
    reason = getattr(error, "strerror", None) or "is not a valid name"
    return LinkLostError(
        f"the name {host} cannot be looked up: {reason}",
        hint="check the network, its DNS server, and the name in [mqtt] endpoint",
    )


def look_up_hung(host: str, waited_s: float) -> LinkLostError:
    """The error for a resolver that has not answered."""
    return LinkLostError(
        f"the name {host} cannot be looked up: no DNS server answered within {waited_s:g} s",
        hint="check the network and its DNS server",
    )


def no_thread(host: str) -> LinkLostError:
    """The error for a look-up that the system gives no thread (pthread_create(3), EAGAIN)."""
    return LinkLostError(
        f"the name {host} cannot be looked up: the system has no thread for it",
        hint="see what runs in the service (`systemctl status`), and its bound TasksMax=",
    )


def not_reached(where: str, code: int, *, timeout_s: float) -> UnreachableError:
    """The error for TCP that failed with number `code`; ETIMEDOUT is our own deadline too."""
    if code == errno.ETIMEDOUT:
        text = f"timed out after {timeout_s:g} s"
        hint = "a firewall may block the port; check the network"
    elif code == errno.ECONNREFUSED:
        text = "connection refused"
        hint = "nothing serves this port; check [mqtt] endpoint and port"
    elif code in {errno.ENETUNREACH, errno.EHOSTUNREACH, errno.ENETDOWN}:
        text = os.strerror(code).lower()
        hint = "this machine has no way to the network: check the router, Wi-Fi or cable"
    else:
        text = os.strerror(code).lower()
        hint = "check the network; a firewall may block the port"
    return UnreachableError(f"{where} cannot be reached: {text}", hint=hint)


def handshake_failed(where: str, error: OSError, *, timeout_s: float) -> LinkLostError:
    """The error for a failed TLS handshake: the check that failed, or the side that ended it."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return LinkLostError(
            f"the certificate of {where} is not accepted: {error.verify_message}",
            hint=_verification_hint(error.verify_code),
        )
    if isinstance(error, TimeoutError):
        return UnreachableError(
            f"{where} did not answer the TLS handshake within {timeout_s:g} s",
            hint="a firewall may hold TLS back on this port",
        )
    if isinstance(error, ssl.SSLEOFError) or not isinstance(error, ssl.SSLError):
        return UnreachableError(
            f"{where} cut the connection off in the TLS handshake",
            hint="a firewall may cut off TLS on this port, or the broker is not ready",
        )
    return tls_broke(f"no TLS connection with {where}", error)


def tls_broke(what: str, error: ssl.SSLError) -> LinkLostError:
    """The error for TLS that OpenSSL ended, in the handshake or after it; `what` begins it."""
    reason = error.reason or "broken off"
    if "_ALERT_" in reason:
        alert = reason.partition("_ALERT_")[2]
        text = f"{what}: the broker refuses it: {alert.replace('_', ' ').lower()}"
        if any(word in alert for word in _ABOUT_US):
            return CertificateRefusedError(text, hint=_OUR_CERTIFICATE)
        hint = "the broker and this machine have no TLS version or cipher in common"
        return LinkLostError(text, hint=hint)
    if reason in {"WRONG_VERSION_NUMBER", "HTTP_REQUEST", "UNKNOWN_PROTOCOL"}:
        return LinkLostError(f"{what}: what answers does not speak TLS", hint="check [mqtt] port")
    words = reason.replace("_", " ").lower()
    return LinkLostError(f"{what}: {words}", hint="something may intercept the connection")


def _verification_hint(code: int) -> str:
    today = time.strftime("%Y-%m-%d", time.gmtime())
    if code == _NOT_YET_VALID:
        return f"the clock of this machine says {today}, which must be too early: check NTP"
    if code == _EXPIRED:
        return f"if today is not {today}, the clock is wrong: check NTP; else the broker must renew"
    if code == _OTHER_NAME:
        return "check [mqtt] endpoint; something may intercept the connection"
    return "check [mqtt] ca_file and endpoint; something may intercept the connection"
