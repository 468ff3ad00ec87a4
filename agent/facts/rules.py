"""Rules: what a person wants to be told, when it begins and when it ends.

Which have begun is a fact of the store, in the commit of the event that tells it: so each event is
made once, whatever ends the process.
"""

from __future__ import annotations

import logging
import math
import time

from agent.config.rules import words
from agent.facts.made import EVENTS, Made
from agent.facts.threshold import HINT, Threshold, foreseen
from agent.facts.watch import BEGIN, END, Begun, Offline, Sight, Still, Turn, Watch
from agent.health import conditions
from agent.model import NewRecord, decode, encode, is_time, plain_number
from agent.value import asdict

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from agent.config import Config
    from agent.config.rule import Rule
    from agent.facts.command import Commands
    from agent.facts.link_watch import Link
    from agent.facts.modes import Mode
    from agent.facts.quiet import Quiet
    from agent.health.health import Health
    from agent.model import Json, Moment, Reading
    from agent.store import Store

#: Name of the fact in the store.
FACT = "rules"

log = logging.getLogger(__name__)


class Rules:
    """The rules of the configuration, each at rest or begun. Belongs to the sampler's thread."""

    def __init__(self, config: Config, store: Store, health: Health) -> None:
        self._health = health
        self._store = store
        self._commands = _commands(config, health)
        self._begun, kept = _recalled(store.recall(FACT))
        self._watches = [_watch(rule, config, kept.get(rule.name, [])) for rule in config.rules]
        for watch in self._watches:
            if watch.rule.quantity:
                watch.lack = foreseen(watch.rule, config)
                self._doubt(watch)
            if watch.rule.name in self._begun:
                self._show(watch.rule, self._begun[watch.rule.name])

    def read(self, reading: Reading) -> None:
        """Take a reading that thresholds may be on."""
        for watch in self._watches:
            lack = watch.lack
            watch.read(reading)
            if watch.lack != lack:
                self._doubt(watch)

    def saw(self, now: Moment) -> None:
        """A counted sensor has detected: what that ends is told at once."""
        for watch in self._watches:
            if watch.rule.kind == "quiet" and watch.rule.name in self._begun:
                watch.due_s = now.boot_s

    def sensor(self, name: str, error: str) -> None:
        """A sensor fails, or works where there is no error."""
        for watch in self._watches:
            watch.sensor(name, error)

    def tend(
        self, now: Moment, *, quiet: Quiet, link: Link, mode: Mode, is_set: bool
    ) -> list[Made]:
        """The events of rules that begin or end now; their commands are started."""
        passed_s = self._store.passed_s
        sight = Sight(now, is_set, quiet.observed_s(), quiet.last, passed_s, link, mode)
        return [*self._removed(sight), *self._turns(sight)]

    def due_s(self) -> float:
        """The time on the boot clock at which a rule may begin or end; infinite if none."""
        return min((watch.due_s for watch in self._watches), default=math.inf)

    def kept(self) -> dict[str, str]:
        """The fact of the store by its name."""
        begun: dict[str, Json] = {name: asdict(one) for name, one in self._begun.items()}
        kept: dict[str, Json] = {one.rule.name: one.kept() for one in self._watches if one.kept()}
        return {FACT: encode({"begun": begun, "kept": kept}).decode() if begun or kept else ""}

    def close(self) -> None:
        """End the commands that run."""
        if self._commands:
            self._commands.close()

    def _removed(self, sight: Sight) -> Iterator[Made]:
        """The ends of rules that are there no more, or are of something else now."""
        known = {watch.rule.name: watch.of for watch in self._watches}
        for name, begun in [*self._begun.items()]:
            if known.get(name) != begun.of:
                del self._begun[name]
                self._health.clear(conditions.RULE_ACTIVE, key=name)
                kind, *of = begun.of.split("/")
                body = _told(END, name, kind, of, None, _since_s(begun, sight))
                body |= {"value": None, "lasted_s": _lasted_s(begun, sight), "reason": "removed"}
                yield self._made(body, sight.now)

    def _turns(self, sight: Sight) -> Iterator[Made]:
        """The events of rules that begin or end."""
        for watch in self._watches:
            if turn := watch.look(sight, self._begun.get(watch.rule.name)):
                yield self._turned(watch, turn, sight)

    def _turned(self, watch: Watch, turn: Turn, sight: Sight) -> Made:
        """The event of a turn, which is noted, shown, and told to the rule's command."""
        rule, now = watch.rule, sight.now
        if turn.event == BEGIN:
            since_s = now.wall_s - turn.for_s if sight.is_set else None
            last = sight.last_kept
            begun = Begun(watch.of, since_s, now.boot_s, now.boot_id, turn.for_s, last)
            self._begun[rule.name] = begun
            self._show(rule, begun)
        else:
            begun = self._begun.pop(rule.name)
            self._health.clear(conditions.RULE_ACTIVE, key=rule.name)
        of = watch.of.split("/")[1:]
        limit = plain_number(rule.limit)
        body = _told(turn.event, rule.name, rule.kind, of, limit, _since_s(begun, sight))
        body["value"] = turn.value
        if turn.event == END:
            body |= {"lasted_s": _lasted_s(begun, sight), "reason": turn.reason}
        if self._commands and rule.command:
            self._commands.start(rule, turn.event, turn.value)
        return self._made(body, now)

    def _made(self, body: dict[str, Json], now: Moment) -> Made:
        record = NewRecord(EVENTS, round(now.wall_s, 3), now, body)
        return Made(record, self.kept())

    def _doubt(self, watch: Watch) -> None:
        """Say that its value never comes, or no more that it does not."""
        name = f"rules: {watch.rule.name}"
        text = watch.lack and f"{name}: {watch.lack}"
        self._health.stand(conditions.CONFIG_WARNING, text, hint=HINT, key=name)

    def _show(self, rule: Rule, begun: Begun) -> None:
        since = ""
        if begun.since_s is not None:
            since = time.strftime(", since %Y-%m-%d %H:%M", time.localtime(begun.since_s))
        self._health.report(
            conditions.RULE_ACTIVE, f"{rule.name}: {words(rule)}{since}", key=rule.name
        )


def _watch(rule: Rule, config: Config, kept: list[Json]) -> Watch:
    """The watch that looks after `rule`."""
    if rule.kind == "quiet":
        return Still(rule, kept)
    if rule.kind == "offline":
        return Offline(rule)
    return Threshold(rule, next((one for one in config.sensors if one.name == rule.sensor), None))


def _commands(config: Config, health: Health) -> Commands | None:
    if not any(rule.command for rule in config.rules):
        return None
    from agent.facts.command import Commands  # noqa: PLC0415 -- few have commands

    return Commands(health)


def _told(  # noqa: PLR0917 -- the keys in their order
    event: str, name: str, kind: str, of: list[str], limit: float | None, since_s: float | None
) -> dict[str, Json]:
    """The beginning of an event's body."""
    since = None if since_s is None else math.floor(since_s)  # never after the event
    watched = dict(zip(("sensor", "quantity"), of, strict=False))
    return {"event": event, "rule": name, "kind": kind, **watched, "since": since, "limit": limit}


def _lasted_s(begun: Begun, sight: Sight) -> int | None:
    """Seconds that it has lasted; None where no clock tells."""
    passed_s = sight.passed_s(begun.at, sight.now)
    return None if passed_s is None else max(0, round(begun.for_s + passed_s))


def _since_s(begun: Begun, sight: Sight) -> float | None:
    """Since when it holds, as it was told; else as is known by now, None if nobody knows."""
    passed_s = sight.passed_s(begun.at, sight.now)
    if begun.since_s is not None or passed_s is None or not sight.is_set:
        return begun.since_s
    return sight.now.wall_s - passed_s - begun.for_s


def _recalled(text: str) -> tuple[dict[str, Begun], dict[str, list[Json]]]:
    """Rules that have begun, and what each remembers, from the store's fact; nothing if spoiled."""
    begun: dict[str, Begun] = {}
    kept: dict[str, list[Json]] = {}
    try:
        found = decode(text.encode()) if text else {}
        for name, one in _table(found.get("begun")).items():
            begun[name] = _begun(_table(one))
        for name, one in _table(found.get("kept")).items():
            kept[name] = one if isinstance(one, list) else []
    except ValueError as error:
        log.warning("what the store has of rules is spoiled: %s", error)
    return begun, kept


def _begun(one: dict[str, Json]) -> Begun:
    """One that has begun. Raises ValueError."""
    match one:
        case {
            "of": str() as of,
            "since_s": None | float() | int() as since_s,
            "boot_s": float() | int() as boot_s,
            "boot_id": str() as boot_id,
            "for_s": float() | int() as for_s,
            "last": list() as last,
        } if all(map(is_time, (since_s or 0, boot_s, for_s))):
            return Begun(of, since_s, boot_s, boot_id, for_s, last)
    raise ValueError(f"no rule that has begun: {one!r:.80}")


def _table(value: Json) -> dict[str, Json]:
    return value if isinstance(value, dict) else {}
