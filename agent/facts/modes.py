"""Modes: away, visitor, test, each until a time, in a file that command and cloud both write."""

from __future__ import annotations

import json
from contextlib import suppress

from agent import files
from agent.model import encode, is_time
from agent.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

#: The file in the state directory.
MODE_FILE = "mode.json"

NAMES = ("away", "visitor", "test")


class Mode(Value):
    """A mode by its `name`, until `until_s` (epoch); an empty name is none."""

    name: str = ""
    until_s: float = 0.0


class ModeFile:
    """The mode of the device; any thread may call it. `wall_s` is the clock."""

    def __init__(self, path: Path, wall_s: Callable[[], float]) -> None:
        self._path = path
        self._wall_s = wall_s

    def now(self) -> Mode:
        """The mode at this time; none once its time is over."""
        with suppress(OSError, ValueError, KeyError, TypeError):
            kept = json.loads(files.read(self._path))
            if kept["mode"] in NAMES and is_time(kept["until"]) and self._wall_s() < kept["until"]:
                return Mode(kept["mode"], kept["until"])
        return Mode()

    def set(self, mode: Mode) -> None:
        """Keep `mode` on the disk. Raises OSError."""
        files.replace(self._path, encode({"mode": mode.name, "until": mode.until_s}))
