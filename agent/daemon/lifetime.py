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
    running, stopped = store.recall("running"), store.recall("stopped")
    in_memory = _taken(runtime / IN_MEMORY).split("\n")
    alive = None
    if in_memory[0].startswith(f"{now.boot_id} "):  # it is newer than what the file knows
        running, began, stopped = (*in_memory, "", "")[:3]
        alive = _moment(began, now.boot_id)
    boot_id, _, version_before = running.partition(" ")
    result = _taken(runtime / ENDED)
    since = _last_sign(store.newest_moment(), window, alive)
    if not boot_id:
        known = not (store.reset or store.memory_only)
        reason = "first start" if known else RESULTS.get(result, "unknown")
    elif stopped:
        since = _moment(stopped, boot_id) or since
        if version_before != version:
            reason = "upgrade"
        else:
            reason = "restart" if boot_id == now.boot_id else "reboot"
    elif boot_id != now.boot_id:
        reason = "power cut"
    else:
        reason = RESULTS.get(result, "crash")
    _note(store, runtime, f"{now.boot_id} {version}", began=now)
    return Birth(reason, since, now)


def note_stop(store: Store, now: Moment, runtime: Path, *, running: str = "") -> None:
    """Note that this process ends as it should. Raises StoreError.

    `running` is what `note_start` has noted, for a store that does not know.
    """
    _note(store, runtime, running or store.recall("running"), stopped=now)


def _note(
    store: Store,
    runtime: Path,
    running: str,
    *,
    began: Moment | None = None,
    stopped: Moment | None = None,
) -> None:
    store.remember(running=running, stopped=_text(stopped))
    if store.memory_only:
        note = "\n".join((running, _text(began), _text(stopped)))
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
