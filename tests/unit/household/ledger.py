"""The ledger: what the cloud is to be told of a life, worked out without any code of the agent.

It has the life, and the device's own account of when the hardware was asked.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from itertools import pairwise
from typing import TYPE_CHECKING

from tests.unit.household.calendar import (
    DAY_S,
    DAYS,
    HOUR_S,
    at,
    day_at,
    hours_of,
    name_of,
    utc_offset_s,
)
from tests.unit.household.device import UNSET_S, WINDOW_S
from tests.unit.household.life import Span

if TYPE_CHECKING:
    from tests.unit.household.device import Seen
    from tests.unit.household.life import Life

QUIET_S = 4 * HOUR_S
HEAT_C, HEAT_BACK_C, HEAT_S = 28.0, 27.0, 1800.0
CUT_OFF_S = 3600.0

#: Time of the digest, and hours of the rule of quiet.
DIGEST, MORNING, EVENING = "07:00", "07:00", "22:00"

Event = tuple[float, str, str, float]  # time, rule, begin or end, since when


class Ledger:
    """What is to be expected of `life`, of which the hardware has `seen` this."""

    def __init__(self, life: Life, seen: Seen) -> None:
        self.life = life
        self.watched = [
            kept for drained in seen.drained if (kept := self._kept(drained[0], drained[-1]))
        ]
        self.detections = [
            one
            for span in self.watched
            for one in life.detections
            if span.since_s < one <= span.until_s
        ]
        self.readings = seen.readings
        #: Those that were still in memory when a process died are in no history.
        self.kept_readings = [one for one in seen.readings if not self._lost(one[0])]

    def windows(self) -> dict[float, tuple[int, int]]:
        """Detections and milliseconds observed of each window by its end, where there are any."""
        found = {}
        for end_s in range(int(at(0)) + WINDOW_S, int(at(DAYS)) + 1, WINDOW_S):
            observed_s = self._observed_s(end_s - WINDOW_S, end_s)
            if observed_s:
                number = len(self._within(self.detections, end_s - WINDOW_S, end_s))
                found[float(end_s)] = number, round(observed_s * 1000)
        return found

    def mode_at(self, at_s: float) -> str | None:
        """The mode that what is made then is marked with."""
        return next((one.what for one in self.life.modes if at_s in one), None)

    def day(self, day: int) -> dict[str, object]:
        """What the digest of a day says of counts."""
        start_s, end_s = at(day), at(day + 1)
        detections = self._within(self.detections, start_s, end_s)
        observed_s = self._observed_s(start_s, end_s)
        return {
            "day": name_of(day),
            "starts": start_s,
            "ends": end_s,
            "detect_count": len(detections) if observed_s else None,
            "observed_ms": round(observed_s * 1000),
            "observed_share": round(observed_s / (end_s - start_s), 3),
            "first_detection": detections[0] if detections else None,
            "last_detection": detections[-1] if detections else None,
            "hours": [self._hour(day, start_s) for start_s in hours_of(day)],
        }

    def quantities(self, day: int) -> dict[str, dict[str, float]]:
        """The range of each quantity on a day."""
        found: dict[str, list[float]] = {}
        for at_s, values in self.kept_readings:
            if at(day) <= at_s < at(day + 1):
                for name, value in values.items():
                    found.setdefault(f"room.{name}", []).append(value)
        return {
            name: {
                "low": min(values),
                "high": max(values),
                "mean": round(sum(values) / len(values), 3),
                "readings": len(values),
            }
            for name, values in found.items()
        }

    def longest_quiet(self, day: int) -> Span | None:
        """The longest time of a day between two detections, by what was observed of it."""
        start_s, end_s = at(day), at(day + 1)
        edges = [start_s, *self._within(self.detections, start_s, end_s), end_s]
        spans = [Span(*edge) for edge in pairwise(edges)]
        longest = max(spans, key=lambda one: self._observed_s(one.since_s, one.until_s))
        return longest if self._observed_s(start_s, end_s) else None

    def is_whole(self, day: int) -> bool:
        """True for a day that was observed from its first to its last second."""
        return self._observed_s(at(day), at(day + 1)) == at(day + 1) - at(day)

    def outages(self, day: int) -> list[tuple[str, str, float, float | None]]:
        """Kind, cause, begin and end of what lies in a day; null where it lasts yet."""
        told_s = self.digest_due_s(day)
        found = [
            *(("link", one.what, one) for one in self.life.offline),
            *(("agent", one.what, one) for one in self.life.away),
            *(("sensor", "motion", one) for one in self.life.motion_broken),
            *(("sensor", "room", one) for one in self.life.room_broken),
        ]
        return sorted(
            (kind, cause, one.since_s, one.until_s if one.until_s <= told_s else None)
            for kind, cause, one in found
            if one.until_s - one.since_s >= 60
            and one.since_s < min(at(day + 1), told_s)
            and one.until_s > at(day)
        )

    def digest_due_s(self, day: int) -> float:
        """The time at which the digest of a day is made."""
        due_s = at(day + 1, DIGEST)
        for span in self.life.away:
            if due_s in span:
                return span.until_s + UNSET_S
        return due_s

    def events(self) -> list[Event]:
        """The events of all rules, in their order."""
        return sorted([*self._still(), *self._heat(), *self._cut_off()])

    def _still(self) -> list[Event]:
        """Nobody was seen for four hours between seven and ten, and nobody has said why."""
        found: list[Event] = []
        for since_s, until_s in pairwise([at(0), *self.detections, at(DAYS, MORNING)]):
            for day in range(day_at(since_s), day_at(until_s) + 1):
                start_s, end_s = at(day, MORNING), at(day, EVENING)
                for mode in self.life.modes:  # what lies in it does not count
                    if mode.what != "test" and mode.until_s <= until_s:
                        start_s = max(start_s, min(mode.until_s, at(day + 1)))
                begin_s = self._observed_by_s(max(since_s, start_s), QUIET_S)
                rests = [one.since_s for one in self.life.modes if one.what != "test"]
                if begin_s < min(until_s, end_s) and not self._rests(begin_s):
                    stops_s = min(
                        [until_s, end_s, *(one for one in rests if begin_s < one < until_s)]
                    )
                    found.append((begin_s, "still", "begin", begin_s - QUIET_S))
                    found.append((stops_s, "still", "end", begin_s - QUIET_S))
        return found

    def _heat(self) -> list[Event]:
        found: list[Event] = []
        over_s: float | None = None
        began = False
        for at_s, values in self.readings:
            temperature_c, humidity_pct = values["temperature_c"], values["humidity_pct"]
            wbgt_c = round(
                0.735 * temperature_c
                + 0.0374 * humidity_pct
                + 0.00292 * temperature_c * humidity_pct
                - 4.064,
                1,
            )
            if wbgt_c > HEAT_C:
                over_s = at_s if over_s is None else over_s
            if over_s is not None and not began and at_s >= over_s + HEAT_S:
                began = True
                found.append((over_s + HEAT_S, "heat", "begin", over_s))
            if began and over_s is not None and wbgt_c <= HEAT_BACK_C:
                found.append((at_s, "heat", "end", over_s))
            if wbgt_c <= HEAT_BACK_C:
                over_s, began = None, False
        return found

    def _cut_off(self) -> list[Event]:
        return [
            (at_s, "cut-off", what, span.since_s)
            for span in self.life.offline
            if span.until_s - span.since_s >= CUT_OFF_S
            for at_s, what in ((span.since_s + CUT_OFF_S, "begin"), (span.until_s, "end"))
        ]

    def _rests(self, at_s: float) -> bool:
        return self.mode_at(at_s) in {"away", "visitor"}

    def _hour(self, day: int, start_s: float) -> dict[str, object]:
        observed_s = self._observed_s(start_s, start_s + HOUR_S)
        number = len(self._within(self.detections, start_s, start_s + HOUR_S))
        told: dict[str, object] = {
            "start": start_s,
            "detect_count": number if observed_s else None,
            "observed_ms": round(observed_s * 1000),
        }
        if self._is_odd(start_s):
            told["odd"] = True
        rates = sorted(self._rates(day, start_s))
        if len(rates) >= 2:
            told["usual"] = [round(_quantile(rates, share), 1) for share in (0.1, 0.5, 0.9)]
            told["weeks"] = len(rates)
        return told

    def _rates(self, day: int, start_s: float) -> list[float]:
        """Detections in the same hour of that weekday in each week before that tells of it."""
        label = _label(start_s)
        found = []
        for before in range(day - 7, -1, -7):
            same = [one for one in hours_of(before) if _label(one) == label]
            observed_s = sum(self._observed_s(one, one + HOUR_S) for one in same)
            if observed_s >= 3000 and not any(map(self._is_odd, same)):
                number = sum(len(self._within(self.detections, one, one + HOUR_S)) for one in same)
                found.append(number * HOUR_S / observed_s)
        return found

    def _is_odd(self, start_s: float) -> bool:
        """True if a count of that hour was made in a mode, and there was one."""
        ends = (start_s + WINDOW_S * number for number in range(1, 7))
        running = (one for one in ends if not any(one in away for away in self.life.away))
        return any(self.mode_at(one) for one in running)

    def _observed_s(self, since_s: float, until_s: float) -> float:
        return sum(
            max(0.0, min(until_s, span.until_s) - max(since_s, span.since_s))
            for span in self.watched
        )

    def _observed_by_s(self, since_s: float, wanted_s: float) -> float:
        """The time by which so much has been observed since then."""
        for span in self.watched:
            from_s = max(since_s, span.since_s)
            if span.until_s - from_s >= wanted_s:
                return from_s + wanted_s
            wanted_s -= max(0.0, span.until_s - from_s)
        return math.inf

    def _kept(self, since_s: float, until_s: float) -> Span | None:
        """What of a span in which somebody watched is known after what came then."""
        for cut in self.life.away:
            if cut.what == "power cut" and since_s <= cut.since_s and until_s <= cut.since_s:
                window_s = cut.since_s - cut.since_s % WINDOW_S
                until_s = min(until_s, window_s)  # its last window died with it
        return Span(since_s, until_s) if since_s < until_s else None

    def _lost(self, at_s: float) -> bool:
        """True if a reading was in memory only when its process died, or of an hour unknown yet."""
        return any(
            cut.since_s - cut.since_s % WINDOW_S < at_s <= cut.since_s
            or (cut.what == "power cut" and 0 <= at_s - cut.until_s < UNSET_S)
            for cut in self.life.away
            if cut.what != "restart"
        )

    @staticmethod
    def _within(times: list[float], since_s: float, until_s: float) -> list[float]:
        return times[bisect_left(times, since_s) : bisect_right(times, until_s - 0.25)]


def _label(start_s: float) -> float:
    """What the clock on the wall shows at the start of an hour, which it may show twice."""
    return (start_s + utc_offset_s(start_s)) % DAY_S


def _quantile(ordered: list[float], share: float) -> float:
    """The quantile that lies between two of them by its distance."""
    exact = share * (len(ordered) - 1)
    low = int(exact)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] * (1 - (exact - low)) + ordered[high] * (exact - low)
