"""Facts: all that the device makes of what its sensors saw, handed to sampler and uplink as one."""

from __future__ import annotations

import math

from agent.facts.hours import Hours
from agent.facts.link_watch import LinkWatch
from agent.facts.modes import MODE_FILE, Mode, ModeFile, marked
from agent.facts.outages import Outages
from agent.facts.quiet import FACT, Quiet, encoded
from agent.health import conditions
from agent.value import replace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from agent.clock import Clock
    from agent.config import Config
    from agent.facts.digest import Digests
    from agent.facts.made import Made
    from agent.facts.rules import Rules
    from agent.health.health import Health
    from agent.model import Json, Moment, NewRecord, Reading
    from agent.sensors import Detections
    from agent.store import Store


class Facts:
    """Belongs to the sampler's thread, but for `link`, `modes` and `shown`, which are any's."""

    def __init__(
        self,
        config: Config,
        store: Store,
        *,
        clock: Clock,
        health: Health,
        modes: ModeFile | None = None,
    ) -> None:
        self.link = LinkWatch(clock)
        self.modes = modes or ModeFile(config.paths.state / MODE_FILE, clock.wall_s)
        self._store = store
        self._clock, self._health = clock, health
        self._at_once = not config.store.commit_after_s
        self._kept_at_once = self._is_set = False
        self._mode = Mode()
        self._quiet = Quiet(store)
        self._hours = Hours(store)
        self._outages = Outages(store)
        self._rules: Rules | None = None
        self._digests: Digests | None = None
        if config.rules or store.recall("rules"):  # whose end is still to be told
            from agent.facts.rules import Rules  # noqa: PLC0415 -- which only few need

            self._rules = Rules(config, store, health)
        if config.digests:
            from agent.facts.digest import Digests  # noqa: PLC0415 -- which only few need

            self._digests = Digests(config, store, health, self._hours)

    def begin(
        self, reason: str, since: Moment | None, mirrored: Mapping[str, Json] | None = None
    ) -> None:
        """Go on from the process before: why this one began, and since when none ran, if known.

        `mirrored` is what `kept` gave a process that died.
        """
        self._is_set = self._clock.is_set()
        self._quiet.begin(mirrored or {}, is_set=self._is_set)
        self._outages.away(reason, since, self._clock.now())
        self.modes.after_s = self._store.true_wall_s(since) if since else 0.0
        self._mode = self.modes.now(is_set=self._is_set)

    def saw(self, seen: Detections, now: Moment) -> dict[str, str]:
        """A counted sensor has detected this since it was asked before; what to remember at once.

        That is a detection that ends a long quiet spell, once a window: a power cut may follow.
        """
        if self._rules and (seen.count or seen.active_s > 0):
            self._rules.saw(now)
        if not self._quiet.saw(seen, now) or self._kept_at_once or not self._at_once:
            return {}
        self._kept_at_once = not self._store.blocked
        return self._facts() if self._kept_at_once else {}

    def read(self, reading: Reading) -> None:
        """A sensor was read."""
        if self._is_set:
            self._hours.read(reading, odd=bool(self._mode.name))
        if self._rules:
            self._rules.read(reading)

    def sensor(self, name: str, error: str) -> None:
        """A sensor fails, or works where there is no error."""
        self._outages.sensor(name, error, self._clock.now())
        if self._rules:
            self._rules.sensor(name, error)

    def marked(self, new: NewRecord) -> NewRecord:
        """The record with the mode that it was made in."""
        return marked(new, self._mode)

    def counted(
        self, new: NewRecord, seen_boot_s: tuple[float, float] | None = None
    ) -> tuple[NewRecord, dict[str, str]]:
        """A count with how quiet it is; and the facts to remember in its commit.

        `seen_boot_s` is when its first and last detection were, on the boot clock.
        """
        self._kept_at_once = False
        quiet = self._quiet.counted(new, seen_boot_s[1] if seen_boot_s else None)
        if self._is_set:
            true_s, seen_s = self._store.true_wall_s(new.moment), None
            if seen_boot_s:
                ahead_s = true_s - new.moment.boot_s
                seen_s = seen_boot_s[0] + ahead_s, seen_boot_s[1] + ahead_s
            self._hours.counted(new, true_s, seen_s, odd=bool(self._mode.name))
        return replace(new, body={**new.body, **quiet}), self._facts()

    def tend(self, now: Moment, *, watching: bool, is_set: bool) -> list[Made]:
        """The records that are due; `watching` says that every counted sensor is."""
        self._is_set = is_set
        mode = self.modes.now(is_set=is_set)
        if mode.name != self._mode.name:
            self._health.clear(conditions.MODE_SET)  # another stands since now
        self._mode = mode
        self._health.stand(conditions.MODE_SET, mode.text)
        link = self.link.state
        self._quiet.look(now, watching=watching, is_set=is_set)
        self._outages.tend(link, now, is_set=is_set)
        self._hours.tend(now)
        made: list[Made] = []
        if self._rules:
            quiet = {FACT: encoded(self._quiet.kept())}  # of which detection a rule has begun
            made += [
                replace(one, facts={**one.facts, **quiet})
                for one in self._rules.tend(
                    now, quiet=self._quiet, link=link, mode=mode, is_set=is_set
                )
            ]
        if self._digests:
            made += self._digests.tend(now, is_set=is_set)
        return made

    def due_s(self) -> float:
        """The time on the boot clock at which `tend` has something to do."""
        rules_s = self._rules.due_s() if self._rules else math.inf
        return min(rules_s, self._digests.due_s(self._clock.now()) if self._digests else math.inf)

    def kept(self) -> dict[str, Json]:
        """State that the mirror keeps for a process that follows a crash."""
        return self._quiet.kept()

    def shown(self) -> dict[str, Json]:
        """The mode, and how quiet it is, for status.json and a session's first message."""
        mode = self._mode
        shown: dict[str, Json] = {"mode": mode.name or None}
        if mode.name:
            shown["mode_until"] = mode.until_s
        return {**shown, **self._quiet.shown(self._clock.now())}

    def end(self) -> None:
        """Note what was gathered in memory, for the store's last commit."""
        self._hours.flush()
        if self._rules:
            self._rules.close()

    def _facts(self) -> dict[str, str]:
        """State that the store keeps for a process that follows a power cut."""
        rules = self._rules.kept() if self._rules else {}
        return {FACT: encoded(self._quiet.kept()), **rules}
