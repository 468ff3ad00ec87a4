"""Outages: when the device was away, offline, or without a sensor, and why."""

from __future__ import annotations

from agent.model import DAY_S, Moment
from agent.store import Outage
from agent.value import Value, replace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from agent.facts.link_watch import Link
    from agent.store import Store

#: Kinds of outages.
AGENT, LINK, SENSOR = "agent", "link", "sensor"

#: What is over sooner is none.
LEAST_S = 60.0

#: One that begins so soon after another with the same cause goes on with that: flapping is one.
AGAIN_S = 600.0

#: So many wait for the clock to be set, the newest.
WAITING_MAX = 100

#: No row of the history has a longer one.
CAUSE_LENGTH = 120


class _Span(Value):
    """A time without something: from `since` to `until`, None while it lasts."""

    kind: str
    cause: str
    since: Moment
    until: Moment | None = None

    @property
    def key(self) -> str:
        """Name of what is missing."""
        return _key(self.kind, self.cause)


class Outages:
    """Notes each in the store's history once it has lasted for a minute, and when it ends.

    While the clock is not set nothing is noted: what has ended by then waits in memory. Belongs to
    the sampler's thread.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._lasting: dict[str, _Span] = {}  # by what is missing
        self._over: list[_Span] = []
        self._shown: dict[str, Moment] = {}  # since when what is noted as the newest lasts
        self._newest: dict[str, Outage] = {}
        self._last_sign: Moment | None = None
        self._began = False

    def away(self, reason: str, since: Moment | None, now: Moment) -> None:
        """No process ran since then, if that is known."""
        self._last_sign = since
        if since:
            self._over.append(_Span(AGENT, reason[:CAUSE_LENGTH], since, now))

    def sensor(self, name: str, error: str, now: Moment) -> None:
        """A sensor fails, or works again where there is no error; the first error stays."""
        cause = f"{name}: {error.removeprefix(f'{name}: ')}"[:CAUSE_LENGTH]
        span = _Span(SENSOR, cause, now)
        if error:
            self._lasting.setdefault(span.key, span)
        else:
            self._end(span.key, now)

    def tend(self, link: Link, now: Moment, *, is_set: bool) -> None:
        """The link is so; note what lasts, and what is over."""
        if link.up:
            self._end(LINK, link.since)
        else:
            self._end(LINK, link.since, unless=link.since)  # it was up between two looks
            self._lasting[LINK] = _Span(LINK, link.cause[:CAUSE_LENGTH], link.since)
        if not is_set:
            return
        if not self._began:
            self._begin(now)
        for span in self._over:
            self._note(span)
        self._over.clear()
        for key, span in self._lasting.items():
            if self._shown.get(key) != span.since and now.boot_s - span.since.boot_s >= LEAST_S:
                self._note(span)

    def _end(self, key: str, until: Moment, *, unless: Moment | None = None) -> None:
        if key in self._lasting and self._lasting[key].since != unless:
            self._over.append(replace(self._lasting.pop(key), until=until))
            del self._over[:-WAITING_MAX]

    def _begin(self, now: Moment) -> None:
        """Go on from the process before: what lasted then is known until its last sign."""
        self._began = True
        for one in self._store.outages(now.wall_s - DAY_S, now.wall_s):
            newest = one
            if one.ended_s is None:
                ended_s = self._store.true_wall_s(self._last_sign) if self._last_sign else 0.0
                newest = replace(one, ended_s=max(one.began_s, ended_s))
                self._store.note(newest)
            self._newest[_key(one.kind, one.cause)] = newest

    def _note(self, span: _Span) -> None:
        began_s = self._store.true_wall_s(span.since)
        ended_s = self._store.true_wall_s(span.until) if span.until else None
        last = self._newest.get(span.key)
        if last and (self._shown.get(span.key) == span.since or _goes_on(last, span, began_s)):
            outage = replace(last, ended_s=ended_s)
        elif ended_s is None or ended_s - began_s >= LEAST_S:
            outage = Outage(began_s, span.kind, ended_s, span.cause)
        else:
            return
        self._newest[span.key] = outage
        self._shown[span.key] = span.since
        self._store.note(outage)


def _key(kind: str, cause: str) -> str:
    """Name of what is missing; the cause of a sensor's outage begins with its name."""
    return f"{kind} {cause.partition(':')[0]}" if kind == SENSOR else kind


def _goes_on(last: Outage, span: _Span, began_s: float) -> bool:
    """True if the newest outage goes on with this one."""
    return (
        last.cause == span.cause
        and last.ended_s is not None
        and 0 <= began_s - last.ended_s <= AGAIN_S
    )
