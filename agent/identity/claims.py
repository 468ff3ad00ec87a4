"""Claim that this device registers with: when its files are needed, used up, or too long here."""

from __future__ import annotations

import os
import time
from contextlib import suppress

from agent import files
from agent.errors import CredentialsError
from agent.identity.credentials import CLAIM, Files, read_identity
from agent.identity.roots import certificates
from agent.identity.x509 import decode_certificate

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pathlib import Path

    from agent.config import Config
    from agent.identity.credentials import Identity

#: Name below `<certs>` of where `setup` puts a claim.
CLAIM_DIRECTORY = ".claim"

#: The same, of one that has to prove itself first.
CLAIM_ON_TRIAL = ".claim.new"

KEEP = "`sudo rm {}`, or erase_claim = false"
USE = "`sudo pi-iot-agent rotate` uses it, and erases it then; or `sudo rm {}`"


def claim_id(certificate: Path | None) -> str:
    """The SHA-256 of a claim certificate, which is its id at AWS; "" if there is none."""
    with suppress(OSError):
        text = (
            files.read(certificate, follow=True).decode("ascii", "replace") if certificate else ""
        )
        return next((found for _, found in certificates(text)), "")
    return ""


def erase_claim(config: Config) -> str:
    """Overwrite and remove both files of the claim; tells in words what came of it.

    "" where there is none any more. Never raises.
    """
    about = config.provisioning
    certificate, key = about.claim_cert_file, about.claim_key_file
    if not certificate or not key or not (os.path.lexists(certificate) or os.path.lexists(key)):
        return ""
    try:
        for path in (key, certificate):
            files.wipe(files.real(path))
        if certificate.parent.name.startswith(CLAIM_DIRECTORY):
            certificate.parent.rmdir()
    except OSError as error:
        why = error.strerror or str(error)
        return f"the claim stays, since it cannot be removed ({why}): `sudo rm {certificate} {key}`"
    return f"{certificate}: the claim is erased"


def erase_used_claim(config: Config, identity: Identity | None) -> str:
    """As `erase_claim`, where that is wanted and the claim has made `identity`; else "".

    To be called once the identity has been let in: until then the claim may be needed again.
    """
    about = config.provisioning
    made_it = identity and identity.claim and identity.claim == claim_id(about.claim_cert_file)
    return erase_claim(config) if about.method == CLAIM and about.erase_claim and made_it else ""


def claim_left(config: Config) -> tuple[str, str]:
    """Rest of a claim that is to be erased, in words, and a hint; "" if that is nothing."""
    about = config.provisioning
    key = about.claim_key_file
    if about.method != CLAIM or not about.erase_claim or not key or not os.path.lexists(key):
        return "", ""
    used, claim = "", claim_id(about.claim_cert_file)
    with suppress(CredentialsError):
        thing = config.thing.name
        used = read_identity(Files(config.paths.certs / thing, thing).identity).claim
    if claim and claim != used:
        told = f"{key}: the claim is to be erased once it is used, and can register other devices"
        return told, USE.format(key)
    told = f"{key}: the claim was to be erased, and is there still: it can register other devices"
    return told, KEEP.format(key)


def claim_warnings(config: Config, *, now_s: float | None = None) -> list[str]:
    """Faults of the files of a claim that is needed still, each begun with its key.

    None for who may not see whether it is needed. `now_s` is by this machine's clock.
    """
    about = config.provisioning
    certificate, key = about.claim_cert_file, about.claim_key_file
    if about.method != CLAIM or not certificate or not key:
        return []
    try:
        if (config.paths.certs / config.thing.name).exists():
            return []
    except PermissionError:
        return []
    from agent.identity.own_files import pair_problems  # noqa: PLC0415 -- no daemon needs it

    if wrong := pair_problems("provisioning", claim_cert_file=certificate, claim_key_file=key):
        return wrong
    ended = claim_ended(certificate, now_s=time.time() if now_s is None else now_s)
    return [f"provisioning.claim_cert_file: {certificate}: {ended}"] if ended else []


def claim_ended(certificate: Path, *, now_s: float) -> str:
    """When a claim has ended, in words; "" if it has not, or cannot be read."""
    with suppress(OSError, ValueError):
        text = files.read(certificate, follow=True).decode("ascii", "replace")
        ends_s = decode_certificate(text).not_after_s
        if ends_s <= now_s:
            return f"this claim ended at {time.strftime('%Y-%m-%d %H:%M UTC', time.gmtime(ends_s))}"
    return ""
