"""Upgrades as a running process sees them, by root's notes; nothing here writes."""

from __future__ import annotations

from agent import __version__
from agent.updates.notes import (
    DIRECTORY,
    RESTORED,
    ROLLED_BACK,
    STUCK,
    outcome_of,
    pending_of,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pathlib import Path

    from agent.model import Json

#: Letters of a text of root's notes that are told.
TOLD_MOST = 300


class Upgrades:
    """Made at the start of a process; any thread may ask it. `directory` has the notes."""

    def __init__(self, directory: Path = DIRECTORY) -> None:
        self._directory = directory
        self._first = pending_of(directory)

    def begun(self) -> bool:
        """True if an upgrade, or the way back from one, has begun since the process did."""
        pending = pending_of(self._directory)
        return pending is not None and pending != self._first

    def rolled_back(self, running: str = __version__) -> dict[str, Json] | None:
        """The version that was taken back, and the reason, while that stands; None for none.

        The watch has the older version started before it notes that it was, so that what is on its
        way back counts too, unless it is the one that is `running`.
        """
        pending, outcome = pending_of(self._directory), outcome_of(self._directory)
        if pending and pending.back and pending.new != running:
            return _told(pending.new, pending.back)
        if outcome is None or outcome.went not in {ROLLED_BACK, RESTORED, STUCK}:
            return None
        failed = "it could not be taken back: " if outcome.went == STUCK else ""
        return _told(outcome.new, f"{failed}{outcome.reason}")


def _told(version: str, reason: str) -> dict[str, Json]:
    return {"version": plain(version), "reason": plain(reason)}


def plain(text: str) -> str:
    """The text as it may be told: letters of one line, and not too many."""
    return "".join(one if one.isprintable() else " " for one in text[:TOLD_MOST]).strip()
