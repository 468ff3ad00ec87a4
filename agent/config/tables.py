"""The tables of a configuration document, turned into values with every problem noted."""

from __future__ import annotations

from pathlib import Path

from agent.config.fields import dotted, seen, show
from agent.value import Value, fields

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from typing import TypeVar

    T = TypeVar("T", bound=Value)

#: A list of more names tells nobody anything.
_SHOWN = 20


class Tables:
    """The tables of one document; every problem met in them is kept in `problems`.

    `known` are the names that a table may have, `base` is where relative paths start.
    """

    def __init__(self, document: dict[str, object], base: Path, *, known: Collection[str]) -> None:
        self._document = document
        self._base = base
        self.problems = [
            f"{dotted(name)}: {_unknown(name, known, loose=not isinstance(value, dict | list))}"
            for name, value in document.items()
            if name not in known
        ]

    def table(self, name: str, kind: type[T], given: Mapping[str, object] | None = None) -> T:
        """The table `name`; where it has problems an empty one stands in to find the others."""
        mine = {one.name for one in fields(kind)}
        ours = {key: value for key, value in (given or {}).items() if key in mine}
        found = self.read(kind, self._document.get(name, {}), name, ours)
        return found or kind(**ours)

    def array(self, name: str, default: list[object]) -> list[object] | None:
        """The tables of the array `name`; None, and a problem noted, if it is something else."""
        found = self._document.get(name, default)
        if isinstance(found, list):
            return found
        self.note(f"{name}: expected [[{name}]], got {show(found)}")
        return None

    def given(self, name: str, key: str) -> object:
        """The value of one key of the table `name` as it stands there; None if it does not."""
        table = self._document.get(name)
        return table.get(key) if isinstance(table, dict) else None

    def read(self, kind: type[T], table: object, key: str, given: Mapping[str, object]) -> T | None:
        """The TOML `table` as a `kind`; None, with its problems noted, if it has any."""
        return read(kind, table, key=key, base=self._base, problems=self.problems, given=given)

    def note(self, problem: str) -> None:
        """Note a problem; it begins with its key."""
        self.problems.append(problem)


def read(
    kind: type[T],
    table: object,
    *,
    key: str,
    base: Path,
    problems: list[str],
    given: Mapping[str, object] | None = None,
) -> T | None:
    """The TOML `table` as a `kind`; None if it has problems.

    Each problem is added to `problems` and begins with its key, itself begun with `key`. An empty
    string where a string is expected counts as not given. `given` holds values for fields that the
    table does not give.
    """
    if not isinstance(table, dict):
        problems.append(f"{key}: expected a table [{key}], got {show(table)}")
        return None
    keys = {one.name: one for one in fields(kind) if "check" in one.metadata}
    before = len(problems)
    unknown = [
        f"{key}.{dotted(name)}: {_unknown(name, keys)}" for name in table if name not in keys
    ]
    problems += unknown
    values = dict(given or {})
    for name, one in keys.items():
        value = table.get(name)
        if value is None or (value == "" and one.metadata["blank"]):
            if one.default is ... and name not in values:
                problems.append(f"{key}.{name}: is missing")
            continue
        try:
            values[name] = one.metadata["check"](value, base)
        except ValueError as error:
            problems += [f"{key}.{name}: {problem}" for problem in error.args]
    if len(problems) > before + len(unknown):
        return None
    try:
        made = kind(**values)
    except ValueError as error:  # such as a key that is missing since another stands for it
        problems += [f"{key}.{problem}" for problem in error.args]
        return None
    return None if unknown else made


def no_sensor(name: str, names: Collection[str]) -> str:
    """The problem that no sensor has the name `name`; those that there are, if they are few."""
    known = f"; known: {', '.join(map(show, names))}" if 0 < len(names) <= _SHOWN else ""
    return f"no sensor has the name {seen(name)}{known}"


def problem_with(kind: type[T], table: str, key: str, value: object) -> str:
    """The problem that `value` is for one key of the table `table`, a `kind`; "" if it is none."""
    problems: list[str] = []
    read(kind, {key: value}, key=table, base=Path(), problems=problems)
    return problems[0] if problems else ""


def _unknown(name: str, known: Collection[str], *, loose: bool = False) -> str:
    from agent.config.advice import unknown  # noqa: PLC0415 -- only a mistake needs it

    return unknown(name, known, loose=loose)
