"""The tables of a configuration document, turned into dataclasses with every problem noted."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import MISSING, fields, is_dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar, cast

from agent.config.fields import dotted, show, unknown

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

T = TypeVar("T")

#: The Options dataclass of a driver, or `dict` for one that checks its own.
#: Raises KeyError(driver, *known drivers).
OptionsOf = Callable[[str], type | None]


class Tables:
    """The tables of one document; every problem met in them is kept in `problems`.

    `known` are the names that a table may have, `base` is where relative paths start.
    """

    def __init__(self, document: dict[str, object], base: Path, *, known: Collection[str]) -> None:
        self._document = document
        self._base = base
        self.problems = [
            f"{dotted(name)}: {unknown(name, known)}" for name in document if name not in known
        ]

    def table(self, name: str, kind: type[T], given: Mapping[str, object] | None = None) -> T:
        """The table `name`; where it has problems an empty one stands in to find the others."""
        mine = {one.name for one in fields(cast("type", kind))}
        ours = {key: value for key, value in (given or {}).items() if key in mine}
        found = self._read(kind, self._document.get(name, {}), name, ours)
        return found or cast("Callable[..., T]", kind)(**ours)

    def sensors(
        self, kind: type[T], otherwise: dict[str, object] | None, options_of: OptionsOf
    ) -> tuple[T, ...]:
        """All sensors, each a `kind` with its driver's `options`; `otherwise` if there are none."""
        tables = self._document.get("sensors", [otherwise] if otherwise else [])
        if not isinstance(tables, list):
            self.problems.append(f"sensors: expected [[sensors]], got {show(tables)}")
            return ()
        sensors = [
            self._sensor(kind, table, f"sensors[{index}]", options_of)
            for index, table in enumerate(tables)
        ]
        names = [table.get("name") for table in tables if isinstance(table, dict)]
        self.problems += [
            f"sensors[{index}].name: {show(name)} is the name of sensors[{names.index(name)}] too"
            for index, name in enumerate(names)
            if name is not None and names.index(name) < index
        ]
        count = self._document.get("count")
        wanted = count.get("sensor") if isinstance(count, dict) else None
        self.problems += [
            f"count.sensor: no sensor has the name {show(one)}"
            for one in (wanted if isinstance(wanted, list) else [wanted])
            if isinstance(one, str) and one and one not in names
        ]
        return tuple(sensor for sensor in sensors if sensor)

    def _sensor(self, kind: type[T], table: object, key: str, options_of: OptionsOf) -> T | None:
        if not isinstance(table, dict):
            self.problems.append(f"{key}: expected a table, got {show(table)}")
            return None
        common = {one.name for one in fields(cast("type", kind))} - {"options"}
        own = {name: value for name, value in table.items() if name in common}
        options: object = (rest := {name: table[name] for name in table if name not in common})
        driver = table.get("driver")
        if isinstance(driver, str) and driver:
            try:
                taken = options_of(driver)
            except KeyError as error:
                known = ", ".join(str(name) for name in error.args[1:])
                self.problems.append(f"{key}.driver: no driver {show(driver)}; known: {known}")
            else:
                if taken and is_dataclass(taken):
                    shared = {one.name for one in fields(taken)} & own.keys()  # such as timeout_s
                    rest |= {name: own[name] for name in shared}
                    options = self._read(taken, rest, key, {})
        return self._read(kind, own, key, {"options": options})

    def _read(
        self, kind: type[T], table: object, key: str, given: Mapping[str, object]
    ) -> T | None:
        return read(kind, table, key=key, base=self._base, problems=self.problems, given=given)


def read(
    kind: type[T],
    table: object,
    *,
    key: str,
    base: Path,
    problems: list[str],
    given: Mapping[str, object] | None = None,
) -> T | None:
    """The TOML `table` as an instance of the dataclass `kind`; None if it has problems.

    Each problem is added to `problems` and begins with its key, itself begun with `key`. An empty
    string where a string is expected counts as not given. `given` holds values for fields that the
    table does not give.
    """
    if not isinstance(table, dict):
        problems.append(f"{key}: expected a table [{key}], got {show(table)}")
        return None
    keys = {one.name: one for one in fields(cast("type", kind)) if "check" in one.metadata}
    before = len(problems)
    problems += [
        f"{key}.{dotted(name)}: {unknown(name, keys)}" for name in table if name not in keys
    ]
    values = dict(given or {})
    for name, one in keys.items():
        value = table.get(name)
        if value is None or (value == "" and one.metadata["blank"]):
            if one.default is MISSING and name not in values:
                problems.append(f"{key}.{name}: is missing")
            continue
        try:
            values[name] = one.metadata["check"](value, base)
        except ValueError as problem:
            problems.append(f"{key}.{name}: {problem}")
    if len(problems) > before:
        return None
    try:
        return cast("Callable[..., T]", kind)(**values)
    except ValueError as problem:
        problems.append(f"{key}.{problem}")
        return None


def problem_with(kind: type[T], table: str, key: str, value: object) -> str:
    """The problem that `value` is for one key of the table `table`, a `kind`; "" if it is none."""
    problems: list[str] = []
    read(kind, {key: value}, key=table, base=Path(), problems=problems)
    return problems[0] if problems else ""
