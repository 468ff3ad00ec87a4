"""Enrolment by a person's `setup`: the registration as the service, and the AWS key's way after."""

from __future__ import annotations

import time
from functools import partial

from agent.cli.output import complain, tell
from agent.cli.service import as_service, key_owner
from agent.errors import EXIT_OK, EXIT_REFUSED, BadKeyError, BusyError, explained
from agent.identity import CLAIM
from agent.provisioning import access_key

TYPE_CHECKING = False
if TYPE_CHECKING:
    from agent.config import Config
    from agent.provisioning.access_key import AccessKey

#: Longest wait for a registration that somebody else has begun.
BUSY_S = 120.0

#: Exit code of the part that registers, where AWS does not know the key; setup's is EXIT_REFUSED.
EXIT_BAD_KEY = 79


def enrol(config: Config, key: AccessKey | None, *, keep: bool) -> None:
    """Register this device, and keep the AWS key only as long as it is needed."""
    began_s, done, wrong = time.monotonic(), False, False
    try:
        as_service(partial(_register, config, key))
        done = True
        tell(f"registered, {time.monotonic() - began_s:.1f} s")
    except SystemExit as end:
        wrong = end.code == EXIT_BAD_KEY
        raise SystemExit(EXIT_REFUSED if wrong else end.code) from None
    finally:
        if config.provisioning.method != CLAIM:
            with explained():
                _settle_key(config, key, keep=(keep or not done) and not wrong, done=done)


def profile_of(config: Config) -> str:
    """Name of the profile of the credentials file that is used."""
    return config.aws.profile or access_key.DEFAULT_PROFILE


def _register(config: Config, key: AccessKey | None) -> int:
    """Register; an attempt of the agent's own, which may have begun before, goes first.

    The exit code, which tells root of a key that AWS calls wrong.
    """
    from agent.cli.registration import register  # noqa: PLC0415 -- boto3 is never loaded as root

    until_s, told = time.monotonic() + BUSY_S, False
    while True:
        try:
            register(config, key=key)
        except BadKeyError as error:
            complain(error)
            return EXIT_BAD_KEY
        except BusyError as busy:
            if time.monotonic() > until_s:
                raise
            if not told:
                tell(f"{busy.text}; waiting for it")
            told = True
            time.sleep(2)
        else:
            return EXIT_OK


def _settle_key(config: Config, given: AccessKey | None, *, keep: bool, done: bool) -> None:
    """Write the key that was given, or, once it is `done`, take away what is there.

    Raises ConfigError, OSError.
    """
    file, profile = config.provisioning.credentials_file, profile_of(config)
    if keep and given:
        access_key.save(file, profile, given, config.aws.region, owner=key_owner())
        why = "kept as asked" if done else "kept, so that the agent can try again"
        tell(f"{file}: AWS key {given.id}, {why}")
    elif not keep and done:
        there = access_key.read(file, profile).key is not None
        access_key.erase(file, profile, owner=key_owner())
        told = f"{file}: the AWS key is erased" if there else "The AWS key was written nowhere"
        tell(f"{told} (--keep-key keeps it).")
    elif given:
        tell(f"The AWS key {given.id} was written nowhere, since it is wrong.")
