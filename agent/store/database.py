"""The store's SQLite file: its schema, its settings, and what becomes of one that is spoiled.

The settings spare the card: small pages, a write-ahead log that is grown once when opened and then
reused, a short distance between checkpoints ("Write-Ahead Logging", sqlite.org/wal.html).
"""

from __future__ import annotations

import errno
import re
import secrets
import sqlite3
import time
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from agent import files
from agent.errors import StoreError
from agent.store.pending import is_number
from agent.store.records import SEQ_MAX, Figures

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

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

#: The step from the first version to this.
MIGRATION = f"BEGIN; {BOOTS} PRAGMA user_version = {SCHEMA_VERSION}; COMMIT;"

#: Longest search for damage at a start; what is not found by then is found later.
CHECK_S = 5.0

#: SQLite's page cache: all the memory that the store needs, whatever waits in it.
CACHE_KIB = 512
WAL_BYTES = 262144
CHECKPOINT_PAGES = 64

#: Longest wait of a commit for another program; the sensors wait meanwhile.
BUSY_S = 0.5

#: What is in the file cannot be given back; the last two are the card's own fault.
DAMAGE = (
    *(sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB),
    *(sqlite3.SQLITE_IOERR_READ, sqlite3.SQLITE_IOERR_SHORT_READ),
)


class BlockedError(StoreError):
    """The file takes no commit now; later it may."""


class DiskFullError(BlockedError):
    """There is no room for a commit."""


class SpoiledError(Exception):
    """The file cannot be used as a store, and never will be."""


def exists(path: Path) -> bool:
    """True if there is a file. Raises OSError if the name, or one beside it, is another thing's."""
    for side in (Path(f"{path}{suffix}") for suffix in ("", "-journal", "-wal", "-shm")):
        # SQLite would follow a link, wherever it leads, and wait at a FIFO.
        if side.is_symlink() or (side.exists() and not side.is_file()):
            raise OSError(errno.EINVAL, "is not a regular file", str(side))
    return path.exists()


def make(path: Path) -> None:
    """Make an empty store: beside its place, private from the first byte, and then renamed."""
    beside = path.with_name(f".{path.name}.new")
    for old in (beside, Path(f"{beside}-journal"), Path(f"{path}-wal"), Path(f"{path}-shm")):
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
        if Path(f"{path}{suffix}").exists():
            Path(f"{path}{suffix}").rename(Path(f"{aside}{suffix}"))
    files.sync_directory(path.parent)
    return aside


def connect(path: Path, *, read_only: bool = False) -> sqlite3.Connection:
    """A connection that any thread may use, without transactions of its own making."""
    mode = "ro" if read_only else "rw"
    db = sqlite3.connect(
        f"{path.absolute().as_uri()}?mode={mode}",
        uri=True,
        check_same_thread=False,
        isolation_level=None,
        timeout=BUSY_S,
    )
    db.text_factory = lambda text: text.decode(errors="replace")  # a spoiled letter ends nothing
    return db


def in_memory() -> sqlite3.Connection:
    """A store that no file has, with an epoch of its own."""
    db = sqlite3.connect(":memory:", check_same_thread=False, isolation_level=None)
    db.executescript(SCHEMA.format(epoch=secrets.token_hex(8)))
    return db


def opened(path: Path | None) -> tuple[sqlite3.Connection, Figures, dict[str, int | str]]:
    """A store ready for use, in figures, and the facts of `meta`; in memory without a path.

    It is migrated, looked through for damage, and spares the card. Raises SpoiledError.
    """
    db = connect(path) if path else in_memory()
    try:
        figures, facts = load(db)
        if path:
            check(db)
            spare_the_card(db)
    except BaseException as error:
        db.close()
        if is_damage(error):
            raise SpoiledError(str(error)) from error
        raise
    return db, figures, facts


def load(db: sqlite3.Connection) -> tuple[Figures, dict[str, int | str]]:
    """The rows in figures, and the facts of `meta`; all records are read. Raises SpoiledError."""
    try:
        names = ("application_id", "user_version")
        versions = tuple(db.execute(f"PRAGMA {name}").fetchone()[0] for name in names)
        if versions == (APPLICATION_ID, 1):
            db.executescript(MIGRATION)
        elif versions != (APPLICATION_ID, SCHEMA_VERSION):
            raise SpoiledError("not a store of this version")
        with closing(in_memory()) as fresh:
            schema = "SELECT name, sql FROM sqlite_schema"
            if not set(fresh.execute(schema)) <= set(db.execute(schema)):
                raise SpoiledError("its tables are lost")
        rows, first_seq, last_seq = db.execute(
            "SELECT count(*), coalesce(min(seq), 1), coalesce(max(seq), 0) FROM records"
        ).fetchone()
        mark = "SELECT acknowledged IS 1 AND body = x'' FROM records WHERE seq = ?"
        marked = bool((db.execute(mark, (last_seq,)).fetchone() or [False])[0])
        meta = dict(db.execute("SELECT name, value FROM meta"))
        drops = [name for name in meta if name.startswith("dropped_")]
        dropped = {name.removeprefix("dropped_"): meta[name] for name in drops}
        counters = all(map(is_number, (meta["total"], *dropped.values())))
        if not (counters and re.fullmatch(r"[0-9a-f]{16}", meta["epoch"])):
            raise SpoiledError("its counters are lost")
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise SpoiledError("its counters are lost") from error
    if first_seq < 1 or last_seq > SEQ_MAX:
        raise SpoiledError("its numbers are lost")
    return Figures(last_seq, marked, rows - marked, 0, dropped), meta


def check(db: sqlite3.Connection, *, monotonic_s: Callable[[], float] = time.monotonic) -> None:
    """Look through the file for damage, at most for CHECK_S, small tables first.

    What is wrong within one row is no matter: it is judged when it is read. Raises SpoiledError.
    """
    until_s = monotonic_s() + CHECK_S
    db.set_progress_handler(lambda: monotonic_s() > until_s, 10_000)
    try:
        for table in ("(commands)", "(boots)", "(meta)", ""):
            for (told,) in db.execute(f"PRAGMA quick_check{table}").fetchall():
                if told != "ok" and " value in " not in str(told):
                    raise SpoiledError(" ".join(str(told).split()))
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode != sqlite3.SQLITE_INTERRUPT:
            raise
    finally:
        db.set_progress_handler(None, 0)


def spare_the_card(db: sqlite3.Connection) -> None:
    """Set what the module's first lines promise; growing the log takes half a millisecond."""
    for pragma in (
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


def is_damage(error: BaseException) -> bool:
    """True if the card cannot give back what is in the file."""
    code = getattr(error, "sqlite_errorcode", 0)
    return code in DAMAGE or code & 0xFF in DAMAGE


def is_full(error: Exception) -> bool:
    """True if there is no room on the disk."""
    code, number = getattr(error, "sqlite_errorcode", 0), getattr(error, "errno", 0)
    return bool(code == sqlite3.SQLITE_FULL or number == errno.ENOSPC)


@contextmanager
def translated(path: Path) -> Iterator[None]:
    """Turn what SQLite, which may quote what is spoiled, and the system raise into StoreError."""
    try:
        yield
    except StoreError:
        raise
    except (sqlite3.Error, OSError, UnicodeDecodeError) as error:
        raise explained(path, error) from error


def explained(path: Path, error: Exception) -> StoreError:
    """The error in words, told apart by what can be done about it."""
    if is_full(error):
        return DiskFullError(f"{path}: {error}", hint="free some space on the card")
    if getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_BUSY:
        return BlockedError(
            f"{path}: {error}", hint="another program has it open: end that program"
        )
    hint = "check that the agent may write there, and the card itself"
    return StoreError(f"{path}: {error}", hint=hint)
