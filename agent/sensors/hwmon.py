"""Driver `hwmon`: temperatures, voltages and fans of the kernel's hardware monitoring.

Names of files and their units: the kernel's Documentation/hwmon/sysfs-interface.rst.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from agent import board
from agent.config.fields import text
from agent.errors import NoDataError, SensorError
from agent.sensors import sysfs

if TYPE_CHECKING:
    from pathlib import Path

    from agent.clock import Clock

_CHANNEL = re.compile(r"([a-z]+)(\d+)_input", re.ASCII)
_UNFIT = re.compile(r"[^a-z0-9]+", re.ASCII)

#: The quantity and the base unit of each kind of channel, and the kernel's unit in ours.
KINDS = {
    "curr": ("current", "a", 1e-3),
    "energy": ("energy", "j", 1e-6),
    "fan": ("fan", "rpm", 1.0),
    "humidity": ("humidity", "pct", 1e-3),
    "in": ("voltage", "v", 1e-3),
    "power": ("power", "w", 1e-6),
    "temp": ("temperature", "c", 1e-3),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """Keys of its `[[sensors]]` table: the content of the device's `name` file, and its place."""

    device: str = text(..., r"\S{1,64}", "a name such as cpu_thermal")
    at: str = text("", r"\S{1,64}", "a place such as 1-0044")


class Hwmon:
    """One device with all its channels: quantity, file and factor of each."""

    def __init__(self, channels: list[tuple[str, Path, float]]) -> None:
        self._values = {
            quantity: partial(_value, path, factor) for quantity, path, factor in channels
        }

    def read(self) -> dict[str, float | SensorError]:
        """Each quantity that it measures, or why not: one input may be off, or not wired."""
        return sysfs.each(self._values)

    def close(self) -> None:
        """Do nothing: no file is open between two reads."""


def _value(path: Path, factor: float) -> float:
    """The measurement in base units. Raises NoDataError or SensorError."""
    fault = path.with_name(path.name.replace("_input", "_fault"))
    if sysfs.optional_text(fault) == "1":
        raise NoDataError(f"{fault} says that the sensor is at fault", hint=sysfs.HINT)
    return round(sysfs.number(path) * factor, 9)


def channels(directory: Path) -> list[tuple[str, Path, float]]:
    """Quantity, file and factor of each channel in `directory`.

    Where there are several of a kind, their labels or else their numbers tell them apart.
    """
    paths = sorted(directory.glob("*_input"), key=lambda path: (len(path.name), path.name))
    known = [(match, path) for path in paths if (match := _CHANNEL.fullmatch(path.name))]
    known = [(match, path) for match, path in known if match[1] in KINDS]
    several = Counter(match[1] for match, _ in known)
    found: dict[str, tuple[str, Path, float]] = {}
    for match, path in known:
        base, unit, factor = KINDS[match[1]]
        label = sysfs.optional_text(path.with_name(path.name.replace("_input", "_label")))
        part = _UNFIT.sub("_", label.lower()).strip("_") or match[2]
        quantity = f"{base}_{part}_{unit}" if several[match[1]] > 1 else f"{base}_{unit}"
        if quantity in found:  # two of one label
            quantity = f"{base}_{part}_{match[2]}_{unit}"
        found[quantity] = (quantity, path, factor)
    return list(found.values())


def open_driver(options: Options, *, clock: Clock, root: Path = board.ROOT) -> Hwmon:
    """The device that `options` name, below `root`. Raises SensorError if it is not there."""
    del clock
    devices = list(sysfs.named(root / "sys/class/hwmon", "hwmon*", "name"))
    directory = sysfs.choose("hwmon device", options.device, options.at, devices)
    found = channels(directory)
    if not found:
        raise SensorError(f"{directory} measures nothing that is known here", hint=sysfs.HINT)
    return Hwmon(found)
