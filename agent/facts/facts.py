"""Facts: all that the device makes of what its sensors saw, handed to sampler and uplink as one."""

from __future__ import annotations

from agent.facts.digest import Digests
from agent.facts.hours import Hours
from agent.facts.link_watch import LinkWatch
from agent.facts.modes import MODE_FILE, Mode, ModeFile, marked
from agent.facts.outages import Outages
from agent.facts.quiet import Quiet
from agent.facts.rules import Rules
from agent.health import conditions
from agent.model import encode
from agent.value import replace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from agent.clock import Clock
    from agent.config import Config
    from agent.facts.made import Made
    from agent.health.health import Health
    from agent.model import Json, Moment, NewRecord, Reading
    from agent.sensors import Detections
    from agent.store import Store


class Facts:
    """Belongs to the sampler's thread, but for `link`, `modes` and `shown`, which are any's."""

    def __init__(self, config: Config, store: Store, *, clock: Clock, health: Health) -> None:
        self.link = LinkWatch(clock)
        self.modes = ModeFile(config.paths.state / MODE_FILE, clock.wall_s)
        self._clock, self._health = clock, health
        self._mode = Mode()
        self._quiet = Quiet(store)
        self._hours = Hours(store)
        self._outages = Outages(store)
        self._rules = Rules(config, store, health)
        self._digests = Digests(config, store, health)

    def begin(
        self, reason: str, since: Moment | None, mirrored: Mapping[str, Json] | None = None
    ) -> None:
        """Go on from the process before: why this one began, and since when none ran, if known.

        `mirrored` is what `kept` gave a process that died.
        """
        self._quiet.begin(mirrored or {})
        self._outages.away(reason, since, self._clock.now())
        self._mode = self.modes.now(is_set=False)  # whether it is over is told by a clock that is

    def saw(self, seen: Detections, now: Moment) -> None:
        """A counted sensor has detected this since it was asked before."""
        self._quiet.saw(seen, now)

    def read(self, reading: Reading) -> None:
        """A sensor was read."""
        self._hours.read(reading)
        self._rules.read(reading)

    def sensor(self, name: str, error: str) -> None:
        """A sensor fails, or works where there is no error."""
        self._outages.sensor(name, error, self._clock.now())

    def marked(self, new: NewRecord) -> NewRecord:
        """The record with the mode that it was made in."""
        return marked(new, self._mode)

    def counted(self, new: NewRecord) -> tuple[NewRecord, dict[str, str]]:
        """A count with how quiet it is; and the facts to remember in its commit."""
        self._hours.counted(new, odd=bool(self._mode.name))
        quiet = self._quiet.facts(new.timestamp_s)
        kept = {"quiet": encode(self._quiet.kept()).decode()}
        return replace(new, body={**new.body, **quiet}), kept

    def tend(self, now: Moment, *, watching: bool, is_set: bool) -> list[Made]:
        """The records that are due; `watching` says that every counted sensor is."""
        self._mode = mode = self.modes.now(is_set=is_set)
        self._health.stand(conditions.MODE_SET, mode.text)
        link = self.link.state
        self._quiet.look(now, watching=watching)
        self._outages.link(link, now)
        made = self._rules.tend(now, quiet=self._quiet, link=link, mode=mode)
        return [*made, *self._digests.tend(now, is_set=is_set)]

    def due_s(self) -> float:
        """The time on the boot clock at which `tend` has something to do."""
        return min(self._rules.due_s(), self._digests.due_s(self._clock.now()))

    def kept(self) -> dict[str, Json]:
        """What the mirror keeps for a process that follows a crash."""
        return self._quiet.kept()

    def shown(self) -> dict[str, Json]:
        """The mode, and how quiet it is, for status.json and a session's first message."""
        mode = self._mode
        shown: dict[str, Json] = {"mode": mode.name or None}
        if mode.name:
            shown["mode_until"] = mode.until_s
        return {**shown, **self._quiet.facts(self._clock.wall_s())}
