"""An upgrade that begins: the old version is kept, and a watch is set over the new one."""

from __future__ import annotations

import time

from agent import files
from agent.errors import SERVICE, AgentError
from agent.updates.forerunner import Forerunner
from agent.updates.machine import ACTIVE, Service
from agent.updates.notes import DIRECTORY, Pending, pending_of, remove, write
from agent.value import replace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from agent.updates.machine import Machine

PUBLIC_DIRECTORY = 0o755

#: Unit of the watch.
WATCH_UNIT = f"{SERVICE}-rollback.service"


def begin(
    machine: Machine,
    new: str,
    *,
    directory: Path = DIRECTORY,
    wall_s: Callable[[], float] = time.time,
) -> list[str]:
    """Make ready for the upgrade to the version `new`; a line for each thing that lacks.

    While another upgrade is watched, its old version stays the one to go back to: that one is
    proven. Nothing is done where the same version is installed anew. Raises AgentError, OSError.
    """
    old, forerunner = machine.package().version, Forerunner(machine.dpkg, directory)
    if new == old:
        return []
    pending = pending_of(directory)
    lacks: list[str] = []
    if pending and forerunner.is_there and machine.is_watched(WATCH_UNIT):
        write(replace(pending, new=new, back=""), directory)
    else:
        service = _service(machine)
        online = machine.has_been_online(service.pid)
        files.make_directory(directory, PUBLIC_DIRECTORY)
        # dpkg has begun: from here on a power cut leaves work for the watch, if only to end it.
        write(Pending(old, new, service.is_well, online, wall_s()), directory)
        try:
            lacks = forerunner.keep()
        except (AgentError, OSError):
            remove(Pending, directory)
            raise
    if not machine.restart_watch(WATCH_UNIT):
        lacks.append("the watch begins at the next start of the machine")
    return lacks


def _service(machine: Machine) -> Service:
    """State of the service; as if it ran, where systemd does not say."""
    try:
        return machine.service()
    except AgentError:
        return Service(ACTIVE)


def mend(machine: Machine, directory: Path = DIRECTORY) -> None:
    """Finish what was cut off before the old version was kept. Raises AgentError, OSError.

    Where dpkg has but begun, all files are still the old version's: it is kept now, and installed
    again. Else nothing but its journal is in the way of whoever comes next, such as apt.
    """
    if machine.is_busy():
        return
    package, pending = machine.package(), pending_of(directory)
    if package.begun and (not pending or (not pending.back and package.version == pending.old)):
        forerunner = Forerunner(machine.dpkg, directory)
        forerunner.keep()
        machine.take_back(forerunner.package, runs=True)  # whose files are all the same
    elif not pending:
        machine.configure()
