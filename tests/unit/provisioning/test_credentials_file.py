"""The credentials file is read as people write it, and what is wrong is told by its line."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from agent.errors import ConfigError
from agent.provisioning.credentials_file import load

if TYPE_CHECKING:
    from pathlib import Path

ID, SECRET = "AKIAABCDEFGHIJKLMNOP", "hunter2/hunter2"
TEXT = f"[default]\naws_access_key_id = {ID}\naws_secret_access_key = {SECRET}\n"
SECTIONS = {"default": {"aws_access_key_id": ID, "aws_secret_access_key": SECRET}}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """The file, which is not there yet."""
    return tmp_path / "credentials"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("ends", ["\n", "\r\n", "\r"])
def test_marks_and_line_ends_of_windows_do_no_harm(path: Path, encoding: str, ends: str) -> None:
    """Nobody sees them in an editor."""
    path.write_bytes(TEXT.replace("\n", ends).encode(encoding))
    assert load(path).sections == SECTIONS
    assert SECRET not in repr(load(path))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (f'export AWS_ACCESS_KEY_ID="{ID}"\n', "line 1: is a command for a shell"),
        (f"[default]\nset AWS_SECRET_ACCESS_KEY={SECRET}\n", "line 2: is a command for a shell"),
        (f'$env:AWS_SECRET_ACCESS_KEY="{SECRET}"\n', "line 1: is a command for a shell"),
        (f"\nAccess key ID,Secret access key\n{ID},{SECRET}\n", "line 2: is of the AWS console's"),
        (f"[default]\n{ID},{SECRET}\n", "line 2: is of the AWS console's"),
        (f"AWSAccessKeyId={ID}\nAWSSecretKey={SECRET}\n", "line 1: is of the AWS console's"),
        (f'{{"SecretAccessKey": "{SECRET}"}}', "line 1: is JSON"),
        (f"aws_secret_access_key = {SECRET}\n", "line 1: stands above the first"),
        (f"{TEXT}{TEXT}", "line 4: begins a profile that the file has above"),
        (f"{TEXT}AWS_SECRET_ACCESS_KEY = {SECRET}\n", "line 4: sets again"),
        (f"{TEXT}\n{SECRET}\n", "line 5: is neither"),
        (f"{TEXT}\x00", "is not plain text"),
    ],
)
def test_a_mistake_is_told_by_its_line_and_never_quoted(path: Path, text: str, words: str) -> None:
    """The hint says what to do."""
    path.write_text(text)
    with pytest.raises(ConfigError, match=words) as caught:
        load(path)
    assert str(path) in caught.value.text
    assert caught.value.hint
    assert SECRET not in caught.value.text + caught.value.hint
    assert caught.value.__context__ is None or caught.value.__suppress_context__


def test_links_that_go_round_are_told(path: Path) -> None:
    """An error of the system, as for any file that cannot be read."""
    path.symlink_to(path)
    with pytest.raises(OSError, match=r"goes round|symbolic links|is a link"):
        load(path)


def test_what_is_no_utf_8_is_told_by_its_line(path: Path) -> None:
    """Its bytes are not shown."""
    path.write_bytes(f"{TEXT}# caf\xe9\n".encode("latin-1"))
    with pytest.raises(ConfigError, match=r"line 4: is not UTF-8 text"):
        load(path)


@pytest.mark.parametrize("what", ["pipe", "directory", "endless", "absent"])
def test_what_is_no_file_is_an_oserror_at_once(path: Path, what: str) -> None:
    """A pipe that nobody writes to is not waited for."""
    if what == "pipe":
        os.mkfifo(path)
    elif what == "directory":
        path.mkdir()
    elif what == "endless":
        path.symlink_to("/dev/zero")
    with pytest.raises(OSError, match=str(path) if what != "endless" else "zero"):
        load(path)


@pytest.mark.parametrize(
    ("header", "words"),
    [
        ("[Default]", r"line 1: is not \[default\]"),
        ("[DEFAULT]", r"line 1: is not \[default\]"),
        ("[ default ]", r"line 1: is not \[default\]"),
        ("[work]", "there is no profile 'default' in it; it has work"),
        (f"[{SECRET * 4}]", "there is no profile 'default' in it$"),
    ],
)
def test_a_missing_profile_is_told_with_the_one_that_may_be_meant(
    path: Path, header: str, words: str
) -> None:
    """A header that may be a secret is not shown."""
    path.write_text(TEXT.replace("[default]", header))
    found = load(path)
    assert not found.has("default")
    with pytest.raises(ConfigError, match=words) as caught:
        raise found.no_profile("default")
    assert SECRET not in caught.value.text


def test_a_profile_may_be_written_as_in_aws_s_other_file(path: Path) -> None:
    """There the header has the word profile in it."""
    path.write_text(f"[profile work]\nregion = eu-west-1\n[work]\naws_access_key_id = {ID}\n")
    found = load(path)
    assert found.has("work")
    assert found.profile("work") == {"region": "eu-west-1", "aws_access_key_id": ID}
    assert [found.line("work", name) for name in ("", "region", "aws_access_key_id")] == [1, 2, 4]
    assert found.line("work", "none") == 0
