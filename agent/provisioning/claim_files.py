"""Files of a claim: the certificate and key that a whole fleet shares to register with."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, cast

from agent import files
from agent.errors import CredentialsError, RefusedError
from agent.identity import RootsError, decode_certificate, pair_problems, tls_context

if TYPE_CHECKING:
    from pathlib import Path

    from agent.config import Config
    from agent.identity import Credentials

#: Name below `<certs>` of where `setup` puts a claim.
DIRECTORY = ".claim"

HINT = "`sudo pi-iot-agent setup --claim DIR` takes a claim from AWS; see provisioning.md, By claim"


def check(claim: Credentials, *, now_s: float) -> None:
    """Raise RefusedError unless both files are there, belong together, and are good still.

    AWS is not asked. `now_s` is by this machine's clock.
    """
    pair = {"claim_cert_file": claim.certificate, "claim_key_file": cast("Path", claim.key)}
    if problems := pair_problems("provisioning", **pair):
        raise RefusedError("; ".join(problems), hint=HINT)
    try:
        tls_context(claim, alpn=False, hint=HINT)
        text = files.read(claim.certificate, follow=True).decode("ascii", "replace")
        ends_s = decode_certificate(text).not_after_s
    except RootsError:
        raise
    except (CredentialsError, OSError, ValueError) as error:
        raise RefusedError(f"the claim cannot be used: {error}", hint=HINT) from error
    if ends_s <= now_s:
        ended = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(ends_s))
        raise RefusedError(
            f"{claim.certificate}: this claim ended at {ended}",
            hint=f"a temporary one lives for 5 minutes; {HINT}",
        )


def paths(config: Config) -> tuple[Path, Path]:
    """Certificate and key, which the settings have wherever the method is a claim."""
    provisioning = config.provisioning
    return cast("Path", provisioning.claim_cert_file), cast("Path", provisioning.claim_key_file)


def erase(config: Config) -> str:
    """Overwrite and remove both files; tells in words what came of it. Never raises."""
    certificate, key = paths(config)
    try:
        for path in (key, certificate):
            files.wipe(files.real(path))
        if certificate.parent.name == DIRECTORY:
            certificate.parent.rmdir()
    except OSError as error:
        why = error.strerror or str(error)
        return f"the claim stays, since it cannot be removed ({why}): `sudo rm {certificate} {key}`"
    return f"{certificate}: the claim is erased"
