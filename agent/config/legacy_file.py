"""The `iot_prov_config` of older devices: shell-like lines, which migrate by copying the file."""

from __future__ import annotations

import codecs
import re
from collections import deque

from agent.config.counted import MOTION
from agent.config.document import contents
from agent.config.fields import THING_NAME
from agent.config.legacy import PIN, Legacy
from agent.errors import ConfigError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pathlib import Path

_NAME = r"[A-Za-z_][A-Za-z0-9_]*"

#: A line up to its remark, which begins with a "#" outside of quotes and behind a blank.
_CODE = r"""(?:[^#'"\\]+|'[^']*'|"(?:[^"\\]|\\.)*"|\\.|(?<=\S)\#)*"""

#: A line that cannot be understood, and yet is meant to give the device its name.
_NAMES_THING = r"(?<![$\w{])THING_NAME\b"

#: Longer than any name or topic that AWS takes, and than any line that sets some.
_VALUE_LENGTH = 256
_CODE_LENGTH = 4096

_ADVICE = "; correct it, or set [thing] name in agent.toml"


def read(path: Path, data: bytes | None = None) -> Legacy:
    """The content of `path`, or `data` in place of it.

    It raises nothing: what is wrong is a `problem` or a warning.
    """
    if data is None:
        try:
            data = contents(path)
        except ConfigError as error:
            return Legacy(path, problem=f"{error}{_ADVICE}")
    values: dict[str, str] = {}
    problems: list[str] = []
    warnings: list[str] = []
    for place, line in enumerate(re.split(r"\r\n?|\n", _text(data)), start=1):
        try:
            values |= _assignments(line, values)
        except ValueError:
            if re.search(_NAMES_THING, line.replace("\0", "")):
                problems.append(f"line {place}: THING_NAME is not set as NAME=value")
            else:
                warnings.append(f"{path}: line {place}: is not NAME=value and is left out")
    known = {"THING_NAME", "TOPIC_DETECT", "SENSOR_NO"} & values.keys()
    if not (known or problems or warnings):
        warnings.append(f"{path}: sets no THING_NAME, TOPIC_DETECT or SENSOR_NO: it is of no use")
    thing = values.get("THING_NAME")
    if thing is not None and not re.fullmatch(THING_NAME, thing):
        problems.append("THING_NAME: AWS wants 1 to 128 of the characters a-z A-Z 0-9 : _ -")
    return Legacy(
        path,
        thing="" if problems else thing or "",
        topic=values.get("TOPIC_DETECT", ""),
        sensor=_sensor(values, path, warnings),
        problem=f"{path}: {problems[0]}{_ADVICE}" if problems else "",
        warnings=tuple(warnings),
    )


def _sensor(values: dict[str, str], path: Path, warnings: list[str]) -> dict[str, object] | None:
    """The motion sensor that an older device had, None without one; a warning is added."""
    if not {"TOPIC_DETECT", "SENSOR_NO"} & values.keys():
        return None
    # SENSOR_NO: the contact is normally open, so its line is low while it detects
    if values.get("SENSOR_NO", "") not in {"", "0", "1"}:
        warnings.append(f"{path}: SENSOR_NO: expected 0 or 1; taken as 0")
    active = "low" if values.get("SENSOR_NO") == "1" else "high"
    return {"name": MOTION, "driver": "gpio", "pin": PIN, "active": active}


def _text(data: bytes) -> str:
    """The text in `data`, which Notepad may have saved with a mark of its encoding."""
    marked = data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    return data.decode("utf-16" if marked else "utf-8-sig", errors="replace")


def _assignments(line: str, known: dict[str, str]) -> dict[str, str]:
    """Assignments in `line`; `known` values are put in for $NAME. Raises ValueError.

    It is read as a shell reads it, but for blanks round the "=", which are forgiven.
    """
    import shlex  # noqa: PLC0415 -- only older devices need it

    code = re.match(_CODE, line)
    end = code.end() if code else 0
    if line[end : end + 1] not in {"", "#"} or end > _CODE_LENGTH:
        raise ValueError("a quote is not closed, or the line is too long")
    words = deque(shlex.split(line[:end]))
    found: dict[str, str] = {}

    def meant(name: re.Match[str]) -> str:
        return found.get(name[1], known.get(name[1], name[0]))

    exported = bool(words) and words[0] == "export"
    if exported:
        words.popleft()
    while words:
        name, equals, value = words.popleft().partition("=")
        if not equals and words and words[0].startswith("="):
            equals, value = "=", words.popleft()[1:]
        if not equals and exported:
            continue  # it was assigned before
        if not equals or not re.fullmatch(_NAME, name):
            raise ValueError("no assignment")
        if not value and words and "=" not in words[0]:
            value = words.popleft()
        found[name] = re.sub(r"\$\{?(\w+)\}?", meant, value.strip())[:_VALUE_LENGTH]
    return found
