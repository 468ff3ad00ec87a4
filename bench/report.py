"""Report of a benchmark: printed row by row, and in a file of JSON, which is whole after each."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from bench.table import as_json, lines, target_lines

if TYPE_CHECKING:
    from pathlib import Path

    from bench.table import Row


class Report:
    """Rows so far, and in `missing` why a row or a contestant is not among them."""

    def __init__(self, file: Path, head: list[str], *, quick: bool) -> None:
        """`head` is the machine and the versions. Raises OSError where no file can be written."""
        self.missing: dict[str, str] = {}
        self._rows: list[Row] = []
        self._file = file
        self._head = head
        self._quick = quick
        file.parent.mkdir(parents=True, exist_ok=True)
        self._write()

    def add(self, row: Row) -> None:
        """Write and print one more."""
        above = self._rows[-1] if self._rows else None
        self._rows.append(row)
        self._write()
        print("\n".join(lines(row, above)), flush=True)

    def end(self) -> None:
        """Print the targets, and what is missing."""
        self._write()
        few = ", of few rounds: a hint" * self._quick
        print(f"\nTargets{few}", *target_lines(self._rows), sep="\n")
        for name, reason in self.missing.items():
            print(f"  left out     {name}: {reason}")
        print(f"\nAll figures: {self._file}", flush=True)

    def _write(self) -> None:
        content = {
            "head": self._head,
            "quick": self._quick,
            "missing": self.missing,
            "rows": as_json(self._rows),
        }
        self._file.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n")
