"""The store's SQLite file: its schema, its settings, and what becomes of one that is spoiled.

The settings spare the card: small pages, a write-ahead log that is grown once when opened and then
reused, a short distance between checkpoints ("Write-Ahead Logging", sqlite.org/wal.html).
"""

from __future__ import annotations

import errno
import re
import secrets
import sqlite3
import stat
import time
from contextlib import closing, contextmanager, suppress
from typing import TYPE_CHECKING

from agent import files
from agent.errors import StoreError
from agent.store.meta import is_number
from agent.store.records import SEQ_MAX, Figures

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

APPLICATION_ID = 0x50694167  # "PiAg"
SCHEMA_VERSION = 2
BOOTS = """CREATE TABLE boots (
    number INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, offset_s REAL NOT NULL,
    is_set INTEGER NOT NULL);"""
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
{BOOTS}
INSERT INTO meta VALUES ('epoch', '{{epoch}}'), ('total', 0);
PRAGMA application_id = {APPLICATION_ID};
PRAGMA user_version = {SCHEMA_VERSION};
COMMIT;
"""  # noqa: S608 -- the epoch is ours

#: Steps from a version to the next.
MIGRATIONS = {1: f"BEGIN; {BOOTS} PRAGMA user_version = 2; COMMIT;"}

#: Longest search for damage at a start; what is not found by then is found later.
CHECK_S = 5.0

#: SQLite's page cache: all the memory that the store needs, whatever waits in it.
CACHE_KIB = 512
WAL_BYTES = 262144
CHECKPOINT_PAGES = 64

#: Longest wait of a commit for another program; the sensors wait meanwhile.
BUSY_MS = 500

CARD = "check that the agent may write there, and the card itself"
LOCKED = "another program has it open: end that program"
FULL = "free some space on the card"

SPOILED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR)

#: What the card cannot give back, met while the file is in use.
DAMAGE = (
    *(sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB),
    *(sqlite3.SQLITE_IOERR_READ, sqlite3.SQLITE_IOERR_SHORT_READ, sqlite3.SQLITE_IOERR_CORRUPTFS),
)

#: Tables and indexes that are small: read whole at the start, what is damaged in them is found.
SMALL = (
    *("number, id FROM commands ORDER BY number", "id FROM commands ORDER BY id"),
    *("number, id, offset_s, is_set FROM boots ORDER BY number", "id FROM boots ORDER BY id"),
    "seq, kind, reason, set_aside_s FROM dead ORDER BY seq",
)


class BlockedError(StoreError):
    """The file takes no commit now; later it may."""


class DiskFullError(BlockedError):
    """There is no room for a commit."""


class SpoiledError(Exception):
    """The file cannot be used as a store, and never will be."""


def exists(path: Path) -> bool:
    """True if there is a file. Raises OSError if the name, or one beside it, is another thing's.

    A link is one: SQLite would follow it, wherever it leads; and at a FIFO it would wait.
    """
    found = False
    for suffix in ("-journal", "-wal", "-shm", ""):
        with suppress(FileNotFoundError):
            found = False
            mode = _side(path, suffix).lstat().st_mode
            if not stat.S_ISREG(mode):
                what = "is a link, not a file" if stat.S_ISLNK(mode) else "is not a regular file"
                raise OSError(errno.EINVAL, what, str(_side(path, suffix)))
            found = True
    return found


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
    db = sqlite3.connect(
        f"{path.absolute().as_uri()}?mode={mode}",
        uri=True,
        check_same_thread=False,
        isolation_level=None,
        timeout=BUSY_MS / 1000,
    )
    db.text_factory = lambda text: text.decode(errors="replace")  # a spoiled letter ends nothing
    return db


def opened(path: Path | None) -> tuple[sqlite3.Connection, Figures, dict[str, int | str]]:
    """A store ready for use, in figures, and the facts of `meta`; in memory without a path.

    It is migrated, looked through for damage, and spares the card. Raises SpoiledError.
    """
    db = connect(path) if path else in_memory()
    try:
        migrate(db)
        figures, facts = load(db)
        if path:
            check(db)
            spare_the_card(db)
    except BaseException:
        db.close()
        raise
    return db, figures, facts


def in_memory() -> sqlite3.Connection:
    """A store that no file has, with an epoch of its own."""
    db = sqlite3.connect(":memory:", check_same_thread=False, isolation_level=None)
    db.executescript(SCHEMA.format(epoch=secrets.token_hex(8)))
    return db


def try_commit(path: Path) -> None:
    """Commit something small to a store. Raises SpoiledError."""
    with closing(connect(path)) as db:
        migrate(db)
        if versions(db) != [APPLICATION_ID, SCHEMA_VERSION]:
            raise SpoiledError("not a store of this version")
        db.execute("INSERT OR REPLACE INTO meta VALUES ('tried', ?)", (secrets.token_hex(4),))


def versions(db: sqlite3.Connection) -> list[int]:
    """What the file is, and of which version."""
    pragmas = ("application_id", "user_version")
    return [db.execute(f"PRAGMA {name}").fetchone()[0] for name in pragmas]


def load(db: sqlite3.Connection) -> tuple[Figures, dict[str, int | str]]:
    """The rows in figures, and the facts of `meta`; all records are read. Raises SpoiledError."""
    try:
        with closing(in_memory()) as fresh:
            schema = "SELECT name, sql FROM sqlite_schema"
            whole = set(fresh.execute(schema)) <= set(db.execute(schema))
        if versions(db) != [APPLICATION_ID, SCHEMA_VERSION] or not whole:
            raise SpoiledError("not a store of this version")
        for query in SMALL:
            for _ in db.execute(f"SELECT {query}"):
                pass
        rows, first_seq, last_seq = db.execute(
            "SELECT count(*), coalesce(min(seq), 1), coalesce(max(seq), 0) FROM records"
        ).fetchone()
        mark = "SELECT acknowledged IS 1 AND body = x'' FROM records WHERE seq = ?"
        marked = bool((db.execute(mark, (last_seq,)).fetchone() or [False])[0])
        meta = dict(db.execute("SELECT name, value FROM meta"))
        dropped = {
            name.removeprefix("dropped_"): value
            for name, value in meta.items()
            if name.startswith("dropped_")
        }
        numbers = (meta["total"], *dropped.values())
        if not (all(map(is_number, numbers)) and re.fullmatch(r"[0-9a-f]{16}", meta["epoch"])):
            raise SpoiledError("its counters are lost")
        if first_seq < 1 or last_seq > SEQ_MAX:
            raise SpoiledError("its numbers are lost")
        return Figures(last_seq, marked, rows - marked, 0, dropped), meta
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise SpoiledError("its counters are lost") from error
    except sqlite3.Error as error:
        raise _spoiled(error) from error


def check(db: sqlite3.Connection, *, monotonic_s: Callable[[], float] = time.monotonic) -> None:
    """Look through the file for damage, at most for CHECK_S. Raises SpoiledError.

    What is wrong within a single row is no matter: a row is judged when it is read.
    """
    until_s = monotonic_s() + CHECK_S
    db.set_progress_handler(lambda: monotonic_s() > until_s, 10_000)
    try:
        found = [str(row[0]) for row in db.execute("PRAGMA quick_check")]
    except sqlite3.Error as error:
        if getattr(error, "sqlite_errorcode", 0) != sqlite3.SQLITE_INTERRUPT:
            raise _spoiled(error) from error
    else:
        if found := [told for told in found if told != "ok" and " value in " not in told]:
            raise SpoiledError(" ".join(found[0].split()))
    finally:
        db.set_progress_handler(None, 0)


def migrate(db: sqlite3.Connection) -> None:
    """Bring a store of an older version up to this one, in one transaction each."""
    try:
        application_id, version = versions(db)
        if application_id == APPLICATION_ID and version in MIGRATIONS:
            for step in range(version, SCHEMA_VERSION):
                db.executescript(MIGRATIONS[step])
    except sqlite3.Error as error:
        raise _spoiled(error) from error


def _spoiled(error: sqlite3.Error) -> Exception:
    """The error to raise: SpoiledError, or the same if it is of another kind."""
    if getattr(error, "sqlite_errorcode", 0) & 0xFF in SPOILED:
        return SpoiledError(str(error))
    return error


def spare_the_card(db: sqlite3.Connection) -> None:
    """Set what the module's first lines promise; growing the log takes half a millisecond."""
    for pragma in (
        f"busy_timeout = {BUSY_MS}",
        "journal_mode = WAL",
        "synchronous = FULL",
        f"wal_autocheckpoint = {CHECKPOINT_PAGES}",
        f"journal_size_limit = {2 * WAL_BYTES}",  # one that a large commit has grown is cut
        "cache_size = 5",  # so that the rows below overflow into the log
    ):
        db.execute(f"PRAGMA {pragma}")
    db.execute("BEGIN")
    try:
        db.execute("INSERT INTO meta VALUES ('', zeroblob(?))", (WAL_BYTES,))
    except sqlite3.Error as error:
        if not is_full(error):  # a full card spares itself
            raise
    if db.in_transaction:
        db.execute("ROLLBACK")
    db.execute(f"PRAGMA cache_size = -{CACHE_KIB}")


def is_damage(error: sqlite3.Error) -> bool:
    """True if the card cannot give back what is in the file."""
    code = getattr(error, "sqlite_errorcode", 0)
    return code in DAMAGE or code & 0xFF in DAMAGE


def is_full(error: BaseException) -> bool:
    """True if there is no room on the disk."""
    return (
        getattr(error, "sqlite_errorcode", 0) == sqlite3.SQLITE_FULL
        or getattr(error, "errno", 0) == errno.ENOSPC
    )


@contextmanager
def translated(path: Path) -> Iterator[None]:
    """Turn what SQLite and the system raise into StoreError, once."""
    try:
        yield
    except StoreError:
        raise
    except (
        sqlite3.Error,
        OSError,
        UnicodeDecodeError,
    ) as error:  # SQLite may quote what is spoiled
        raise explained(path, error) from error


def explained(path: Path, error: Exception) -> StoreError:
    """The error in words, told apart by what can be done about it."""
    if is_full(error):
        return DiskFullError(f"{path}: {error}", hint=FULL)
    if getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_BUSY:
        return BlockedError(f"{path}: {error}", hint=LOCKED)
    return StoreError(f"{path}: {error}", hint=CARD)
