"""Health: the conditions that stand, facts, sensors, and heartbeats.

A failure is a declared condition, never just a log line; `conditions` is the whole list of what can
be wrong. A condition that does not stand is healthy. Every reader (systemd, `status.json`, the
`status` command) shows the same snapshot.
"""

from __future__ import annotations

import logging
import math
import threading
import time

from agent import __version__
from agent.health.conditions import INFO, LEVELS, MODE_SET, RULE_ACTIVE, Condition
from agent.value import Value, asdict

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from agent.model import Json


#: Longest time of a step that nothing can interrupt: an fsync on a dying card.
FSYNC_S = 120.0

#: The workers that beat.
SAMPLER, UPLINK = "sampler", "uplink"

#: Facts that change with each reading: they are shown when a worker rests, all others at once.
FIGURES = frozenset(
    {"queued", "published", "acked", "confirmed", "ignored", "dropped", "last_ack", "total", "card"}
)

#: Conditions that are told beside the worst by what they are of; and so many of each.
NAMED = {MODE_SET.code, RULE_ACTIVE.code}
NAMED_MOST = 3

#: However little a worker rests, its figures are shown within this time.
SHOWN_WITHIN_S = 1.0

log = logging.getLogger(__name__)


class Standing(Value):
    """A condition that stands now: since when, in which words, how severe by now."""

    code: str
    severity: str
    since: float
    text: str
    hint: str


class Snapshot(Value):
    """The agent at one moment; a copy that nothing changes."""

    facts: dict[str, Json]
    conditions: tuple[Standing, ...]

    def as_json(self) -> dict[str, Json]:
        """The content of status.json."""
        conditions: list[Json] = [asdict(one) for one in self.conditions]
        return {**self.facts, "conditions": conditions}

    def line(self) -> str:
        """One line for systemd: the state, the queue, and the worst trouble with its remedy.

        Others follow by their codes, the mode and the rules that have begun by their names too.
        """
        parts = [
            f"{self.facts['state']} as {self.facts['thing']}",
            f"{self.facts['queued']} queued",
        ]
        progress = self.facts["progress"]
        if progress:
            parts.append(str(progress))
        troubles = sorted(self.conditions, key=lambda one: LEVELS[one.severity], reverse=True)
        if troubles:
            worst = troubles[0]
            parts.append(f"{worst.code}: {worst.text} ({worst.hint})")
        if len(troubles) > 1:
            parts.append("also " + ", ".join(_others(troubles[1:])))
        return "; ".join(parts)


def _others(troubles: list[Standing]) -> Iterator[str]:
    """Each code once, with what it stands for, or how often."""
    texts: dict[str, list[str]] = {}
    for one in troubles:
        texts.setdefault(one.code, []).append(one.text.partition(": ")[0])
    for code, names in texts.items():
        if code in NAMED:
            more = len(names) - NAMED_MOST
            told = names[:NAMED_MOST] + [f"{more} more"] * (more > 0)
            yield f"{code} ({', '.join(told)})"
        else:
            yield code if len(names) == 1 else f"{code} ({len(names)} times)"


class _Raised(Value, frozen=False):
    condition: Condition
    text: str
    hint: str
    since_wall_s: float
    since_boot_s: float


class Health:
    """Collects what the workers report; any thread may call it.

    `on_turn` is called after each change that a person would want to know at once (a state, a step,
    a condition), `on_rest` once for all figures that have changed, when a worker rests: a reading
    wakes nobody in the middle of its way. Neither may block. `live` gives the facts that are asked
    for at each snapshot, without a wait, since only their owner knows them; `touch` says that they
    have changed. `wall_s` and `boot_s` are the clocks.
    """

    def __init__(
        self,
        *,
        on_rest: Callable[[], None] = lambda: None,
        on_turn: Callable[[], None] = lambda: None,
        live: Callable[[], Mapping[str, Json]] = dict,
        wall_s: Callable[[], float] = time.time,
        boot_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._on_rest = on_rest
        self._on_turn = on_turn
        self._live = live
        self._wall_s = wall_s
        self._boot_s = boot_s
        self._lock = threading.Lock()
        self._unshown_boot_s = math.inf  # since then there are figures that were not shown
        self._raised: dict[tuple[str, str], _Raised] = {}
        self._beat_by: dict[str, float] = {}
        self._sensors: dict[str, Json] = {}
        self._how: dict[str, tuple[bool, str]] = {}  # whether each works, and why not
        self._facts: dict[str, Json] = {
            "state": "starting",
            "progress": "",
            "thing": "",
            "endpoint": "",
            "session_present": None,
            "queued": 0,
            "published": 0,
            "acked": 0,
            "confirmed": 0,
            "ignored": 0,
            "dropped": 0,
            "last_ack": None,
            "total": 0,
            "card": None,
            "version": __version__,
            "pid": None,
        }

    def report(self, condition: Condition, text: str, *, hint: str = "", key: str = "") -> None:
        """Raise `condition`, or give a standing one new words; `key` tells several apart."""
        with self._lock:
            name = (condition.code, key)
            raised = self._raised.get(name)
            if raised and (raised.text, raised.hint) == (text, hint or condition.hint):
                return
            if raised:
                raised.text, raised.hint = text, hint or condition.hint
            else:
                raised = _Raised(
                    condition, text, hint or condition.hint, self._wall_s(), self._boot_s()
                )
                self._raised[name] = raised
            standing = self._standing(raised)
        log.log(LEVELS[standing.severity], "%s: %s (%s)", standing.code, text, standing.hint)
        self._on_turn()

    def clear(self, condition: Condition, *, key: str = "") -> None:
        """Say that `condition` does not stand (any more)."""
        with self._lock:
            raised = self._raised.pop((condition.code, key), None)
        if raised:
            log.info("%s: over (%s)", condition.code, raised.text)
            self._on_turn()

    def stand(self, condition: Condition, text: str, *, hint: str = "", key: str = "") -> None:
        """Have `condition` stand with this text, or not stand where there is none."""
        if text:
            self.report(condition, text, hint=hint, key=key)
        else:
            self.clear(condition, key=key)

    def update(self, **facts: Json) -> None:
        """Set facts of status.json by their names; an unknown name is a KeyError."""
        with self._lock:
            if unknown := facts.keys() - self._facts.keys():
                raise KeyError(*unknown)
            if all(self._facts[name] == value for name, value in facts.items()):
                return
            if self._facts["state"] == "stopping":
                facts.pop("state", None)  # from there is no way back
            state = facts.get("state")
            moved = state is not None and state != self._facts["state"]
            turned = any(self._facts[name] != facts[name] for name in facts.keys() - FIGURES)
            self._facts.update(facts)
        # An offline agent goes to and fro between these two for weeks; the condition tells of it.
        if moved and state not in {"connecting", "offline"}:
            log.info("state: %s", state)
        self.touch()
        if turned:
            self._on_turn()

    def touch(self) -> None:
        """Say that something that `live` tells has changed."""
        self._unshown_boot_s = min(self._unshown_boot_s, self._boot_s())

    def rest(self, *, more: bool = False) -> float:
        """Have the figures shown that have changed: said by a worker last of all before it waits.

        Where `more` change in a moment, they wait for those, but not for longer than a second. The
        seconds until it is to be said again, whatever happens; infinite if all is shown.
        """
        wait_s = self._unshown_boot_s + SHOWN_WITHIN_S * more - self._boot_s()
        if wait_s > 0:
            return wait_s
        self._unshown_boot_s = math.inf
        self._on_rest()
        return math.inf

    def sensor(
        self,
        name: str,
        *,
        last_s: float | None,
        ok: bool,
        error: str = "",
        took_s: float | None = None,
    ) -> None:
        """Note how the sensor `name` does: when it last gave a value, how long the poll took.

        Whether it works, and why not, is shown at once, the figures when a worker rests.
        """
        took_ms = None if took_s is None else round(took_s * 1000)
        with self._lock:
            turned = self._how.get(name) != (ok, error)
            self._how[name] = ok, error
            self._sensors[name] = {"last": last_s, "ok": ok, "error": error, "took_ms": took_ms}
        self.touch()
        if turned:
            self._on_turn()

    def beat(self, worker: str, within_s: float) -> None:
        """Say that `worker` makes progress and will say so again within `within_s`."""
        with self._lock:
            self._beat_by[worker] = self._boot_s() + within_s

    def late(self) -> list[str]:
        """The workers that should have beaten by now; while there are any, no watchdog is fed."""
        with self._lock:
            now_s = self._boot_s()
            return [worker for worker, by_s in self._beat_by.items() if by_s < now_s]

    def snapshot(self) -> Snapshot:
        """A copy of all that is known now."""
        live = self._live()
        with self._lock:
            written = {"written": round(self._wall_s(), 3)}
            facts = {**self._facts, **live, **written, "sensors": dict(self._sensors)}
            conditions = tuple(self._standing(raised) for raised in self._raised.values())
        return Snapshot(facts, conditions)

    def next_change_s(self) -> float:
        """Seconds until a condition grows more severe by itself; infinite if none does."""
        with self._lock:
            now_s = self._boot_s()
            waits = [r.since_boot_s + r.condition.patience_s - now_s for r in self._raised.values()]
        return min((wait_s for wait_s in waits if wait_s > 0), default=float("inf"))

    def _standing(self, raised: _Raised) -> Standing:
        patient = self._boot_s() - raised.since_boot_s < raised.condition.patience_s
        return Standing(
            code=raised.condition.code,
            severity=INFO if patient else raised.condition.severity,
            since=raised.since_wall_s,
            text=raised.text,
            hint=raised.hint,
        )
