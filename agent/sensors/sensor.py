"""Sensor: one guarded face over each driver, and the methods that a driver has.

A driver is a module with a value class `Options` and `open_driver(options, *, clock)`. A
plug-in is an entry point of the group `pi_iot_agent.sensors` that names such a function; its
options are a plain dict. Its result needs only the methods below and imports nothing of ours.
"""

from __future__ import annotations

import math
import sys

from agent.errors import NoDataError, SensorError
from agent.model import RESERVED
from agent.sensors import sysfs
from agent.sensors.plausibility import Limits, believed
from agent.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any, Protocol
else:
    Protocol = object


#: No sensor detects so much between two calls; so sums stay exact for ever.
DETECTIONS_MAX = 10**9

#: Bounds of the quantities: so many, with such names, fit into a message (128 KiB at AWS) by far.
QUANTITIES_MAX = 200
NAME_LENGTH = 64

#: The only values that are words: they say what the device is.
WORDS = ("model", "serial")
WORD_LENGTH = 128

#: Quantities that are missing are named up to this number.
NAMED_MAX = 3

#: A plug-in without a value for so many reads has failed.
PATIENCE = 3

WIRING = "check the wiring and the sensor's [[sensors]] entry"
MEND = "mend the driver, or the program that it runs"
UNQUOTE = f"a number stands without quotes: {MEND}"


class Detections(Value):
    """Detections since the last call: their number, and their seconds in all.

    `edges` is the number of edges, `lost` of those that happened and could not be looked at, where
    that is known.
    """

    count: int
    active_s: float
    edges: int = 0
    lost: int = 0


class Measurement(Value):
    """Outcome of one read: the quantities that it has, and the reason for each that it lacks."""

    values: dict[str, float | str]
    missing: dict[str, SensorError]


class Driver(Protocol):
    """An open driver; used by one thread at a time. Methods raise whatever they like."""

    def read(self) -> Mapping[str, float | str | Exception | None]:
        """Quantities now, named with their base unit (`temperature_c`); none at all is fine.

        An exception in the place of a value is the reason why there is none. None, NaN, a value
        that cannot be, NoDataError and the errors `sysfs.PASSING` say that there may be one the
        next time.
        """

    def close(self) -> None:
        """Give the hardware back."""


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

    What a driver promises of its threads and descriptors is believed of one that is `built_in`.
    """

    def __init__(self, name: str, driver: Driver, *, built_in: bool = False) -> None:
        self.name = name
        self._driver = driver
        self._built_in = built_in
        self._without = 0  # reads in a row that gave no value
        #: True if its methods never block, so that any thread may call them.
        self.instant = built_in and bool(getattr(driver, "instant", False))
        #: True if it has detections to drain; `limits` judge them, None if they are not judged.
        self.detects = callable(getattr(driver, "drain", None))
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
        return int(fileno()) if self._built_in and callable(fileno) else None

    def quiet_s(self) -> float:
        """Seconds without anything to drain, as far as is known. Raises SensorError."""
        quiet_s = getattr(self._driver, "quiet_s", None)
        try:
            known_s = float(quiet_s()) if callable(quiet_s) else math.inf
        except Exception as error:
            raise failed(self.name, error) from error
        return known_s if known_s >= 0 else math.inf  # nor NaN

    def read(self) -> Measurement:
        """Quantities now, each for itself: a number that can be, or the reason why there is none.

        There may be no quantity at all. Where there are some and no number is left it raises
        NoDataError if all that is missing may be there the next time, else SensorError. So it does
        for a plug-in that had no value for a while, which may have to be opened anew.
        """
        try:
            found = self._read()
        except NoDataError as error:
            self._without += 1
            if self._without < PATIENCE or self._built_in:
                raise
            raise SensorError(error.text, hint=error.hint) from error
        self._without = 0
        return found

    def _read(self) -> Measurement:
        try:
            found = dict(self._driver.read())
        except Exception as error:
            raise _unread(self.name, error) from error
        if len(found) > QUANTITIES_MAX:
            text = f"{self.name}: it gives {len(found)} quantities, more than {QUANTITIES_MAX}"
            raise SensorError(text, hint=MEND)
        values: dict[str, float | str] = {}
        missing: dict[str, SensorError] = {}
        for quantity, value in found.items():
            try:
                values[quantity] = _checked(quantity, value)
            except SensorError as error:
                missing[_shown(quantity)] = error.with_traceback(None)  # it holds the driver
        if missing and values.keys() <= set(WORDS):
            raise lacking(self.name, missing)
        return Measurement(values, missing)

    def drain(self) -> Detections:
        """Detections since the last call; none if it does not detect. Raises SensorError."""
        if not self.detects:
            return Detections(0, 0.0)
        detector: Any = self._driver
        try:
            count, active_s, *edges = detector.drain()
            seen = Detections(max(0, int(count)), max(0.0, float(active_s)), *map(int, edges))
        except Exception as error:
            raise failed(self.name, error) from error
        if seen.count > DETECTIONS_MAX or not math.isfinite(seen.active_s):
            raise SensorError(f"{self.name}: it tells of impossibly many detections", hint=WIRING)
        return seen

    def close(self) -> None:
        """Give the hardware back. Raises SensorError."""
        try:
            self._driver.close()
        except Exception as error:
            raise failed(self.name, error) from error


def _checked(quantity: object, value: object) -> float | str:
    """The value that can be sent. Raises NoDataError where there is none now, else SensorError."""
    name = _shown(quantity)
    if quantity in RESERVED or name != quantity or len(name) > NAME_LENGTH:
        raise SensorError(f"{quantity!r:.80} is no name for a quantity", hint=MEND)
    if isinstance(value, Exception):
        raise _unread(name, value)
    if name in WORDS and isinstance(value, str):
        return value.encode("utf-8", "replace").decode()[:WORD_LENGTH]
    if value is None:
        raise NoDataError(f"{name} has no value: None, or null", hint=WIRING)
    if isinstance(value, bool) or not isinstance(value, int | float):
        hint = UNQUOTE if isinstance(value, str) else MEND
        raise SensorError(f"{name} is {value!r:.80}, not a number", hint=hint)
    if isinstance(value, int) and abs(value) > sys.float_info.max:
        value = math.inf
    if math.isnan(value):
        raise NoDataError(f"{name} cannot be nan", hint=WIRING)
    number = believed(name, value) if math.isfinite(value) else None
    if number is None:
        raise NoDataError(f"{name} cannot be {value:.6g}", hint=WIRING)
    return number


def _shown(quantity: object) -> str:
    """The name itself if it is one, else something else that can be shown."""
    return (
        quantity if isinstance(quantity, str) and quantity.isidentifier() else f"{quantity!r:.80}"
    )


def lacking(name: str, missing: Mapping[str, SensorError]) -> SensorError:
    """One error for all that is missing: NoDataError if all of it may be there the next time."""
    errors = list(missing.values())
    kind = NoDataError if all(isinstance(one, NoDataError) for one in errors) else SensorError
    texts = [one.text for one in errors[:NAMED_MAX]]
    more = [f"and {len(errors) - NAMED_MAX} more"] if len(errors) > NAMED_MAX else []
    return kind(f"{name}: {'; '.join(texts + more)}", hint=errors[0].hint or WIRING)


def failed(name: str, error: Exception) -> SensorError:
    """The failure for whatever a driver raised, in words; it is never NoDataError."""
    if isinstance(error, SensorError):
        return SensorError(f"{name}: {error.text}", hint=error.hint or WIRING)
    return SensorError(f"{name}: {error or type(error).__name__}", hint=WIRING)


def _unread(name: str, error: Exception) -> SensorError:
    """The same for a reading: NoDataError if there may be a value the next time."""
    told = failed(name, error)
    passes = isinstance(error, OSError) and error.errno in sysfs.PASSING
    if passes or isinstance(error, NoDataError):
        return NoDataError(told.text, hint=told.hint)
    return told
