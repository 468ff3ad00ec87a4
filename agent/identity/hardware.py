"""Keys in hardware: OpenSSL's PKCS #11 provider, which reads a PEM text that stands for such a key.

Python's ssl takes files alone. The provider is loaded into the libcrypto that `_ssl` uses: a
setting of the environment would be one of every other program too. Only who has such a key loads
this.
"""

from __future__ import annotations

import _ssl
import os
import ssl
import subprocess
from functools import cache

from agent import files
from agent.errors import CredentialsError
from agent.identity.unusable import ForbiddenCredentialsError, HardwareKeyError, unusable
from agent.identity.wrapping import wrapped_uri
from agent.identity.x509 import decode_certificate
from agent.programs import public

TYPE_CHECKING = False
if TYPE_CHECKING:
    import ctypes
    from pathlib import Path
    from typing import Any

    from agent.config import KeyUri

#: The variable that tells the provider of its module.
MODULE_VARIABLE = "PKCS11_PROVIDER_MODULE"

#: OpenSSL's reasons where both are sound and not of one pair; the last where their kinds differ.
FOREIGN = ("KEY_VALUES_MISMATCH", "KEY_TYPE_MISMATCH", "NO_CERTIFICATE_ASSIGNED")

#: OpenSSL's own goes first: a module that calculates with OpenSSL would else wait for itself.
PROVIDERS = ("-provider", "default", "-provider", "pkcs11")

#: Longest time that a token may take.
LONGEST_S = 60.0

PIN_SOURCE = "see pin-source= in the key's URI"

#: The module that the provider of this process has: for good, as its OpenSSL is one.
_active: list[Path] = []

#: What a token said of a PIN, by the PIN's file and its time.
_refused_pins: dict[tuple[Path | None, int], HardwareKeyError] = {}


def load_pair(context: ssl.SSLContext, certificate: Path, uri: KeyUri, *, hint: str) -> None:
    """Give `context` a certificate and its key, which stays where it is.

    Signs nothing yet. Raises CredentialsError in words on what is missing, and where.
    """
    check(uri)
    context.sslsocket_class = Link
    pem = os.memfd_create("key")
    try:
        os.write(pem, wrapped_uri(uri).encode())
        context.load_cert_chain(certificate, f"/proc/self/fd/{pem}", password=lambda: "")
    except (OSError, ValueError) as error:
        raise _refusal(certificate, uri, error, hint) from error
    finally:
        os.close(pem)


class Link(ssl.SSLSocket):
    """A TLS connection that is not blamed for what the provider has tried in vain.

    That may happen whenever a key is let go, and stays in OpenSSL's queue of errors, where it would
    be taken for one of the next read or write that has to wait (SSL_get_error(3)).
    """

    def recv(self, buflen: int = 1024, flags: int = 0) -> bytes:
        """Read, as `socket` does."""
        libcrypto().ERR_clear_error()
        return super().recv(buflen, flags)

    def send(self, data: Any, flags: int = 0) -> int:  # noqa: ANN401 -- any bytes
        """Write, as `socket` does."""
        libcrypto().ERR_clear_error()
        return super().send(data, flags)


def check(uri: KeyUri) -> None:
    """Raise HardwareKeyError where its PIN cannot be used, or OpenSSL cannot use such keys.

    Nothing is asked of the token, with a PIN that it refused no second time: it would be locked.
    """
    if uri.pin_file:
        try:
            files.check(uri.pin_file)
        except OSError as error:
            told = unusable(uri.pin_file, error, hint=PIN_SOURCE)
            if isinstance(told, ForbiddenCredentialsError):
                raise told from error
            raise HardwareKeyError(told.text, hint=told.hint) from error
    if refused := _refused_pins.get(_pin_version(uri)):
        raise HardwareKeyError(refused.text, hint=refused.hint)
    _activate(uri)


def reach(uri: KeyUri) -> None:
    """Raise CredentialsError where its token cannot be used; that is asked without a PIN."""
    check(uri)
    from agent.identity import token  # noqa: PLC0415 -- only a person's command asks so

    if told := token.trouble(uri):
        raise HardwareKeyError(f"{uri.name}: {told.text}", hint=told.hint)


def key_works(uri: KeyUri) -> bool:
    """True if a process that begins now can use the key; one that runs sees no new token."""
    try:
        run_openssl(uri, "pkey", "-pubout")
    except (HardwareKeyError, OSError):
        return False
    return True


def run_openssl(uri: KeyUri, *words: str) -> str:
    """The output of the command `openssl`, whose input is the key, PEM. Raises HardwareKeyError."""
    check(uri)
    try:
        done = subprocess.run(
            ["openssl", *words, *PROVIDERS],  # noqa: S607 -- wherever the system has it
            input=wrapped_uri(uri).encode(),
            capture_output=True,
            check=False,
            timeout=LONGEST_S,
            env={**public(), MODULE_VARIABLE: str(uri.module)},
            start_new_session=True,  # no terminal to ask for a PIN at
        )
    except subprocess.TimeoutExpired:
        text = f"{uri.name}: the token has not answered for {LONGEST_S:.0f} s"
        raise HardwareKeyError(text, hint="unplug it and plug it in again") from None
    # A module may crash at its end, when all is written.
    if b"-----END" not in done.stdout:
        raise refusal(uri)
    return done.stdout.decode("ascii")


def _activate(uri: KeyUri) -> None:
    """Have the OpenSSL of this process use the provider, from now on. Raises HardwareKeyError."""
    if _active:
        return
    os.environ[MODULE_VARIABLE] = str(uri.module)
    library = libcrypto()
    for name in (b"default", b"pkcs11"):
        if not library.OSSL_PROVIDER_load(None, name):
            library.ERR_clear_error()
            raise HardwareKeyError(
                f"{uri.name}: OpenSSL's provider for keys in hardware is not there",
                hint="Debian 13 has it: `sudo apt install pkcs11-provider`; Debian 12 has none",
            )
    _active.append(uri.module)


@cache
def libcrypto() -> ctypes.CDLL:
    """The library that Python's ssl uses."""
    import ctypes  # noqa: PLC0415 -- it costs memory, and few need it

    library = ctypes.CDLL(_ssl.__file__)
    library.OSSL_PROVIDER_load.restype = ctypes.c_void_p
    library.OSSL_PROVIDER_load.argtypes = (ctypes.c_void_p, ctypes.c_char_p)
    return library


def _refusal(certificate: Path, uri: KeyUri, error: Exception, hint: str) -> CredentialsError:
    """The reason for which a pair was refused, in words."""
    try:
        decode_certificate(files.read(certificate, follow=True).decode("ascii", "replace"))
    except OSError as wrong:
        return unusable(certificate, wrong, hint=hint)
    except ValueError as wrong:
        return CredentialsError(f"{certificate}: {wrong}", hint=hint)
    if getattr(error, "reason", None) in FOREIGN:
        text = f"{certificate}: is the certificate of another key than {uri.name}"
        return CredentialsError(text, hint=hint)
    return refusal(uri)


def refusal(uri: KeyUri) -> HardwareKeyError:
    """The reason for which the token refused the key, in words."""
    from agent.identity import token  # noqa: PLC0415 -- only a mistake needs it

    told = token.refusal(uri)
    refused = HardwareKeyError(f"{uri.name}: {told.text}", hint=told.hint)
    if told.wrong_pin:
        _refused_pins[_pin_version(uri)] = refused
    return refused


def _pin_version(uri: KeyUri) -> tuple[Path | None, int]:
    return uri.pin_file, uri.pin_file.stat().st_mtime_ns if uri.pin_file else 0
