"""Claim of a fleet, as `setup` takes it from a directory, and puts it where the service has it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from agent import files
from agent.cli.questions import ENDPOINT, TEMPLATE, UsageError
from agent.errors import EXIT_OK, explained
from agent.identity import CLAIM, CLAIM_DIRECTORY
from agent.provisioning import claim_given

if TYPE_CHECKING:
    import argparse

    from agent.cli.draft import Draft
    from agent.cli.questions import Questions
    from agent.config import Config
    from agent.provisioning.claim_given import ClaimGiven

#: Names below `<certs>/.claim`.
CERTIFICATE, KEY = "certificate.pem.crt", "private.pem.key"


def add(parser: argparse.ArgumentParser) -> None:
    """Declare the flags of a claim."""
    parser.add_argument(
        "--claim",
        type=Path,
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


@dataclass(frozen=True, slots=True)
class ClaimAnswers:
    """A claim that is given, if one is, with what has been answered of it."""

    given: ClaimGiven | None
    template: str = ""
    endpoint: str = ""
    erase: bool = False

    def write(self, draft: Draft) -> None:
        """Have the configuration say so. Raises ConfigError."""
        if not self.given:
            return
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


def place(certs: Path, given: ClaimGiven) -> int:
    """Write a claim below `certs`, as the service's user; the exit code. Raises OSError."""
    directory = certs / CLAIM_DIRECTORY
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
    with explained():
        given = claim_given.read(path)
    template, endpoint = questions.of_claim(known)
    return ClaimAnswers(given, template, endpoint, arguments.erase_claim or given.temporary)
