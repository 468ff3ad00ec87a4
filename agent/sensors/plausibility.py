"""Plausibility: ranges of quantities, and limits and history of detectors.

A value outside its range comes from a broken sensor, not from the world; a dead detector must not
be taken for an empty room. A quantity is known by its base and its unit, whatever label stands
between or around them. A detector is judged by what it can do at all, and by what it did before; it
says by its `limits` that it wants to be judged.
"""

from __future__ import annotations

import re
from functools import lru_cache

from agent.model import DAY_S, HOUR_S, MINUTE_S
from agent.value import Value

#: Lowest and highest value by base and unit, generous for sensors of a Raspberry Pi.
RANGES = {
    ("temperature", "c"): (-90.0, 1800.0),
    ("humidity", "pct"): (-6.0, 119.0),
    ("humidityrelative", "pct"): (-6.0, 119.0),
    ("moisture", "pct"): (-6.0, 119.0),
    ("cpu_load", "pct"): (0.0, 100.0),
    ("memory_used", "pct"): (0.0, 100.0),
    ("disk_used", "pct"): (0.0, 100.0),
    ("pressure", "pa"): (1_000.0, 200_000.0),
    ("illuminance", "lx"): (0.0, 250_000.0),
    ("co2", "ppm"): (0.0, 100_000.0),
    ("voc", "ppm"): (0.0, 100_000.0),
}

#: The same by the unit alone, which stands at the end, for any other base.
UNIT_RANGES = {
    "c": (-273.14, 3_000.0),
    "pa": (-1e9, 1e9),
    "lx": (0.0, 1e6),
    "ppm": (0.0, 1e6),
    "v": (-1e5, 1e5),
    "rpm": (0.0, 1e6),
    "ohm": (0.0, 1e12),
    "dbm": (-200.0, 100.0),
    "bytes": (0.0, 1e18),
}

#: The formula of Sensirion's parts gives -6 to 119 % and their data sheet (SHT4x, 4.6) says to crop
#: that to what can be: it is the part's tolerance, in fog for one. More is no humidity. A probe in
#: the soil is as far beside its two ends.
CROPPED = {(base, "pct"): (0.0, 100.0) for base in ("humidity", "humidityrelative", "moisture")}

#: A DS18B20 that does not answer, in the words of the library that most programs use.
DISCONNECTED_C = -127.0

#: No temperature, and no difference of two, is so near to absolute zero, or below it.
NOTHING_C = -273.14

#: A name by base and unit, with a label between or around them. Pressure is that of the air only
#: without one: a pipe's is higher, that of a gauge is 0.
_LABEL = r"(^|_){base}\d*_(.*_)?{unit}\d*(_|$)"
_NAMES = {(base, unit): _LABEL.format(base=base, unit=unit) for base, unit in RANGES}
_NAMES["pressure", "pa"] = r"^pressure(_?\d+)?_pa(_?\d+)?$"
_TEMPERATURE = r"(^|_)temperature\d*_(.*_)?c(_?\d+)?$"

#: A name with one of these words tells how far something moved: it has no bounds.
_DIFFERENCE = r"(^|_)(change|delta|difference|offset|rate|per)(_|$)"


#: Rates are taken over at least this time.
RATE_SPAN_S = MINUTE_S

#: Edges a minute without a detection: so many are a loose contact or interference, no person.
BOUNCES_PER_MIN = 120.0

#: A suspect quiet spell: at least this long, and so many times the longest one before it.
QUIET_MIN_S = DAY_S
QUIET_FACTOR = 3.0

#: History that a quiet spell is judged by: at least so much time watched, and so many detections.
HISTORY_S = DAY_S
HISTORY_DETECTIONS = 20

#: A detector that is active without a break misses this much at most between two polls.
SLACK_S = 0.5


class Limits(Value):
    """Limits of a detector: seconds active without a break, detections a minute."""

    active_max_s: float
    max_per_min: float

    def __post_init__(self) -> None:
        if not (self.active_max_s > 0 and self.max_per_min > 0):
            raise ValueError("limits must be above 0")


class Plausibility:
    """Remembers the detections of one detector, over its openings; times are of the boot clock."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._judged_s = 0.0
        self._active_s = 0.0  # without a break, until now
        self._quiet_s = 0.0  # without a detection, until now
        self._longest_quiet_s = 0.0
        self._watched_s = 0.0
        self._detections = 0
        self._span_s = 0.0  # of which the rates are not judged yet
        self._span_count = 0
        self._span_bounces = 0
        self._rate_verdict = ""

    def begin(self, now_s: float) -> None:
        """Begin to watch at `now_s`, for the first time or again."""
        self._judged_s = now_s
        self._active_s = self._quiet_s = 0.0

    def judge(self, now_s: float, *, count: int, active_s: float, edges: int = 0) -> str:
        """Doubt about the detections since the last call, in words; empty if they can be true.

        `active_s` is the seconds they lasted, `edges` the edges before debouncing.
        """
        span_s = max(0.0, now_s - self._judged_s)
        self._judged_s = now_s
        self._watched_s += span_s
        self._span_s += span_s
        self._remember(span_s, count, active_s, edges)
        if self._span_s >= RATE_SPAN_S:
            self._rate_verdict = self._rates()
        if self._active_s >= self._limits.active_max_s:
            return f"active for more than {_span(self._limits.active_max_s)} without a break"
        if self._rate_verdict:
            return self._rate_verdict
        known = self._watched_s >= HISTORY_S and self._detections >= HISTORY_DETECTIONS
        quiet_max_s = max(QUIET_MIN_S, QUIET_FACTOR * self._longest_quiet_s)
        if known and self._quiet_s >= quiet_max_s:
            return f"nothing detected for more than {_span(quiet_max_s)}, which is unusual here"
        return ""

    def _remember(self, span_s: float, count: int, active_s: float, edges: int) -> None:
        self._detections += count
        always = count == 0 and active_s > 0 and active_s >= span_s - SLACK_S
        self._active_s = self._active_s + span_s if always else 0.0
        if count or active_s:
            self._longest_quiet_s = max(self._longest_quiet_s, self._quiet_s)
            self._quiet_s = 0.0
        else:
            self._quiet_s += span_s
        self._span_count += count
        self._span_bounces += max(0, edges - 2 * count)

    def _rates(self) -> str:
        """Doubt about the rates of the span that ends now, in words; the next span begins."""
        minutes = self._span_s / MINUTE_S
        per_min, bounces = self._span_count / minutes, self._span_bounces / minutes
        self._span_s, self._span_count, self._span_bounces = 0.0, 0, 0
        if per_min > self._limits.max_per_min:
            return f"more than {self._limits.max_per_min:g} detections a minute, which cannot be"
        if bounces > BOUNCES_PER_MIN:
            return f"the line changes more than {BOUNCES_PER_MIN:g} times a minute for nothing"
        return ""


def _span(seconds: float) -> str:
    """A time as a person says it."""
    if seconds < 2 * MINUTE_S:
        return f"{seconds:g} s"
    if seconds < 2 * HOUR_S:
        return f"{seconds / MINUTE_S:.0f} minutes"
    return f"{seconds / HOUR_S:.0f} hours"


def believed(quantity: str, value: float) -> float | None:
    """The value that is to be sent; None if it cannot be.

    Any number can for a quantity whose unit is not known here, and for most differences.
    """
    base, unit = _kind(quantity)
    low, high = RANGES.get((base, unit)) or UNIT_RANGES.get(unit, (float("-inf"), float("inf")))
    if not low <= value <= high:
        return None
    if (value == DISCONNECTED_C or value <= NOTHING_C) and (
        unit == "c" or re.search(_TEMPERATURE, quantity, re.IGNORECASE)
    ):
        return None
    low, high = CROPPED.get((base, unit), (value, value))
    return min(max(value, low), high)


@lru_cache(maxsize=256)
def _kind(quantity: str) -> tuple[str, str]:
    """The base and the unit of a name such as `humidity_1_pct`; each empty if it is not known."""
    if re.search(_DIFFERENCE, quantity, re.IGNORECASE):
        return "", ""
    for kind, name in _NAMES.items():
        if re.search(name, quantity, re.IGNORECASE):
            return kind
    found = re.search(rf"(^|_)({'|'.join(UNIT_RANGES)})(_?\d+)?$", quantity, re.IGNORECASE)
    return "", found[2].lower() if found else ""
