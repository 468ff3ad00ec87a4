"""Fields of the settings: each declares its default and the check of its values.

A value class declares each key beside its name: `port: int = integer(8883, 1, 65535)`. `...` as the
default makes a key required. Rules between keys go into `__post_init__`, which raises
`ValueError("key: what is wrong")`. `tables.read` makes one from a TOML table.
"""

from __future__ import annotations

import json
import re
import sys

from agent.value import field

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path
    from types import EllipsisType
    from typing import TypeVar

    #: Turns a TOML value into the field's own, relative paths taken from the second argument.
    #: Raises ValueError with the problem in words.
    Check = Callable[[object, Path], object]

    T = TypeVar("T")
    N = TypeVar("N", int, float)

#: Names that AWS IoT takes for a thing (CreateThing, AWS IoT API).
THING_NAME = r"[a-zA-Z0-9:_-]{1,128}"

_SHOWN = 80
_CURLY = re.compile("^[\u2018-\u201f\u00ab]|[\u2018-\u201f\u00bb]$")
_CONTROLS = re.compile(r"[\x01-\x1f\x7f]")  # execve(2) takes all but NUL
_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")


def integer(default: int | EllipsisType | None, low: int, high: int) -> int:
    """A whole number from `low` to `high`."""

    def check(value: object, _base: Path) -> int:
        if isinstance(value, bool) or not isinstance(value, int):
            raise misfit("an integer", value, r"-?\d+")
        return within(value, low, high)

    return declare(default, check)


def number(default: float | EllipsisType | None, low: float, high: float) -> float:
    """A number from `low` to `high`, with decimals or without."""

    def check(value: object, _base: Path) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise misfit("a number", value, r"-?\d+(\.\d+)?")
        return float(within(value, low, high))

    return declare(default, check)


def boolean(*, default: bool | EllipsisType) -> bool:
    """`true` or `false`."""

    def check(value: object, _base: Path) -> bool:
        if not isinstance(value, bool):
            raise misfit("true or false", value, "true|false")
        return value

    return declare(default, check)


def choice(default: str | EllipsisType, *known: str) -> str:
    """One of the strings in `known`."""

    def check(value: object, _base: Path) -> str:
        if value not in known:
            expected = " or ".join(f'"{name}"' for name in known)
            raise misfit(expected, value)
        return value

    return declare(default, check, blank=True)


def text(default: str | EllipsisType, pattern: str = ".*", meaning: str = "any text") -> str:
    """A string that `pattern` matches as a whole; `meaning` says the same in words."""

    def check(value: object, _base: Path) -> str:
        plain = string(value)
        if not re.fullmatch(pattern, plain):
            small = plain.lower()
            fits = re.escape(plain) if re.fullmatch(pattern, small) else ""
            raise misfit(meaning, value, fits, f"in small letters: {show(small)}")
        return plain

    return declare(default, check, blank=True)


def command(default: tuple[str, ...] | EllipsisType) -> tuple[str, ...]:
    """A program and its arguments, a list of strings; one that is a script may have lines."""

    def check(value: object, _base: Path) -> tuple[str, ...]:
        if not isinstance(value, list) or not value:
            words = re.split(r"\s+", str(value).strip())  # but for what only a shell could split
            typed = f"type {json.dumps(words)}" if any(words) else "name a program"
            raise misfit('a list of strings such as ["a", "b"]', value, "[^\"']{0,80}", typed)
        for word in value:
            string(_CONTROLS.sub(" ", word) if isinstance(word, str) else word)
        if not value[0].strip():
            raise ValueError("the program is missing: the first string is empty")
        return tuple(value)

    return declare(default, check)


def names(pattern: str = ".*", meaning: str = "", most: int = 1000) -> tuple[str, ...]:
    """A string, or a list of different ones, which may be empty; `pattern` matches each.

    `meaning` says the same in words, such as "the name of a group"; there are `most` at most.
    """

    def check(value: object, _base: Path) -> tuple[str, ...]:
        found = tuple(string(one) for one in (value if isinstance(value, list) else [value]))
        if "" in found:
            raise ValueError("an empty string is no name; for none of them: []")
        if len(set(found)) < len(found):
            raise misfit('a string, or a list of different ones such as ["a", "b"]', value)
        if wrong := [one for one in found if not re.fullmatch(pattern, one)]:
            raise ValueError(*(f"expected {meaning}, got {seen(one)}" for one in wrong))
        if len(found) > most:
            raise ValueError(f"has {len(found)} names, and may have {most}")
        return found

    return declare((), check, blank=True)


def bands() -> Mapping[str, float]:
    """A number from 0 for every quantity, kept under the empty name, or a table of them by name."""

    def check(value: object, _base: Path) -> Mapping[str, float]:
        table = value if isinstance(value, dict) else {"": value}
        found: dict[str, float] = {}
        for name, band in table.items():
            if isinstance(band, bool) or not isinstance(band, int | float) or not band >= 0:
                where = f"{dotted(name)}: " if name else ""
                raise ValueError(f"{where}expected a number from 0, got {show(band)}")
            found[name] = float(min(band, sys.float_info.max))
        return found

    return declare(None, check)


def table(name: str, value: str, named: str, meaning: str) -> Mapping[str, str] | None:
    """A table of strings, whose names and values those patterns match as a whole; or None.

    `named` and `meaning` say the same in words.
    """

    def wrong(key: str, one: object) -> str:
        if not re.fullmatch(name, key):
            return f"expected a name of {named}"
        try:
            return (
                "" if re.fullmatch(value, string(one)) else f"expected {meaning}, got {seen(one)}"
            )
        except ValueError as problem:
            return str(problem)

    def check(found: object, _base: Path) -> Mapping[str, str] | None:
        if not isinstance(found, dict):
            raise misfit("a table of strings", found)
        told = [f"{dotted(key)}: {why}" for key, one in found.items() if (why := wrong(key, one))]
        if told:
            raise ValueError(*told)
        return found or None

    return declare(None, check)


def file(default: Path | EllipsisType | None) -> Path:
    """A path; a relative one starts at the directory of the configuration file."""

    def check(value: object, base: Path) -> Path:
        plain = string(value)
        if plain.strip().lower().startswith("pkcs11:"):  # which may have a PIN in it
            raise ValueError("expected a path; the URI of a key in hardware is for [mqtt] key_file")
        return base / plain

    return declare(default, check, blank=True)


def show(value: object) -> str:
    """A TOML value as a person wrote it, on one line of ASCII and cut to a fair length."""
    if isinstance(value, dict):
        return "a table"
    if isinstance(value, list):
        return "a list" if value else "an empty list"
    if isinstance(value, bool):
        return str(value).lower()
    try:
        plain = json.dumps(value) if isinstance(value, str) else str(value)
    except ValueError:  # Python writes no integer of more than 4300 digits
        return "a huge number"
    return plain if len(plain) <= _SHOWN else plain[:_SHOWN] + "..."


def seen(value: object) -> str:
    """A TOML value as a person wrote it, and the first character in it that is seldom meant."""
    from agent.config.characters import strange  # noqa: PLC0415 -- only a mistake needs it

    said = strange(value) if isinstance(value, str) else ""
    return f"{show(value)}: {said}" if said else show(value)


def unusable(plain: str) -> str:
    """The problem with a string whatever it is for, in words; "" if there is none."""
    if not plain.isprintable():
        return f"has a character that cannot be printed: {seen(plain)}"
    if not plain.isascii() and _CURLY.search(plain):
        return f"has quotes within its quotes; take them out: {seen(plain)}"
    return ""


def dotted(*parts: str) -> str:
    """The parts of a key as TOML writes it: unusual ones are quoted."""
    return ".".join(part if _BARE_KEY.fullmatch(part) else show(part) for part in parts)


def declare(default: T | EllipsisType | None, check: Check, *, blank: bool = False) -> T:
    """A field with its check; with `blank`, an empty string counts as not given."""
    declared: T = field(default=default, metadata={"check": check, "blank": blank})
    return declared


def misfit(
    expected: str, value: object, bare: str = "", advice: str = "leave out the quotes"
) -> ValueError:
    """An error on a value, with `advice` if it is a string that matches `bare`."""
    quoted = bool(bare) and isinstance(value, str) and re.fullmatch(bare, value)
    said = f"; {advice}" if quoted else ""
    return ValueError(f"expected {expected}, got {seen(value)}{said}")


def within(value: N, low: float, high: float) -> N:
    """A number from `low` to `high`. Raises ValueError."""
    if not low <= value <= high:
        raise ValueError(f"must be from {low} to {high}, got {show(value)}")
    return value


def string(value: object) -> str:
    """A string that is usable. Raises ValueError."""
    if not isinstance(value, str):
        raise misfit("a string", value)
    if problem := unusable(value):
        raise ValueError(problem)
    return value
