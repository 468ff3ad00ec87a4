"""Access key of AWS to register with: what is one, and how it goes into the credentials file.

Only our profile's lines of that file are touched. No error quotes a value, which may be the secret.
"""

from __future__ import annotations

import os
import re

from agent import files
from agent.provisioning.credentials_file import (
    SECTION,
    CredentialsFile,
    load,
    mistake,
    option_name,
    parse,
)
from agent.value import Value, field

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

DEFAULT_PROFILE = "default"
TEMPORARY = "ASIA"

_ID, _SECRET, _TOKEN, _REGION = (
    "aws_access_key_id",
    "aws_secret_access_key",
    "aws_session_token",
    "region",
)
_KEY = {_ID, _SECRET, _TOKEN, "aws_security_token"}

#: Names that have the key come from elsewhere, some of them before a key that is written.
_ELSEWHERE = {
    *("role_arn", "source_profile", "credential_source", "web_identity_token_file", "mfa_serial"),
    *("sso_start_url", "sso_region", "sso_account_id", "sso_role_name", "sso_session"),
    *("credential_process", "login_session"),
}

#: Quotes that a person types, or copies, around a value.
QUOTES = "\"'`\u201c\u201d\u201e\u2018\u2019"


class AccessKey(Value):
    """An access key, with its session token if it is a temporary one; the repr has only the id."""

    id: str
    secret: str = field(secret=True)
    token: str = field(default="", secret=True)

    def problems(self) -> Iterator[tuple[str, str]]:
        """Problems with it, each as the name in the file and the problem in words."""
        if not secret_problem(self.id) and id_problem(self.secret, token=True) == "":
            yield _ID, f"this is the secret, and the id is in {_SECRET}"
            return
        problems = {
            _ID: id_problem(self.id, token=bool(self.token)),
            _SECRET: secret_problem(self.secret),
            _TOKEN: token_problem(self.token) if self.token else "",
        }
        yield from ((name, problem) for name, problem in problems.items() if problem)


class Profile(Value):
    """Content of a profile; `key` is None and `region` empty where it has none that can be used."""

    key: AccessKey | None = None
    region: str = ""


def id_problem(text: str, *, token: bool = False) -> str:
    """Problem with an access key id, in words; "" if there is none."""
    if problem := _in_the_way(text):
        return problem
    if not re.fullmatch(r"[A-Z0-9]{16,128}", text):
        return "expected 16 to 128 capital letters and digits, such as AKIA..."
    if text.startswith(TEMPORARY) and not token:
        return "is a temporary key without its session token; make one that begins with AKIA"
    return ""


def secret_problem(text: str) -> str:
    """Problem with a secret access key, which is not shown; "" if there is none."""
    if problem := _in_the_way(text):
        return problem
    if re.fullmatch(r"A[KS]IA[A-Z0-9]{12,}", text):
        return "is the id of a key, not its secret"
    if not re.fullmatch(r"[!-~]{1,256}", text):
        return "expected one word of plain characters"
    return ""


def token_problem(text: str) -> str:
    """Problem with a session token, which is not shown; "" if there is none."""
    if problem := _in_the_way(text):
        return problem
    return "" if re.fullmatch(r"[!-~]+", text) else "expected one word of plain characters"


def _in_the_way(text: str) -> str:
    """Part of a value that is none, as quotes and remarks, in words."""
    if not text:
        return "is empty"
    if "\n" in text:
        return "goes on in the next line, since that begins with a blank; take the blank away"
    if text[0] in QUOTES or text[-1] in QUOTES:
        return "stands in quotes; take them away"
    if re.search(r"\s[#;]", text):
        return "has a remark behind it; put that on a line of its own"
    return ""


def check(file: CredentialsFile, profile: str) -> None:
    """Raise ConfigError if `profile`, or the one that it builds on, cannot give a key.

    One that has no key at all is none of it.
    """
    if file.headers() and not file.has(profile):
        raise file.no_profile(profile)
    section = file.profile(profile)
    for name in (_ID, _SECRET):
        if (short := name.removeprefix("aws_")) in section:
            text = f"{short} in [{profile}] is called {name} here"
            raise mistake(file.path, text, file.line(profile, short))
    if {"role_arn", "mfa_serial"} <= section.keys():
        raise mistake(
            file.path,
            f"mfa_serial in [{profile}] asks for a code that nobody can type in here",
            file.line(profile, "mfa_serial"),
            hint="use a key that needs no second factor (MFA)",
        )
    for name in (profile, section.get("source_profile", profile)):
        key = _key(file.profile(name))
        for option, problem in key.problems() if key else ():
            line = file.line(name, option)
            text = f"{option} in [{name}]: {problem if line else 'is missing'}"
            raise mistake(file.path, text, line or file.line(name))


def read(path: Path, profile: str) -> Profile:
    """The profile in the file; an empty one if there is none. Raises ConfigError, OSError."""
    section = _load(path).profile(profile)
    key = _key(section)
    usable = key if key and not list(key.problems()) else None
    return Profile(usable, section.get(_REGION, ""))


def text_of(profile: str, key: AccessKey) -> str:
    """The text of a file with this key alone."""
    return "".join([f"[{profile}]\n", *_lines(_values(key))])


def save(
    path: Path, profile: str, key: AccessKey, region: str, *, owner: files.Owner | None = None
) -> None:
    """Put the key into the file, which only this user may read, or `owner`'s group too.

    It replaces whatever the profile has had its key from. Other profiles stay. Raises ConfigError,
    OSError.
    """
    values = _values(key) | {_REGION: region}
    _write(_load(path), profile, values, drop=_KEY | _ELSEWHERE | {_REGION}, owner=owner)


def erase(path: Path, profile: str, *, owner: files.Owner | None = None) -> None:
    """Take the key out of the file; wipe the file where nothing else is in it.

    Raises ConfigError, OSError.
    """
    before = _load(path)
    section = before.profile(profile)
    ours = {profile, f"profile {profile}"}
    if before.sections.keys() <= ours and section.keys() <= _KEY | {_REGION}:
        files.wipe(files.real(path))
    elif section:
        _write(before, profile, {}, drop=_KEY, owner=owner)


def _key(section: dict[str, str]) -> AccessKey | None:
    """The key of a profile, whatever is wrong with it; None if there is none."""
    if not {_ID, _SECRET} & section.keys():
        return None
    token = section.get("aws_security_token") or section.get(_TOKEN, "")
    return AccessKey(section.get(_ID, ""), section.get(_SECRET, ""), token)


def _values(key: AccessKey) -> dict[str, str]:
    values = {_ID: key.id, _SECRET: key.secret}
    return values | {_TOKEN: key.token} if key.token else values


def _lines(values: dict[str, str]) -> list[str]:
    return [f"{name} = {value}\n" for name, value in values.items()]


def _load(path: Path) -> CredentialsFile:
    try:
        return load(path)
    except FileNotFoundError:
        return CredentialsFile(path, "", {})


def _write(
    file: CredentialsFile,
    profile: str,
    values: dict[str, str],
    *,
    drop: set[str],
    owner: files.Owner | None,
) -> None:
    """Write the file with `values` in `profile`, and none else of what is to `drop`."""
    ours = {profile, f"profile {profile}"}
    wanted = {
        name: {k: v for k, v in section.items() if name not in ours or k not in drop}
        for name, section in file.sections.items()
    }
    if values:
        wanted[profile] = wanted.get(profile, {}) | values
    path = file.path
    new = _edited(file, profile, values, drop)
    if parse(path, new) != wanted:
        raise mistake(
            path,
            "is written in a way that only a person should change",
            hint=f"move {path} away, and try again",
        )
    if not path.parent.is_dir():
        files.make_directory(path.parent.parent, 0o755)
        files.make_directory(path.parent)
        if owner:
            os.chown(path.parent, *owner)
            files.set_mode(path.parent, 0o750)
    files.replace(files.real(path), new.encode(), mode=0o640 if owner else 0o600, owner=owner)


def _edited(file: CredentialsFile, profile: str, values: dict[str, str], drop: set[str]) -> str:
    """The text with `values` right below the profile's header, and without what is to `drop`."""
    lines = _lines(values)
    result: list[str] = []
    mine = dropped = False
    for line in file.lines():
        if header := SECTION.match(line):
            mine, dropped = header[1] in {profile, f"profile {profile}"}, False
            result.append(line if line.endswith("\n") else line + "\n")
            result += lines if header[1] == profile else []
            continue
        goes_on = dropped and line[:1].isspace() and line.strip()
        dropped = bool(goes_on) or (mine and option_name(line) in drop)
        if not dropped:
            result.append(line)
    if values and not any((h := SECTION.match(line)) and h[1] == profile for line in result):
        if result and not result[-1].endswith("\n"):
            result.append("\n")
        result += ["\n"] if result else []
        result += [f"[{profile}]\n", *lines]
    return "".join(result)
