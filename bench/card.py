"""Cost of a reading for the card, side by side: `python3 -m bench.card [READINGS]`.

One reading at a time, acknowledged before the next, 200 bytes each. Bytes are those that the kernel
lays to this process's charge (proc(5), write_bytes), so the file system's journal is not in them;
flushes are fsync calls. Ratios hold elsewhere, absolute figures do not.
"""

from __future__ import annotations

import sqlite3
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from agent.config import StoreLimits
from agent.model import Moment, NewRecord
from agent.store import open_store

if TYPE_CHECKING:
    from collections.abc import Callable

MOMENT = Moment(1.8e9, 100.0, "boot")
TEXT = "x" * 170


def written() -> int:
    """The bytes that this process has had written."""
    for line in Path("/proc/self/io").read_text().splitlines():
        if line.startswith("write_bytes: "):
            return int(line.split()[1])
    return 0


def naive(directory: Path, readings: int) -> None:
    """Commit each, delete at each acknowledgement, a log that starts small."""
    with closing(sqlite3.connect(directory / "naive.db", isolation_level=None)) as db:
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = FULL")
        db.execute("CREATE TABLE records (seq INTEGER PRIMARY KEY, body TEXT)")
        for seq in range(readings):
            db.execute("INSERT INTO records VALUES (?, ?)", (seq, TEXT))
            db.execute("DELETE FROM records WHERE seq = ?", (seq,))


def ours(commit_after_s: float) -> Callable[[Path, int], None]:
    """The agent's store."""

    def run(directory: Path, readings: int) -> None:
        limits = StoreLimits(path=directory / "store.db", commit_after_s=commit_after_s)
        with open_store(limits) as store:
            before[0] = written()
            for _ in range(readings):
                record = store.append(NewRecord("sensors/room", 1.8e9, MOMENT, {"text": TEXT}))
                store.acknowledge(record.seq)
            after[0] = written()

    return run


before, after = [0], [0]


def main(readings: int) -> None:
    """Print a line for each way."""
    base = 0.0
    for name, way in (
        ("commit each, delete at each acknowledgement", naive),
        ("the store, commit_after_s = 0", ours(0.0)),
        ("the store, commit_after_s = 10", ours(10.0)),
    ):
        with tempfile.TemporaryDirectory(dir=".") as directory:
            before[0], after[0], began_s = written(), 0, time.perf_counter()
            way(Path(directory), readings)
            size = (after[0] or written()) - before[0]
            took_ms = (time.perf_counter() - began_s) * 1000 / readings
        base = base or size / readings
        ratio = size / readings / base
        print(f"{name:45} {size / readings:8.0f} bytes/reading  {ratio:5.2f}  {took_ms:6.2f} ms")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 500)
