"""Answers come from flags, files, stdin and the environment; a secret is never shown."""

from __future__ import annotations

import argparse
import io
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from agent import config as configuration
from agent.cli import setup
from agent.cli.questions import Answers, Questions, UsageError
from agent.provisioning.access_key import AccessKey, Profile

if TYPE_CHECKING:
    from agent.config import Config

KEY_ID, SECRET = "AKIAABCDEFGHIJKLMNOP", "the/secret"
TEMPORARY, TOKEN = "ASIAABCDEFGHIJKLMNOP", "the/token" * 50
FLAGS = ("--name", "cat", "--region", "eu-west-1")


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No AWS settings, and nobody to ask."""
    for name in ("AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("sys.stdin", io.StringIO())


@pytest.fixture
def known(config: str) -> Config:
    """What the file says."""
    return configuration.load(Path(config), options_of=lambda _: dict, environment={})


def parsed(*flags: str) -> argparse.Namespace:
    """The arguments of `setup` with these flags."""
    parser = argparse.ArgumentParser()
    setup.add(parser.add_subparsers())
    return parser.parse_args(["setup", *flags])


def key(known: Config, *flags: str, stored: Profile | None = None) -> AccessKey | None:
    """The key in the answers that `setup` takes from these flags."""
    arguments = parsed(*FLAGS, *flags)
    answers: Answers = Questions(arguments).all(known, stored or Profile(), own_certificate=False)
    assert SECRET not in repr(answers)
    assert TOKEN not in repr(answers)
    return answers.key


def write(path: Path, text: str) -> str:
    """A file's name."""
    path.write_text(text)
    return str(path)


@pytest.mark.parametrize("source", ["files", "stdin", "environment", "mixed"])
def test_a_temporary_key_comes_with_its_session_token(
    known: Config, source: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From wherever the secret may come, and from a file beside any of them."""
    flags = ["--access-key-id", TEMPORARY]
    secret = write(tmp_path / "secret", f"\ufeff{SECRET}\r\n")
    token = write(tmp_path / "token", f"{TOKEN}\n")
    if source == "files":
        flags += ["--secret-file", secret, "--session-token-file", token]
    elif source == "stdin":
        monkeypatch.setattr("sys.stdin", io.StringIO(f"{SECRET}\n{TOKEN}\n"))
        flags += ["--secret-stdin"]
    elif source == "environment":
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
        monkeypatch.setenv("AWS_SESSION_TOKEN", TOKEN)
    else:
        monkeypatch.setenv("AWS_SESSION_TOKEN", "another")
        monkeypatch.setattr("sys.stdin", io.StringIO(f"{SECRET}\nanother\n"))
        flags += ["--secret-stdin", "--session-token-file", token]
    assert key(known, *flags) == AccessKey(TEMPORARY, SECRET, TOKEN)


def test_a_temporary_key_without_its_token_is_told(known: Config, tmp_path: Path) -> None:
    """With the ways to give it."""
    secret = write(tmp_path / "secret", SECRET)
    with pytest.raises(UsageError, match=r"--session-token-file.*AWS_SESSION_TOKEN") as caught:
        key(known, "--access-key-id", TEMPORARY, "--secret-file", secret)
    assert SECRET not in str(caught.value)


def test_a_lasting_key_takes_no_token(
    known: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One in the environment is another key's; one that is given by a flag is a mistake.

    Standard input is not read beyond the secret: whoever writes to it may not close it.
    """
    monkeypatch.setenv("AWS_SESSION_TOKEN", TOKEN)
    stdin = io.StringIO(f"{SECRET}\nthe rest\n")
    monkeypatch.setattr("sys.stdin", stdin)
    given = ("--access-key-id", KEY_ID)
    assert key(known, *given, "--secret-stdin") == AccessKey(KEY_ID, SECRET)
    assert stdin.read() == "the rest\n"
    files = ("--secret-file", write(tmp_path / "secret", SECRET))
    with pytest.raises(UsageError, match="temporary key alone"):
        key(known, *given, *files, "--session-token-file", write(tmp_path / "token", TOKEN))


def test_the_environment_counts_only_with_an_id(
    known: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What lies in a shell by chance replaces no stored key."""
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    monkeypatch.setenv("AWS_SESSION_TOKEN", TOKEN)
    stored = Profile(AccessKey(TEMPORARY, "old", "old"), "eu-west-1")
    assert key(known, stored=stored) is None


@pytest.mark.parametrize(
    ("key_id", "secret", "token", "words"),
    [
        (f'"{KEY_ID}"', SECRET, "", "--access-key-id: stands in quotes"),
        (KEY_ID, f"'{SECRET}'", "", "the secret access key stands in quotes"),
        (KEY_ID, f"{SECRET} # mine", "", "the secret access key has a remark behind it"),
        (KEY_ID, KEY_ID, "", "the secret access key is the id of a key"),
        (TEMPORARY, SECRET, f'"{TOKEN}"', "the session token stands in quotes"),
    ],
)
def test_what_is_no_part_of_a_key_is_told_without_it(  # noqa: PLR0917 -- a table's columns
    known: Config, tmp_path: Path, key_id: str, secret: str, token: str, words: str
) -> None:
    """In the words that tell it of the credentials file too."""
    flags = ["--access-key-id", key_id, "--secret-file", write(tmp_path / "secret", secret)]
    if token:
        flags += ["--session-token-file", write(tmp_path / "token", token)]
    with pytest.raises(UsageError, match=words) as caught:
        key(known, *flags)
    assert SECRET not in caught.value.text + caught.value.hint
    assert TOKEN not in caught.value.text + caught.value.hint


def test_a_region_that_only_the_service_tells_is_not_taken_unseen(known: Config) -> None:
    """Without a key nothing needs it; with one, the flag is missing."""
    arguments = parsed("--name", "cat")
    registered = ("cat", "eu-west-1")
    answers = Questions(arguments).all(
        known, Profile(), own_certificate=False, registered=registered
    )
    assert answers == Answers("cat", "", None)
    stored = Profile(AccessKey(KEY_ID, SECRET))
    with pytest.raises(UsageError, match=r"this is missing: --region$"):
        Questions(arguments).all(known, stored, own_certificate=False, registered=registered)


def test_a_name_that_only_the_service_tells_is_not_taken_unseen(known: Config) -> None:
    """With an AWS key it would become whatever that says; without one nothing is written."""
    region = "eu-west-1"
    stays = Questions(parsed("--region", region)).all(
        known, Profile(), own_certificate=False, registered=(known.thing.name, region), own_name="x"
    )
    assert (stays.name, stays.key) == ("", None)
    arguments = parsed("--region", region)
    stored = Profile(AccessKey(KEY_ID, SECRET))
    with pytest.raises(UsageError, match="this is missing: --name"):
        Questions(arguments).all(known, stored, own_certificate=False, own_name="x")
    named = parsed("--region", region, "--name", "cat")
    assert Questions(named).all(known, stored, own_certificate=False, own_name="x").name == "cat"


def test_what_is_there_already_is_looked_at_too(known: Config) -> None:
    """Where nobody is asked, a default that cannot be is refused."""
    stored = Profile(region='evil"\n[x]')
    with pytest.raises(UsageError, match=r"^--region is missing, and what is there does not do: "):
        Questions(parsed("--name", "cat")).all(known, stored, own_certificate=False)


def test_a_name_in_quotes_is_told_without_its_key(known: Config) -> None:
    """A person at a question, or at a flag, has no line of a file."""
    for quoted in ("\u201ccat\u201d", '"cat"'):
        with pytest.raises(UsageError, match=r"^--name: type it without quotes$"):
            key(known, "--name", quoted)
    with pytest.raises(UsageError, match=r"^--name: expected 1 to 128 of the characters"):
        key(known, "--name", "a cat")


@pytest.mark.parametrize("flag", ["--secret-file", "--session-token-file"])
def test_a_file_that_never_ends_or_is_missing_is_told(known: Config, flag: str) -> None:
    """By its flag; no more is read than a secret can be long."""
    more: tuple[str, ...] = ("--access-key-id", TEMPORARY)
    if flag != "--secret-file":
        more = (*more, "--secret-file", "/proc/self/comm")
    with pytest.raises(UsageError, match=f"{flag}: /dev/zero: is longer than"):
        key(known, *more, flag, "/dev/zero")
    with pytest.raises(UsageError, match=f"{flag}: /none: No such file"):
        key(known, *more, flag, "/none")


def test_a_line_that_never_ends_is_no_secret(
    known: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No more is read than a secret can be long."""
    monkeypatch.setattr("sys.stdin", io.StringIO("x y" * 100_000))
    with pytest.raises(UsageError, match="the secret access key"):
        key(known, "--access-key-id", KEY_ID, "--secret-stdin")
    assert len(sys.stdin.read()) > 200_000
