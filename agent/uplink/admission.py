"""Admission of a certificate of the owner's: whether AWS has ever let it in.

AWS drops the first connection of a certificate that a registered CA of the owner's has signed: it
registers the certificate then ("Just-in-time provisioning", "Just-in-time registration").
"""

from __future__ import annotations

import time
from contextlib import suppress

from agent import files
from agent.errors import StoreError
from agent.identity import certificates, decode_certificate
from agent.mqtt.answers import UnansweredError
from agent.net import CertificateRefusedError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from agent.errors import LinkLostError
    from agent.identity import Credentials
    from agent.store import Store

#: The fact in the store: the certificate, and the broker, that let it in.
ADMITTED = "admitted"

#: Issuer of the certificates that AWS itself makes, which nothing has to register.
AWS = "Amazon Web Services"


class Admission:
    """Remembers in the store which certificate `host` has let in; used in the uplink's thread."""

    def __init__(self, store: Store, *, monotonic_s: Callable[[], float] = time.monotonic) -> None:
        self._store = store
        self._monotonic_s = monotonic_s
        self._refused: tuple[str, float] = ("", 0.0)

    def granted(self, credentials: Credentials, host: str) -> None:
        """Note that it was let in."""
        name = own_name(credentials, host)
        if name and self._store.recall(ADMITTED) != name:
            with suppress(StoreError):  # then it is noted the next time
                self._store.remember(**{ADMITTED: name})

    def withheld_s(self, lost: LinkLostError, credentials: Credentials, host: str) -> float | None:
        """Seconds since a certificate was first turned away that was never let in: 0 at first.

        None for any other, and for a connection that was lost in another way.
        """
        name = own_name(credentials, host) if is_refusal(lost) else ""
        if not name or self._store.recall(ADMITTED) == name:
            return None
        if self._refused[0] != name:
            self._refused = name, self._monotonic_s()
        return self._monotonic_s() - self._refused[1]


def is_refusal(lost: LinkLostError) -> bool:
    """True for the ways in which AWS turns a certificate away that it does not know yet."""
    return isinstance(lost, UnansweredError | CertificateRefusedError)


def own_name(credentials: Credentials, host: str) -> str:
    """The name of a certificate at a broker; "" for one that AWS has made, or registered for us."""
    if credentials.identity is not None:
        return ""
    with suppress(OSError, ValueError):
        pem = files.read(credentials.certificate, follow=True).decode("ascii", "replace")
        if AWS not in decode_certificate(pem).issuer:
            return next((f"{found} {host}" for _, found in certificates(pem)), "")
    return ""
