"""Days and hours by the local clock: a day of summer time's change has 23 or 25 hours.

All by localtime(3) and mktime(3), which know the rules of the machine's zone, whatever they are.
"""

from __future__ import annotations

import time

from agent.model import HOUR_S
from agent.value import Value


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
    """The start of the local hour that `wall_s` lies in; zones may be off by half an hour."""
    whole = int(wall_s // 1)
    local = time.localtime(whole)
    return whole - local.tm_min * 60 - local.tm_sec


def day_of(wall_s: float, *, days: int = 0) -> Day:
    """The local day that `wall_s` lies in, or one so many `days` later."""
    local = time.localtime(wall_s)
    start_s, end_s = (
        _midnight(local.tm_year, local.tm_mon, local.tm_mday + more) for more in (days, days + 1)
    )
    hours, at_s = [], start_s
    while at_s < end_s:
        hours.append(at_s)
        at_s = hour_start(at_s + HOUR_S + HOUR_S // 4)  # a change may be of half an hour
    return Day(start_s, end_s, tuple(hours))


def of_local(day: Day, minute_of_day: int) -> int:
    """The time at which the local clock shows that minute on `day`; the next, where none does."""
    local = time.localtime(day.start_s)
    fields = (local.tm_year, local.tm_mon, local.tm_mday, 0, minute_of_day, 0, 0, 0, -1)
    return int(time.mktime(fields))


def parsed_time(text: str) -> int:
    """Minutes from midnight of a text such as 07:30; 24:00 is the end. Raises ValueError."""
    hour, colon, minute = text.partition(":")
    if not (colon and len(hour) in (1, 2) and len(minute) == 2 and (hour + minute).isdecimal()):  # noqa: PLR2004
        raise ValueError("expected a time such as 07:30")
    minutes = int(hour) * 60 + int(minute)
    if int(minute) > 59 or minutes > 24 * 60:  # noqa: PLR2004
        raise ValueError("expected a time from 00:00 to 24:00")
    return minutes


def _midnight(year: int, month: int, day: int) -> int:
    """The first second of a date; days beyond the month are of the next."""
    return int(time.mktime((year, month, day, 0, 0, 0, 0, 0, -1)))
