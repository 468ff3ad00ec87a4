"""The history: hours and outages of the last days, in tables of their own and with a bound.

It never stands in the way of the queue: what is noted waits in memory for the next commit, and
goes first of all when the file is full.
"""

from __future__ import annotations

from agent.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

#: The name of the row of an hour that has the counts of all counted sensors together.
COUNTS = "count"


class Hour(Value):
    """What is known of `name` in the local hour that begins at `start_s` (epoch).

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

    `ended_s` is None while it lasts. Times are epoch seconds.
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


class History:
    """What is noted and not written yet."""

    def note(self, found: Iterable[Hour | Outage | Spell]) -> None:
        """Add to the hours, replace outages and spells, at the next commit."""
