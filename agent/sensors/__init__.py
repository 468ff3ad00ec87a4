"""Sensors: which drivers there are, and one guarded face over each of them.

A driver is a module with a frozen dataclass `Options` and `open_driver(options, *, clock)`. A
plug-in is an entry point of the group `pi_iot_agent.sensors` that names such a function; its
options are a plain dict. What it returns needs only the methods below and imports nothing of ours.
"""

from __future__ import annotations

import importlib
import math
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, cast, runtime_checkable

from agent.errors import NoDataError, SensorError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from agent.clock import Clock
    from agent.config import SensorConfig

PLUG_INS = "pi_iot_agent.sensors"
BUILT_IN = {"simulated": "agent.sensors.simulated"}

#: Names that configurations may use already; such a sensor fails, and nothing else does.
LATER = ("gpio", "onewire", "iio", "hwmon", "thermal", "system", "exec")

#: No sensor detects so much between two calls; so sums stay exact for ever.
DETECTIONS_MAX = 10**9

#: Names of the payload that no quantity can have.
RESERVED = ("Timestamp", "epoch", "seq")

WIRING = "check the wiring and the sensor's [[sensors]] entry"


@dataclass(frozen=True, slots=True)
class Detections:
    """What was detected since the last call: how often, and for how many seconds in all."""

    count: int
    active_s: float


class Driver(Protocol):
    """What a driver opens; used by one thread. Methods raise whatever they like."""

    def read(self) -> Mapping[str, float]:
        """Quantities now, named with their base unit (`temperature_c`); none at all is fine."""

    def close(self) -> None:
        """Give the hardware back."""


@runtime_checkable
class Detector(Driver, Protocol):
    """A driver that sees events between two calls."""

    def drain(self) -> tuple[int, float]:
        """Detections since the last call, and the seconds that they lasted in all."""


class Sensor:
    """An open sensor: whatever its driver does, only SensorError comes out."""

    def __init__(self, name: str, driver: Driver) -> None:
        self.name = name
        self._driver = driver

    @property
    def detects(self) -> bool:
        """Whether it has detections to drain."""
        return isinstance(self._driver, Detector)

    def read(self) -> dict[str, float]:
        """Quantities now, each a finite number; may be empty. Raises SensorError."""
        try:
            values = dict(self._driver.read())
        except Exception as error:
            raise _failed(self.name, error) from error
        for quantity, value in values.items():
            if quantity in RESERVED or not (isinstance(quantity, str) and quantity.isidentifier()):
                raise SensorError(f"{self.name}: {quantity!r} is no name for a quantity")
            if isinstance(value, bool) or not isinstance(value, int | float):
                raise SensorError(f"{self.name}: {quantity} is {value!r}, not a number")
            if not abs(value) <= sys.float_info.max:  # nor NaN
                raise SensorError(f"{self.name}: {quantity} is out of range", hint=WIRING)
        return values

    def drain(self) -> Detections:
        """Detections since the last call; none if it does not detect. Raises SensorError."""
        if not isinstance(self._driver, Detector):
            return Detections(0, 0.0)
        try:
            count, active_s = self._driver.drain()
            seen = Detections(max(0, int(count)), max(0.0, float(active_s)))
        except NoDataError as error:  # a detector always knows what it saw
            raise SensorError(error.text, hint=error.hint) from error
        except Exception as error:
            raise _failed(self.name, error) from error
        if seen.count > DETECTIONS_MAX or not math.isfinite(seen.active_s):
            raise SensorError(f"{self.name}: it tells of impossibly many detections", hint=WIRING)
        return seen

    def close(self) -> None:
        """Give the hardware back. Raises SensorError."""
        try:
            self._driver.close()
        except Exception as error:
            raise _failed(self.name, error) from error


def options_of(driver: str) -> type:
    """The Options dataclass of a driver, `dict` for a plug-in or one of a later version.

    Raises KeyError(driver, *known drivers) for a name that nobody has.
    """
    if driver in BUILT_IN:
        return cast("type", importlib.import_module(BUILT_IN[driver]).Options)
    if driver in LATER or driver in (plug_ins := _plug_ins()):
        return dict
    raise KeyError(driver, *sorted({*BUILT_IN, *LATER, *plug_ins}))


def open_sensor(config: SensorConfig, *, clock: Clock) -> Sensor:
    """Open the sensor that `config` describes. Raises SensorError when it cannot be."""
    try:
        return Sensor(config.name, _opener(config)(config.options, clock=clock))
    except SensorError:
        raise
    except Exception as error:
        raise _failed(config.name, error) from error


def _opener(config: SensorConfig) -> Callable[..., Driver]:
    driver = config.driver
    if driver in BUILT_IN:
        found = importlib.import_module(BUILT_IN[driver]).open_driver
    elif driver in (plug_ins := _plug_ins()):
        found = plug_ins[driver]()
    else:
        raise SensorError(
            f"{config.name}: driver {driver} is not part of this version",
            hint="install a newer version, or remove this sensor",
        )
    return cast("Callable[..., Driver]", found)


def _plug_ins() -> dict[str, Callable[[], object]]:
    """Name and loader of each plug-in."""
    from importlib.metadata import entry_points  # noqa: PLC0415 -- 20 ms that few configs need

    return {entry.name: entry.load for entry in entry_points(group=PLUG_INS)}


def _failed(name: str, error: Exception) -> SensorError:
    """Whatever a driver raised, in words."""
    if isinstance(error, SensorError):
        return error
    return SensorError(f"{name}: {error or type(error).__name__}", hint=WIRING)
