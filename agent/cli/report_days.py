"""Numbers of the report: hours and days by the local clock, quantities, outages.

An hour that nobody observed has no count: unknown is never zero.
"""

from __future__ import annotations

import math
import time
from bisect import bisect_left, bisect_right
from collections import defaultdict
from itertools import pairwise

from agent.facts import Day, day_of
from agent.facts.rhythm import Usual, usual
from agent.model import HOUR_S
from agent.store import COUNTS
from agent.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from agent.cli.report_past import Past
    from agent.store import Hour, Outage, Spell

#: Local hours of a day; one that comes twice stands in a line of its own.
COLUMNS = 24

#: Shades of a count that is not zero.
LEVELS = 8

#: Up to so many days, quantities are told by hours, and else by days.
BY_HOURS_DAYS = 8

#: The share of an hour from which on it counts as observed.
WHOLE = 0.9

#: How far back the rhythm looks.
RHYTHM_DAYS = 12 * 7 + 1


class Cell(Value):
    """An hour: its detections, None if nobody looked, and the share of it that was observed."""

    start_s: int
    count: float | None
    share: float

    @property
    def is_partly_observed(self) -> bool:
        """True if nobody looked for a good part of it."""
        return self.share < WHOLE

    @property
    def is_part(self) -> bool:
        """True if none was seen in an hour that was observed in part only."""
        return self.count == 0 and self.is_partly_observed


class Line(Value):
    """A line of the heat map: a cell for each local hour, None for one that is not there.

    An hour that the clock showed once more, since it was put back, is in a line `again`.
    """

    cells: tuple[Cell | None, ...]
    again: bool = False


class DayFacts(Value):
    """A day: its lines, its detections (None: nobody looked), and the share of it observed."""

    day: Day
    lines: tuple[Line, ...]
    total: float | None
    share: float
    first_s: float | None
    last_s: float | None
    spell: Spell | None


class Point(Value):
    """A quantity from `start_s` to `end_s`: the least, the mean and the greatest."""

    start_s: int
    end_s: int
    low: float
    mean: float
    high: float


class Series(Value):
    """A quantity over the days; None where nothing was read."""

    name: str
    points: tuple[Point | None, ...]
    low: float
    mean: float
    high: float


class Scale(Value):
    """The greatest count of each shade; they grow by squares, since most hours have few."""

    bounds: tuple[int, ...]

    def level(self, count: float) -> int:
        """The shade of a count: 0 for none, 1 for the least."""
        return 0 if count <= 0 else min(bisect_left(self.bounds, count), LEVELS - 1) + 1

    def used(self) -> dict[int, int]:
        """The shades that there are, each with its greatest count; none where all is zero."""
        return {self.level(bound): bound for bound in self.bounds}


class Report(Value):
    """All that a report shows; `by_hours` says what a point of a series is.

    `past` is what it was made of, for what is shown of the running agent.
    """

    now_s: float
    days: tuple[DayFacts, ...]
    scale: Scale
    usual: tuple[Usual | None, ...]
    series: tuple[Series, ...]
    by_hours: bool
    outages: tuple[Outage, ...]
    last_s: float | None
    past: Past

    @property
    def counts(self) -> bool:
        """True if the device counts at all: else nobody looked for what is not to be counted."""
        return self.last_s is not None or any(one.name == COUNTS for one in self.past.hours)

    @property
    def total(self) -> float | None:
        """Detections of all days; None if nobody looked."""
        return _sum(day.total for day in self.days)

    @property
    def share(self) -> float:
        """The share of all days that was observed."""
        spans = [_elapsed_s(day.day, self.now_s) for day in self.days]
        seen_s = sum(one.share * span_s for one, span_s in zip(self.days, spans, strict=True))
        return min(1.0, seen_s / sum(spans)) if sum(spans) else 0.0


def report(past: Past, days: int, now_s: float) -> Report | None:
    """Report of so many days, today among them; None if the history has none of them."""
    today = day_of(now_s)
    first_s = day_of(today.start_s, days=1 - days).start_s
    shown = [one for one in past.hours if first_s <= one.start_s <= now_s]
    if not shown:
        return None
    since_s = day_of(min(one.start_s for one in shown)).start_s
    span = [day_of(since_s)]
    while span[-1].end_s <= now_s:
        span.append(day_of(span[-1].end_s))
    counts = [one for one in shown if one.name == COUNTS]
    spells = {day_of(one.day_s).start_s: one for one in past.spells}
    facts = _days(span, counts, spells, now_s)
    cells = [cell for day in facts for line in day.lines for cell in line.cells if cell]
    before = [one for one in past.hours if one.name == COUNTS]
    by_hours = len(span) <= BY_HOURS_DAYS
    steps = [hour for day in span for hour in day.hours] if by_hours else [d.start_s for d in span]
    ends = (*steps[1:], span[-1].end_s)
    newest_s = max(now_s - HOUR_S, *(one.start_s for one in shown))
    past_steps = [
        (start_s, end_s) for start_s, end_s in zip(steps, ends, strict=True) if start_s <= newest_s
    ]
    rhythm = _usual(before, today)
    medians = [one.median for one in rhythm if one]  # which are drawn in the same shades
    lasts = [one.last_s for one in before if one.last_s is not None]
    return Report(
        now_s=now_s,
        days=facts,
        scale=_scale(max((*(cell.count or 0 for cell in cells), *medians), default=0)),
        usual=rhythm,
        series=_series(shown, past_steps),
        by_hours=by_hours,
        outages=tuple(one for one in past.outages if (one.ended_s or now_s) >= since_s),
        last_s=past.last_s if past.last_s is not None else max(lasts, default=None),
        past=past,
    )


def _days(
    span: Sequence[Day], counts: Iterable[Hour], spells: dict[int, Spell], now_s: float
) -> tuple[DayFacts, ...]:
    """The facts of each day; an hour that has just begun, and those to come, are left out."""
    starts = [hour for day in span for hour in day.hours]
    found: dict[int, list[Hour]] = defaultdict(list)
    for one in counts:  # which another time zone may have cut otherwise
        found[starts[bisect_right(starts, one.start_s) - 1]].append(one)
    made = []
    for day in span:
        rows = [one for hour in day.hours for one in found[hour]]
        seen_s = sum(one.observed_s for one in rows)
        made.append(
            DayFacts(
                day,
                _lines(day, found, now_s),
                _count(rows),
                min(1.0, seen_s / elapsed_s) if (elapsed_s := _elapsed_s(day, now_s)) else 0.0,
                min((one.first_s for one in rows if one.first_s is not None), default=None),
                max((one.last_s for one in rows if one.last_s is not None), default=None),
                spells.get(day.start_s),
            )
        )
    return tuple(made)


def _lines(day: Day, found: dict[int, list[Hour]], now_s: float) -> tuple[Line, ...]:
    """A line, and another with the hours that the local clock shows once more."""
    lines: list[list[Cell | None]] = [[None] * COLUMNS]
    for start_s, end_s in pairwise((*day.hours, day.end_s)):
        rows = found[start_s]
        if start_s > now_s or (end_s > now_s and not rows):
            continue
        column = time.localtime(start_s).tm_hour
        if all(line[column] is not None for line in lines):
            lines.append([None] * COLUMNS)
        line = next(one for one in lines if one[column] is None)
        span_s = min(end_s, max(now_s, start_s + 1)) - start_s
        seen = min(1.0, sum(one.observed_s for one in rows) / span_s)
        line[column] = Cell(start_s, _count(rows), seen)
    return tuple(Line(tuple(cells), again=number > 0) for number, cells in enumerate(lines))


def _count(rows: Iterable[Hour]) -> float | None:
    """Detections of what was observed."""
    return _sum(one.total for one in rows if one.observed_s > 0)


def _sum(numbers: Iterable[float | None]) -> float | None:
    known = [one for one in numbers if one is not None]
    return math.fsum(known) if known else None


def _elapsed_s(day: Day, now_s: float) -> float:
    return max(0.0, min(day.end_s, now_s) - day.start_s)


def _scale(most: float) -> Scale:
    most = math.ceil(most)  # a median may lie between two counts
    if most <= 0:
        return Scale(())
    steps = ((level / LEVELS) ** 2 * most for level in range(1, LEVELS + 1))
    return Scale(tuple(max(1, math.floor(step)) for step in steps))


def _usual(counts: Sequence[Hour], today: Day) -> tuple[Usual | None, ...]:
    """The rhythm of today's weekday, for each local hour."""
    cells: list[Usual | None] = [None] * COLUMNS
    before = [one for one in counts if one.start_s < today.start_s]
    weekday = time.localtime(today.start_s).tm_wday
    before = [one for one in before if time.localtime(one.start_s).tm_wday == weekday]
    for start_s in today.hours:
        cells[time.localtime(start_s).tm_hour] = usual(before, start_s)
    return tuple(cells)


def _series(hours: Iterable[Hour], steps: Sequence[tuple[int, int]]) -> tuple[Series, ...]:
    """Each quantity, by its name; a step is from when to when a point is."""
    starts = [start_s for start_s, _ in steps]
    of_name: dict[str, dict[int, list[Hour]]] = defaultdict(lambda: defaultdict(list))
    for one in hours:
        if one.name != COUNTS and one.number > 0:
            of_name[one.name][bisect_right(starts, one.start_s) - 1].append(one)
    made = []
    for name in sorted(of_name):
        found = of_name[name]
        points = tuple(
            _point(start_s, end_s, found[index]) if index in found else None
            for index, (start_s, end_s) in enumerate(steps)
        )
        known = [one for one in points if one]
        if known:
            rows = [row for step in found.values() for row in step]
            whole = _point(starts[0], steps[-1][1], rows)
            if whole:
                made.append(Series(name, points, whole.low, whole.mean, whole.high))
    return tuple(made)


def _point(start_s: int, end_s: int, rows: Sequence[Hour]) -> Point | None:
    lows = [one.low for one in rows if one.low is not None]
    highs = [one.high for one in rows if one.high is not None]
    if not (lows and highs):
        return None
    mean = math.fsum(one.total for one in rows) / sum(one.number for one in rows)
    return Point(start_s, end_s, min(lows), mean, max(highs))


def since_s(days: int, now_s: float) -> int:
    """The time from which on a report of so many days needs counts, for the rhythm too."""
    return day_of(now_s, days=-max(days, RHYTHM_DAYS)).start_s
