"""Driver `iio`: measurements of the kernel's Industrial I/O, from BME280 and DHT22 to ADS1115.

Names of files and their units: the kernel's Documentation/ABI/testing/sysfs-bus-iio.
"""

from __future__ import annotations

import re

from agent import board
from agent.config.fields import text
from agent.errors import SensorError
from agent.sensors import sysfs
from agent.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from agent.clock import Clock

_CHANNEL = re.compile(r"in_([a-z]+)(\d*(?:-[a-z]+\d+)?)(?:_([a-z0-9]+))?_(?:input|raw)", re.ASCII)

#: The quantity and the base unit of each kind of channel, and the factor between the kernel's unit
#: and ours.
KINDS = {
    "accel": ("acceleration", "m_per_s2", 1.0),
    "anglvel": ("angular_velocity", "rad_per_s", 1.0),
    "capacitance": ("capacitance", "f", 1e-9),
    "concentration": ("concentration", "ppm", 1e4),
    "current": ("current", "a", 1e-3),
    "distance": ("distance", "m", 1.0),
    "humidityrelative": ("humidity", "pct", 1e-3),
    "illuminance": ("illuminance", "lx", 1.0),
    "magn": ("magnetic_field", "t", 1e-4),
    "massconcentration": ("concentration", "ug_per_m3", 1.0),
    "ph": ("acidity", "ph", 1.0),
    "power": ("power", "w", 1e-3),
    "pressure": ("pressure", "pa", 1e3),
    "resistance": ("resistance", "ohm", 1.0),
    "temp": ("temperature", "c", 1e-3),
    "uvindex": ("ultraviolet", "index", 1.0),
    "voltage": ("voltage", "v", 1e-3),
}

#: Quantities that go by their modifier alone, as everybody calls them.
FAMILIAR = {"co2_concentration_ppm": "co2_ppm", "voc_concentration_ppm": "voc_ppm"}

#: This driver told hPa, not kPa, until Linux 6.10; the part measures no more kPa than these.
HECTOPASCALS = "bme680"
HECTOPASCALS_FROM_KPA = 200.0

UNSCALED = "its overlay may want a reference voltage; a program run by exec can scale it"


class Options(Value, kw_only=True):
    """Keys of its `[[sensors]]` table: the content of the device's `name` file, and its place."""

    device: str = text(..., r"\S{1,64}", "a name such as bme280")
    at: str = text("", r"\S{1,64}", "a place such as 1-0076")


class Channel(Value):
    """Files of one quantity: `(value + offset) * scale` is in the kernel's unit."""

    quantity: str
    kind: str
    path: Path
    offset: Path | None = None
    scale: Path | None = None
    hectopascals: bool = False  # perhaps, instead of kPa

    def value(self) -> float:
        """The measurement in base units. Raises NoDataError or SensorError."""
        factor = KINDS[self.kind][2]
        theirs = sysfs.number(self.path)
        # The ABI has a scale where it is "known for a device": without one these are bare steps.
        if self.path.name.endswith("_raw") and factor != 1 and not (self.scale or self.offset):
            raise SensorError(f"{self.path} has no scale, so its unit is not known", hint=UNSCALED)
        theirs += sysfs.number(self.offset) if self.offset else 0.0
        theirs *= sysfs.number(self.scale) if self.scale else 1.0
        if self.hectopascals and theirs > HECTOPASCALS_FROM_KPA:
            theirs /= 10
        return round(theirs * factor, 9)


class Iio:
    """One device with all its channels."""

    def __init__(self, channels: list[Channel]) -> None:
        self._values = {channel.quantity: channel.value for channel in channels}

    def read(self) -> dict[str, float | SensorError]:
        """Each quantity that it measures, or why not: a gas heater may not be ready."""
        return sysfs.each(self._values)

    def close(self) -> None:
        """Do nothing: no file is open between two reads."""


def channels(directory: Path) -> list[Channel]:
    """Channels of known kinds of the device in `directory`; `input` goes before `raw`."""
    found: dict[str, Channel] = {}
    device = sysfs.optional_text(directory / "name").partition("@")[0]
    for path in sorted(directory.glob("in_*")):
        match = _CHANNEL.fullmatch(path.name)
        if not match or match[1] not in KINDS:
            continue
        kind, index, modifier = match[1], match[2], match[3] or ""
        base, unit, _ = KINDS[kind]
        parts = (modifier, base, index, unit) if "conc" in kind else (base, index, modifier, unit)
        quantity = re.sub(r"-[a-z]+", "_", "_".join(part for part in parts if part))
        quantity = FAMILIAR.get(quantity, quantity)
        offset = scale = None
        if path.name.endswith("_raw"):
            stems = [f"in_{kind}{index}_{modifier}", f"in_{kind}{index}", f"in_{kind}_{modifier}"]
            stems.append(f"in_{kind}")
            offset = _shared(directory, (f"{stem}_offset" for stem in stems))
            scale = _shared(directory, (f"{stem}_scale" for stem in stems))
        hectopascals = kind == "pressure" and device == HECTOPASCALS
        channel = Channel(quantity, kind, path, offset, scale, hectopascals)
        found.setdefault(quantity, channel)
    return list(found.values())


def _shared(directory: Path, names: Iterable[str]) -> Path | None:
    """The first of the files that there is: a channel's own, or its kind's."""
    return next((path for name in names if (path := directory / name).exists()), None)


def open_driver(options: Options, *, clock: Clock, root: Path = board.ROOT) -> Iio:
    """The device that `options` name, below `root`. Raises SensorError if it is not there."""
    del clock
    devices = list(sysfs.named(root / "sys/bus/iio/devices", "iio:device*", "name"))
    directory = sysfs.choose("IIO device", options.device, options.at, devices)
    found = channels(directory)
    if not found:
        raise SensorError(f"{directory} measures nothing that is known here", hint=sysfs.HINT)
    return Iio(found)
