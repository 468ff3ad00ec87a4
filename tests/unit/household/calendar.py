"""The calendar of the household, by arithmetic of its own: no code of the agent, no localtime(3).

Summer time begins and ends within its two months, as it does in some countries around Ramadan.
"""

from __future__ import annotations

from calendar import timegm

#: For TZ: an hour ahead of UTC, two from Sunday, 14 March, 02:00 to Sunday, 11 April 2027, 03:00.
ZONE = "CET-1CEST,M3.2.0,M4.2.0/3"

HOUR_S, DAY_S = 3600, 86_400
SUMMER_S = timegm((2027, 3, 14, 1, 0, 0))
WINTER_S = timegm((2027, 4, 11, 1, 0, 0))

DAYS = 61


def utc_offset_s(at_s: float) -> int:
    """Seconds that the local clock is ahead of UTC."""
    return 2 * HOUR_S if SUMMER_S <= at_s < WINTER_S else HOUR_S


def at(day: int, clock: str = "00:00") -> float:
    """The time at which the clock on the wall shows `clock` on that day, 0 being 15 February."""
    hour, minute = map(int, clock.split(":"))
    as_utc_s = timegm((2027, 2, 15 + day, hour, minute, 0))
    return float(as_utc_s - utc_offset_s(as_utc_s - HOUR_S))


def hours_of(day: int) -> list[float]:
    """The starts of the hours of a day, of which there are 23, 24 or 25."""
    start_s, end_s = at(day), at(day + 1)
    return [start_s + hour * HOUR_S for hour in range(int(end_s - start_s) // HOUR_S)]


def day_at(at_s: float) -> int:
    """The day that a time lies in."""
    return int((at_s + utc_offset_s(at_s) - timegm((2027, 2, 15, 0, 0, 0))) // DAY_S)


def name_of(day: int) -> str:
    """The date of a day."""
    ordinal = 15 + day
    month = next(m for m, days in ((2, 28), (3, 59), (4, 89)) if ordinal <= days)
    before = {2: 0, 3: 28, 4: 59}[month]
    return f"2027-{month:02}-{ordinal - before:02}"
