"""Credentials file of AWS: read with care, and what is wrong in it told by its line.

It is AWS's own INI file, with a section for each profile. No error quotes a line of it, which may
be the secret.
"""

from __future__ import annotations

import codecs
import configparser
import io
import re

from agent import files
from agent.errors import ConfigError
from agent.value import Value, field

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pathlib import Path

SECTION = re.compile(r"\[([^]]+)\]")

#: How an AWS key is written, for a hint.
FORM = (
    "write an AWS key as three lines: [default], aws_access_key_id = AKIA...,"
    " aws_secret_access_key = ..."
)

_MARKS = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}

#: What people put there instead, by a line that tells.
_OTHER_FORMS = {
    r"\s*(export|set|setx|declare -x|\$env:)\s*AWS_\w+": "is a command for a shell",
    r"[^=]*access key id[^=]*,|AKIA\w+,|AWSAccessKeyId": "is of the AWS console's CSV file",
    r"\s*\{": "is JSON",
}

#: A profile's name that can be shown: a secret is longer.
_SHOWN = re.compile(r"[a-zA-Z][\w.@ -]{0,30}")


class CredentialsFile(Value):
    """A file that has been read: its text, and what each of its sections holds."""

    path: Path
    text: str = field(secret=True)
    sections: dict[str, dict[str, str]] = field(secret=True)

    def profile(self, name: str) -> dict[str, str]:
        """Content of a profile, as AWS's tools see it; empty if there is none."""
        return self.sections.get(f"profile {name}", {}) | self.sections.get(name, {})

    def has(self, name: str) -> bool:
        """True if there is such a profile."""
        return not self.sections.keys().isdisjoint({name, f"profile {name}"})

    def line(self, profile: str, name: str = "") -> int:
        """Number of the line that has `name`, or the profile's header; 0 if there is none."""
        here = False
        for number, line in enumerate(self.text.split("\n"), 1):
            if header := SECTION.match(line):
                here = header[1] in {profile, f"profile {profile}"}
                if here and not name:
                    return number
            elif here and name == option_name(line):
                return number
        return 0

    def no_profile(self, name: str) -> ConfigError:
        """The error where a profile is not in the file, with the one that may be meant."""
        headers = self.headers()
        for header in headers:
            if header.strip().lower() == name.lower():
                text = f"is not [{name}]: blanks and capital letters count"
                return mistake(self.path, text, self.line(header), f"write [{name}] there")
        names = ", ".join(header for header in headers if _SHOWN.fullmatch(header))
        has = f"; it has {names}" if names else ""
        return mistake(
            self.path,
            f"there is no profile {name!r} in it{has}",
            hint="add it to the file, or set [aws] profile",
        )

    def headers(self) -> list[str]:
        """The names in brackets, in their order, [DEFAULT] among them."""
        return [found[1] for found in map(SECTION.match, self.lines()) if found]

    def lines(self) -> list[str]:
        """The lines of the text, with their ends."""
        return list(io.StringIO(self.text))


def option_name(line: str) -> str:
    """The name that a line gives a value to, in small letters, as configparser reads it."""
    return re.split("[=:]", line, maxsplit=1)[0].strip().lower()


def load(path: Path) -> CredentialsFile:
    """The file, whose links are followed. Raises ConfigError, and OSError if it cannot be read."""
    text = _text(path, files.read(path, follow=True))
    for number, line in enumerate(text.split("\n"), 1):
        for form, what in _OTHER_FORMS.items():
            if re.match(form, line, re.IGNORECASE):
                raise mistake(path, f"{what}, not of an AWS credentials file", number, FORM)
    return CredentialsFile(path, text, parse(path, text))


def parse(path: Path, text: str) -> dict[str, dict[str, str]]:
    """The sections in the text of the file `path`. Raises ConfigError."""
    parser = configparser.RawConfigParser()
    try:
        parser.read_string(text)
    except configparser.Error as error:
        raise _misread(path, error) from None
    return {name: dict(parser[name]) for name in parser.sections()}


def mistake(path: Path, text: str, line: int = 0, hint: str = FORM) -> ConfigError:
    """The error for something to mend in the file."""
    where = f"line {line}: " if line else ""
    return ConfigError([f"{path}: {where}{text}"], hint=hint)


def _text(path: Path, data: bytes) -> str:
    encoding = next((name for mark, name in _MARKS.items() if data.startswith(mark)), "utf-8")
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise mistake(path, "is not UTF-8 text", line, "save it as plain text in UTF-8") from None
    if "\0" in text:
        raise mistake(path, "is not plain text", hint="save it as plain text in UTF-8")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _misread(path: Path, error: configparser.Error) -> ConfigError:
    """The mistake that configparser found; its own words quote the line."""
    if isinstance(error, configparser.DuplicateSectionError):
        text, hint = "begins a profile that the file has above", "put both into one"
    elif isinstance(error, configparser.DuplicateOptionError):
        text, hint = "sets again what a line above sets", "keep one of the two"
    elif isinstance(error, configparser.MissingSectionHeaderError):
        text, hint = "stands above the first [profile]", FORM
    else:
        text, hint = "is neither [profile] nor `name = value`", FORM
    line = getattr(error, "lineno", None) or next(iter(getattr(error, "errors", ())), (0,))[0]
    return mistake(path, text, line, hint)
