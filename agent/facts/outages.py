"""Outages: when the device was away, offline, or without a sensor, and why."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from agent.facts.link_watch import Link
    from agent.model import Moment
    from agent.store import Store


class Outages:
    """Notes each in the store's history, when it begins and when it ends."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def away(self, reason: str, since: Moment | None, now: Moment) -> None:
        """No process ran since then."""

    def link(self, link: Link, now: Moment) -> None:
        """The link is so."""

    def sensor(self, name: str, error: str, now: Moment) -> None:
        """A sensor fails, or works again where there is no error."""
