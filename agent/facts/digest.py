"""Digests: one of each local day, at a time of the next, or as soon as can be after that.

What goes into one is in `summary.py`, which is loaded when one is due.
"""

from __future__ import annotations

import math

from agent.facts.day import day_of, of_local, parsed_time
from agent.facts.made import Made
from agent.model import GRACE_MIN_S

TYPE_CHECKING = False
if TYPE_CHECKING:
    from agent.config import Config
    from agent.facts.day import Day
    from agent.facts.hours import Hours
    from agent.health.health import Health
    from agent.model import Moment
    from agent.store import Store

#: So many days that were missed get their digest late, the oldest first. They are in the history
#: wholly: DIGEST_DAYS of the settings are two more, for today and for a day that is cut.
MISSED_MAX = 7

#: The fact of the store that has the dates of those that were made last, for as many days as the
#: history goes back and some more: whatever the clock does, none is made twice or left out.
MADE, MADE_MORE = "digest_days", 10


class Digests:
    """Makes the digest of each day of which there is any history, once."""

    def __init__(self, config: Config, store: Store, health: Health, hours: Hours) -> None:
        self._minute = parsed_time(config.digest.at) if config.digests else None
        self._window_s = config.count.window_s
        self._store = store
        self._health = health
        self._made = store.recall(MADE).split()
        self._made_max = math.ceil(config.store.history_days) + MADE_MORE
        self._hours = hours
        # Between these times of the wall clock nothing is due, unless it steps out of them.
        self._rests_from_s, self._rests_until_s = math.inf, math.inf

    def tend(self, now: Moment, *, is_set: bool) -> list[Made]:
        """The digest that is due, one at a time; none while the clock is not set."""
        if self._minute is None or not is_set:
            self._rests_from_s = self._rests_until_s = math.inf
            return []
        if self._rests_from_s <= now.wall_s < self._rests_until_s:
            return []
        self._rests_from_s = now.wall_s
        for days in range(-MISSED_MAX, 1):
            day = day_of(now.wall_s, days=days)
            self._rests_until_s = self._due_s(day, self._minute)
            if now.wall_s < self._rests_until_s:
                break
            if day.name not in self._made and (made := self._digest(day, now)):
                self._rests_until_s = now.wall_s  # more may be due
                return made
        return []

    def due_s(self, now: Moment) -> float:
        """The time on the boot clock at which the next is due; infinite if none is."""
        return now.boot_s + max(0.0, self._rests_until_s - now.wall_s)

    def _due_s(self, day: Day, minute: int) -> float:
        """When the digest of `day` is due: no sooner than its last window has been reported."""
        last_end_s = math.ceil(day.end_s / self._window_s) * self._window_s
        reported_s = last_end_s + max(GRACE_MIN_S, self._window_s / 10)
        return max(of_local(day_of(day.end_s), minute), reported_s)

    def _digest(self, day: Day, now: Moment) -> list[Made]:
        """The digest of `day`, if there is any history of it."""
        self._hours.flush()  # what was read since the last count is of that day too
        if not (
            self._store.hours(day.start_s, day.end_s) or self._store.outages(day.start_s, day.end_s)
        ):
            return []  # as on each day before the first
        from agent.facts import summary  # noqa: PLC0415 -- needed once a day

        record = summary.of_day(day, self._store, self._health.snapshot(), now)
        if not record:
            return []
        self._made = [*self._made, day.name][-self._made_max :]
        return [Made(record, {MADE: " ".join(self._made)})]
