"""Questions of `setup`: each answered by a flag, else at a terminal, else by the default."""

from __future__ import annotations

import getpass
import os
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from agent.config import Aws, Thing, problem_with
from agent.errors import EXIT_USAGE, AgentError
from agent.provisioning import access_key
from agent.provisioning.access_key import AccessKey

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

    from agent.config import Config
    from agent.provisioning.access_key import Profile

SECRET_VARIABLE = "AWS_SECRET_ACCESS_KEY"  # noqa: S105 -- its name only
SECRET_FLAGS = f"--secret-file, --secret-stdin or {SECRET_VARIABLE}"

NAME, REGION = ("thing", "name"), ("aws", "region")


class UsageError(AgentError):
    """An answer is missing, or one that was given does not do."""

    exit_code = EXIT_USAGE


@dataclass(frozen=True, slots=True)
class Answers:
    """Answers to the questions; `key` is None where the present one stays."""

    name: str
    region: str
    key: AccessKey | None


def at_terminal() -> bool:
    """True if a person can be asked."""
    return sys.stdin.isatty()


class Questions:
    """Gives each answer: from a flag, else from a person, else the default."""

    def __init__(self, arguments: argparse.Namespace) -> None:
        self._arguments = arguments
        self._asking = at_terminal() and not arguments.secret_stdin
        self._missing: list[str] = []

    def all(self, known: Config, stored: Profile, *, own_certificate: bool) -> Answers:
        """All answers. Raises UsageError."""
        name = self._answer(
            "--name",
            self._arguments.name,
            "Name of this device in AWS IoT",
            known.thing.name,
            lambda text: "is empty" if not text else problem_with(Thing, *NAME, text),
        )
        region = self._answer(
            "--region",
            self._arguments.region,
            "AWS region, such as ap-northeast-1",
            known.aws.region or stored.region,
            lambda text: "is empty" if not text else problem_with(Aws, *REGION, text),
        )
        key = None if own_certificate else self._key(stored)
        if self._missing:
            raise UsageError(
                f"nobody can be asked here, and this is missing: {', '.join(self._missing)}",
                hint="give it, or run this at a terminal",
            )
        return Answers(name, region, key)

    def _answer(
        self, flag: str, given: str | None, question: str, default: str, check: Callable[[str], str]
    ) -> str:
        if given is not None:
            if problem := check(given):
                raise UsageError(f"{flag}: {problem}")
            return given
        if not self._asking:
            if not default:
                self._missing.append(flag)
            return default
        while True:
            answer = ask(f"{question} [{default}]: " if default else f"{question}: ") or default
            if not (problem := check(answer)):
                return answer
            print(f"  {problem}")

    def _key(self, stored: Profile) -> AccessKey | None:
        """The new key; None where the stored one stays."""
        given = self._arguments.access_key_id
        default = stored.key.id if stored.key else ""
        key_id = self._answer(
            "--access-key-id", given, "AWS access key id", default, access_key.id_problem
        )
        secret = self._given_secret(key_id if given else "")
        if secret is not None:
            if problem := access_key.secret_problem(secret):
                raise UsageError(f"the secret access key {problem}")
        elif self._asking:
            keeps = key_id == default
            secret = self._asked_secret(keeps=keeps)
        elif key_id and key_id != default:
            self._missing.append(SECRET_FLAGS)
        return AccessKey(key_id, secret) if secret else None

    def _given_secret(self, key_id: str) -> str | None:
        """The secret from a file, stdin or, with an id on the command line, the environment."""
        if self._arguments.secret_file:
            content: bytes = self._arguments.secret_file.read_bytes()
            return content.decode(errors="replace").strip()
        if self._arguments.secret_stdin:
            return sys.stdin.readline().strip()
        return os.environ.get(SECRET_VARIABLE) if key_id else None

    def _asked_secret(self, *, keeps: bool) -> str:
        question = "AWS secret access key (not shown"
        while True:
            secret = ask(
                f"{question}; Enter keeps it): " if keeps else f"{question}): ", echo=False
            )
            if keeps and not secret:
                return ""
            if not (problem := access_key.secret_problem(secret)):
                return secret
            print(f"  {problem}")


def ask(question: str, *, echo: bool = True) -> str:
    """A line that a person types. Raises UsageError at the end of the input."""
    try:
        return (input(question) if echo else getpass.getpass(question)).strip()
    except EOFError:
        print()
        raise UsageError("the input ended before all was answered") from None
