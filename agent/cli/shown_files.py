"""Files of the configuration as they may be shown: keys of ours with harmless values, nothing else.

Whatever a person, or a plug-in, has put there under a name of its own may be a secret. Remarks are
left out. Each function gives the text to show and the values that were held back.
"""

from __future__ import annotations

import json
import re
import shlex
import tomllib
from pathlib import Path

from agent.cli.harmless import FILE, HIDDEN, NAME, Shown, is_harmless, words
from agent.config import (
    Aws,
    Count,
    Digest,
    Mqtt,
    Paths,
    Provisioning,
    SensorConfig,
    StoreLimits,
    Thing,
)
from agent.config.rule import Rule
from agent.sensors import options_of
from agent.value import Value, ValueClass, fields

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from agent.cli.harmless import Check

    #: Keys of a table, and how their values are checked.
    Checks = Mapping[str, Check]


def _checks(kind: ValueClass) -> Checks:
    return {one.name: one.metadata["check"] for one in fields(kind) if "check" in one.metadata}


#: The tables and their keys.
TABLES: Mapping[str, Checks] = {
    name: _checks(kind)
    for name, kind in {
        "thing": Thing,
        "aws": Aws,
        "provisioning": Provisioning,
        "mqtt": Mqtt,
        "store": StoreLimits,
        "count": Count,
        "paths": Paths,
        "sensors": SensorConfig,
        "digest": Digest,
        "rules": Rule,
    }.items()
}

#: Names that stand in a text of lost lines, and are nobody's secret.
KEYS = {*TABLES, *(key for checks in TABLES.values() for key in checks)}

#: Keys whose values are a person's own: parameters of a template, words of a command.
OWN = {"parameters", "attributes", "command"}

#: What an older device has in its file, and the form of it.
OLD = {
    "THING_NAME": re.compile(r"[a-zA-Z0-9:_-]{1,128}"),
    "TOPIC_DETECT": re.compile(r"[a-zA-Z0-9:_/-]{1,256}"),
    "SENSOR_NO": re.compile(r"\d{1,3}"),
}

#: Header of a table; and what begins a text of many lines, in which nothing is what it seems.
HEADER = re.compile(
    r"(?P<header>(?P<array>\[)?\[\s*(?P<table>[\w.-]{1,64})\s*\](?(array)\]))\s*(?:#.*)?", re.ASCII
)
MANY_LINES = ('"""', "'''")


class Line(Value):
    """A line of a text that is no TOML: a header, or what it sets; or neither, where it is lost."""

    plain: str
    table: str
    header: str = ""
    found: dict[str, object] | None = None


def toml(text: str, base: Path = Path("/")) -> Shown:
    """An agent.toml in the directory `base`; one that is no TOML is gone through line by line."""
    kept: list[str] = []
    try:
        shown = list(_tables(tomllib.loads(text.removeprefix("\ufeff")), base, kept))
    except (ValueError, RecursionError):
        shown = list(_spoiled(text, base, kept))
    return Shown("\n".join(shown) + "\n", tuple(one for one in words(kept) if one not in KEYS))


def legacy(text: str) -> Shown:
    """An iot_prov_config."""
    kept: list[str] = []
    shown = []
    for line in re.split(r"\r\n?|\n", text):
        plain = line.strip()
        if not plain or plain.startswith("#"):
            continue
        name, _, value = plain.removeprefix("export ").partition("=")
        try:
            values = shlex.split(value, comments=True)
        except ValueError:
            values = []
        if name in OLD and len(values) == 1 and OLD[name].fullmatch(values[0]):
            shown.append(f"{name}={values[0]}")
        else:
            kept.append(value or plain)
            shown.append(f"{name}={HIDDEN}" if value and NAME.fullmatch(name) else HIDDEN)
    return Shown("\n".join(shown) + "\n", words(kept))


def lines(text: str) -> Iterator[Line]:
    """The lines of a text that is no TOML.

    What follows a bracket that goes with no line's end is lost up to the next header.
    """
    table, clear, lost = "", True, False
    for line in re.split(r"\r\n?|\n", text.removeprefix("\ufeff")):
        plain = line.strip()
        if not plain or plain.startswith("#"):
            continue
        lost = lost or any(quotes in plain for quotes in MANY_LINES)
        found = None
        if not lost and (header := HEADER.fullmatch(plain)):
            table, clear = header["table"], True
            yield Line(plain, table, header["header"])
            continue
        if clear and not lost:
            try:
                found = tomllib.loads(plain)
            except (ValueError, RecursionError):
                clear = not re.search(r"[\[{]", plain)
        yield Line(plain, table, found=found)


def _spoiled(text: str, base: Path, kept: list[str]) -> Iterator[str]:
    checks: Checks = {}
    for line in lines(text):
        if line.header:
            checks = TABLES.get(line.table, {})
            yield line.header
        elif line.found is None:
            kept.append(line.plain)
            key = line.plain.partition("=")[0].strip()
            yield f"{key} = {HIDDEN}" if key in checks else HIDDEN
        else:
            for key, value in line.found.items():
                if key == "driver":
                    checks = {**TABLES.get(line.table, {}), **_options(value)}
                yield f"{_key(key)} = {_shown(key, value, checks, base, kept)}"


def _tables(document: dict[str, object], base: Path, kept: list[str]) -> Iterator[str]:
    for name, value in document.items():
        for table in value if isinstance(value, list) else [value]:
            if name not in TABLES or not isinstance(table, dict):
                kept += _strings(table)
                yield f"{_key(name)} = {HIDDEN}"
                continue
            yield f"[[{name}]]" if isinstance(value, list) else f"[{name}]"
            more = _options(table.get("driver")) if name == "sensors" else {}
            for key, one in table.items():
                shown = _shown(key, one, {**TABLES[name], **more}, base, kept)
                yield f"{_key(key)} = {shown}"
            yield ""


def _shown(key: str, value: object, checks: Checks, base: Path, kept: list[str]) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if key in checks and key not in OWN and (value == "" or is_harmless(checks[key], value, base)):
        return json.dumps(value, default=str)
    if key == "command" and key in checks and isinstance(value, list) and value:
        kept += _strings(value[1:])
        program = str(value[0])
        if not FILE.fullmatch(program):  # a whole line for a shell
            kept.append(program)
            program = HIDDEN
        return json.dumps([program, *[HIDDEN] * (len(value) - 1)])
    kept += _strings(value)
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_key(name)} = {HIDDEN}" for name in value) + "}"
    return HIDDEN


def _options(driver: object) -> Checks:
    """The keys of a driver of ours; none of a plug-in's."""
    try:
        kind = options_of(driver) if isinstance(driver, str) else dict
    except Exception:  # noqa: BLE001 -- a plug-in that is broken is no reason to tell nothing
        return {}
    return _checks(kind) if issubclass(kind, Value) else {}


def _key(name: str) -> str:
    return name if NAME.fullmatch(name) else HIDDEN


def _strings(value: object) -> list[str]:
    """All the values in a TOML value, as strings."""
    if isinstance(value, dict):
        return [one for inner in value.values() for one in _strings(inner)]
    if isinstance(value, list):
        return [one for inner in value for one in _strings(inner)]
    return [] if isinstance(value, bool) else [str(value)]
