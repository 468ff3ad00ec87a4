"""Rules: what a person wants to be told, when it begins and when it ends."""

from __future__ import annotations

import math

TYPE_CHECKING = False
if TYPE_CHECKING:
    from agent.config import Config
    from agent.facts.link_watch import Link
    from agent.facts.made import Made
    from agent.facts.modes import Mode
    from agent.facts.quiet import Quiet
    from agent.health.health import Health
    from agent.model import Moment, Reading
    from agent.store import Store


class Rules:
    """The rules of the configuration, each at rest or begun; begun ones are a fact of the store."""

    def __init__(self, config: Config, store: Store, health: Health) -> None:
        self._config, self._store, self._health = config, store, health

    def read(self, reading: Reading) -> None:
        """Take a reading that thresholds may be on."""

    def tend(self, now: Moment, *, quiet: Quiet, link: Link, mode: Mode) -> list[Made]:
        """The events of rules that begin or end now."""
        return []

    def due_s(self) -> float:
        """The time on the boot clock at which a rule may begin or end; infinite if none."""
        return math.inf
