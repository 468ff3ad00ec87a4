"""Questions of `setup`: each answered by a flag, else at a terminal, else by the default."""

from __future__ import annotations

import getpass
import os
import sys
from pathlib import Path

from agent.config import Aws, Mqtt, Provisioning, Thing, problem_with
from agent.errors import EXIT_USAGE, AgentError
from agent.provisioning import access_key
from agent.provisioning.access_key import AccessKey, Profile
from agent.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

    from agent.config import Config

SECRET_VARIABLE = "AWS_SECRET_ACCESS_KEY"  # noqa: S105 -- its name only
TOKEN_VARIABLE = "AWS_SESSION_TOKEN"  # noqa: S105 -- its name only
SECRET_FLAGS = f"--secret-file, --secret-stdin or {SECRET_VARIABLE}"
TOKEN_FLAGS = f"--session-token-file, a second line of --secret-stdin, or {TOKEN_VARIABLE}"

#: Bytes of a file with a secret or a session token, or of a line of it, at most.
LONGEST = 16384

NAME, REGION = ("thing", "name"), ("aws", "region")
TEMPLATE, ENDPOINT = ("provisioning", "template"), ("mqtt", "endpoint")


class UsageError(AgentError):
    """An answer is missing, or one that was given does not do."""

    exit_code = EXIT_USAGE


class Answers(Value):
    """Answers to the questions; `key` is None where the present one stays.

    `region` is "" where that of the registration stays, and nobody but the service tells it.
    """

    name: str
    region: str
    key: AccessKey | None


def at_terminal() -> bool:
    """True if a person can be asked."""
    return sys.stdin.isatty()


def add_key_flags(parser: argparse.ArgumentParser) -> None:
    """Declare the flags that give an AWS key; the secret is never one of them."""
    parser.add_argument("--access-key-id", metavar="ID", help="of the AWS key to use")
    secret = parser.add_mutually_exclusive_group()
    secret.add_argument("--secret-file", type=Path, metavar="FILE", help="the key's secret in it")
    secret.add_argument("--secret-stdin", action="store_true", help="read the secret from stdin")
    parser.add_argument(
        "--session-token-file", type=Path, metavar="FILE", help="a temporary key's session token"
    )


class Questions:
    """Gives each answer: from a flag, else from a person, else the default."""

    def __init__(self, arguments: argparse.Namespace) -> None:
        self._arguments = arguments
        self._asking = at_terminal() and not arguments.secret_stdin
        self._missing: list[str] = []

    def all(
        self,
        known: Config,
        stored: Profile,
        *,
        own_certificate: bool,
        registered: tuple[str, str] = ("", ""),
        own_name: str = "",
    ) -> Answers:
        """All answers. Raises UsageError, and OSError for a file with a secret.

        `registered` are name and region that this device is registered with: these need no key.
        The service's files tell them, so that such a region is taken from there only if a person
        sees it; else it is "". So it is with a name, where the owner's own would be `own_name`.
        """
        own = known.aws.region or stored.region
        name = self._answer(
            "--name",
            self._arguments.name,
            "Name of this device in AWS IoT",
            known.thing.name,
            lambda text: _problem(Thing, NAME, text),
        )
        region = self._answer(
            "--region",
            self._arguments.region,
            "AWS region, such as ap-northeast-1",
            own or registered[1],
            lambda text: _problem(Aws, REGION, text),
        )
        stays = (name, region) == registered
        key = None if own_certificate else self._key(stored, optional=stays)
        seen = self._asking or self._arguments.name
        if not seen and own_name not in ("", name):
            name = ""
            if key or stored.key:
                self._missing.append("--name")
        if not (own or self._asking or self._arguments.region):
            region = ""
            if (key or stored.key) and "--region" not in self._missing:
                self._missing.append("--region")
        self._check_missing()
        return Answers(name, region, key)

    def beside_claim(self) -> Answers:
        """Name and region where they are given: a claim needs neither, nor an AWS key."""
        given = (("--name", Thing, NAME, "name"), ("--region", Aws, REGION, "region"))
        for flag, kind, key, argument in given:
            text = getattr(self._arguments, argument)
            if text is not None and (problem := _problem(kind, key, text)):
                raise UsageError(f"{flag}: {problem}")
        return Answers(self._arguments.name or "", self._arguments.region or "", None)

    def of_claim(self, known: Config) -> tuple[str, str]:
        """Template and endpoint, which go with a claim. Raises UsageError."""
        template = self._answer(
            "--template",
            self._arguments.template,
            "Provisioning template in AWS IoT",
            known.provisioning.template,
            lambda text: _problem(Provisioning, TEMPLATE, text),
        )
        endpoint = self._answer(
            "--endpoint",
            self._arguments.endpoint,
            "AWS IoT endpoint, such as a1b2c3-ats.iot.ap-northeast-1.amazonaws.com",
            known.mqtt.endpoint,
            lambda text: _problem(Mqtt, ENDPOINT, text),
        )
        self._check_missing()
        return template, endpoint

    def key(self, *, hint: str) -> AccessKey | None:
        """The AWS key alone, in place of one that is not there. Raises UsageError, and OSError."""
        key = self._key(Profile(), optional=False)
        self._check_missing(hint)
        return key

    def _check_missing(self, hint: str = "give it, or run this at a terminal") -> None:
        if self._missing:
            raise UsageError(
                f"nobody can be asked here, and this is missing: {', '.join(self._missing)}",
                hint=hint,
            )

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
            elif problem := check(default):
                raise UsageError(f"{flag} is missing, and what is there does not do: {problem}")
            return default
        while True:
            answer = ask(f"{question} [{default}]: " if default else f"{question}: ") or default
            if not (problem := check(answer)):
                return answer
            print(f"  {problem}")

    def _key(self, stored: Profile, *, optional: bool) -> AccessKey | None:
        """The new key; None where the stored one stays, or where none is needed."""
        given = self._arguments.access_key_id
        default = stored.key.id if stored.key else ""
        secret_given = self._arguments.secret_file or self._arguments.secret_stdin
        optional = optional and not default and not secret_given
        if optional and given is None and not self._asking:
            return None
        key_id = self._answer(
            "--access-key-id",
            given,
            "AWS access key id" + (" (Enter: it stays registered as it is)" if optional else ""),
            default,
            lambda text: access_key.id_problem(text, token=True) if text or not optional else "",
        )
        if optional and not key_id:
            return None
        secret, token = self._given_secret(key_id if given else "")
        if secret is not None:
            if problem := access_key.secret_problem(secret):
                raise UsageError(f"the secret access key {problem}")
        elif self._asking:
            question = "AWS secret access key"
            secret = _asked(question, access_key.secret_problem, keeps=key_id == default)
        elif key_id != default or not (key_id or os.environ.get(SECRET_VARIABLE)):
            self._missing.append(SECRET_FLAGS)
        return AccessKey(key_id, secret, self._token(key_id, token)) if secret else None

    def _token(self, key_id: str, given: str) -> str:
        """The session token of a new key, which only a temporary one has."""
        temporary = key_id.startswith(access_key.TEMPORARY)
        if given:
            if problem := access_key.token_problem(given):
                raise UsageError(f"the session token {problem}")
            if key_id and not temporary:
                raise UsageError(
                    "a session token goes with a temporary key alone",
                    hint=f"give the id that it came with ({access_key.TEMPORARY}...), or no token",
                )
        elif temporary and self._asking:
            return _asked("AWS session token", access_key.token_problem)
        elif temporary:
            self._missing.append(TOKEN_FLAGS)
        return given

    def _given_secret(self, key_id: str) -> tuple[str | None, str]:
        """Secret and session token from files, stdin or, with an id given, the environment."""
        arguments = self._arguments
        temporary = key_id.startswith(access_key.TEMPORARY)
        secret, token = None, ""
        if arguments.secret_file:
            secret = _content("--secret-file", arguments.secret_file)
        elif arguments.secret_stdin:
            secret = sys.stdin.readline(LONGEST).strip()
            token = sys.stdin.readline(LONGEST).strip() if temporary else ""
        elif key_id:
            secret = os.environ.pop(SECRET_VARIABLE, None)  # no other process is to have it
        if arguments.session_token_file:
            token = _content("--session-token-file", arguments.session_token_file)
        elif temporary:
            token = token or os.environ.pop(TOKEN_VARIABLE, "")
        return secret, token


def _problem(kind: type, key: tuple[str, str], text: str) -> str:
    """The problem with a value that is typed, without the key's name; "" if there is none."""
    if not text:
        return "is empty"
    if {text[0], text[-1]} & set(access_key.QUOTES):
        return "type it without quotes"
    return problem_with(kind, *key, text).removeprefix(f"{'.'.join(key)}: ")


def key_given(arguments: argparse.Namespace) -> bool:
    """True if any flag gives a part of an AWS key."""
    given = (arguments.access_key_id, arguments.secret_file, arguments.session_token_file)
    return bool(arguments.secret_stdin) or any(one is not None for one in given)


def _content(flag: str, path: Path) -> str:
    """The one word in a file, which may be a pipe. Raises UsageError, PermissionError."""
    try:
        with path.open("rb") as file:
            data = file.read(LONGEST + 1)
    except PermissionError:
        raise
    except OSError as error:
        raise UsageError(f"{flag}: {path}: {error.strerror}") from None
    if len(data) > LONGEST:
        raise UsageError(f"{flag}: {path}: is longer than {LONGEST} bytes: it holds one word")
    return data.decode("utf-8-sig", errors="replace").strip()


def _asked(what: str, check: Callable[[str], str], *, keeps: bool = False) -> str:
    """Line that a person types without its being shown; "" where the stored one stays."""
    while True:
        answer = ask(f"{what} (not shown{'; Enter keeps it' if keeps else ''}): ", echo=False)
        if keeps and not answer:
            return ""
        if not (problem := check(answer)):
            return answer
        print(f"  {problem}")


def ask(question: str, *, echo: bool = True) -> str:
    """A line that a person types. Raises UsageError at the end of the input."""
    try:
        return (input(question) if echo else getpass.getpass(question)).strip()
    except EOFError:
        print()
        raise UsageError("the input ended before all was answered") from None
