"""Access key of AWS to register with, and the credentials file that it lies in.

The file is AWS's own (an INI file with a section for each profile). Only our profile's lines are
touched. No error quotes a line of it, which may be the secret.
"""

from __future__ import annotations

import configparser
import os
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from agent import files
from agent.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path

DEFAULT_PROFILE = "default"

_ID, _SECRET, _TOKEN, _REGION = (
    "aws_access_key_id",
    "aws_secret_access_key",
    "aws_session_token",
    "region",
)
_SECTION = re.compile(r"\[([^]]+)\]")


@dataclass(frozen=True, slots=True)
class AccessKey:
    """An access key; its secret is in no repr."""

    id: str
    secret: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Profile:
    """Content of a profile; `key` is None and `region` empty where it has none."""

    key: AccessKey | None = None
    region: str = ""


def id_problem(text: str) -> str:
    """Problem with an access key id, in words; "" if there is none."""
    if text.startswith("ASIA"):
        return "is a temporary key, which ends within hours; make one that begins with AKIA"
    if not re.fullmatch(r"[A-Z0-9]{16,128}", text):
        return "expected 16 to 128 capital letters and digits, such as AKIA..."
    return ""


def secret_problem(text: str) -> str:
    """Problem with a secret access key, which is not shown; "" if there is none."""
    if not text:
        return "is empty"
    if not re.fullmatch(r"[!-~]{1,256}", text):
        return "expected one word of plain characters"
    return ""


def read(path: Path, profile: str) -> Profile:
    """The profile in the file; an empty one if there is none. Raises ConfigError, OSError."""
    section = _sections(_content(path), path).get(profile, {})
    key_id, secret = section.get(_ID, ""), section.get(_SECRET, "")
    key = AccessKey(key_id, secret) if key_id and secret else None
    return Profile(key, section.get(_REGION, ""))


def save(
    path: Path, profile: str, key: AccessKey, region: str, *, owner: files.Owner | None = None
) -> None:
    """Put the key into the file, which only this user may read, or `owner`'s group too.

    Other profiles stay. Raises ConfigError, OSError.
    """
    values = {_ID: key.id, _SECRET: key.secret, _REGION: region}
    _write(path, profile, values, owner=owner)


def erase(path: Path, profile: str, *, owner: files.Owner | None = None) -> None:
    """Take the key out of the file; wipe the file where nothing else is in it.

    Raises ConfigError, OSError.
    """
    before = _sections(_content(path), path)
    section = before.get(profile, {})
    if set(before) <= {profile} and set(section) <= {_ID, _SECRET, _TOKEN, _REGION}:
        files.wipe(path.resolve())
    elif section:
        region = {_REGION: section[_REGION]} if _REGION in section else {}
        _write(path, profile, region, owner=owner)


def _write(
    path: Path, profile: str, values: dict[str, str], *, owner: files.Owner | None = None
) -> None:
    """Write the file with `values` for all that is ours in `profile`."""
    text = _content(path)
    wanted = _sections(text, path)
    kept = wanted.get(profile, {}).items()
    wanted[profile] = {k: v for k, v in kept if k not in {_ID, _SECRET, _TOKEN, _REGION}} | values
    new = _edited(text, profile, values)
    if _sections(new, path) != wanted:
        raise _unusual(path)
    if not path.parent.is_dir():
        files.make_directory(path.parent)
        if owner:
            os.chown(path.parent, *owner)
            files.set_mode(path.parent, 0o750)
    files.replace(path.resolve(), new.encode(), mode=0o640 if owner else 0o600, owner=owner)


def _edited(text: str, profile: str, values: dict[str, str]) -> str:
    """The text with `values` right below the profile's header and its old ones taken out."""
    lines = [f"{name} = {value}\n" for name, value in values.items()]
    result: list[str] = []
    mine = dropped = False
    for line in text.splitlines(keepends=True):
        if header := _SECTION.match(line):
            mine, dropped = header[1] == profile, False
            result.append(line if line.endswith("\n") else line + "\n")
            result += lines if mine else []
            continue
        name = re.split("[=:]", line, maxsplit=1)[0].strip().lower()
        goes_on = dropped and line[:1].isspace() and line.strip()
        dropped = bool(goes_on) or (mine and name in {_ID, _SECRET, _TOKEN, _REGION})
        if not dropped:
            result.append(line)
    if not any((header := _SECTION.match(line)) and header[1] == profile for line in result):
        if result and not result[-1].endswith("\n"):
            result.append("\n")
        result += ["\n"] if result else []
        result += [f"[{profile}]\n", *lines]
    return "".join(result)


def _content(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return ""
    except UnicodeDecodeError:
        raise _unusual(path) from None


def _sections(text: str, path: Path) -> dict[str, dict[str, str]]:
    parser = configparser.RawConfigParser()
    try:
        parser.read_string(text)
    except configparser.Error:
        raise _unusual(path) from None
    return {name: dict(parser[name]) for name in parser.sections()}


def _unusual(path: Path) -> ConfigError:
    return ConfigError(
        [f"{path}: is not in the usual format of an AWS credentials file"],
        hint=f"move {path} away, and try again",
    )
