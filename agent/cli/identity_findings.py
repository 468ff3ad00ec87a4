"""Findings on the identity: certificate and key, until when, and what should not be here."""

from __future__ import annotations

import os
import time
from contextlib import suppress

from agent import board, files
from agent.cli import verdict
from agent.cli.link_findings import is_known
from agent.cli.verdict import FAIL, OK, WARN, Finding
from agent.config import control_plane, region_doubt
from agent.errors import SERVICE, ConfigError, CredentialsError, is_service
from agent.health import conditions
from agent.identity import (
    CLAIM,
    ForbiddenCredentialsError,
    MissingCredentialsError,
    RootsError,
    certificates,
    claim_left,
    claim_warnings,
    decode_certificate,
    load,
    other_things,
)
from agent.identity.own_files import check_token
from agent.model import DAY_S
from agent.provisioning import access_key, credentials_file
from agent.value import replace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator

    from agent.config import Config
    from agent.identity import Credentials, Identity

#: From so many days before its end on a certificate is a warning.
SOON_DAYS = 30

#: A region that there is.
SURE = "us-east-1"

#: The environment's words for an AWS key that is in no file.
ELSEWHERE = ("AWS_ACCESS_KEY_ID", "AWS_PROFILE", "AWS_WEB_IDENTITY_TOKEN_FILE")


def of_credentials(
    config: Config,
    *,
    clock_sound: bool = True,
    explained: bool = False,
    known: Callable[[str], bool] = is_known,
) -> Generator[Finding, None, Credentials | None]:
    """Findings on what the device shows the broker; returns it where it can be used.

    With `explained` somebody else tells why there is nothing yet. A date tells nothing where the
    clock is not sound. `known` tells if a name can be looked up.
    """
    try:
        check_token(config.mqtt.key_file)
        found = load(config)
    except MissingCredentialsError as missing:
        if other := _renamed(config, missing):
            yield other
        elif not explained:
            yield _unprovisioned(config, missing, known)
    except ForbiddenCredentialsError as forbidden:
        yield Finding(WARN, "credentials", forbidden.text, forbidden.hint)
    except RootsError as wrong:
        yield verdict.of(conditions.CA_FILE_INVALID, FAIL, wrong.text, wrong.hint)
    except CredentialsError as spoiled:
        yield verdict.of(conditions.CREDENTIALS_INVALID, FAIL, spoiled.text, spoiled.hint)
    else:
        yield Finding(OK, "credentials", f"{found.certificate} and its key match")
        if clock_sound:
            yield of_dates(found, time.time())
        return found
    return None


def of_dates(found: Credentials, now_s: float) -> Finding:
    """From when to when the certificate is good, with its key and its id at AWS."""
    try:
        facts = decode_certificate(_pem(found))
    except (OSError, ValueError) as error:
        text = f"{found.certificate}: neither its dates nor its id can be told: {error}"
        hint = f"`openssl x509 -in {found.certificate} -out NEW` writes it as it should be"
        return Finding(WARN, "certificate", text, hint)
    last = _date(facts.not_after_s)
    told = f"{facts.key}, from {_date(facts.not_before_s)} to {last}, id {certificate_id(found)}"
    expiring = conditions.CERTIFICATE_EXPIRING
    if now_s < facts.not_before_s:
        hint = "check the clock of this machine first"
        return Finding(FAIL, "certificate", f"is not valid yet: {told}", hint)
    hint = "" if found.identity else "replace cert_file and key_file of [mqtt]"
    if now_s > facts.not_after_s:
        return verdict.of(expiring, FAIL, f"has ended on {last}: {told}", hint)
    days = int((facts.not_after_s - now_s) / DAY_S)
    left = "1 day" if days == 1 else f"{days} days" if days else "less than a day"
    if days < SOON_DAYS:
        return verdict.of(expiring, WARN, f"ends in {left}: {told}", hint)
    return Finding(OK, "certificate", f"{told}; {left} left")


def certificate_id(found: Credentials) -> str:
    """The id of the certificate at AWS IoT; "" where it cannot be read."""
    with suppress(OSError, StopIteration):
        return next(certificates(_pem(found)))[1]
    return ""


def of_things(config: Config, identity: Identity | None) -> Iterator[Finding]:
    """Findings on the identities here, which a running agent tells by itself."""
    here = board.serial() or ""
    if identity and identity.serial and here and identity.serial != here:
        text = f"made on the board {identity.serial}, and this is {here}"
        yield verdict.of(conditions.IDENTITY_COPIED, WARN, text)
    for name in other_things(config.paths.certs, config.thing.name):
        text = f"{config.paths.certs} holds an identity of {name}, which this device does not use"
        hint = f"`sudo pi-iot-agent deprovision --thing {name}` removes it here and at AWS"
        yield verdict.of(conditions.LEFTOVER_CERTIFICATE, WARN, text, hint)


def of_needless_key(config: Config) -> Iterator[Finding]:
    """A warning of the AWS key, or claim, that a registered device needs no more."""
    left, hint = claim_left(config)
    if left:
        yield Finding(WARN, "claim", left, hint)
    if has_key(config):
        text = f"{config.provisioning.credentials_file} has one, which a registered device needs"
        hint = "`sudo pi-iot-agent setup` erases it"
        yield Finding(WARN, "AWS key", f"{text} no more", hint)


def has_key(config: Config) -> bool:
    """True if the credentials file has an AWS key that this user can read."""
    with suppress(OSError, ConfigError):
        profile = config.aws.profile or access_key.DEFAULT_PROFILE
        return access_key.read(config.provisioning.credentials_file, profile).key is not None
    return False


def _renamed(config: Config, missing: CredentialsError) -> Finding | None:
    """The finding on a device that has a complete identity, under another name; else None."""
    names = other_things(config.paths.certs, config.thing.name)
    complete = [name for name in names if _is_complete(config, name)]
    if not complete:
        return None
    text = f"{missing.text}, but {config.paths.certs} has a complete identity of "
    hint = (
        f"if this device is {complete[0]}, set [thing] name to that; if not, "
        f"`sudo pi-iot-agent deprovision --thing {complete[0]}` removes it"
    )
    return verdict.of(conditions.UNPROVISIONED, FAIL, text + " and of ".join(complete), hint)


def _is_complete(config: Config, name: str) -> bool:
    with suppress(CredentialsError):
        return bool(load(replace(config, thing=replace(config.thing, name=name))))
    return False


def _unprovisioned(
    config: Config, missing: CredentialsError, known: Callable[[str], bool]
) -> Finding:
    """The reason why there is no certificate yet, as far as it can be told from here."""
    start = "start the service, which registers the device: `sudo systemctl start pi-iot-agent`"
    still = verdict.of(conditions.UNPROVISIONED, FAIL, missing.text, start)
    if config.provisioning.method == CLAIM:  # which takes no AWS key
        wrong = "; ".join(claim_warnings(config))
        hint = "`sudo pi-iot-agent setup --claim DIR` takes another claim"
        return verdict.of(conditions.PROVISIONING_REFUSED, FAIL, wrong, hint) if wrong else still
    return _of_key(config, still, known)


def _of_key(config: Config, still: Finding, known: Callable[[str], bool]) -> Finding:
    """Fault of the AWS key that is to register this device, or of its region."""
    file = config.provisioning.credentials_file
    profile = config.aws.profile or access_key.DEFAULT_PROFILE
    try:
        found = credentials_file.load(file)
        access_key.check(found, profile)
        if section := found.profile(profile):
            return _of_region(config, section.get("region", ""), still, known)
    except FileNotFoundError:
        pass
    except ConfigError as error:
        return verdict.of(conditions.PROVISIONING_REFUSED, FAIL, error.text, error.hint)
    except OSError as error:
        text = f"{file}: {error.strerror or 'cannot be read'}"
        if isinstance(error, PermissionError) and not is_service():
            return replace(still, text=f"{still.text}, and {text}", hint="run this with sudo")
        hint = f"make it a file that the user {SERVICE} may read, with an AWS key in it"
        return verdict.of(conditions.PROVISIONING_REFUSED, FAIL, text, hint)
    if any(name in os.environ for name in ELSEWHERE):
        return still
    text = f"{still.text}, and {file} has no AWS key to register this device with"
    return verdict.of(conditions.NO_AWS_CREDENTIALS, FAIL, text)


def _pem(found: Credentials) -> str:
    return files.read(found.certificate, follow=True).decode("ascii", "replace")


def _of_region(
    config: Config, beside_the_key: str, still: Finding, known: Callable[[str], bool]
) -> Finding:
    """A region that does not exist, if that is why the device is not registered; else `still`.

    Its name is unknown while that of another is known.
    """
    region = config.aws.region or beside_the_key
    doubt = region_doubt(region)
    if not doubt or config.aws.endpoint_url or known(control_plane(region)):
        return still
    if not known(control_plane(SURE)):
        return replace(still, hint=f"check [aws] region: {doubt}")
    hint = "set [aws] region to the one that the account is used in"
    return Finding(FAIL, "region", f"there is no region {region}: {doubt}", hint)


def _date(moment_s: float) -> str:
    with suppress(OSError, OverflowError, ValueError):
        return time.strftime("%Y-%m-%d", time.gmtime(moment_s))
    return "another age"
