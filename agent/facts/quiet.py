"""Quiet: since when nobody was seen, and how much of that time somebody looked.

A spell of quiet begins with a detection, or where none is known with the first look, and lasts to
the next. Time in which not every counted sensor watched is part of it, and not observed.
"""

from __future__ import annotations

import math

from agent.facts.day import Day, day_of
from agent.model import Moment, decode, encode, is_time
from agent.store import Spell
from agent.value import Value, replace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from agent.model import Json, NewRecord
    from agent.sensors import Detections
    from agent.store import Store

#: The fact of the store that has the spell.
FACT = "quiet"

#: Facts that have the name of the window that was counted last, and of the one that an agent which
#: knows of quiet has: where they differ, one before it has counted since.
WINDOW, KNOWN_WINDOW = "window", "quiet_window"

#: Looks are a minute apart; between two that are further apart, nobody is known to have looked.
GAP_MAX_S = 180.0

#: How much was observed is told where it is less by more than these.
UNOBSERVED_S, UNOBSERVED_SHARE = 60.0, 0.01

#: A detection that ends a longer spell is kept at once, beyond a power cut.
LONG_S = 600.0


class Quietness(Value):
    """The spell that goes on: since `began`, which was a detection if `detected`.

    It was observed for `observed_s` up to the look at `looked`, at which every sensor was
    `watching` or not; for `before_s` of them on days before the one that begins at `day_s`.
    """

    began: Moment | None = None
    detected: bool = False
    observed_s: float = 0.0
    looked: Moment | None = None
    watching: bool = False
    day_s: int = 0
    before_s: float = 0.0
    is_set: bool = False

    @property
    def last(self) -> Moment | None:
        """The last detection, if there is one that is known."""
        return self.began if self.detected else None

    def watched_s(self, now: Moment, *, watching: bool = True) -> float:
        """Seconds since the look before that were observed, if every sensor is `watching` now."""
        if not (self.looked and self.watching and watching):
            return 0.0
        passed_s = now.boot_s - self.looked.boot_s
        return passed_s if 0 < passed_s <= GAP_MAX_S else 0.0


class Quiet:
    """The last detection, the time observed since, the longest spell of the day.

    Belongs to the sampler's thread, but for `shown`, which is any's.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._now = Quietness()
        self._told: Moment | None = None  # the last detection, as the last count had it
        self._told_s = 0.0  # what was observed of the spell from there, once it is over
        self._day = Day(0, 0, ())
        self._longest: Spell | None = None  # of those of the day that are over

    @property
    def last(self) -> Moment | None:
        """The last detection, None if none is known."""
        return self._now.last

    def begin(self, mirrored: Mapping[str, Json], *, is_set: bool) -> None:
        """Go on from what the store, or a process that died, has kept; what is spoiled is not."""
        try:
            stored: Mapping[str, Json] = decode(self._store.recall(FACT).encode())
        except ValueError:
            stored = {}
        if self._store.recall(WINDOW) != self._store.recall(KNOWN_WINDOW):
            stored = {}
        now, in_store = _restored(mirrored), _restored(stored)
        if in_store and (not now or _knows_more(in_store, now)):
            now = in_store
        self._now = replace(now or Quietness(), is_set=is_set)
        self._told = self._now.last

    def look(self, now: Moment, *, watching: bool, is_set: bool) -> None:
        """Every counted sensor watches, or not; it did since the look before if it did then too."""
        was = self._now
        watched_s = was.watched_s(now, watching=watching)
        if was.looked and now.boot_s < was.looked.boot_s:
            now = was.looked  # what a poll saw that is over for a while
        self._now = replace(
            was,
            began=was.began or now,
            observed_s=was.observed_s + watched_s,
            looked=now,
            watching=watching,
            is_set=is_set,
        )
        if is_set and not self._day.start_s <= now.wall_s < self._day.end_s:
            self._begin_day(now, watched_s)

    def saw(self, seen: Detections, now: Moment) -> bool:
        """A counted sensor was asked, and has detected this; True if that ends a long spell."""
        was = self._now
        if not (seen.count or seen.active_s > 0) or (was.last and _is_after(was.last, now)):
            return False
        self.look(now, watching=was.watching, is_set=was.is_set)
        if self._told == was.last:
            self._told_s = self._now.observed_s
        self._longest = self._longest_until(now)
        self._now = replace(self._now, began=now, detected=True, observed_s=0.0, before_s=0.0)
        quiet_s = self._store.passed_s(was.last, now) if was.last else None
        return quiet_s is None or quiet_s > LONG_S

    def observed_s(self) -> float:
        """Seconds since the last detection in which every counted sensor watched."""
        return self._now.observed_s

    def counted(self, record: NewRecord, last_boot_s: float | None) -> dict[str, Json]:
        """Quiet as of the end of a count's window, for its body, and the day's spell noted.

        `last_boot_s` is when on the boot clock the last detection of that window was, if any.
        """
        at, now = record.moment, self._now
        early_s = at.wall_s - record.timestamp_s
        end = Moment(record.timestamp_s, at.boot_s - early_s, at.boot_id)
        last, observed_s = now.last, now.observed_s
        if last and _is_after(last, end):  # it counts in the next window
            last, observed_s = self._told, self._told_s
            if last_boot_s is not None:
                last = Moment(end.wall_s + last_boot_s - end.boot_s, last_boot_s, at.boot_id)
                observed_s = math.inf
        self._told, self._told_s = last, observed_s
        if now.is_set and now.looked and (longest := self._longest_until(now.looked)):
            self._store.note(longest)
        return self._facts(last, observed_s, end, is_set=now.is_set)

    def shown(self, now: Moment) -> dict[str, Json]:
        """Quiet at this moment, for those who ask between two counts."""
        state = self._now
        observed_s = state.observed_s + state.watched_s(now)
        return self._facts(state.last, observed_s, now, is_set=state.is_set)

    def kept(self) -> dict[str, Json]:
        """The spell that goes on, for the mirror and the store: `began` by both clocks."""
        state = self._now
        if not state.began:
            return {}
        began = state.began
        return {
            "began": [round(self._store.true_wall_s(began), 3), began.boot_s, began.boot_id],
            "detected": state.detected,
            "observed_s": round(state.observed_s, 3),
            "day_s": state.day_s,
            "before_s": round(state.before_s, 3),
        }

    def _begin_day(self, now: Moment, watched_s: float) -> None:
        """Note the longest spell of the day that is over, as it is known now, and begin another."""
        over, state = self._day, self._now
        after_s = max(0.0, min(watched_s, now.wall_s - over.end_s))
        if 0 < over.end_s <= now.wall_s:  # else the clock was set back
            at_midnight = replace(state, observed_s=state.observed_s - after_s)
            if longest := self._longest_until(None, at_midnight):
                self._store.note(longest)
        self._day = day_of(now.wall_s)
        start_s = self._day.start_s
        if state.day_s != start_s:
            of_today = (self._began_s(state, now) or 0.0) >= start_s
            before_s = 0.0 if of_today else state.observed_s - after_s
            self._now = replace(state, day_s=start_s, before_s=before_s)
        self._longest = next(iter(self._store.spells(start_s, start_s + 1)), None)

    def _longest_until(self, end: Moment | None, state: Quietness | None = None) -> Spell | None:
        """The longest spell of the day, if the one that goes on ended then, or with the day."""
        state, day = state or self._now, self._day
        observed_s = state.observed_s - state.before_s
        if not (state.began and day.end_s) or observed_s <= 0:
            return self._longest
        if self._longest and self._longest.observed_s >= observed_s:
            return self._longest
        end_s = min(self._store.true_wall_s(end) if end else day.end_s, day.end_s)
        began_s = self._began_s(state, state.looked) if state.looked else None
        if began_s is None:  # no later than this, whatever clock its boot had
            began_s = end_s - observed_s
        began_s = max(float(day.start_s), began_s)
        return Spell(day.start_s, began_s, max(began_s, end_s), observed_s)

    def _facts(
        self, last: Moment | None, observed_s: float, at: Moment, *, is_set: bool
    ) -> dict[str, Json]:
        """The fields of a payload of `at`, in whole seconds; what cannot be known is null."""
        passed_s = self._store.passed_s(last, at) if last else None
        if passed_s is None:
            return {"last_detection": None, "quiet_for_s": None}
        at_s = int(at.wall_s)
        last_s = min(at_s, round(at.wall_s - passed_s))
        quiet_s = at_s - last_s
        facts: dict[str, Json] = {
            "last_detection": last_s if is_set else None,
            "quiet_for_s": quiet_s,
        }
        if quiet_s - observed_s > max(UNOBSERVED_S, UNOBSERVED_SHARE * quiet_s):
            facts["quiet_observed_s"] = round(observed_s)
        return facts

    def _began_s(self, state: Quietness, now: Moment) -> float | None:
        """When the spell began, by the wall clock as it is now; None if nobody knows."""
        passed_s = self._store.passed_s(state.began, now) if state.began else None
        return None if passed_s is None else self._store.true_wall_s(now) - passed_s


def _restored(kept: Mapping[str, Json]) -> Quietness | None:
    """The state that `kept` gave, None where it is spoiled."""
    match kept:
        case {
            "began": [float() | int() as wall_s, float() | int() as boot_s, str() as boot_id],
            "detected": bool() as detected,
            "observed_s": float() | int() as observed_s,
            "day_s": int() as day_s,
            "before_s": float() | int() as before_s,
        } if all(map(is_time, (wall_s, boot_s, observed_s, day_s, before_s))):
            began = Moment(float(wall_s), float(boot_s), boot_id)
            return Quietness(
                began, detected, float(observed_s), day_s=day_s, before_s=min(before_s, observed_s)
            )
    return None


def _is_after(one: Moment, other: Moment) -> bool:
    """True if `one` was after the other, of the same boot; what another boot saw was before."""
    return one.boot_id == other.boot_id and one.boot_s > other.boot_s


def _knows_more(one: Quietness, mirrored: Quietness) -> bool:
    """True if `one` is newer than what was mirrored, in a boot that is not over."""
    if one.detected != mirrored.detected or not (one.began and mirrored.began):
        return one.detected
    if one.began.boot_id != mirrored.began.boot_id:
        return False
    return (one.began.boot_s, one.observed_s) > (mirrored.began.boot_s, mirrored.observed_s)


def encoded(kept: Mapping[str, Json]) -> str:
    """The text of the store's fact."""
    return encode(kept).decode()
