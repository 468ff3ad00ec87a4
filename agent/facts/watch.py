"""Watches: each looks after one rule and says when it begins and ends."""

from __future__ import annotations

import math

from agent.facts.span import Span, span_at
from agent.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from agent.config.rule import Rule
    from agent.facts.link_watch import Link
    from agent.facts.modes import Mode
    from agent.model import Json, Moment, Reading

BEGIN, END = "begin", "end"


class Sight(Value):
    """What is known at one moment: of quiet, of the link, of the mode.

    `observed_s` is the quiet time in which somebody looked, `last_s` the last detection, if known.
    """

    now: Moment
    is_set: bool
    observed_s: float
    last_s: float | None
    link: Link
    mode: Mode


class Begun(Value):
    """A rule that has begun: since when it holds, on both clocks, and what it is `of`.

    `since_s` is None where the clock was not set.
    """

    of: str
    since_s: float | None
    boot_s: float
    boot_id: str


class Turn(Value):
    """A rule begins or ends: it holds for `for_s` by now, at `value`, and ends for a `reason`."""

    event: str
    value: float | None
    for_s: float = 0.0
    reason: str = ""


class Watch:
    """Looks after one rule; belongs to one thread. `due_s`, boot clock, is when to look again."""

    def __init__(self, rule: Rule) -> None:
        self.rule = rule
        self.due_s = math.inf
        #: The rule's kind, and what it watches: where that differs, it is another rule.
        self.of = "/".join(filter(None, (rule.kind, rule.sensor, rule.quantity)))
        #: What it lacks to do its work, in words.
        self.lack = ""

    def read(self, reading: Reading) -> None:
        """Take a reading."""

    def sensor(self, name: str, error: str) -> None:
        """A sensor fails, or works where there is no error."""

    def look(self, sight: Sight, begun: Begun | None) -> Turn | None:
        """Its begin or its end, if that is now."""
        raise NotImplementedError

    def kept(self) -> list[Json]:
        """What it has to remember beside that."""
        return []


class Offline(Watch):
    """No connection for too long; by the boot clock alone."""

    def look(self, sight: Sight, begun: Begun | None) -> Turn | None:
        """Its begin or its end, if that is now."""
        link = sight.link
        down_s = 0.0 if link.up else sight.now.boot_s - link.since.boot_s
        waits = not link.up and not begun and down_s < self.rule.limit
        self.due_s = link.since.boot_s + self.rule.limit if waits else math.inf
        if begun:
            return Turn(END, 0, reason="online") if link.up else None
        if not link.up and not waits:
            return Turn(BEGIN, round(down_s), down_s)
        return None


class Still(Watch):
    """Nobody seen for too long, while every counted sensor watched.

    Quiet counts from the last detection, from the begin of the rule's hours, or from the end of a
    mode in which it rests, whichever was last: at that time, `from_s`, it was `base_s` already.
    """

    def __init__(self, rule: Rule, kept: list[Json]) -> None:
        super().__init__(rule)
        self._from_s = self._base_s = 0.0
        match kept:
            case [float() | int() as from_s, float() | int() as base_s]:
                self._from_s, self._base_s = from_s, base_s
        self._span, self._known_s = Span(0, 0), math.inf  # right from that time on
        self._looked_boot_s = -math.inf
        self._observed_s = 0.0
        self._grows = True

    def look(self, sight: Sight, begun: Begun | None) -> Turn | None:
        """Its begin or its end, if that is now."""
        now, observed_s = sight.now, sight.observed_s
        first = self._looked_boot_s == -math.inf
        detected = not first and observed_s < self._observed_s
        if first and begun and begun.since_s is not None and sight.last_s is not None:
            detected = sight.last_s > begun.since_s + 1  # seen just before the process died
        if now.boot_s > self._looked_boot_s:
            self._grows = first or detected or observed_s > self._observed_s
        self._looked_boot_s, self._observed_s = now.boot_s, observed_s
        rests = sight.mode.rests
        inside = not self.rule.hours or (sight.is_set and self._inside(now.wall_s))
        if rests:
            self._count_from(now.wall_s)
        elif inside and self._from_s < self._span.start_s:
            self._count_from(self._span.start_s)
        if detected or (sight.last_s is not None and sight.last_s >= self._from_s):
            self._base_s = 0.0
        quiet_s = max(0.0, observed_s - self._base_s)
        begins = inside and not rests and not begun and quiet_s >= self.rule.limit
        self._plan(sight, quiet_s, waits=inside and not (begins or begun or rests))
        if begun:
            over = self._over(begun) if sight.is_set else False
            reason = "detection" if detected else "mode" if rests else "hours over" * over
            return Turn(END, round(quiet_s), reason=reason) if reason else None
        return Turn(BEGIN, round(quiet_s), self._held_s(sight, quiet_s)) if begins else None

    def kept(self) -> list[Json]:
        """Since when quiet counts, and how long it was then."""
        return [self._from_s, self._base_s]

    def _inside(self, wall_s: float) -> bool:
        """True within the rule's hours; else `_span` is the next one."""
        if not self._known_s <= wall_s < self._span.end_s:  # a clock may be set back
            self._span, self._known_s = span_at(self.rule.hours, wall_s), wall_s
        return self._span.start_s <= wall_s

    def _over(self, begun: Begun) -> bool:
        """True if the hours that it has begun in are over."""
        return begun.since_s is not None and begun.since_s + 1 < self._span.start_s

    def _count_from(self, wall_s: float) -> None:
        self._from_s, self._base_s = wall_s, self._observed_s

    def _held_s(self, sight: Sight, quiet_s: float) -> float:
        """Seconds since quiet counts, unobserved time among them, as far as is known."""
        if not sight.is_set or (sight.last_s is None and not self._from_s):
            return quiet_s
        return max(quiet_s, sight.now.wall_s - max(self._from_s, sight.last_s or 0.0))

    def _plan(self, sight: Sight, quiet_s: float, *, waits: bool) -> None:
        """Be looked at when it may begin, if somebody looks, and when its hours begin and end."""
        now = sight.now
        self.due_s = math.inf
        if waits and self._grows:
            self.due_s = now.boot_s + self.rule.limit - quiet_s
        if self.rule.hours and sight.is_set:
            span = self._span
            edge_s = span.start_s if now.wall_s < span.start_s else span.end_s
            self.due_s = min(self.due_s, now.boot_s + edge_s - now.wall_s)
