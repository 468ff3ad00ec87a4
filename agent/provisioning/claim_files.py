"""Files of a claim: the certificate and key that a whole fleet shares to register with."""

from __future__ import annotations

from typing import cast

from agent.errors import CredentialsError, RefusedError
from agent.identity import RootsError, claim_ended, tls_context
from agent.identity.own_files import pair_problems

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pathlib import Path

    from agent.config import Config
    from agent.identity import Credentials

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
    except RootsError:
        raise
    except CredentialsError as error:
        raise RefusedError(f"the claim cannot be used: {error}", hint=HINT) from error
    if ended := claim_ended(claim.certificate, now_s=now_s):
        raise RefusedError(
            f"{claim.certificate}: {ended}",
            hint=f"a temporary one lives for 5 minutes; {HINT}",
        )


def paths(config: Config) -> tuple[Path, Path]:
    """Certificate and key, which the settings have wherever the method is a claim."""
    provisioning = config.provisioning
    return cast("Path", provisioning.claim_cert_file), cast("Path", provisioning.claim_key_file)
