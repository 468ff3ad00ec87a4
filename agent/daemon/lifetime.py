"""Lifetime of a process: noted at its start and its end, so that the next can say why it is there.

The notes are in the store, and in the runtime directory as long as that is in memory only.
"""

from __future__ import annotations

from contextlib import suppress

from agent import __version__, files
from agent.model import Moment
from agent.uplink import Birth

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pathlib import Path

    from agent.store import Store

#: File of the service's result (ExecStopPost= of the unit, `$SERVICE_RESULT` in systemd.exec(5)).
ENDED = "ended"
#: File of what a process has noted whose store is in memory.
IN_MEMORY = "in-memory"

UPGRADE = "upgrade"
RESULTS = {"watchdog": "watchdog", "oom-kill": "out of memory"}


def note_start(
    store: Store,
    now: Moment,
    runtime: Path,
    *,
    window: Moment | None,
    version: str = __version__,
) -> Birth:
    """Note that this process has begun; its birth. Raises StoreError.

    `window` is when the window that it left open was last heard of, if it left one.
    """
    running, stopped, stopped_for = map(store.recall, ("running", "stopped", "stopped_for"))
    in_memory = _taken(runtime / IN_MEMORY).split("\n")
    alive = None
    if in_memory[0].startswith(f"{now.boot_id} "):  # it is newer than what the file knows
        running, began, stopped, stopped_for = (*in_memory, "", "", "")[:4]
        alive = _moment(began, now.boot_id)
    boot_id, _, version_before = running.partition(" ")
    result = _taken(runtime / ENDED)
    since = _last_sign(store.newest_moment(), window, alive)
    if not boot_id:
        known = not (store.reset or store.memory_only)
        reason = "first start" if known else RESULTS.get(result, "unknown")
    elif stopped:
        since = _moment(stopped, boot_id) or since
        if stopped_for == UPGRADE or version_before != version:
            reason = UPGRADE
        else:
            reason = "restart" if boot_id == now.boot_id else "reboot"
    elif boot_id != now.boot_id:
        reason = "power cut"
    elif version_before != version:  # which could not end in order, or was to be replaced for that
        reason = UPGRADE
    else:
        reason = RESULTS.get(result, "crash")
    _note(store, runtime, f"{now.boot_id} {version}", began=now)
    return Birth(reason, since, now)


def note_stop(
    store: Store, now: Moment, runtime: Path, *, upgrade: bool = False, running: str = ""
) -> None:
    """Note that this process ends as it should, for an `upgrade` or not. Raises StoreError.

    `running` is what `note_start` has noted, for a store that does not know.
    """
    running = running or store.recall("running")
    _note(store, runtime, running, stopped=now, stopped_for=UPGRADE if upgrade else "")


def _note(
    store: Store,
    runtime: Path,
    running: str,
    *,
    began: Moment | None = None,
    stopped: Moment | None = None,
    stopped_for: str = "",
) -> None:
    store.remember(running=running, stopped=_text(stopped), stopped_for=stopped_for)
    if store.memory_only:
        note = "\n".join((running, _text(began), _text(stopped), stopped_for))
        with suppress(OSError):
            files.replace(runtime / IN_MEMORY, note.encode(), durable=False)


def _text(moment: Moment | None) -> str:
    return f"{moment.wall_s:.3f} {moment.boot_s:.3f}" if moment else ""


def _moment(text: str, boot_id: str) -> Moment | None:
    with suppress(ValueError):
        wall_s, boot_s = text.split()
        return Moment(float(wall_s), float(boot_s), boot_id)
    return None


def _taken(path: Path) -> str:
    """The text of a file, which is removed; empty if there is none."""
    with suppress(OSError):
        text = files.read(path).decode("ascii", "replace").strip()
        path.unlink()
        return text
    return ""


def _last_sign(*moments: Moment | None) -> Moment | None:
    """The last sign of a process: its newest record, or its open window."""
    known = [moment for moment in moments if moment]
    return max(known, key=lambda moment: moment.wall_s, default=None)
