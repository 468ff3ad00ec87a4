"""Sensors as they are configured: `[[sensors]]`, options of each driver, and `[count] sensor`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, is_dataclass
from typing import TYPE_CHECKING

from agent.config.fields import show
from agent.config.settings import SensorConfig

if TYPE_CHECKING:
    from agent.config.tables import Tables

#: The Options dataclass of a driver, or `dict` for one that checks its own.
#: Raises KeyError(driver, *known drivers).
OptionsOf = Callable[[str], type | None]

#: Keys that every sensor has; the others are its driver's.
COMMON = {one.name for one in fields(SensorConfig)} - {"options"}


def read_sensors(
    tables: Tables, otherwise: dict[str, object] | None, options_of: OptionsOf
) -> tuple[SensorConfig, ...]:
    """The sensors of a document, or the one in `otherwise` if it has none; problems are noted."""
    listed = tables.array("sensors", [otherwise] if otherwise else [])
    if listed is None:
        return ()
    sensors = [
        _sensor(tables, table, f"sensors[{index}]", options_of)
        for index, table in enumerate(listed)
    ]
    names = [table.get("name") for table in listed if isinstance(table, dict)]
    for index, name in enumerate(names):
        if name is not None and names.index(name) < index:
            first = f"sensors[{names.index(name)}]"
            tables.note(f"sensors[{index}].name: {show(name)} is the name of {first} too")
    wanted = tables.given("count", "sensor")
    for name in wanted if isinstance(wanted, list) else [wanted]:
        if isinstance(name, str) and name and name not in names:
            tables.note(f"count.sensor: no sensor has the name {show(name)}")
    return tuple(sensor for sensor in sensors if sensor)


def _sensor(tables: Tables, table: object, key: str, options_of: OptionsOf) -> SensorConfig | None:
    """One sensor with its driver's options; None if it has problems, which are noted."""
    if not isinstance(table, dict):
        tables.note(f"{key}: expected a table, got {show(table)}")
        return None
    own = {name: value for name, value in table.items() if name in COMMON}
    options: object = (rest := {name: table[name] for name in table if name not in COMMON})
    driver = table.get("driver")
    if isinstance(driver, str) and driver:
        try:
            kind = options_of(driver)
        except KeyError as error:
            known = ", ".join(str(name) for name in error.args[1:])
            tables.note(f"{key}.driver: no driver {show(driver)}; known: {known}")
        else:
            if kind and is_dataclass(kind):
                shared = {one.name for one in fields(kind)} & own.keys()  # such as timeout_s
                rest |= {name: own[name] for name in shared}
                options = tables.read(kind, rest, key, {})
    return tables.read(SensorConfig, own, key, {"options": options})
