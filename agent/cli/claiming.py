"""Claim of a fleet, as `setup` takes it from a directory, and puts it where the service has it."""

from __future__ import annotations

import argparse
import os
from functools import partial
from pathlib import Path

from agent import account, files, ownership
from agent.cli.output import tell
from agent.cli.questions import ENDPOINT, TEMPLATE, UsageError
from agent.cli.service import as_service, ask_service
from agent.errors import EXIT_OK, ConfigError, CredentialsError, explained
from agent.identity import CLAIM, CLAIM_DIRECTORY, CLAIM_ON_TRIAL, erase_claim, load
from agent.provisioning import claim_given
from agent.value import Value, replace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from agent.cli.draft import Draft
    from agent.cli.questions import Questions
    from agent.config import Config
    from agent.provisioning.claim_given import ClaimGiven

#: Names below `<certs>/.claim`.
CERTIFICATE, KEY = "certificate.pem.crt", "private.pem.key"

#: The user for whom root runs this, as sudo(8) tells.
INVOKER = "SUDO_UID"


def _directory(text: str) -> Path:
    """A path. Raises ArgumentTypeError."""
    if not text:  # which would stand for where one is
        raise argparse.ArgumentTypeError("the path is empty")
    return Path(text)


def add(parser: argparse.ArgumentParser) -> None:
    """Declare the flags of a claim."""
    parser.add_argument(
        "--claim",
        type=_directory,
        metavar="DIR",
        help="register by this claim, without an AWS key: a directory with the certificate and its"
        " private key, or what `aws iot create-provisioning-claim` printed",
    )
    parser.add_argument("--template", metavar="NAME", help="the claim's provisioning template")
    parser.add_argument("--endpoint", metavar="HOST", help="the AWS IoT endpoint to register at")
    parser.add_argument(
        "--erase-claim",
        action="store_true",
        help="erase the claim after success (default for one that lives for minutes)",
    )


class ClaimAnswers(Value):
    """A claim that is given, if one is, with what has been answered of it."""

    given: ClaimGiven | None
    template: str = ""
    endpoint: str = ""
    erase: bool = False

    def use(self, draft: Draft) -> ClaimGiven | None:
        """Have the configuration say so; the claim that is to be placed then, if one is.

        A device that a claim has registered gets a new certificate by this one first; where that
        fails, nothing has changed. One that is erased after that leaves the configuration alone.
        Raises AgentError.
        """
        if not self.given:
            return None
        made_by = ask_service(partial(_made_by, draft.config))
        if made_by == CLAIM:
            self._renew(draft.config, self.given)
            if self.erase:
                return None
        elif made_by:
            raise UsageError(
                "--claim: this device is registered already, with an AWS key",
                hint="`sudo pi-iot-agent rotate` replaces its certificate; to have the claim"
                " register it, `sudo pi-iot-agent deprovision` first",
            )
        certs = draft.config.paths.certs / CLAIM_DIRECTORY
        for key, value in (
            (("provisioning", "method"), CLAIM),
            (TEMPLATE, self.template),
            (("provisioning", "claim_cert_file"), str(certs / CERTIFICATE)),
            (("provisioning", "claim_key_file"), str(certs / KEY)),
            (("provisioning", "erase_claim"), self.erase),
            (ENDPOINT, self.endpoint),
        ):
            draft.set(key, value)
        return self.given

    def _renew(self, config: Config, given: ClaimGiven) -> None:
        """Replace the certificate in use by one of the claim that is given."""
        if config.mqtt.endpoint and self.endpoint != config.mqtt.endpoint:
            raise UsageError(
                f"--endpoint: this device is registered at {config.mqtt.endpoint}",
                hint="to have it registered elsewhere, `sudo pi-iot-agent deprovision` first",
            )
        tell("This device is registered: the claim gets it a new certificate.")
        trial = config.paths.certs / CLAIM_ON_TRIAL
        about = replace(
            config.provisioning,
            method=CLAIM,
            template=self.template,
            claim_cert_file=trial / CERTIFICATE,
            claim_key_file=trial / KEY,
            erase_claim=False,
        )
        tried = replace(config, provisioning=about)
        as_service(partial(_try, tried, given, keep=not self.erase))


def _try(config: Config, given: ClaimGiven, *, keep: bool) -> int:
    """Rotate by a claim, as the service's user; it is placed for good only if it has done that."""
    from agent.cli.rotate import rotate  # noqa: PLC0415 -- all of it is the service's part

    certs = config.paths.certs
    try:
        place(certs, given, name=CLAIM_ON_TRIAL)
        rotate(config)
        if keep:
            place(certs, given)
    finally:
        erased = erase_claim(config)
    if not keep:
        tell(erased)
    return EXIT_OK


def _made_by(config: Config) -> str:
    """Method that registered this device, to be asked as the service; "" if none has."""
    try:
        identity = load(config).identity
    except CredentialsError:
        return ""
    return (identity.method or "keys") if identity else ""


def place(certs: Path, given: ClaimGiven, *, name: str = CLAIM_DIRECTORY) -> int:
    """Write a claim below `certs`, as the service's user; the exit code. Raises OSError."""
    directory = certs / name
    files.make_directory(directory)
    files.replace(directory / CERTIFICATE, given.certificate.encode())
    files.replace(directory / KEY, given.key.encode())
    return EXIT_OK


def answers(
    arguments: argparse.Namespace, questions: Questions, known: Config
) -> ClaimAnswers | None:
    """The answers where this device registers by claim, else None. Raises AgentError."""
    path: Path | None = arguments.claim
    if path is None:
        for flag in ("template", "endpoint", "erase_claim"):
            if getattr(arguments, flag):
                raise UsageError(f"--{flag.replace('_', '-')} goes with --claim")
        by_claim = known.provisioning.method == CLAIM and not known.mqtt.cert_file
        return ClaimAnswers(None) if by_claim else None
    if known.mqtt.cert_file:
        raise UsageError("--claim: [mqtt] cert_file is set: there is nothing to register")
    for flag in ("access_key_id", "secret_file", "secret_stdin", "session_token_file", "keep_key"):
        if getattr(arguments, flag):
            raise UsageError(f"--{flag.replace('_', '-')}: with --claim no AWS key is needed")
    given = read(path, owners=_trusted())
    template, endpoint = questions.of_claim(known)
    return ClaimAnswers(given, template, endpoint, arguments.erase_claim or given.temporary)


def _trusted() -> set[int] | None:
    """The users whose files root reads here: its own, and who called it; None for all."""
    if account.of_service() is None:
        return None
    invoker = os.environ.get(INVOKER, "")
    return {0, int(invoker)} if invoker.isdecimal() else {0}


def read(path: Path, *, owners: set[int] | None) -> ClaimGiven:
    """The claim that a flag names; with `owners`, unless others can lead there. Raises AgentError.

    What is wrong with the flag is a UsageError.
    """
    try:
        if owners and ownership.is_led_by_others(owners, path):
            raise UsageError(
                f"--claim: {path}: another user can lead root elsewhere on the way there",
                hint="copy the claim to a directory of yours, or of root's",
            )
        return claim_given.read(path, owners=owners)
    except PermissionError:
        with explained():
            raise
    except ConfigError as error:
        raise UsageError(f"--claim: {error.text}", hint=error.hint) from error
    except OSError as error:
        why = error.strerror or str(error)
        raise UsageError(f"--claim: {error.filename or path}: {why}") from error
