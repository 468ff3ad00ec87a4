"""Credentials of the device: certificate, key, trusted roots, and the TLS context of them.

They are either a generation that provisioning has made (`<certs>/<thing>/`) or the owner's own
files (`[mqtt] cert_file`). This module reads and checks; `generations` writes.
"""

from __future__ import annotations

import json
import ssl
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING

from agent import files
from agent.errors import CredentialsError
from agent.identity.roots import AMAZON_ROOTS, ROOT_CA_1, amazon_roots, pinned

if TYPE_CHECKING:
    from pathlib import Path

    from agent.config import Config


#: The TLS 1.2 suites that AWS IoT recommends ("Transport security"); those of 1.3 are all allowed.
SUITES = (
    "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:"
    "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384"
)

#: Protocol name of a client on port 443 for MQTT with a certificate ("Device protocols").
ALPN = "x-amzn-mqtt-ca"

PROVISION = "run `pi-iot-agent provision` to make new ones"
OWN = "see cert_file, key_file and ca_file of [mqtt]"


class MissingCredentialsError(CredentialsError):
    """Credentials are not there yet: the device has to be provisioned."""


class ForbiddenCredentialsError(CredentialsError):
    """Credentials that this user may not read; nothing is known of how they are."""


class RootsError(CredentialsError):
    """The file of trusted roots that the owner names is of no use; no registration mends that."""


class ForbiddenRootsError(RootsError, ForbiddenCredentialsError):
    """The file of trusted roots that the owner names may not be read by this user."""


@dataclass(frozen=True, slots=True)
class Identity:
    """Names of the device at AWS: the content of `identity.json`; `created` in epoch seconds.

    `serial` is the board that it was made on; "" where an older version made it, or no board tells.
    """

    thing: str
    account: str
    region: str
    endpoint: str
    certificate_arn: str
    certificate_id: str
    policy: str
    created: int
    serial: str = ""

    def encode(self) -> bytes:
        """The JSON text."""
        return json.dumps(asdict(self), indent=2).encode() + b"\n"


@dataclass(frozen=True, slots=True)
class Credentials:
    """A certificate with its key, and whom to trust.

    `roots` are files that the owner names, whatever they hold. Without them `pinned` is trusted,
    PEM texts of Amazon's; without either, the system's Amazon roots. `identity` is None where the
    owner brought the certificate.
    """

    certificate: Path
    key: Path
    roots: tuple[Path, ...]
    identity: Identity | None
    pinned: str = ""


@dataclass(frozen=True, slots=True)
class Files:
    """The names in one generation's directory: those of AWS's tutorial, and `identity.json`."""

    directory: Path
    thing: str

    @property
    def certificate(self) -> Path:
        """The device's certificate, PEM."""
        return self.directory / f"{self.thing}-certificate.pem.crt"

    @property
    def key(self) -> Path:
        """The device's private key, PEM, mode 0600."""
        return self.directory / f"{self.thing}-private.pem.key"

    @property
    def public_key(self) -> Path:
        """The device's public key, PEM."""
        return self.directory / f"{self.thing}-public.pem.key"

    @property
    def identity(self) -> Path:
        """The device's names at AWS, JSON."""
        return self.directory / "identity.json"

    @property
    def root(self) -> Path:
        """The one root that must be there."""
        return self.directory / ROOT_CA_1

    @property
    def roots(self) -> tuple[Path, ...]:
        """The Amazon roots that are there."""
        return tuple(path for name in AMAZON_ROOTS if (path := self.directory / name).is_file())


def load(config: Config) -> Credentials:
    """The credentials that `config` leads to, complete and checked.

    Raises MissingCredentialsError where nothing has been provisioned yet, RootsError where ca_file
    is to blame, ForbiddenCredentialsError where this user may not read, and CredentialsError where
    something is spoiled; each names the file. Makes no call to AWS. Called in any thread.
    """
    mqtt = config.mqtt
    ca_file = () if mqtt.ca_file is None else (mqtt.ca_file,)
    if mqtt.cert_file is not None and mqtt.key_file is not None:
        own = Credentials(mqtt.cert_file, mqtt.key_file, ca_file, None)
        _check(own, hint=OWN)
        return own
    return read(config.paths.certs / config.thing.name, config.thing.name, roots=ca_file)


def read(directory: Path, thing: str, *, roots: tuple[Path, ...] = ()) -> Credentials:
    """The generation in `directory`, complete and checked; `roots` replaces its own.

    A link is followed once, so that all files are of one generation though it be switched just
    then. Raises as `load` does.
    """
    try:
        return _read(directory, thing, roots)
    except OSError as error:  # such as a directory that another user keeps closed
        raise _unusable(directory, error, hint=PROVISION) from error


def _read(directory: Path, thing: str, roots: tuple[Path, ...]) -> Credentials:
    if not directory.exists() and not directory.is_symlink():
        raise MissingCredentialsError(f"{directory}: not provisioned yet", hint=PROVISION)
    try:
        found_in = Files(directory.resolve(), thing)
    except RuntimeError:  # links that go round (Python 3.11, 3.12)
        raise CredentialsError(f"{directory}: is a link to itself", hint=PROVISION) from None
    identity = read_identity(found_in.identity)
    if identity.thing != thing:
        raise CredentialsError(
            f"{found_in.identity}: belongs to the thing {identity.thing!r}, not {thing!r}",
            hint=PROVISION,
        )
    for path in (found_in.public_key, found_in.root):
        if not path.is_file():
            raise CredentialsError(f"{path}: missing", hint=PROVISION)
    trusted = "" if roots else "".join(_pinned(path) for path in found_in.roots)
    found = Credentials(found_in.certificate, found_in.key, roots, identity, trusted)
    _check(found, hint=PROVISION)
    return found


def read_identity(path: Path) -> Identity:
    """The identity in a file. Raises CredentialsError where it is missing or not whole."""
    try:
        found = json.loads(files.read(path, follow=True))
    except (OSError, ValueError, RecursionError) as error:
        raise _unusable(path, error, hint=PROVISION) from error
    names = [field.name for field in fields(Identity) if field.name != "serial"]
    if not isinstance(found, dict) or any(
        not found.get(name) or not isinstance(found[name], int if name == "created" else str)
        for name in names
    ):
        raise CredentialsError(f"{path}: lacks some of {', '.join(names)}", hint=PROVISION)
    return Identity(**{name: found[name] for name in names}, serial=str(found.get("serial") or ""))


def _pinned(path: Path) -> str:
    """The PEM text of a root file. Raises CredentialsError unless all in it is pinned."""
    try:
        return pinned(files.read(path, follow=True).decode("ascii", "replace"))
    except (OSError, ValueError) as error:
        raise _unusable(path, error, hint=PROVISION) from error


def _check(credentials: Credentials, *, hint: str) -> None:
    """Raise CredentialsError unless all can be read, key and certificate match, roots parse."""
    for path in (credentials.certificate, credentials.key):
        check_readable(path, hint=hint)
    tls_context(credentials, alpn=False, hint=hint)


def check_readable(path: Path, *, hint: str) -> None:
    """Raise CredentialsError unless it is a file that can be read; OpenSSL waits at a FIFO."""
    try:
        files.check(path)
    except OSError as error:
        raise _unusable(path, error, hint=hint) from error


def tls_context(credentials: Credentials, *, alpn: bool, hint: str = PROVISION) -> ssl.SSLContext:
    """A client context for these credentials; `alpn` for port 443.

    TLS 1.2 or later, AWS's suites, the server's name checked, nobody trusted but the roots. Raises
    CredentialsError.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(SUITES)
    context.check_hostname = True
    context.verify_mode = ssl.CERT_REQUIRED
    if alpn:
        context.set_alpn_protocols([ALPN])
    load_pair(context, credentials.certificate, credentials.key, hint=hint)
    for path in credentials.roots:
        trust(context, path)
    if not credentials.roots:
        roots = credentials.pinned or "".join(amazon_roots().values())
        if not roots:
            raise CredentialsError(
                "the system has no Amazon root certificates",
                hint="install the package ca-certificates, or set [mqtt] ca_file",
            )
        context.load_verify_locations(cadata=roots)
    return context


def trust(context: ssl.SSLContext, path: Path) -> None:
    """Have `context` trust what is in the owner's file. Raises RootsError."""
    try:
        files.check(path)
        context.load_verify_locations(cafile=path)
    except (OSError, ValueError) as error:
        kind = ForbiddenRootsError if isinstance(error, PermissionError) else RootsError
        unusable = _unusable(path, error, hint="see ca_file of [mqtt]")
        raise kind(unusable.text, hint=unusable.hint) from error


def load_pair(
    context: ssl.SSLContext, certificate: Path, key: Path, *, hint: str = PROVISION
) -> None:
    """Give `context` a certificate and its key. Raises CredentialsError unless they match."""
    try:
        for path in (certificate, key):
            files.check(path)
        # An encrypted key would have OpenSSL ask at the terminal; no password is an error instead.
        context.load_cert_chain(certificate, key, password=lambda: "")
    except PermissionError as error:
        raise _unusable(key, error, hint=hint) from error
    except (OSError, ValueError) as error:
        raise CredentialsError(
            f"{certificate}: not usable with {key.name}: {_reason(error)}", hint=hint
        ) from error


def _unusable(path: Path, error: Exception, *, hint: str) -> CredentialsError:
    """The error for a file, which a lack of permission tells nothing of."""
    if isinstance(error, PermissionError):
        text = f"{error.filename or path}: may not be read by this user"
        return ForbiddenCredentialsError(text, hint="run this with sudo")
    return CredentialsError(f"{path}: {_reason(error)}", hint=hint)


def _reason(error: Exception) -> str:
    """The reason, without the path, which the message names already."""
    if isinstance(error, ssl.SSLError):
        return (error.reason or "not in PEM format").replace("_", " ").lower()
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return (
        "not valid JSON"
        if isinstance(error, (json.JSONDecodeError, UnicodeDecodeError))
        else str(error)
    )
