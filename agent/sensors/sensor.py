"""Sensor: one guarded face over each driver, and the methods that a driver has.

A driver is a module with a frozen dataclass `Options` and `open_driver(options, *, clock)`. A
plug-in is an entry point of the group `pi_iot_agent.sensors` that names such a function; its
options are a plain dict. Its result needs only the methods below and imports nothing of ours.
"""

from __future__ import annotations

import math
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, cast, runtime_checkable

from agent.errors import SensorError
from agent.sensors.plausibility import Limits, plausible

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


#: No sensor detects so much between two calls; so sums stay exact for ever.
DETECTIONS_MAX = 10**9

#: Names of the payload that no quantity can have.
RESERVED = ("Timestamp", "epoch", "seq")

#: Bounds of the quantities: so many, with such names, fit into a message (128 KiB at AWS) by far.
QUANTITIES_MAX = 200
NAME_LENGTH = 64

#: The only values that are words: they say what the device is.
WORDS = ("model", "serial")
WORD_LENGTH = 128

WIRING = "check the wiring and the sensor's [[sensors]] entry"
MEND = "mend the driver, or the program that it runs"


@dataclass(frozen=True, slots=True)
class Detections:
    """Detections since the last call: their number, and their seconds in all.

    `edges` is the number of edges, `lost` of those that happened and could not be looked at, where
    that is known.
    """

    count: int
    active_s: float
    edges: int = 0
    lost: int = 0


class Driver(Protocol):
    """An open driver; used by one thread at a time. Methods raise whatever they like."""

    def read(self) -> Mapping[str, float | str]:
        """Quantities now, named with their base unit (`temperature_c`); none at all is fine."""

    def close(self) -> None:
        """Give the hardware back."""


@runtime_checkable
class Detector(Driver, Protocol):
    """A driver that sees events between two calls.

    One whose detections are to be judged also has `limits`, as `plausibility.Limits`. So that a
    crash loses no detection, it has one of two methods more: `listen(call)`, if it can call
    `call()` in any thread when there is something to drain, or `quiet_s()`, the seconds for which
    there will be nothing. Without them it is drained at its interval, by default once a minute.
    """

    def drain(self) -> tuple[int, float] | tuple[int, float, int] | tuple[int, float, int, int]:
        """Detections since the last call, the seconds that they lasted, edges, and lost edges."""


class Sensor:
    """An open sensor: whatever its driver does, only SensorError comes out.

    `instant` says that its methods never block, so that any thread may call them.
    """

    def __init__(self, name: str, driver: Driver, *, instant: bool = False) -> None:
        self.name = name
        self.instant = instant
        self._driver = driver
        #: True if it has detections to drain; `limits` judge them, None if they are not judged.
        self.detects = isinstance(driver, Detector)
        limits = getattr(driver, "limits", None)
        self.limits = Limits(limits.active_max_s, limits.max_per_min) if limits else None

    def listen(self, call: Callable[[], None]) -> None:
        """Have `call` called, in any thread, when there is something to drain. Raises SensorError.

        Nothing happens where the driver cannot.
        """
        listen = getattr(self._driver, "listen", None)
        if callable(listen):
            try:
                listen(call)
            except Exception as error:
                raise failed(self.name, error) from error

    @property
    def descriptor(self) -> int | None:
        """Descriptor that is readable when there is something to drain; None if it has none."""
        fileno = getattr(self._driver, "fileno", None)
        # A plug-in's may well be of something else.
        return int(fileno()) if self.instant and callable(fileno) else None

    def quiet_s(self) -> float:
        """Seconds without anything to drain, as far as is known. Raises SensorError."""
        quiet_s = getattr(self._driver, "quiet_s", None)
        try:
            known_s = float(quiet_s()) if callable(quiet_s) else math.inf
        except Exception as error:
            raise failed(self.name, error) from error
        return known_s if known_s >= 0 else math.inf  # nor NaN

    def read(self) -> dict[str, float | str]:
        """Quantities now, each a number that can be; may be empty.

        Raises NoDataError when there is no value at this moment, else SensorError.
        """
        try:
            values = dict(self._driver.read())
        except Exception as error:
            raise failed(self.name, error) from error
        if len(values) > QUANTITIES_MAX:
            text = f"{self.name}: it gives {len(values)} quantities, more than {QUANTITIES_MAX}"
            raise SensorError(text, hint=MEND)
        for quantity, value in values.items():
            if quantity in RESERVED or not _is_name(quantity):
                raise SensorError(
                    f"{self.name}: {quantity!r:.80} is no name for a quantity", hint=MEND
                )
            if quantity in WORDS and isinstance(value, str):
                values[quantity] = value.encode("utf-8", "replace").decode()[:WORD_LENGTH]
                continue
            if isinstance(value, bool) or not isinstance(value, int | float):
                raise SensorError(
                    f"{self.name}: {quantity} is {value!r:.80}, not a number", hint=MEND
                )
            if not abs(value) <= sys.float_info.max or not plausible(quantity, value):  # nor NaN
                raise SensorError(f"{self.name}: {quantity} cannot be {value:.6g}", hint=WIRING)
        return values

    def drain(self) -> Detections:
        """Detections since the last call; none if it does not detect. Raises SensorError."""
        if not self.detects:
            return Detections(0, 0.0)
        try:
            count, active_s, *edges = cast("Detector", self._driver).drain()
            seen = Detections(max(0, int(count)), max(0.0, float(active_s)), *map(int, edges))
        except Exception as error:
            told = failed(self.name, error)  # never NoDataError: it always knows what it saw
            raise SensorError(told.text, hint=told.hint) from error
        if seen.count > DETECTIONS_MAX or not math.isfinite(seen.active_s):
            raise SensorError(f"{self.name}: it tells of impossibly many detections", hint=WIRING)
        return seen

    def close(self) -> None:
        """Give the hardware back. Raises SensorError."""
        try:
            self._driver.close()
        except Exception as error:
            raise failed(self.name, error) from error


def _is_name(quantity: object) -> bool:
    return isinstance(quantity, str) and quantity.isidentifier() and len(quantity) <= NAME_LENGTH


def failed(name: str, error: Exception) -> SensorError:
    """The error for whatever a driver raised, in words."""
    if isinstance(error, SensorError):
        return type(error)(f"{name}: {error.text}", hint=error.hint or WIRING)
    return SensorError(f"{name}: {error or type(error).__name__}", hint=WIRING)
