"""Watch on updates: what root's notes say of them, as conditions and in the status."""

from __future__ import annotations

import math
import time
from pathlib import Path

from agent import __version__
from agent.health import conditions
from agent.health.conditions import ERROR, INFO, WARNING
from agent.model import DAY_S, HOUR_S
from agent.updates import (
    DIRECTORY,
    NAMES,
    RESTORED,
    ROLLED_BACK,
    STUCK,
    Looked,
    Outcome,
    Pending,
    looked_of,
    outcome_of,
    pending_of,
    plain,
    told,
    undone,
)
from agent.value import replace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from agent.clock import Clock
    from agent.health.health import Health
    from agent.model import Json

#: So long updates may not be looked for, and a version may wait, before a person is told.
LATE_S = 14 * DAY_S

#: How often that is judged while no note changes.
JUDGE_EVERY_S = HOUR_S

#: A machine that was off looks, and installs, within this time after its start.
CATCH_UP_S = 3 * HOUR_S

#: The program that installs what waits; its absence is a reason why nothing is.
UNATTENDED = Path("/usr/bin/unattended-upgrade")

UNLOOKED = "nobody has looked for them"
UNLOOKED_HINT = (
    "run `sudo pi-iot-agent updates`; `systemctl status pi-iot-agent-updates.timer` says why it "
    "was not done by itself"
)
WAITING = "waiting"
ABSENT = ", since unattended-upgrades is not on this device"
ABSENT_HINT = (
    "`sudo apt install unattended-upgrades` has it, and those after it, come by themselves; "
    "`sudo apt install pi-iot-agent` does it now"
)
WAITING_HINT = (
    "`sudo pi-iot-agent updates` says what is in the way; `sudo apt install pi-iot-agent` does it "
    "now"
)


#: How severe an upgrade is that did not last, by how it went.
SEVERITIES = {ROLLED_BACK: WARNING, RESTORED: INFO, STUCK: ERROR}


class UpdatesWatch:
    """Raises `updates-failing` and `rolled-back` by the notes in `directory`.

    Costs three stat(2); a note is read only where that tells of a change. What is late is judged
    once an hour, unless the clock is not set. One thread looks, which alone asks `clock` whether it
    is; any may ask for `shown`.
    """

    def __init__(
        self,
        directory: Path = DIRECTORY,
        *,
        health: Health,
        clock: Clock,
        unattended: Path = UNATTENDED,
        running: str = __version__,
    ) -> None:
        self._directory = directory
        self._health, self._clock = health, clock
        self._unattended = unattended
        self._running = running
        self._states: tuple[tuple[int, ...], ...] = ()
        self._pending: Pending | None = None
        self._looked: Looked | None = None
        self._outcome: Outcome | None = None
        self._judge_boot_s = -math.inf
        self._past: dict[str, tuple[float, float]] = {}

    def look(self) -> None:
        """Look at the notes, and report or clear the conditions."""
        states = tuple(_state(self._directory / NAMES[kind]) for kind in NAMES)
        if states != self._states:
            self._states = states
            self._pending = pending_of(self._directory)
            self._looked = looked_of(self._directory)
            self._outcome = outcome_of(self._directory)
            self._tell_outcome()
            self._judge_boot_s = -math.inf
        now_s = self._clock.boot_s()
        if now_s >= self._judge_boot_s and (self._looked is None or self._clock.is_set()):
            self._judge_boot_s = now_s + JUDGE_EVERY_S
            self._tell_late()

    def shown(self) -> dict[str, Json]:
        """The version that waits, and how updates were looked for; None for what there is not.

        They are taken up since `updates_since`, looked for last at `updates_tried`, in vain for
        `updates_trouble`; at `updates_looked` an index came that is signed and valid.
        """
        looked = self._looked
        return {
            "version_waiting": self._waiting() or None,
            "updates_since": looked.since_s if looked else None,
            "updates_looked": (looked.succeeded_s if looked else 0) or None,
            "updates_tried": (looked.looked_s if looked else 0) or None,
            "updates_trouble": plain(looked.trouble if looked else "") or None,
        }

    def _tell_outcome(self) -> None:
        outcome = undone(self._outcome, self._running)
        for went, severity in SEVERITIES.items():
            text, hint = told(outcome) if outcome and outcome.went == went else ("", "")
            condition = replace(conditions.ROLLED_BACK, severity=severity)
            self._health.stand(condition, text, hint=hint, key=went)

    def _tell_late(self) -> None:
        for key, late in (("", self._unlooked), (WAITING, self._uninstalled)):
            text, hint = late(self._looked, self._clock.wall_s()) if self._looked else ("", "")
            self._health.stand(conditions.UPDATES_FAILING, text, hint=hint, key=key)

    def _unlooked(self, looked: Looked, now_s: float) -> tuple[str, str]:
        """Text and hint where no look has succeeded for too long; empty where one has."""
        since_s = self._passed("", max(looked.since_s, looked.succeeded_s), now_s)
        if not self._is_late(looked, since_s, now_s):
            return "", ""
        text = f"no look for updates has succeeded since {_day(since_s)}: "
        if trouble := plain(looked.trouble):
            return text + trouble, plain(looked.hint)
        return text + UNLOOKED, UNLOOKED_HINT

    def _uninstalled(self, looked: Looked, now_s: float) -> tuple[str, str]:
        """Text and hint where a version waits for too long; empty where none does."""
        since_s = self._passed(WAITING, looked.waiting_since_s, now_s)
        version = self._waiting()
        if not version or not self._is_late(looked, since_s, now_s):
            return "", ""
        text = f"version {version} waits since {_day(since_s)} and is not installed"
        if self._unattended.exists():
            return text, WAITING_HINT
        return text + ABSENT, ABSENT_HINT

    def _is_late(self, looked: Looked, since_s: float, now_s: float) -> bool:
        """True if it was too long, in a machine that has looked since its start or had the time."""
        up_s = self._clock.boot_s()
        up = looked.looked_s >= now_s - up_s or up_s >= CATCH_UP_S
        return up and now_s - since_s >= LATE_S

    def _waiting(self) -> str:
        """The version that waits by the last look, unless more has become of it; empty for none."""
        looked, outcome = self._looked, self._outcome
        if looked is None or looked.waiting in {looked.installed, self._running}:
            return ""
        if self._pending and self._pending.began_s >= looked.looked_s:
            return ""
        judged = outcome is not None and outcome.at_s >= looked.looked_s
        if outcome and judged and outcome.new == looked.waiting and outcome.went != RESTORED:
            return ""
        return plain(looked.waiting)

    def _passed(self, what: str, time_s: float, now_s: float) -> float:
        """The time, or where it was ahead of the clock, which one was wrong, when that was seen."""
        before = self._past.get(what, (time_s, time_s))
        passed_s = min(before[1] if before[0] == time_s else time_s, now_s)
        self._past[what] = time_s, passed_s
        return passed_s


def _state(path: Path) -> tuple[int, ...]:
    """The file's state by stat(2); empty for none."""
    try:
        found = path.stat(follow_symlinks=False)
    except OSError:
        return ()
    return found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns


def _day(time_s: float) -> str:
    return time.strftime("%Y-%m-%d", time.gmtime(time_s))
