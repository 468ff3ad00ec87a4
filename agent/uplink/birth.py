"""What happened while the agent was gone: for how long, and why."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from agent import __version__
from agent.board import ROOT
from agent.model import Moment
from agent.sampling.window_mirror import Mirror
from agent.sensors.system import power

if TYPE_CHECKING:
    from pathlib import Path

    from agent.store.store import Store

#: What the unit writes when the service ends (ExecStopPost=, `$SERVICE_RESULT` in systemd.exec(5)).
ENDED = "ended"
RESULTS = {"watchdog": "watchdog", "oom-kill": "out of memory"}


@dataclass(frozen=True, slots=True)
class Away:
    """Why the agent was gone, and since when, as far as is known.

    `reason`: first start, power cut, reboot, watchdog, out of memory, crash, upgrade or restart.
    """

    reason: str
    since: Moment | None

    def seconds(self, now: Moment, store: Store) -> float | None:
        """How long until `now`; None where nothing tells."""
        if self.since is None:
            return None
        if self.since.boot_id == now.boot_id:
            return round(now.boot_s - self.since.boot_s, 1)
        return max(0.0, round(store.true_wall_s(now) - store.true_wall_s(self.since), 1))


def begun(store: Store, now: Moment, runtime: Path) -> Away:
    """Why the process before this one ended; notes that this one has begun. Raises StoreError."""
    boot_id, _, version = store.recall("running").partition(" ")
    stopped = store.recall("stopped").split()
    result = ""
    with suppress(OSError):
        result = (runtime / ENDED).read_text(encoding="ascii", errors="replace").strip()
        (runtime / ENDED).unlink()
    since = _last_sign(store, runtime)
    if not boot_id:
        known = not (store.reset or store.memory_only)
        reason = "first start" if known else RESULTS.get(result, "unknown")
    elif stopped:
        with suppress(ValueError):
            since = Moment(float(stopped[0]), float(stopped[1]), boot_id)
        if version != __version__:
            reason = "upgrade"
        else:
            reason = "restart" if boot_id == now.boot_id else "reboot"
    elif boot_id != now.boot_id:
        reason = "power cut"
    else:
        reason = RESULTS.get(result, "crash")
    store.remember(running=f"{now.boot_id} {__version__}", stopped="")
    return Away(reason, since)


def _last_sign(store: Store, runtime: Path) -> Moment | None:
    """The last that is known of the process before: its newest record, or its open window."""
    newest, kept = store.newest_moment(), Mirror(runtime).read()
    mirrored = kept[1].moment if kept else None
    if newest and mirrored:
        return max(newest, mirrored, key=lambda moment: moment.wall_s)
    return newest or mirrored


def ended(store: Store, now: Moment) -> None:
    """Note that this process ends in order. Raises StoreError."""
    store.remember(stopped=f"{now.wall_s:.3f} {now.boot_s:.3f}")


def under_voltage(root: Path = ROOT) -> bool | None:
    """Whether the board had too little voltage since it started; None where nothing tells."""
    told = power(root)
    known = told.get("under_voltage_since_boot", told.get("under_voltage"))
    return None if known is None else bool(known)
