"""Past of the device: what the store and the running agent know of it, as text from one to another.

The service's user reads it; who writes the report takes it as anybody's word, and checks it.
"""

from __future__ import annotations

import json
import re
from operator import attrgetter

from agent.cli.output import CONTROLS
from agent.errors import AgentError
from agent.model import LATEST_S, is_time
from agent.store import COUNTS, Hour, Outage, Spell
from agent.value import Value, fields

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from agent.model import Json
    from agent.store.inspection import Past as Kept

#: Names of what has hours: `count`, or a sensor's quantity.
NAME = re.compile(r"[a-zA-Z0-9_.-]{1,140}")

#: Longest text, such as a cause, and most rows of a kind that are taken.
TEXT_MAX = 200
ROWS_MAX = 1_000_000

#: What is taken of the running agent's status.
STATUS = ("last_detection", "quiet_for_s", "quiet_observed_s", "mode", "mode_until")

#: Numbers of a row that are beyond this are spoiled.
NUMBER_MAX = 1e15


class Past(Value):
    """The last days; the last detection, quiet and mode are the running agent's, if one `runs`.

    `quiet_observed_s` is None where all of the quiet was observed.
    """

    thing: str
    hours: tuple[Hour, ...]
    outages: tuple[Outage, ...]
    spells: tuple[Spell, ...]
    last_s: float | None = None
    quiet_s: float | None = None
    quiet_observed_s: float | None = None
    runs: bool = False
    mode: str = ""
    mode_until_s: float | None = None


def encoded(thing: str, kept: Kept, status: Mapping[str, Json], *, since_s: float) -> str:
    """The past as JSON; quantities from `since_s` on only, as counts are wanted further back."""
    hours = [one for one in kept.hours if one.name == COUNTS or one.start_s >= since_s]
    return json.dumps(
        {
            "thing": thing,
            "hours": [*map(_row(Hour), hours)],
            "outages": [*map(_row(Outage), kept.outages)],
            "spells": [*map(_row(Spell), kept.spells)],
            "status": {name: status.get(name) for name in STATUS},
            "runs": bool(status),
        }
    )


def decoded(text: str) -> Past:
    """The past that was told; rows that cannot be are left out. Raises AgentError."""
    try:
        told = json.loads(text)
        status = told["status"]
        mode = status["mode"]
        return Past(
            thing=_plain(told["thing"]),
            hours=tuple(_hours(told["hours"])),
            outages=tuple(_outages(told["outages"])),
            spells=tuple(_spells(told["spells"])),
            last_s=_time(status["last_detection"]),
            quiet_s=_time(status["quiet_for_s"]),
            quiet_observed_s=_time(status["quiet_observed_s"]),
            runs=told["runs"] is True,
            mode=_plain(mode) if mode else "",
            mode_until_s=_time(status["mode_until"]),
        )
    except (ValueError, TypeError, KeyError, RecursionError):
        raise AgentError("what was kept cannot be used", hint="try fewer days") from None


def _hours(rows: list[object]) -> Iterator[Hour]:
    for row in rows[:ROWS_MAX]:
        if not isinstance(row, list) or len(row) != len(Hour.__fields__):
            continue
        start_s, name, number, total, low, high, first_s, last_s, observed_s, active_s, odd = row
        if (
            isinstance(start_s, int)
            and 0 <= start_s <= LATEST_S
            and isinstance(name, str)
            and NAME.fullmatch(name)
            and _are_numbers((number, total, observed_s, active_s))
            and isinstance(number, int)
            and min(number, observed_s) >= 0
            and _are_numbers([one for one in (low, high, first_s, last_s) if one is not None])
        ):
            yield Hour(
                *(start_s, name, number, total, low, high, _time(first_s), _time(last_s)),
                *(observed_s, active_s, odd is True),
            )


def _outages(rows: list[object]) -> Iterator[Outage]:
    for row in rows[:ROWS_MAX]:
        match row:
            case [began_s, str(kind), ended_s, str(cause)] if is_time(began_s):
                ended_s = _time(ended_s)
                if ended_s is None or ended_s >= began_s:
                    yield Outage(began_s, _plain(kind), ended_s, _plain(cause))


def _spells(rows: list[object]) -> Iterator[Spell]:
    for row in rows[:ROWS_MAX]:
        match row:
            case [int(day_s), began_s, ended_s, observed_s] if (
                is_time(day_s) and is_time(began_s) and is_time(ended_s) and is_time(observed_s)
            ):
                yield Spell(int(day_s), began_s, max(began_s, ended_s), observed_s)


def _row(kind: type[Value]) -> attrgetter[tuple[object, ...]]:
    """Maker of a row of a value."""
    return attrgetter(*(one.name for one in fields(kind)))


def _are_numbers(values: Iterable[object]) -> bool:
    """True if all are numbers that can be; in a loop, as there are many."""
    for one in values:  # noqa: SIM110
        if not (isinstance(one, int | float) and -NUMBER_MAX < one < NUMBER_MAX):
            return False
    return True


def _time(value: object) -> float | None:
    return value if is_time(value) else None


def _plain(text: object) -> str:
    """Text of one line, without what moves a terminal's cursor, or the direction of writing."""
    if not isinstance(text, str):
        raise TypeError("no text")
    one_line = text[:TEXT_MAX].translate(CONTROLS).replace("\n", " ").replace("\t", " ")
    return "".join(one if one.isprintable() else "?" for one in one_line[:TEXT_MAX])
