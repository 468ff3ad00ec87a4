"""Quiet: since when nobody was seen, and how much of that time somebody looked."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from agent.model import Json, Moment
    from agent.sensors import Detections
    from agent.store import Store


class Quiet:
    """The last detection, the time observed since, the longest spell of the day."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def begin(self, mirrored: Mapping[str, Json]) -> None:
        """Go on from what the store, or a process that died, has kept."""

    def look(self, now: Moment, *, watching: bool) -> None:
        """Somebody has watched since the last look, and does now, or not."""

    def saw(self, seen: Detections, now: Moment) -> None:
        """A counted sensor has detected."""

    def observed_s(self) -> float:
        """Seconds since the last detection in which every counted sensor watched."""
        return 0.0

    def facts(self, at_s: float) -> dict[str, Json]:
        """`last_detection` and `quiet_for_s` as of the wall time `at_s`."""
        return {"last_detection": None, "quiet_for_s": None} if at_s else {}

    def kept(self) -> dict[str, Json]:
        """What goes into the mirror and the store."""
        return {}
