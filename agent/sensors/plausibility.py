"""Plausibility: ranges of quantities, and limits and history of detectors.

A value outside its range comes from a broken sensor, not from the world; a dead detector must not
be taken for an empty room. A quantity is known by the end of its name, its unit; a longer end goes
before a shorter one. A detector is judged by what it can do at all, and by what it did before; it
says by its `limits` that it wants to be judged.
"""

from __future__ import annotations

from dataclasses import dataclass

from agent.model import DAY_S, HOUR_S, MINUTE_S

#: Lowest and highest value by the end of a quantity's name, generous for sensors of a Raspberry Pi.
RANGES = {
    "temperature_c": (-90.0, 1800.0),
    "humidity_pct": (0.0, 100.0),
    "moisture_pct": (0.0, 100.0),
    "cpu_load_pct": (0.0, 100.0),
    "memory_used_pct": (0.0, 100.0),
    "disk_used_pct": (0.0, 100.0),
    "pressure_pa": (1_000.0, 200_000.0),
    "illuminance_lx": (0.0, 250_000.0),
    "co2_ppm": (0.0, 100_000.0),
    "voc_ppm": (0.0, 100_000.0),
    "_c": (-273.15, 3_000.0),
    "_pa": (-1e9, 1e9),
    "_lx": (0.0, 1e6),
    "_ppm": (0.0, 1e6),
    "_v": (-1e5, 1e5),
    "_rpm": (0.0, 1e6),
    "_ohm": (0.0, 1e12),
    "_dbm": (-200.0, 100.0),
    "_bytes": (0.0, 1e18),
}


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


@dataclass(frozen=True, slots=True)
class Limits:
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
    if seconds < 2 * HOUR_S:
        return f"{seconds / MINUTE_S:.0f} minutes"
    return f"{seconds / HOUR_S:.0f} hours"


def plausible(quantity: str, value: float) -> bool:
    """True if `value` can be; any number can for a quantity whose unit is not known here."""
    ends = (end for end in RANGES if quantity.endswith(end))
    longest = max(ends, key=len, default="")
    low, high = RANGES.get(longest, (float("-inf"), float("inf")))
    return low <= value <= high
