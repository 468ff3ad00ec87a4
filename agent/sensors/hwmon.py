"""Driver `hwmon`: temperatures, voltages and fans of the kernel's hardware monitoring.

Names of files and their units: the kernel's Documentation/hwmon/sysfs-interface.rst.
"""

from __future__ import annotations

import re
from collections import Counter
from functools import partial

from agent import board
from agent.config.fields import text
from agent.errors import NoDataError, SensorError
from agent.sensors import sysfs
from agent.sensors.plausibility import believed
from agent.value import Value

TYPE_CHECKING = False
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

#: What w1_therm calls its thermometers here, where nothing tells that one has lost its power.
ONE_WIRE = "w1_slave_temp"


class Options(Value, kw_only=True):
    """Keys of its `[[sensors]]` table: the content of the device's `name` file, and its place."""

    device: str = text(..., r"\S{1,64}", "a name such as cpu_thermal")
    at: str = text("", r"\S{1,64}", "a place such as 1-0044")


class Hwmon:
    """One device with all its channels: quantity, file and kind of each."""

    def __init__(self, channels: list[tuple[str, Path, str]]) -> None:
        self._values = {quantity: partial(_value, path, kind) for quantity, path, kind in channels}

    def read(self) -> dict[str, float | SensorError]:
        """Each quantity that it measures, or why not: one input may be off, or not wired."""
        return sysfs.each(self._values)

    def close(self) -> None:
        """Do nothing: no file is open between two reads."""


def _value(path: Path, kind: str) -> float:
    """The measurement in base units. Raises NoDataError or SensorError."""
    fault = path.with_name(path.name.replace("_input", "_fault"))
    if sysfs.optional_text(fault) == "1":
        raise NoDataError(f"{fault} says that the sensor is at fault", hint=sysfs.HINT)
    base, unit, factor = KINDS[kind]
    value = round(sysfs.number(path) * factor, 9)
    if (number := believed(f"{base}_{unit}", value)) is None:  # whatever word the label is
        raise NoDataError(f"{path} cannot be {value:.6g} {unit}", hint=sysfs.HINT)
    return number


def channels(directory: Path) -> list[tuple[str, Path, str]]:
    """Quantity, file and kind of each channel in `directory`.

    Where there are several of a kind, their labels or else their numbers tell them apart.
    """
    paths = sorted(directory.glob("*_input"), key=lambda path: (len(path.name), path.name))
    known = [(match, path) for path in paths if (match := _CHANNEL.fullmatch(path.name))]
    known = [(match, path) for match, path in known if match[1] in KINDS]
    several = Counter(match[1] for match, _ in known)
    found: dict[str, tuple[str, Path, str]] = {}
    for match, path in known:
        base, unit, _ = KINDS[match[1]]
        label = sysfs.optional_text(path.with_name(path.name.replace("_input", "_label")))
        part = _UNFIT.sub("_", label.lower()).strip("_") or match[2]
        quantity = f"{base}_{part}_{unit}" if several[match[1]] > 1 else f"{base}_{unit}"
        while quantity in found:  # two of one label, or one whose label is another's number
            part = f"{part}_{match[2]}"
            quantity = f"{base}_{part}_{unit}"
        found[quantity] = (quantity, path, match[1])
    return list(found.values())


def open_driver(options: Options, *, clock: Clock, root: Path = board.ROOT) -> Hwmon:
    """The device that `options` name, below `root`. Raises SensorError if it is not there."""
    del clock
    if options.device == ONE_WIRE:
        text = f"{options.device} is a thermometer on the 1-Wire bus, which is judged by its driver"
        raise SensorError(text, hint='driver = "onewire", without `device`')
    devices = list(sysfs.named(root / "sys/class/hwmon", "hwmon*", "name"))
    directory = sysfs.choose("hwmon device", options.device, options.at, devices)
    found = channels(directory)
    if not found:
        raise SensorError(f"{directory} measures nothing that is known here", hint=sysfs.HINT)
    return Hwmon(found)
