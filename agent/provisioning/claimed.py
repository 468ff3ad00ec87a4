"""Progress of a claim so far, in a file below `<certs>`, so that a killed run is gone on with.

First the key, then the certificate with the token that proves it ours, then the thing's name. The
file goes once all that is in it lies in a generation. Its first line is the sum of the rest: what
a damaged card makes of it is none.
"""

from __future__ import annotations

import hashlib
import json
from contextlib import suppress

from agent import files
from agent.value import Value, asdict, fields, replace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pathlib import Path
    from typing import Self

NAME = ".claimed"

#: Life of the token, and of a certificate with which nobody has registered ("Device provisioning
#: MQTT API").
TOKEN_S = 3600


class Claimed(Value):
    """Key and certificate (PEM), its token and when (epoch seconds) it came; "" for what is not.

    `serial` is the board, `endpoint` whose account it is for, `key_type` as the settings have it.
    With `registering`, AWS has been asked for the thing, and may have made it. `strays` has ids, a
    space between them, of certificates that were given up though that was so.
    `misnamed` is a question to which a template has answered with another name than the device has.
    """

    serial: str
    endpoint: str
    key_type: str
    key: str = ""
    certificate: str = ""
    certificate_id: str = ""
    token: str = ""
    asked_s: int = 0
    registering: bool = False
    thing: str = ""
    strays: str = ""
    misnamed: str = ""

    def without_certificate(self) -> Self:
        """The same with the key alone, of which a new certificate can be made.

        Without the key too, where the certificate may be active at AWS: it then is of no use.
        """
        if self.registering or self.thing:
            strays = " ".join([*self.strays.split(), self.certificate_id])
            return replace(self._empty(), strays=strays)
        return replace(self._empty(), key=self.key, strays=self.strays)

    def is_like(self, other: Claimed) -> bool:
        """True if it is of the same board, account and type of key."""
        return self._empty() == other._empty()

    def _empty(self) -> Self:
        return type(self)(self.serial, self.endpoint, self.key_type)

    def encode(self) -> bytes:
        """The sum, and the JSON text."""
        text = json.dumps(asdict(self)).encode()
        return b"\n".join([hashlib.sha256(text).hexdigest().encode(), text])


def read(certs: Path, nothing: Claimed, *, now_s: float) -> Claimed:
    """Progress that is there and not too old; `nothing` if there is none. Never raises."""
    known = found(certs)
    if known is None or not known.is_like(nothing):
        return nothing
    young = known.thing or abs(now_s - known.asked_s) < TOKEN_S
    return known if young or not known.certificate else known.without_certificate()


def found(certs: Path) -> Claimed | None:
    """Progress that is there, of whatever board and age; None where nothing is, or is whole."""
    with suppress(OSError, ValueError, TypeError, RecursionError):
        total, text = files.read(certs / NAME).split(b"\n", 1)
        if total == hashlib.sha256(text).hexdigest().encode():
            values = json.loads(text)
            return Claimed(**{one.name: values[one.name] for one in fields(Claimed)})
    return None


def write(certs: Path, claimed: Claimed) -> Claimed:
    """Put it on the disk; itself. Raises OSError."""
    files.replace(certs / NAME, claimed.encode())
    return claimed


def forget(certs: Path) -> None:
    """Remove the file; fine if there is none. Raises OSError."""
    if (certs / NAME).exists():
        files.wipe(certs / NAME)
        files.sync_directory(certs)
