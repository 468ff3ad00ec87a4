"""Watches: each looks after one rule and says when it begins and ends."""

from __future__ import annotations

import math

from agent.facts.span import Span, span_at
from agent.model import Moment, is_time
from agent.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from agent.config.rule import Rule
    from agent.facts.link_watch import Link
    from agent.facts.modes import Mode
    from agent.model import Json, Reading

BEGIN, END = "begin", "end"


class Sight(Value):
    """Knowledge at one moment: of quiet, of the link, of the mode.

    `observed_s` is the quiet time in which somebody looked, `last` the last detection, if known;
    `passed_s` gives seconds between two moments, None where no clock tells.
    """

    now: Moment
    is_set: bool
    observed_s: float
    last: Moment | None
    passed_s: Callable[[Moment, Moment], float | None]
    link: Link
    mode: Mode

    @property
    def last_kept(self) -> list[Json]:
        """The last detection by the clock that never steps; empty if none is known."""
        return [self.last.boot_s, self.last.boot_id] if self.last else []


class Begun(Value):
    """A rule that has begun `at` a moment, when it had held for `for_s`, and what it is `of`.

    `since_s` is None where the clock was not set; `last` the last detection by then.
    """

    of: str
    since_s: float | None
    boot_s: float
    boot_id: str
    for_s: float
    last: list[Json]

    @property
    def at(self) -> Moment:
        """When it has begun."""
        return Moment((self.since_s or 0.0) + self.for_s, self.boot_s, self.boot_id)


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
        """Its begin or its end, if that is now; this one has neither."""

    def kept(self) -> list[Json]:
        """State that it has to remember beside that."""
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
    mode in which it rests, whichever was last: there, at `from`, it was `base_s` already.
    """

    def __init__(self, rule: Rule, kept: list[Json]) -> None:
        super().__init__(rule)
        self._last: list[Json] = []  # the detection that the base is of
        self._base_s = self._counted_s = 0.0  # from the span on that begins then
        self._from: Moment | None = None
        match kept:
            case [float() | int() as base_s, list() as last, float() | int() as counted_s, began]:
                self._base_s, self._last, self._counted_s = base_s, last, counted_s
                self._from = _moment(began)
        self._span, self._known_s = Span(0, 0), math.inf  # right from that time on
        self._looked_boot_s = -math.inf
        self._observed_s = 0.0
        self._grows = True

    def look(self, sight: Sight, begun: Begun | None) -> Turn | None:
        """Its begin or its end, if that is now."""
        now, observed_s, last = sight.now, sight.observed_s, sight.last_kept
        if now.boot_s > self._looked_boot_s:
            self._grows = self._looked_boot_s == -math.inf or observed_s != self._observed_s
        self._looked_boot_s, self._observed_s = now.boot_s, observed_s
        if last != self._last:
            self._last, self._base_s, self._from = last, 0.0, None
        rests = sight.mode.rests
        inside = not self.rule.hours or (sight.is_set and self._inside(now.wall_s))
        if self.rule.hours and inside and self._span.start_s != self._counted_s:
            self._begin_hours(sight)
        if rests:
            self._count_from(now)
        quiet_s = max(0.0, observed_s - self._base_s)
        begins = inside and not rests and not begun and quiet_s >= self.rule.limit
        self._plan(sight, quiet_s, waits=inside and not (begins or begun or rests))
        if begun:
            detected = bool(last) and last != begun.last
            over = sight.is_set and self._over(begun, sight)
            reason = "detection" if detected else "mode" if rests else "hours over" * over
            return Turn(END, round(quiet_s), reason=reason) if reason else None
        return Turn(BEGIN, round(quiet_s), self._held_s(sight, quiet_s)) if begins else None

    def kept(self) -> list[Json]:
        """Seconds that were quiet already, of which detection, from which hours and moment on."""
        at = self._from
        began: list[Json] = [at.wall_s, at.boot_s, at.boot_id] if at else []
        return [self._base_s, self._last, self._counted_s, began]

    def _inside(self, wall_s: float) -> bool:
        """True within the rule's hours; else `_span` is the next one."""
        if not self._known_s <= wall_s < self._span.end_s:  # a clock may be set back
            self._span, self._known_s = span_at(self.rule.hours, wall_s), wall_s
        return self._span.start_s <= wall_s

    def _over(self, begun: Begun, sight: Sight) -> bool:
        """True if the hours that it has begun in are over."""
        passed_s = sight.passed_s(begun.at, sight.now)
        return passed_s is not None and sight.now.wall_s - passed_s < self._span.start_s

    def _begin_hours(self, sight: Sight) -> None:
        """Count from the begin of these hours, unless somebody was seen in them."""
        now = sight.now
        self._counted_s = self._span.start_s
        inside_s = now.wall_s - self._counted_s
        passed_s = sight.passed_s(sight.last, now) if sight.last else None
        if passed_s is None or passed_s > inside_s:
            self._count_from(Moment(self._counted_s, now.boot_s - inside_s, now.boot_id))

    def _count_from(self, at: Moment) -> None:
        self._from, self._base_s = at, self._observed_s

    def _held_s(self, sight: Sight, quiet_s: float) -> float:
        """Seconds since quiet counts, unobserved time among them, as far as is known."""
        since = self._from or sight.last
        held_s = sight.passed_s(since, sight.now) if since else None
        return quiet_s if held_s is None else max(quiet_s, held_s)

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


def _moment(kept: Json) -> Moment | None:
    """The moment that was kept, if it is one; before its boot, its boot time is negative."""
    match kept:
        case [float() | int() as wall_s, float() | int() as boot_s, str() as boot_id] if is_time(
            wall_s
        ) and is_time(abs(boot_s)):
            return Moment(wall_s, boot_s, boot_id)
    return None
