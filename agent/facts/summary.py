"""Summary: what the digest of a day says, in few KiB; what is unknown is null in it, never 0."""

from __future__ import annotations

import math

from agent.facts.made import DIGEST
from agent.facts.rhythm import usual
from agent.model import DAY_S, HOUR_S, KIB, NewRecord, encode, plain_number
from agent.store import COUNTS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from agent.facts.day import Day
    from agent.health.health import Snapshot
    from agent.model import Json, Moment
    from agent.store import Hour, Outage, Spell, Store

#: The same weekday of so many weeks before says what is usual.
WEEKS = 12
WEEK_S = 7 * DAY_S

#: Of more outages, those that lasted least are left out; so are quantities of a body above that
#: size, from the end of the alphabet on.
OUTAGES_MAX = 24
CAUSE_LENGTH = 80
SIZE_MAX = 7 * KIB


def of_day(day: Day, store: Store, health: Snapshot, now: Moment) -> NewRecord | None:
    """Record with the digest of `day`, made now; None if there is no history of that day.

    Raises StoreError.
    """
    hours = store.hours(day.start_s, day.end_s)
    outages = store.outages(day.start_s, day.end_s)
    if not (hours or outages):
        return None
    spells = store.spells(day.start_s, day.end_s)
    earlier: list[Hour] = []
    for back_s in range(WEEKS * WEEK_S, 0, -WEEK_S):
        # Summer time may have begun or ended since.
        since_s, until_s = day.start_s - back_s - HOUR_S, day.end_s - back_s + HOUR_S
        earlier += store.hours(since_s, until_s, COUNTS)
    body = body_of(day, hours=hours, earlier=earlier, outages=outages, spells=spells)
    return NewRecord(DIGEST, int(now.wall_s), now, {**body, "health": _health(health, now)})


def body_of(
    day: Day,
    *,
    hours: Iterable[Hour],
    earlier: Sequence[Hour] = (),
    outages: Sequence[Outage] = (),
    spells: Iterable[Spell] = (),
) -> dict[str, Json]:
    """The fields of the digest of `day` that its history tells.

    `earlier` are the counts of the same weekday in the weeks before.
    """
    counts: dict[int, Hour] = {}
    read: dict[str, list[Hour]] = {}
    for row in hours:
        if row.name == COUNTS:
            counts[row.start_s] = row
        else:
            read.setdefault(row.name, []).append(row)
    known = [row for row in counts.values() if _is_known(row)]
    observed_s = sum(row.observed_s for row in known)
    longest = sorted(outages, key=_length_s, reverse=True)[:OUTAGES_MAX]
    quantities: dict[str, Json] = {name: _range(read[name]) for name in sorted(read)}
    told: list[Json] = [_outage(one) for one in outages if one in longest]
    body: dict[str, Json] = {
        "day": day.name,
        "starts": day.start_s,
        "ends": day.end_s,
        "detect_count": round(sum(row.total for row in known)) if known else None,
        "observed_ms": round(observed_s * 1000),
        "observed_share": round(min(1.0, observed_s / (day.end_s - day.start_s)), 3),
        "first_detection": _least(row.first_s for row in known),
        "last_detection": _most(row.last_s for row in known),
        "longest_quiet": _spell(max(spells, key=lambda one: one.observed_s, default=None)),
        "hours": [_hour(start_s, counts.get(start_s), earlier) for start_s in day.hours],
        "quantities": quantities,
        "outages": told,
    }
    while len(encode(body)) > SIZE_MAX and (quantities or told):
        (quantities.popitem if quantities else told.pop)()
    left_out: dict[str, Json] = {
        "quantities": len(read) - len(quantities),
        "outages": len(outages) - len(told),
    }
    return {**body, "left_out": left_out} if any(left_out.values()) else body


def _hour(start_s: int, row: Hour | None, earlier: Sequence[Hour]) -> dict[str, Json]:
    """One hour of the day, and what is usual in it where there is evidence."""
    told: dict[str, Json] = {
        "start": start_s,
        "detect_count": round(row.total) if row and _is_known(row) else None,
        "observed_ms": round(row.observed_s * 1000) if row else 0,
    }
    if row and row.odd:
        told["odd"] = True
    if found := usual(earlier, start_s):
        told["usual"] = [_short(one) for one in (found.low, found.median, found.high)]
        told["weeks"] = found.weeks
    return told


def _is_known(row: Hour) -> bool:
    """True if somebody looked in that hour."""
    return row.observed_s > 0 or row.total > 0


def _spell(spell: Spell | None) -> dict[str, Json] | None:
    if not spell:
        return None
    return {
        "from": _short(spell.began_s),
        "to": _short(spell.ended_s),
        "for_s": _short(spell.ended_s - spell.began_s),
        "observed_s": _short(spell.observed_s),
    }


def _range(rows: Sequence[Hour]) -> dict[str, Json]:
    """The range of a quantity over the day."""
    number, total = sum(row.number for row in rows), sum(row.total for row in rows)
    return {
        "low": _least(row.low for row in rows),
        "high": _most(row.high for row in rows),
        "mean": _short(total / number) if number and math.isfinite(total) else None,
        "readings": number,
    }


def _outage(one: Outage) -> dict[str, Json]:
    return {
        "kind": one.kind,
        "from": _short(one.began_s),
        "to": None if one.ended_s is None else _short(one.ended_s),
        "cause": one.cause[:CAUSE_LENGTH],
    }


def _length_s(one: Outage) -> float:
    return math.inf if one.ended_s is None else one.ended_s - one.began_s


def _health(health: Snapshot, now: Moment) -> dict[str, Json]:
    """State of the device while the digest is made."""
    told: dict[str, Json] = {name: health.facts[name] for name in ("version", "queued", "dropped")}
    codes: list[Json] = [*sorted({one.code for one in health.conditions})]
    return {**told, "uptime_s": round(now.boot_s), "conditions": codes}


def _least(values: Iterable[float | None]) -> int | float | None:
    known = [value for value in values if value is not None]
    return _short(min(known)) if known else None


def _most(values: Iterable[float | None]) -> int | float | None:
    known = [value for value in values if value is not None]
    return _short(max(known)) if known else None


def _short(value: float) -> int | float:
    """The number with at most three decimals."""
    return plain_number(round(value, 3))
