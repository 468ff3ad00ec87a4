"""The store's SQLite file: its schema, its settings, and what becomes of one that is spoiled.

The settings spare the card: small pages, a write-ahead log that is grown once when opened and then
reused, a short distance between checkpoints ("Write-Ahead Logging", sqlite.org/wal.html).
"""

from __future__ import annotations

import errno
import secrets
import sqlite3
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

from agent import files
from agent.errors import StoreError
from agent.rows import Tally

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

APPLICATION_ID = 0x50694167  # "PiAg"
SCHEMA_VERSION = 1
SCHEMA = f"""
PRAGMA page_size = 1024;
BEGIN;
CREATE TABLE records (
    seq INTEGER PRIMARY KEY, kind TEXT NOT NULL, timestamp_s REAL NOT NULL, body BLOB NOT NULL,
    wall_s REAL NOT NULL, boot_s REAL NOT NULL, boot_id TEXT NOT NULL,
    acknowledged INTEGER NOT NULL DEFAULT 0);
CREATE TABLE dead (
    seq INTEGER PRIMARY KEY, kind TEXT NOT NULL, timestamp_s REAL NOT NULL, body BLOB NOT NULL,
    wall_s REAL NOT NULL, boot_s REAL NOT NULL, boot_id TEXT NOT NULL,
    reason TEXT NOT NULL, set_aside_s REAL NOT NULL);
CREATE TABLE commands (number INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE);
CREATE TABLE meta (name TEXT PRIMARY KEY, value NOT NULL) WITHOUT ROWID;
INSERT INTO meta VALUES ('epoch', '{{epoch}}'), ('total', 0), ('dropped_rows', 0),
    ('dropped_bytes', 0), ('dropped_age', 0), ('dropped_dead', 0);
PRAGMA application_id = {APPLICATION_ID};
PRAGMA user_version = {SCHEMA_VERSION};
COMMIT;
"""  # noqa: S608 -- the epoch is ours

#: SQLite's page cache: all the memory that the store needs, whatever waits in it.
CACHE_KIB = 512
WAL_BYTES = 262144
CHECKPOINT_PAGES = 64

CARD = "check that the agent may write there, and the card itself"
FULL = "free some space on the card"

SPOILED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR)


class SpoiledError(Exception):
    """The file cannot be used as a store, and never will be."""


def make(path: Path) -> None:
    """Make an empty store: beside its place, private from the first byte, and then renamed."""
    beside = path.with_name(f".{path.name}.new")
    for old in (beside, _side(beside, "-journal"), _side(path, "-wal"), _side(path, "-shm")):
        old.unlink(missing_ok=True)  # a stale log would be taken for the new file's
    files.write_new(beside, b"")
    with closing(sqlite3.connect(beside, isolation_level=None)) as db:
        db.executescript(SCHEMA.format(epoch=secrets.token_hex(8)))
    beside.replace(path)
    files.sync_directory(path.parent)


def move_aside(path: Path, now_s: int) -> Path:
    """Rename a spoiled file with its log; its new name."""
    while (aside := path.with_name(f"{path.name}.corrupt-{now_s}")).exists():
        now_s += 1
    path.rename(aside)
    for suffix in ("-wal", "-shm"):
        if _side(path, suffix).exists():
            _side(path, suffix).rename(_side(aside, suffix))
    files.sync_directory(path.parent)
    return aside


def _side(path: Path, suffix: str) -> Path:
    return path.with_name(path.name + suffix)


def connect(path: Path, *, read_only: bool = False) -> sqlite3.Connection:
    """A connection that any thread may use, without transactions of its own making."""
    mode = "ro" if read_only else "rw"
    return sqlite3.connect(
        f"{path.absolute().as_uri()}?mode={mode}",
        uri=True,
        check_same_thread=False,
        isolation_level=None,
    )


def load(db: sqlite3.Connection) -> tuple[str, Tally]:
    """The epoch and what is in the file; all of `records` is read. Raises SpoiledError."""
    try:
        found = tuple(
            db.execute(f"PRAGMA {name}").fetchone()[0]
            for name in ("application_id", "user_version")
        )
        if found != (APPLICATION_ID, SCHEMA_VERSION):
            raise SpoiledError("not a store of this version")
        rows, size, last_seq, marked = db.execute(
            "SELECT count(*), total(length(body)), coalesce(max(seq), 0), total(acknowledged)"
            " FROM records"
        ).fetchone()
        meta = dict(db.execute("SELECT name, value FROM meta"))
        dropped = sum(value for name, value in meta.items() if name.startswith("dropped_"))
        tally = Tally(last_seq, bool(marked), rows - int(marked), int(size), meta["total"], dropped)
        return meta["epoch"], tally
    except (KeyError, TypeError) as error:
        raise SpoiledError("its counters are lost") from error
    except sqlite3.Error as error:
        if getattr(error, "sqlite_errorcode", 0) & 0xFF in SPOILED:
            raise SpoiledError(str(error)) from error
        raise


def spare_the_card(db: sqlite3.Connection) -> None:
    """Set what the module's first lines promise; growing the log takes half a millisecond."""
    for pragma in (
        "journal_mode = WAL",
        "synchronous = FULL",
        f"wal_autocheckpoint = {CHECKPOINT_PAGES}",
        "cache_size = 5",  # so that the rows below overflow into the log
    ):
        db.execute(f"PRAGMA {pragma}")
    db.execute("BEGIN")
    db.execute("INSERT INTO meta VALUES ('', zeroblob(?))", (WAL_BYTES,))
    db.execute("ROLLBACK")
    db.execute(f"PRAGMA cache_size = -{CACHE_KIB}")


@contextmanager
def translated(path: Path) -> Iterator[None]:
    """Turn what SQLite and the system raise into StoreError, once."""
    try:
        yield
    except StoreError:
        raise
    except (sqlite3.Error, OSError) as error:
        full = (
            getattr(error, "sqlite_errorcode", 0) == sqlite3.SQLITE_FULL
            or getattr(error, "errno", 0) == errno.ENOSPC
        )
        raise StoreError(f"{path}: {error}", hint=FULL if full else CARD) from error
