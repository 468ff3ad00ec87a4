"""Helpers of the store's tests: records, and the troubles that cards and people make."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import tempfile
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from agent.config import StoreLimits
from agent.model import Moment, NewRecord
from agent.store.pending import Buffer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from agent.model import Json, Record
    from agent.store import Store


WALL_S = 1_795_500_000.0

MOMENT = Moment(WALL_S, 100.0, "boot")


def new(kind: str = "sensors/room", *, moment: Moment = MOMENT, **body: Json) -> NewRecord:
    """A record to store."""
    return NewRecord(kind, moment.wall_s, moment, body)


def waiting(store: Store, after_seq: int = 0, limit: int = 10_000) -> list[Record]:
    """The records that wait, page by page."""
    found: list[Record] = []
    while len(found) < limit and after_seq < store.newest_seq:
        page = store.page(after_seq, limit - len(found))
        found += page.records
        after_seq = page.up_to_seq
    return found


def numbers(store: Store, after_seq: int = 0, limit: int = 10_000) -> list[int]:
    """The numbers of the waiting records."""
    return [record.seq for record in waiting(store, after_seq, limit)]


@pytest.fixture
def limits(tmp_path: Path) -> StoreLimits:
    """Where the store is; bounds that no test meets by accident."""
    return StoreLimits(path=tmp_path / "state" / "store.db")


@pytest.fixture
def directory(tmp_path: Path) -> Iterator[Path]:
    """In memory, where commits take no time."""
    memory = Path("/dev/shm")  # noqa: S108 -- see above
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else tmp_path) as made:
        yield Path(made)


def reasons(path: Path) -> dict[str, int]:
    """How many were dropped for which reason, as the file says."""
    with closing(sqlite3.connect(path)) as db, db:
        found = dict(db.execute("SELECT name, value FROM meta WHERE name LIKE 'dropped_%'"))
    db.close()
    return {name.removeprefix("dropped_"): rows for name, rows in found.items() if rows}


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Another program has a transaction open."""
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield
        other.execute("ROLLBACK")


def spoil(path: Path, change: str) -> None:
    """Change the first record in the file."""
    with closing(sqlite3.connect(path)) as db, db:
        db.execute(f"UPDATE records SET {change} WHERE seq = 1")  # noqa: S608 -- our own words
    db.close()


def fill_the_disk(store: Store) -> None:
    """Leave no room for another page, as a full disk does (SQLITE_FULL)."""
    pages = store._write_behind.db.execute("PRAGMA page_count").fetchone()[0]
    store._write_behind.db.execute(f"PRAGMA max_page_count = {pages}")


def free_the_disk(store: Store) -> None:
    """Make room again."""
    store._write_behind.db.execute("PRAGMA max_page_count = 1000000")


def crash(store: Store) -> None:
    """End it as SIGKILL does: nothing more is written."""
    store._write_behind.db.close()
    store._write_behind.buffer = Buffer(store._write_behind.figures.last_seq)
    store._write_behind.acknowledged.clear()
    store._write_behind._numbers = None


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of two MiB."""
    if os.geteuid() != 0:
        pytest.skip("only root can mount a file system")
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["/bin/mount", "-t", "tmpfs", "-o", "size=2m", "none", str(disk)]
    subprocess.run(mount, check=True)
    yield disk
    subprocess.run(["/bin/umount", "-l", str(disk)], check=True)


def fill(ballast: Path) -> None:
    """Leave no byte free."""
    with suppress(OSError), ballast.open("wb", 0) as file:
        while True:
            file.write(b"x" * 1024)


def spoil_with_text(path: Path) -> None:
    """No database at all."""
    path.write_text("I am a text file, and a long one. " * 100)


def drain(store: Store) -> list[int]:
    """Have acknowledged what may go, as over one connection; the numbers."""
    sent: list[int] = []
    after_seq = 0
    while after_seq < store.newest_seq and not store.congested:
        page = store.page(after_seq, 20)
        for record in page.records:
            store.acknowledge(record.seq)
            sent.append(record.seq)
        after_seq = page.up_to_seq
    return sent
