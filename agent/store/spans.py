"""Spans of time that the history tells of: hours, outages and quiet spells, as values and as rows.

No row is trusted: a dying cell may have changed any column of it.
"""

from __future__ import annotations

import math
from operator import call

from agent.model import LATEST_S, plain_number
from agent.value import Value, fields, replace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any, TypeVar

    from agent.value import Field

    Span = TypeVar("Span", bound="AnySpan")
    Kind = type[Value]
    Key = tuple[Any, ...]

#: The name of the row of an hour that has the counts of all counted sensors together.
COUNTS = "count"

#: Longest name, kind or cause; no number is larger.
TEXT_MAX = 140
NUMBER_MAX = 1e15

_TEXTS = ("name", "kind", "cause")

#: Types of cells: a mark, and a number of something; any number. Looked up, as that is quickest.
_WHOLE, _NUMBERS = frozenset({bool, int}), frozenset({int, float})


class Hour(Value):
    """Figures of `name` in the local hour that begins at `start_s` (epoch).

    Of counts: `number` of windows, `total` detections, seconds observed and active, the first and
    the last detection; of a quantity, `<sensor>.<quantity>`: number of readings, their `total`,
    the least and the greatest. It is `odd` if a mode was set in it.
    """

    start_s: int
    name: str
    number: int = 0
    total: float = 0.0
    low: float | None = None
    high: float | None = None
    first_s: float | None = None
    last_s: float | None = None
    observed_s: float = 0.0
    active_s: float = 0.0
    odd: bool = False


class Outage(Value):
    """A span without something: `kind` is `agent`, `link` or `sensor`, `cause` in words.

    `ended_s` is None while it lasts: the same with an end, by begin, kind and cause, takes its
    place. Times are epoch seconds.
    """

    began_s: float
    kind: str
    ended_s: float | None = None
    cause: str = ""


class Spell(Value):
    """The longest quiet spell of the day that begins at `day_s`; so much of it was observed."""

    day_s: int
    began_s: float
    ended_s: float
    observed_s: float


AnySpan = Hour | Outage | Spell


class Table(Value):
    """The table of a value class: a column a field, a key that begins with a time.

    `until_s` is SQL for the time up to which a row tells of something.
    """

    name: str
    key: tuple[str, ...]
    until_s: str
    columns: tuple[str, ...]

    @property
    def since_s(self) -> str:
        """The column of the time from which a row tells of something."""
        return self.key[0]


TABLES: Mapping[Kind, Table] = {
    kind: Table(name, key, until_s, tuple(one.name for one in fields(kind)))
    for kind, name, key, until_s in (
        (Hour, "hours", ("start_s", "name"), "start_s"),
        (Outage, "outages", ("began_s", "kind", "cause"), "ifnull(ended_s, 1e999)"),
        (Spell, "spells", ("day_s",), "day_s"),
    )
}


def joined(before: AnySpan | None, span: Span) -> Span:
    """The span after what was noted of the same before: an hour adds up, another replaces it."""
    if not (isinstance(before, Hour) and isinstance(span, Hour)):
        return span
    return replace(
        span,
        number=before.number + span.number,
        total=before.total + span.total,
        low=_pick(min, before.low, span.low),
        high=_pick(max, before.high, span.high),
        first_s=_pick(min, before.first_s, span.first_s),
        last_s=_pick(max, before.last_s, span.last_s),
        observed_s=before.observed_s + span.observed_s,
        active_s=before.active_s + span.active_s,
        odd=before.odd or span.odd,
    )


def ends_s(span: AnySpan) -> float:
    """The time up to which a span tells of something; that of an hour and a day is its begin."""
    if isinstance(span, Outage):
        return math.inf if span.ended_s is None else span.ended_s
    return span.start_s if isinstance(span, Hour) else span.day_s


def key(span: AnySpan) -> Key:
    """The values of the key of its table."""
    return tuple(getattr(span, name) for name in TABLES[type(span)].key)


def row(span: AnySpan) -> tuple[object, ...]:
    """The row of a value, in few bytes."""
    cells = (getattr(span, name) for name in TABLES[type(span)].columns)
    return tuple(plain_number(cell) if isinstance(cell, float) else cell for cell in cells)


def legible(span: Span) -> Span:
    """The span with a cause that can be kept and shown, whoever has worded it."""
    if not isinstance(span, Outage) or _is_text(span.cause):
        return span
    letters = (letter if letter.isprintable() else " " for letter in span.cause[:TEXT_MAX])
    return replace(span, cause="".join(letters))


def holds(kind: Kind, cells: Sequence[Any]) -> bool:
    """True for a row whose cells can be true, each by itself."""
    return all(map(call, _SOUND[kind], cells))


def judged(kind: type[Span], cells: Sequence[Any]) -> Span | None:
    """The value of a row; None where a cell, or one beside another, cannot be true."""
    if not holds(kind, cells):
        return None
    span = kind(*cells)
    if isinstance(span, Hour):
        return replace(span, odd=bool(span.odd)) if span.odd else span
    return span if span.ended_s is None or span.began_s <= span.ended_s else None


def _pick(
    choose: Callable[[float, float], float], one: float | None, other: float | None
) -> float | None:
    if one is None or other is None:
        return other if one is None else one
    return choose(one, other)


def _sound(field: Field) -> Callable[[Any], bool]:
    """The test that a cell of a field passes, by what its name and its default say."""
    if field.name in _TEXTS:
        return _is_text
    if type(field.default) in _WHOLE:
        return _is_whole
    test = _is_time if field.name.endswith("_s") else _is_number
    return (lambda cell: cell is None or test(cell)) if field.default is None else test


def _is_text(cell: str) -> bool:
    return type(cell) is str and len(cell) <= TEXT_MAX and cell.isprintable()


def _is_whole(cell: float) -> bool:
    return type(cell) in _WHOLE and 0 <= cell <= NUMBER_MAX


def _is_time(cell: float) -> bool:
    return type(cell) in _NUMBERS and 0 <= cell <= LATEST_S


def _is_number(cell: float) -> bool:
    return type(cell) in _NUMBERS and -NUMBER_MAX <= cell <= NUMBER_MAX


_SOUND = {kind: tuple(map(_sound, fields(kind))) for kind in TABLES}
