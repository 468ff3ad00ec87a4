"""Rhythm: what is usual in this hour of this weekday, in numbers with their evidence."""

from __future__ import annotations

import time

from agent.model import DAY_S, HOUR_S, MINUTE_S
from agent.store import COUNTS
from agent.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from agent.store import Hour

#: The weeks that tell what is usual; fewer than the least are no evidence.
WEEKS_MAX = 12
WEEKS_MIN = 2

#: An hour tells of its weekday if it was observed for so long.
OBSERVED_MIN_S = 50 * MINUTE_S

LOW, MEDIAN, HIGH = 0.1, 0.5, 0.9


class Usual(Value):
    """Quantiles of the detections in that hour over so many `weeks`, at most twelve."""

    low: float
    median: float
    high: float
    weeks: int


def usual(hours: Iterable[Hour], start_s: int) -> Usual | None:
    """Usual detections in the local hour that begins at `start_s`; None without evidence.

    `hours` are rows of counts before it, in any order. Those of the twelve weeks before tell that
    have the same weekday and hour by the local clock, were observed for 50 minutes at least, and
    were not odd; each is scaled to a whole hour. One that the clock has shown twice is one.
    """
    wanted = _place(start_s)
    found: dict[int, list[Hour]] = {}
    for hour in hours:
        days = round((start_s - hour.start_s) / DAY_S)
        if hour.name == COUNTS and 0 < days <= WEEKS_MAX * 7 and _place(hour.start_s) == wanted:
            found.setdefault(days, []).append(hour)
    rates = sorted(rate for same in found.values() if (rate := _rate(same)) is not None)
    if len(rates) < WEEKS_MIN:
        return None
    low, median, high = (round(quantile(rates, share), 1) for share in (LOW, MEDIAN, HIGH))
    return Usual(low, median, high, len(rates))


def quantile(ordered: Sequence[float], share: float) -> float:
    """The quantile of values in order, between two of them by their distance.

    Definition 7 of Hyndman and Fan, "Sample Quantiles in Statistical Packages" (1996).
    """
    place = (len(ordered) - 1) * share
    below = int(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (ordered[above] - ordered[below]) * (place - below)


def _place(start_s: int) -> tuple[int, int]:
    """Weekday and hour by the local clock."""
    local = time.localtime(start_s)
    return local.tm_wday, local.tm_hour


def _rate(same: list[Hour]) -> float | None:
    """Detections in an hour of one date; None if that does not tell what is usual."""
    observed_s = sum(hour.observed_s for hour in same)
    if observed_s < OBSERVED_MIN_S or any(hour.odd for hour in same):
        return None
    return sum(hour.total for hour in same) * HOUR_S / observed_s
