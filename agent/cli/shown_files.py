"""Files of the configuration as they may be shown: what has a known key, and nothing else.

Whatever a person, or a plug-in, has put there under a name of its own may be a secret. Remarks are
left out. Each function gives the text to show and the values that it has kept back.
"""

from __future__ import annotations

import json
import re
import shlex
import tomllib
from dataclasses import fields, is_dataclass
from typing import TYPE_CHECKING, NamedTuple

from agent.cli.redaction import VALUE
from agent.config import (
    Aws,
    Count,
    Mqtt,
    Paths,
    Provisioning,
    SensorConfig,
    StoreLimits,
    Thing,
)
from agent.sensors import options_of

if TYPE_CHECKING:
    from collections.abc import Iterator

#: The tables and their keys.
TABLES = {
    name: {one.name for one in fields(kind) if "check" in one.metadata}
    for name, kind in {
        "thing": Thing,
        "aws": Aws,
        "provisioning": Provisioning,
        "mqtt": Mqtt,
        "store": StoreLimits,
        "count": Count,
        "paths": Paths,
        "sensors": SensorConfig,
    }.items()
}

#: Keys whose values are a person's own: parameters of a template, words of a command.
OWN = {"parameters", "attributes", "command"}

#: What an older device has in its file.
OLD = {"THING_NAME", "TOPIC_DETECT", "SENSOR_NO"}

#: Variables that a drop-in may set for all to see; of a proxy's, user and password are taken out.
PUBLIC = re.compile(r"(https?|no|all)_proxy|LANG|LC_\w+|TZ|TERM|PATH", re.IGNORECASE)

#: Directives of a unit with values of their own; of the second, what follows the program.
ENVIRONMENT = re.compile(r"(Environment|SetCredential\w*)\s*=")
COMMAND = re.compile(r"(Exec\w+)\s*=\s*(\S*)\s*(.*)")

#: Values, and words of them, that are shorter are found in any text.
WHOLE_LENGTH = 4
WORD_LENGTH = 6

USER = re.compile(r"""://([^\s"'@]*)@""")
PIN = re.compile(r"""pin-value=([^;&?\s"']+)""")

#: Drivers whose keys are shown in a text that is no TOML too.
COMMON_DRIVERS = ("gpio", "onewire", "iio", "exec")

HIDDEN = f"[redacted: {VALUE}]"


class Shown(NamedTuple):
    """The text to show, and the values that it was taken from."""

    text: str
    kept_back: tuple[str, ...] = ()


def toml(text: str) -> Shown:
    """An agent.toml; one that is no TOML is gone through line by line."""
    kept = _inside(text)
    try:
        lines = list(_tables(tomllib.loads(text.removeprefix("\ufeff")), kept))
    except (ValueError, RecursionError):
        lines = list(_lines(text, kept))
    return Shown("\n".join(lines) + "\n", _words(kept))


def legacy(text: str) -> Shown:
    """An iot_prov_config."""
    kept: list[str] = []
    lines = []
    for line in text.splitlines():
        name, equals, value = line.strip().removeprefix("export ").partition("=")
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        if equals and name in OLD:
            lines.append(f"{name}={value.partition('#')[0].strip()}")
        else:
            kept.append(value if equals else line)
            shown = name if equals and re.fullmatch(r"\w+", name) else ""
            lines.append(f"{shown}={HIDDEN}" if shown else HIDDEN)
    return Shown("\n".join(lines) + "\n", _words(kept))


def unit(text: str) -> Shown:
    """A unit of systemd, or a drop-in of one."""
    kept = _inside(text)
    lines = []
    for line in text.replace("\\\n", " ").splitlines():
        if line.lstrip().startswith(("#", ";")):
            continue
        if found := ENVIRONMENT.match(line):
            lines.append(f"{found[0]}{' '.join(_variables(line[found.end() :], kept))}")
        elif command := COMMAND.match(line):
            kept.append(command[3])
            lines.append(f"{command[1]}={command[2]}" + (f" {HIDDEN}" if command[3] else ""))
        else:
            lines.append(line)
    return Shown("\n".join(lines) + "\n", _words(kept))


def _variables(text: str, kept: list[str]) -> Iterator[str]:
    try:
        words = shlex.split(text)
    except ValueError:
        words = [text]
    for word in words:
        name, _, value = word.partition("=")
        if PUBLIC.fullmatch(name):
            yield word
        else:
            kept.append(value or word)
            yield f"{name}={HIDDEN}" if value and re.fullmatch(r"\w+", name) else HIDDEN


def _tables(document: dict[str, object], kept: list[str]) -> Iterator[str]:
    for name, value in document.items():
        for table in value if isinstance(value, list) else [value]:
            if name not in TABLES or not isinstance(table, dict):
                kept += _strings(table)
                yield f"{_key(name)} = {HIDDEN}"
                continue
            yield f"[[{name}]]" if isinstance(value, list) else f"[{name}]"
            known = TABLES[name] | (_options(table.get("driver")) if name == "sensors" else set())
            for key, one in table.items():
                yield f"{_key(key)} = {_shown(key, one, known, kept)}"
            yield ""


def _shown(key: str, value: object, known: set[str], kept: list[str]) -> str:
    if key in known and key not in OWN:
        return json.dumps(value, default=str)
    if isinstance(value, bool):
        return str(value).lower()
    if key == "command" and isinstance(value, list) and value:
        kept += _strings(value[1:])
        return json.dumps([str(value[0]), *[HIDDEN] * (len(value) - 1)])
    if isinstance(value, dict):
        kept += _strings(value)
        return "{" + ", ".join(f"{_key(name)} = {HIDDEN}" for name in value) + "}"
    kept += _strings(value)
    return HIDDEN


def _options(driver: object) -> set[str]:
    """The keys of a driver of ours; none of a plug-in's."""
    try:
        kind = options_of(driver) if isinstance(driver, str) else dict
    except Exception:  # noqa: BLE001 -- a plug-in that is broken is no reason to tell nothing
        return set()
    return {one.name for one in fields(kind)} if is_dataclass(kind) else set()


def _lines(text: str, kept: list[str]) -> Iterator[str]:
    """The lines of a text that is no TOML, as far as each is a header, or has a known key."""
    known = set().union(*TABLES.values(), *map(_options, COMMON_DRIVERS)) - OWN
    for line in text.splitlines():
        plain = line.strip()
        if not plain or plain.startswith("#"):
            continue
        key, equals, value = (part.strip() for part in plain.partition("="))
        if re.fullmatch(r"\[{1,2}\s*[\w.-]+\s*\]{1,2}", plain):
            yield plain
        elif equals and key in known:
            yield f"{key} = {value.partition('#')[0].strip()}"
        else:
            kept.append(value if equals else plain)
            yield f"{key} = {HIDDEN}" if equals and re.fullmatch(r"[\w.-]+", key) else HIDDEN


def _key(name: str) -> str:
    return name if re.fullmatch(r"[\w.-]{1,64}", name) else HIDDEN


def _strings(value: object) -> list[str]:
    """All the values in a TOML value, as strings."""
    if isinstance(value, dict):
        return [one for inner in value.values() for one in _strings(inner)]
    if isinstance(value, list):
        return [one for inner in value for one in _strings(inner)]
    return [] if isinstance(value, bool) else [str(value)]


def _inside(text: str) -> list[str]:
    """Users and passwords of URLs in a text, and PINs of tokens."""
    return [one for user in USER.findall(text) for one in user.split(":")] + PIN.findall(text)


def _words(kept: list[str]) -> tuple[str, ...]:
    """The values whole, and words of them that are long enough and no path."""
    found: dict[str, None] = {}
    for value in kept:
        whole = value.strip().strip("\"'")
        words = re.split(r"""[\s"',;=\[\](){}]+""", value)
        flags = [one[2:] for one in words if re.match("-[^-]", one)]  # such as -pSECRET
        for one in (whole, *_inside(value)):
            if len(one) >= WHOLE_LENGTH and not re.fullmatch(r"\d*\.\d*|/.*", one):
                found[one] = None
        for one in (*words, *flags):
            if len(one) >= WORD_LENGTH and not one.startswith(("/", "-")):
                found[one] = None
    return tuple(found)
