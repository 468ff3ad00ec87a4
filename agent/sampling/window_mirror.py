"""The open window, mirrored to memory that outlives the process: a crash loses no detection.

The file lies in the runtime directory: written with each detection, it costs the card nothing, and
it is gone after a power cut, as it should be.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from agent import files
from agent.model import Moment, NewRecord, encode

if TYPE_CHECKING:
    from pathlib import Path


class WindowMirror:
    """The file `<runtime>/window.json`; used in one thread. Nothing is ever raised.

    A window has a name, which the store notes when it is reported: so it is reported once.
    """

    def __init__(self, directory: Path) -> None:
        self._path = directory / "window.json"
        self._written = b""

    def write(self, name: str, report: NewRecord) -> None:
        """Keep what would be reported of the window `name` if it ended now."""
        moment = report.moment
        data = encode(
            {
                "window": name,
                "kind": report.kind,
                "timestamp_s": report.timestamp_s,
                "moment": [moment.wall_s, moment.boot_s, moment.boot_id],
                "body": dict(report.body),
            }
        )
        if data != self._written:
            try:
                files.replace(self._path, data, durable=False)
            except OSError:
                return  # the window is in memory all the same
            self._written = data

    def read(self) -> tuple[str, NewRecord] | None:
        """The window that a process before this one had open: its name and what it saw."""
        try:
            kept = json.loads(self._path.read_bytes())
            wall_s, boot_s, boot_id = kept["moment"]
            moment = Moment(float(wall_s), float(boot_s), str(boot_id))
            report = NewRecord(
                str(kept["kind"]), float(kept["timestamp_s"]), moment, dict(kept["body"])
            )
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
        self._written = b""
        try:
            self._path.unlink(missing_ok=True)
        except OSError:
            return
