"""TLS context as AWS IoT asks for it, and what it is given: certificate, key, roots."""

from __future__ import annotations

import ssl
from contextlib import suppress

from agent import files
from agent.config import KeyUri
from agent.errors import CredentialsError
from agent.identity.unusable import (
    PROVISION,
    ROOTS,
    ForbiddenCredentialsError,
    ForbiddenRootsError,
    RootsError,
    unusable,
)
from agent.identity.wrapping import unwrapped_uri

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pathlib import Path

#: The TLS 1.2 suites that AWS IoT recommends ("Transport security"); those of 1.3 are all allowed.
SUITES = (
    "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:"
    "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384"
)

#: Protocol name of a client on port 443 for MQTT with a certificate ("Device protocols").
ALPN = "x-amzn-mqtt-ca"


def client_context(*, alpn: bool) -> ssl.SSLContext:
    """A context that trusts nobody yet: TLS 1.2 or later, AWS's suites, the server's name checked.

    `alpn` is for port 443.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(SUITES)
    context.check_hostname = True
    context.verify_mode = ssl.CERT_REQUIRED
    if alpn:
        context.set_alpn_protocols([ALPN])
    return context


def trust(context: ssl.SSLContext, path: Path) -> None:
    """Have `context` trust what is in the owner's file. Raises RootsError."""
    try:
        files.check(path)
        with suppress(ssl.SSLError):
            context.load_verify_locations(cafile=path)
        if context.cert_store_stats()["x509_ca"]:
            return
        from agent.identity import mistakes  # noqa: PLC0415 -- only a mistake needs it

        mistake = mistakes.in_roots(path)
    except (OSError, ValueError) as error:
        told = unusable(path, error, hint=ROOTS)
        kind = ForbiddenRootsError if isinstance(told, ForbiddenCredentialsError) else RootsError
        raise kind(told.text, hint=told.hint) from error
    if mistake:
        raise RootsError(f"{path}: {mistake.text}", hint=f"{mistake.hint}; {ROOTS}")
    if not context.cert_store_stats()["x509"]:
        raise RootsError(f"{path}: has no certificate that can be read", hint=ROOTS)


def load_pair(
    context: ssl.SSLContext, certificate: Path, key: Path | KeyUri, *, hint: str = PROVISION
) -> None:
    """Give `context` a certificate and its key. Raises CredentialsError unless they match."""
    try:
        files.check(certificate)
        uri = key if isinstance(key, KeyUri) else unwrapped_uri(files.read(key, follow=True))
        if uri:
            from agent.identity import hardware  # noqa: PLC0415 -- few have such a key

            hardware.load_pair(context, certificate, uri, hint=hint)
            return
        # An encrypted key would have OpenSSL ask at the terminal; no password is an error instead.
        context.load_cert_chain(certificate, key, password=lambda: "")
    except PermissionError as error:
        raise unusable(certificate, error, hint=hint) from error
    except (OSError, ValueError) as error:
        if isinstance(key, KeyUri):
            raise unusable(certificate, error, hint=hint) from error
        from agent.identity import mistakes  # noqa: PLC0415 -- only a mistake needs it

        advice = "" if hint == PROVISION else hint
        text, told = mistakes.with_pair(certificate, key, advice)
        raise CredentialsError(text, hint=told or hint) from error
