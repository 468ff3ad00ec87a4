"""Reader of root's notes: upgrades as a running process sees them."""

from __future__ import annotations

import time

from agent import __version__
from agent.updates.notes import (
    DIRECTORY,
    RESTORED,
    ROLLED_BACK,
    STUCK,
    Outcome,
    Pending,
    outcome_of,
    pending_of,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pathlib import Path

    from agent.model import Json

#: Text and hint of each end of an upgrade that did not last.
TEXTS = {
    ROLLED_BACK: (
        "version {new} was taken back to {old}: {reason}",
        "`journalctl -u pi-iot-agent` has what it said; the next version is installed as it comes",
    ),
    RESTORED: ("version {new} was taken back to {old}: {reason}", "it comes again by itself"),
    STUCK: (
        "version {new} cannot be taken back to {old}: {reason}",
        "run `sudo apt --fix-broken install`, and see `journalctl -u pi-iot-agent-rollback`",
    ),
}

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
        """The version that was taken back, and the reason, while that stands; None for none."""
        outcome = undone(outcome_of(self._directory), running)
        if outcome is None:
            return None
        failed = "it could not be taken back: " if outcome.went == STUCK else ""
        return {"version": plain(outcome.new), "reason": plain(f"{failed}{outcome.reason}")}


def undone(outcome: Outcome | None, running: str = __version__) -> Outcome | None:
    """The outcome, if the new version did not last; None for one that did, and for none.

    Root notes it before the old version is there again, or somebody tries the new one once more: a
    version that is `running` was not taken back.
    """
    if outcome is None or outcome.went not in TEXTS:
        return None
    return None if outcome.new == running and outcome.went != STUCK else outcome


def told(outcome: Outcome) -> tuple[str, str]:
    """Text and hint of an upgrade that is `undone`, for a person."""
    text, hint = TEXTS[outcome.went]
    names = {name: plain(getattr(outcome, name)) for name in ("old", "new", "reason")}
    return text.format(**names), hint


def on_trial(pending: Pending, running: str = "") -> tuple[str, str]:
    """Text and hint of an upgrade that is not judged yet, for a person.

    `running` is the version of the process that runs; "" where that is not known.
    """
    old, new = plain(pending.old), plain(pending.new)
    if not pending.back and running == pending.old != pending.new:
        text = f"version {new} is installed, and starts soon, or once no call for help waits"
    elif pending.back:
        text = f"version {new} has failed, and {old} is installed again: {plain(pending.back)}"
    else:
        since = time.strftime("%H:%M", time.localtime(pending.began_s))
        text = f"version {new} is on trial since {since}; {old} comes back by itself if it fails"
    return text, "`journalctl -u pi-iot-agent-rollback` tells how it goes"


def plain(text: str) -> str:
    """The text as it may be told: letters of one line, and not too many."""
    return "".join(one if one.isprintable() else " " for one in text[:TOLD_MOST]).strip()
