"""CloudWatch's evaluation of alarms, and of the one expression that ours use.

By the user guide, "Configuring how CloudWatch alarms treat missing data" and "Using metric math":
an alarm looks at more periods than it needs where points are missing; in IF a missing value that is
chosen is left out in the last place, and is 0 in the one before it. By "Alarm evaluation window" it
looks each minute, at periods that end then, or at those that are complete by the clock.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

OK, ALARM, INSUFFICIENT = "OK", "ALARM", "INSUFFICIENT_DATA"

#: Periods behind those that are needed that are looked at for points: 3 of 3 reads 5.
SPARE = 2

_IF = re.compile(r"IF\((?P<outside>[^,]+), (?P<yes>m1|\d+), (?P<no>m1|\d+)\)")
_HOUR = re.compile(r"HOUR\(m1\) != (\d+)")

_BREACHES = {
    "LessThanThreshold": lambda value, limit: value < limit,
    "GreaterThanThreshold": lambda value, limit: value > limit,
}


@dataclass(frozen=True)
class Alarm:
    """How points become a state: `needed` of `periods` beyond the limit."""

    periods: int
    needed: int
    limit: float
    comparison: str
    missing: str
    period: int = 60
    by_the_clock: bool = False

    @classmethod
    def of(cls, properties: Mapping[str, Any]) -> Alarm:
        """The alarm of a template's resource."""
        return cls(
            int(properties["EvaluationPeriods"]),
            int(properties["DatapointsToAlarm"]),
            float(properties["Threshold"]),
            properties["ComparisonOperator"],
            properties["TreatMissingData"],
            int(properties.get("Period", 3600)) // 60,
            "WallClockWindow" in properties.get("EvaluationWindow", {}),
        )

    def state(self, points: Sequence[float | None], before: str) -> str:
        """The state by the newest points, oldest first; None is missing."""
        looked = points[-(self.periods + SPARE) :]
        bad = [
            (age, _BREACHES[self.comparison](value, self.limit))
            for age, value in zip(range(len(looked), 0, -1), looked, strict=True)
            if value is not None
        ][-self.periods :]
        breaching = sum(is_bad for _, is_bad in bad)
        if breaching >= self.needed:
            return ALARM
        if len(bad) >= self.periods:
            return OK
        if self.missing == "breaching":
            return ALARM if breaching + self.periods - len(bad) >= self.needed else OK
        if self.missing == "notBreaching" or breaching < len(bad):
            return OK
        if self.missing == "missing":
            before = ALARM if bad and bad[0][0] >= self.needed else OK if bad else INSUFFICIENT
        return before

    def states(self, points: Sequence[float | None]) -> list[str]:
        """The state after each point."""
        found, state = [], INSUFFICIENT
        for end in range(1, len(points) + 1):
            state = self.state(points[:end], state)
            found.append(state)
        return found

    def changes(
        self,
        windows: Mapping[int, float],
        until: int,
        point: Callable[[Collection[float], int], float | None],
        *,
        late: int = 11,
    ) -> list[tuple[int, str]]:
        """Each change of the state, and its minute.

        `windows` are values by the minute that they are filed at, which arrive `late` minutes
        afterwards; `point` is what a period has of its values and the minute at which it begins.
        """
        found, state = [], INSUFFICIENT
        known = sorted(windows)
        for now in range(known[0] + self.period, until):
            end = now // self.period * self.period if self.by_the_clock else now
            points = []
            for age in range(self.periods + SPARE, 0, -1):
                begin = end - age * self.period
                last = min(begin + self.period - 1, now - late)
                inside = known[bisect_left(known, begin) : bisect_right(known, last)]
                points.append(point([windows[one] for one in inside], begin))
            after = self.state(points, state)
            if after != state:
                found.append((now, after))
                state = after
        return found


def worked_out(expression: str, m1: Sequence[float | None], first_hour: int) -> list[float | None]:
    """The series of `expression` for hours from `first_hour` (UTC) on. Raises ValueError."""
    found = _IF.fullmatch(expression)
    if not found:
        raise ValueError(f"no expression of ours: {expression}")
    hours = []
    for one in found["outside"].split(" && "):
        hour = _HOUR.fullmatch(one)
        if not hour:
            raise ValueError(f"no hour: {one}")
        hours.append(int(hour[1]))
    series: list[float | None] = []
    for place, point in enumerate(m1):
        outside = (first_hour + place) % 24 not in hours
        chosen = found["yes"] if outside else found["no"]
        if chosen != "m1":
            series.append(float(chosen))
        else:
            series.append(0.0 if point is None and chosen == found["yes"] else point)
    return series
