"""Sensors as flags of `setup`: NAME=DRIVER[:ARGUMENT][,KEY=VALUE...], such as `motion=gpio:21`."""

from __future__ import annotations

import math
import shlex
import tomllib
from contextlib import suppress
from pathlib import Path

from agent import sensors
from agent.cli.questions import UsageError
from agent.config import SensorConfig, parts
from agent.config.lines import number_of
from agent.value import Value, fields

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import TypeAlias

    #: One [[sensors]] entry.
    Table: TypeAlias = dict[str, object]

FORM = "NAME=DRIVER[:ARGUMENT][,KEY=VALUE...]"
EXAMPLES = "motion=gpio:21, room=onewire, air=iio:bme280, cpu=thermal or board=system"

#: The key that a driver's argument stands for.
ARGUMENT = {
    "exec": "command",
    "gpio": "pin",
    "hwmon": "device",
    "iio": "device",
    "onewire": "id",
    "simulated": "detections_per_s",
    "thermal": "zone",
}


def tables(flags: Iterable[str]) -> dict[str, Table]:
    """The [[sensors]] entry of each flag, by its name. Raises UsageError.

    Values are what their keys want, as far as the driver is built in; they are not checked here.
    """
    found: dict[str, Table] = {}
    for flag in flags:
        table = _table(flag)
        if (name := str(table["name"])) in found:
            raise UsageError(
                f"--sensor: {name} is given twice", hint="each sensor has its own name"
            )
        found[name] = table
    return found


def built_in(driver: str) -> type:
    """The Options of a built-in driver, else `dict`: root asks nobody else's code."""
    return sensors.options_of(driver) if driver in sensors.BUILT_IN else dict


def _table(flag: str) -> Table:
    name, _, rest = flag.partition("=")
    (driver, colon, argument), *pairs = [
        part.partition("=" if index else ":") for index, part in enumerate(rest.split(","))
    ]
    if not name or not driver or (colon and not argument):
        raise UsageError(f"--sensor {flag}: expected {FORM}", hint=f"give one such as {EXAMPLES}")
    if colon and driver not in sensors.BUILT_IN and (hint := _instead(name, driver, argument)):
        text = f"{driver!r} is none of the built-in drivers{_reader(driver, argument)}"
        raise UsageError(f"--sensor {flag}: {text}", hint=hint)
    if colon and driver not in ARGUMENT and driver in sensors.BUILT_IN:
        raise UsageError(f"--sensor {flag}: the driver {driver} takes no argument")
    given = [(ARGUMENT.get(driver, ""), argument)] if colon else []
    for key, equals, value in pairs:
        if not key or not equals or key in {"name", "driver"}:
            raise UsageError(f"--sensor {flag}: expected KEY=VALUE instead of {key!r}")
        given.append((key, value))
    table: Table = {"name": name, "driver": driver}
    for key, value in given:
        if not key:  # what it means, only the plug-in knows
            raise UsageError(f"--sensor {flag}: a plug-in's argument has a key: {driver},KEY=VALUE")
        if key in table:
            raise UsageError(f"--sensor {flag}: {key} is given twice")
        table[key] = _value(driver, key, value)
    return table


def instead(table: Table) -> str:
    """The flag to type for an entry whose driver is named after a part; "" if none is known."""
    return _instead(str(table["name"]), str(table["driver"]), str(table.get("pin", "")))


def _instead(name: str, driver: str, argument: str) -> str:
    flag = parts.as_flag(driver, number_of(argument), sensors.BUILT_IN)
    return f"type --sensor {name}={flag}" if flag else ""


def _reader(driver: str, argument: str) -> str:
    digits = number_of(argument)
    pin = int(digits) if digits.isdecimal() and digits.isascii() else None
    return parts.reader(driver, sensors.BUILT_IN, pin=pin)


def problem(driver: str, key: str, value: object) -> str:
    """The problem with a value for a key of a sensor, in words; "" if it fits, or nobody knows."""
    told = ""
    for kind in (SensorConfig, built_in(driver)):
        for one in fields(kind) if issubclass(kind, Value) else ():
            if one.name == key and "check" in one.metadata:
                try:
                    one.metadata["check"](value, Path())
                except ValueError as wrong:
                    told = str(wrong)
                else:
                    return ""
    return told


def _value(driver: str, key: str, text: str) -> object:
    """`text` as the first of the TOML values it may mean that fits the key, else as the likeliest.

    "21" is a pin but no name, "28-0119433bc5ff" a name but no number.
    """
    candidates = list(_candidates(number_of(text) if (driver, key) == ("gpio", "pin") else text))
    fitting = (value for value in candidates if not problem(driver, key, value))
    return next(fitting, candidates[0])


def _candidates(text: str) -> Iterator[object]:
    try:
        value = tomllib.loads(f"value = {text}")["value"]
    except (ValueError, RecursionError):
        pass
    else:
        # A list, a date, or a number that is none is for the editor.
        fits = math.isfinite(value) if isinstance(value, float) else isinstance(value, str | int)
        if fits and "\n" not in text:
            yield value
    yield text
    with suppress(ValueError):  # a quote that is not closed
        if words := shlex.split(text):
            yield words  # a program with its arguments
