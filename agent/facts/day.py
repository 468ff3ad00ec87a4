"""Days and hours by the local clock: a day of summer time's change has 23 or 25 hours.

All by localtime(3) and mktime(3), which know the rules of the machine's zone, whatever they are.
"""

from __future__ import annotations

import math
import time

from agent.model import DAY_S, HOUR_S, MINUTE_S
from agent.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

#: A day has so many minutes by the clock, whatever its length.
MINUTES = DAY_S // MINUTE_S

#: Midnight is never further from noon, whatever the clock does between them.
NOON_S = 15 * HOUR_S


class Day(Value):
    """A local day: from `start_s` to before `end_s`, and the starts of its hours, epoch seconds."""

    start_s: int
    end_s: int
    hours: tuple[int, ...]

    @property
    def name(self) -> str:
        """Date, as 2026-11-27."""
        return time.strftime("%Y-%m-%d", time.localtime(self.start_s))


def hour_start(wall_s: float) -> int:
    """The start of the local hour that `wall_s` lies in, epoch seconds.

    Where the clock was changed within it, by half an hour as on Lord Howe, the hour begins there.
    """
    at_s = math.floor(wall_s)
    local = time.localtime(at_s)
    start_s = at_s - local.tm_min * MINUTE_S - local.tm_sec
    return start_s if _offset_s(start_s) == local.tm_gmtoff else _change(start_s, at_s)


def hour_end(wall_s: float) -> int:
    """The start of the hour that follows the local hour that `wall_s` lies in, epoch seconds."""
    at_s = math.floor(wall_s)
    local = time.localtime(at_s)
    end_s = at_s - local.tm_min * MINUTE_S - local.tm_sec + HOUR_S
    return end_s if _offset_s(end_s) == local.tm_gmtoff else _change(at_s, end_s)


def day_of(wall_s: float, *, days: int = 0) -> Day:
    """The local day that `wall_s` lies in, or one so many `days` later."""
    year, month, day, *_ = time.localtime(wall_s)
    start_s, end_s = (_midnight(year, month, day + more) for more in (days, days + 1))
    hours, at_s = [], start_s
    while at_s < end_s:
        hours.append(at_s)
        at_s = hour_end(at_s)
    return Day(start_s, end_s, tuple(hours))


def of_local(day: Day, minute_of_day: int) -> int:
    """The time at which the local clock first shows that minute on `day`, epoch seconds.

    Where it never does, as it leaps over it, the time of the leap; 1440 is the end of the day.
    """
    if minute_of_day >= MINUTES:
        return day.end_s
    first, last = _offset_s(day.start_s), _offset_s(day.end_s - 1)
    midnight_s = day.start_s - _minute(day.start_s) * MINUTE_S
    for offset_s in (max(first, last), min(first, last)):
        at_s = midnight_s + minute_of_day * MINUTE_S + first - offset_s
        if day.start_s <= at_s < day.end_s and _minute(at_s) == minute_of_day:
            return at_s
    return _change(day.start_s, day.end_s) if first != last else day.start_s


def parsed_time(text: str) -> int:
    """Minutes from midnight of a text such as 07:30; 24:00 is the end. Raises ValueError."""
    hour, colon, minute = text.partition(":")
    if not (colon and len(hour) in (1, 2) and len(minute) == 2 and (hour + minute).isdecimal()):  # noqa: PLR2004
        raise ValueError("expected a time such as 07:30")
    minutes = int(hour) * 60 + int(minute)
    if int(minute) > 59 or minutes > MINUTES:  # noqa: PLR2004
        raise ValueError("expected a time from 00:00 to 24:00")
    return minutes


def _midnight(year: int, month: int, day: int) -> int:
    """The first second of a date, which some clocks leap over; days may be beyond the month."""
    noon_s = int(time.mktime((year, month, day, 12, 0, 0, 0, 0, -1)))
    date = time.localtime(noon_s)[:3]
    return _first(noon_s - NOON_S, noon_s, lambda at_s: time.localtime(at_s)[:3] == date)


def _change(before_s: int, after_s: int) -> int:
    """The first second that has the offset of `after_s`, which is not that of `before_s`."""
    offset_s = _offset_s(after_s)
    return _first(before_s, after_s, lambda at_s: _offset_s(at_s) == offset_s)


def _first(before_s: int, after_s: int, holds: Callable[[int], bool]) -> int:
    """The first second for which it `holds`, as it does at `after_s` and not at `before_s`."""
    while after_s - before_s > 1:
        middle_s = (before_s + after_s) // 2
        if holds(middle_s):
            after_s = middle_s
        else:
            before_s = middle_s
    return after_s


def _minute(wall_s: int) -> int:
    """The minute of the day that the local clock shows."""
    local = time.localtime(wall_s)
    return local.tm_hour * 60 + local.tm_min


def _offset_s(wall_s: int) -> int:
    """Seconds by which the local clock is ahead of UTC."""
    return time.localtime(wall_s).tm_gmtoff
