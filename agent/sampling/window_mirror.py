"""The open window, mirrored to memory that outlives the process: a crash loses no detection.

The file lies in the runtime directory: written with each detection, it costs the card nothing, and
it is gone after a power cut, as it should be.
"""

from __future__ import annotations

import json
from contextlib import suppress
from typing import TYPE_CHECKING

from agent import files
from agent.model import COUNT, Moment, NewRecord, encode

if TYPE_CHECKING:
    from pathlib import Path

    from agent.model import Json


class WindowMirror:
    """The file `<runtime>/window.json`; used in one thread. Nothing is ever raised.

    A window has a name, which the store notes when it is reported: so it is reported once.
    """

    def __init__(self, directory: Path) -> None:
        self._path = directory / "window.json"

    def write(self, name: str, report: NewRecord) -> None:
        """Keep what would be reported of the window `name` if it ended now."""
        at = report.moment
        moment: list[Json] = [report.timestamp_s, at.wall_s, at.boot_s, at.boot_id]
        data = encode({"window": name, "moment": moment, "body": dict(report.body)})
        with suppress(OSError):  # the window is in memory all the same
            files.replace(self._path, data, durable=False)

    def read(self) -> tuple[str, NewRecord] | None:
        """The window that a process before this one had open: its name and what it saw."""
        try:
            kept = json.loads(self._path.read_bytes())
            timestamp_s, wall_s, boot_s, boot_id = kept["moment"]
            moment = Moment(float(wall_s), float(boot_s), str(boot_id))
            report = NewRecord(COUNT, float(timestamp_s), moment, dict(kept["body"]))
            int(report.body["detect_count"])  # type: ignore[arg-type]  # what it is, is to be seen
            return str(kept["window"]), report
        except (OSError, ValueError, TypeError, KeyError):
            return None

    def moment(self) -> Moment | None:
        """The moment at which that window was last written."""
        kept = self.read()
        return kept[1].moment if kept else None

    def forget(self) -> None:
        """There is no open window."""
        with suppress(OSError):
            self._path.unlink(missing_ok=True)
