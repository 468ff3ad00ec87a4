"""What a claim has brought so far, in a file below `<certs>`, so that a killed run is gone on with.

First the key, then the certificate with the token that proves it ours, then the thing's name. The
file goes once all that is in it lies in a generation.
"""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import asdict, dataclass, fields, replace
from typing import TYPE_CHECKING, Self

from agent import files

if TYPE_CHECKING:
    from pathlib import Path

NAME = ".claimed"

#: Life of the token, and of a certificate with which nobody has registered ("Device provisioning
#: MQTT API").
TOKEN_S = 3600


@dataclass(frozen=True, slots=True)
class Claimed:
    """Key and certificate (PEM), its token and when (epoch seconds) it came; "" for what is not.

    `serial` is the board, `endpoint` whose account it is for, `key_type` as the settings have it.
    """

    serial: str
    endpoint: str
    key_type: str
    key: str = ""
    certificate: str = ""
    certificate_id: str = ""
    token: str = ""
    asked_s: int = 0
    thing: str = ""

    def without_certificate(self) -> Self:
        """The same with the key alone, of which a new certificate can be made."""
        return replace(self, certificate="", certificate_id="", token="", asked_s=0, thing="")

    def encode(self) -> bytes:
        """The JSON text."""
        return json.dumps(asdict(self)).encode()


def read(certs: Path, nothing: Claimed, *, now_s: float) -> Claimed:
    """What is there and not too old; `nothing` where there is nothing of its kind. Never raises."""
    with suppress(OSError, ValueError, AttributeError, RecursionError):
        found = json.loads(files.read(certs / NAME))
        kinds = {one.name: int if one.name == "asked_s" else str for one in fields(Claimed)}
        if any(not isinstance(found.get(name), kind) for name, kind in kinds.items()):
            return nothing
        known = Claimed(**{name: found[name] for name in kinds})
        of_a_kind = replace(known.without_certificate(), key="") == nothing
        if not of_a_kind:
            return nothing
        young = known.thing or abs(now_s - known.asked_s) < TOKEN_S
        return known if young else known.without_certificate()
    return nothing


def write(certs: Path, claimed: Claimed) -> Claimed:
    """Put it on the disk; itself. Raises OSError."""
    files.replace(certs / NAME, claimed.encode())
    return claimed


def forget(certs: Path) -> None:
    """Remove the file; fine if there is none. Raises OSError."""
    if (certs / NAME).exists():
        files.wipe(certs / NAME)
        files.sync_directory(certs)
