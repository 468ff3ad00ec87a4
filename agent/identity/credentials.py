"""Credentials of the device: certificate, key and trusted roots, read and checked.

They are either a generation that provisioning has made (`<certs>/<thing>/`) or the owner's own
files (`[mqtt] cert_file`). This module reads; `generations` writes.
"""

from __future__ import annotations

import json
from contextlib import suppress

from agent import files
from agent.config import KeyUri
from agent.errors import CredentialsError
from agent.identity.roots import AMAZON_ROOTS, ROOT_CA_1, amazon_roots, pinned
from agent.identity.tls import client_context, load_pair, trust
from agent.identity.unusable import (
    OWN,
    PROVISION,
    MissingCredentialsError,
    check_readable,
    unusable,
)
from agent.identity.wrapping import unwrapped_uri
from agent.value import Value, asdict, fields

TYPE_CHECKING = False
if TYPE_CHECKING:
    import ssl
    from pathlib import Path
    from typing import Any

    from agent.config import Config


#: What an identity may lack: one of an older version, and one by a claim, which AWS tells less.
OPTIONAL = {"serial", "method", "claim"}
UNTOLD = OPTIONAL | {"account", "region", "certificate_arn", "policy"}
CLAIM = "claim"


class Identity(Value):
    """Names of the device at AWS: the content of `identity.json`; `created` in epoch seconds.

    `serial` is the board that it was made on; "" where an older version made it, or no board tells.
    `method` is how, "" likewise. A claim tells neither account, ARN nor policy: they are "".
    `claim` is the id of the claim certificate that made it, if one did.
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
    method: str = ""
    claim: str = ""

    def encode(self) -> bytes:
        """The JSON text."""
        return json.dumps(asdict(self), indent=2).encode() + b"\n"


class Credentials(Value):
    """A certificate with its key, and whom to trust.

    `roots` are files that the owner names, whatever they hold. Without them `pinned` is trusted,
    PEM texts of Amazon's; without either, the system's Amazon roots. `identity` is None where the
    owner brought the certificate.
    """

    certificate: Path
    key: Path | KeyUri
    roots: tuple[Path, ...]
    identity: Identity | None
    pinned: str = ""


class Files(Value):
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


def load(config: Config, *, pending: bool = False) -> Credentials:
    """The credentials that `config` leads to, complete and checked; `pending` those made ready.

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
    thing = config.thing.name
    directory = config.paths.certs / (f".{thing}.pending" if pending else thing)
    _check_same(Files(directory, thing).key, mqtt.key_file)
    return read(directory, thing, roots=ca_file)


def _check_same(path: Path, wanted: Path | KeyUri | None) -> None:
    """Raise CredentialsError where a key is in hardware, and is not the one that is `wanted`.

    A new certificate mends that. What cannot be read is told by `read`.
    """
    with suppress(OSError, ValueError):
        if unwrapped_uri(files.read(path, follow=True)) != wanted:
            raise CredentialsError(f"{path}: is not the key of [mqtt] key_file", hint=PROVISION)


def read(directory: Path, thing: str, *, roots: tuple[Path, ...] = ()) -> Credentials:
    """The generation in `directory`, complete and checked; `roots` replaces its own.

    A link is followed once, so that all files are of one generation though it be switched just
    then. Raises as `load` does.
    """
    try:
        return _read(directory, thing, roots)
    except OSError as error:  # such as a directory that another user keeps closed
        raise unusable(directory, error, hint=PROVISION) from error


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
        raise unusable(path, error, hint=PROVISION) from error
    if not isinstance(found, dict):
        raise CredentialsError(f"{path}: is no JSON object", hint=PROVISION)
    spare = UNTOLD if found.get("method") == CLAIM else OPTIONAL
    told: dict[str, Any] = {one.name: found.get(one.name) or "" for one in fields(Identity)}
    if any(
        not isinstance(value, int if name == "created" else str) or not (value or name in spare)
        for name, value in told.items()
    ):
        raise CredentialsError(f"{path}: lacks some of {', '.join(told)}", hint=PROVISION)
    return Identity(**told)


def _pinned(path: Path) -> str:
    """The PEM text of a root file. Raises CredentialsError unless all in it is pinned."""
    try:
        return pinned(files.read(path, follow=True).decode("ascii", "replace"))
    except (OSError, ValueError) as error:
        raise unusable(path, error, hint=PROVISION) from error


def _check(credentials: Credentials, *, hint: str) -> None:
    """Raise CredentialsError unless all can be read, key and certificate match, roots parse."""
    for path in (credentials.certificate, credentials.key):
        if not isinstance(path, KeyUri):
            check_readable(path, hint=hint)
    tls_context(credentials, alpn=False, hint=hint)


def tls_context(credentials: Credentials, *, alpn: bool, hint: str = PROVISION) -> ssl.SSLContext:
    """A client context for these credentials, with nobody trusted but the roots; `alpn` for 443.

    Raises CredentialsError.
    """
    context = client_context(alpn=alpn)
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
