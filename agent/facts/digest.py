"""The digest of a day: what was seen, what is usual, what was not observed and why."""

from __future__ import annotations

import math

TYPE_CHECKING = False
if TYPE_CHECKING:
    from agent.config import Config
    from agent.facts.made import Made
    from agent.facts.modes import Mode
    from agent.health.health import Health
    from agent.model import Moment
    from agent.store import Store


class Digests:
    """Makes the digest of each day once, at a local time of the next or as soon as it can."""

    def __init__(self, config: Config, store: Store, health: Health) -> None:
        self._config, self._store, self._health = config, store, health

    def tend(self, now: Moment, *, is_set: bool, mode: Mode) -> list[Made]:
        """The digests that are due; none while the clock is not set."""
        return []

    def due_s(self, now: Moment) -> float:
        """The time on the boot clock at which the next is due."""
        return math.inf if now else 0.0
