"""The phases of an upgrade, as the disk has them, and what a power cut in each of them leaves."""

from __future__ import annotations

import json
import re
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.system.updated import NOTES

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.system.box import Box

NAME = "pi-iot-agent"
MODULES = "usr/lib/pi-iot-agent/agent"

#: How long a machine runs between two looks at its disk.
SLICE_S = 0.004


@dataclass(frozen=True, slots=True)
class Phase:
    """The state that dpkg has noted, how far it is with the files, and what root has noted.

    `unpacked` is `none`, `some` or `all`: files that lie beside those that they are to replace.
    `modules` is the version of the agent's modules. `notes` are names of files, `back` for a
    way back that was begun.
    """

    state: str
    unpacked: str
    modules: str
    notes: tuple[str, ...]

    def __str__(self) -> str:
        """In a line."""
        return (
            f"{self.state}, {self.unpacked} unpacked, modules {self.modules}, "
            f"notes {' '.join(self.notes) or 'none'}"
        )


def phase(root: Path) -> Phase:
    """The phase that the disk below `root` is in, which nobody changes meanwhile."""
    files = list((root / MODULES).rglob("*.py"))
    beside = list((root / MODULES).rglob("*.dpkg-new"))
    notes = {re.sub(r"\d+", "N", path.name) for path in (root / NOTES.lstrip("/")).glob("*")}
    with suppress(OSError, ValueError):
        if json.loads((root / f"{NOTES}/pending.json".lstrip("/")).read_text())["back"]:
            notes.add("back")
    return Phase(
        state=_state(root / "var/lib/dpkg"),
        unpacked="none" if not beside else "some" if len(beside) < len(files) else "all",
        modules=_version(root / MODULES / "__init__.py"),
        notes=tuple(sorted(notes)),
    )


def _state(database: Path) -> str:
    """What dpkg has noted of the package last: its state and version."""
    updates = sorted((database / "updates").glob("[0-9]*"))
    for path in [*reversed(updates), database / "status"]:
        stanzas = path.read_text(errors="replace").split("\n\n")
        for stanza in stanzas:
            if stanza.startswith(f"Package: {NAME}\n"):
                fields = dict(line.split(": ", 1) for line in stanza.splitlines() if ": " in line)
                return f"{fields['Status'].split()[-1]} {fields.get('Version', '')}"
    return "unknown"


def _version(module: Path) -> str:
    try:
        found = re.search(r'__version__ = "(.*)"', module.read_text())
    except OSError:
        return "missing"
    return found[1] if found else "spoiled"


def cut(
    box: Box,
    work: Callable[[], object],
    over: Callable[[Path], bool],
    directory: Path,
    *,
    wanted: Callable[[Phase], bool] = lambda _: True,
) -> dict[Phase, Path]:
    """The disk in each `wanted` phase that it is seen in, from the begin of `work` until `over`.

    `work` runs in a thread of its own; what it raises is no matter. `over` is given the disk, once
    `work` has ended.
    """

    def run() -> None:
        with suppress(AssertionError):
            work()

    taken: dict[Phase, Path] = {}
    thread = threading.Thread(target=run)
    thread.start()
    while True:
        with box.frozen():
            seen = phase(box.root)
            ended = not thread.is_alive() and over(box.root)
            if seen not in taken and wanted(seen):
                taken[seen] = directory / f"cut-{len(taken)}"
                box.copy(taken[seen])
        if ended:
            break
        time.sleep(SLICE_S)
    thread.join()
    return taken
