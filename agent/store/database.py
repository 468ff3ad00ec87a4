"""The store's SQLite file: its settings, and what becomes of one that cannot be used.

The settings spare the card: small pages, a write-ahead log that is grown once when opened and then
reused, a short distance between checkpoints ("Write-Ahead Logging", sqlite.org/wal.html).
"""

from __future__ import annotations

import errno
import os
import re
import sqlite3
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from agent import files
from agent.errors import StoreError
from agent.store import reserve, schema
from agent.store.pending import PUT, is_number
from agent.store.records import SEQ_MAX, Figures
from agent.store.schema import NewerError, SpoiledError
from agent.store.validation import plain

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from agent.store.pending import Fact

#: Longest search for damage at a start; what is not found by then is found later.
CHECK_S = 5.0

#: What SQLite keeps beside a file, by the ends of the names.
LOGS = ("-journal", "-wal", "-shm")

#: SQLite's page cache: all the memory that the store needs, whatever waits in it.
CACHE_KIB = 256
WAL_BYTES = 262144

#: The mark of a file with such a log, in its bytes 18 and 19 ("Database File Format", 1.3).
WAL_MODE = b"\2\2"
CHECKPOINT_PAGES = 64

#: Longest wait of a commit for another program; the sensors wait meanwhile.
BUSY_S = 0.5

#: What to do about a file that was set aside as a newer agent's, now and when that is back.
NEWER = "update the agent: what was not sent yet is in the old file, beside the new one"
BACK = "`A lost store` in docs/operations.md has the commands that make it the store again"

#: What is in the file cannot be given back; the last two are the card's own fault.
DAMAGE = (
    *(sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB),
    *(sqlite3.SQLITE_IOERR_READ, sqlite3.SQLITE_IOERR_SHORT_READ),
)

#: What opening meets only where the file is not as the agent made it.
UNUSABLE = (sqlite3.SQLITE_ERROR, sqlite3.SQLITE_CONSTRAINT)


class BlockedError(StoreError):
    """The file takes no commit now; later it may."""


class DiskFullError(BlockedError):
    """There is no room for a commit."""


def exists(path: Path) -> bool:
    """True if there is a file. Raises OSError if the name, or one beside it, is another thing's."""
    for side in (Path(f"{path}{suffix}") for suffix in ("", *LOGS)):
        # SQLite would follow a link, wherever it leads, and wait at a FIFO.
        if side.is_symlink() or (side.exists() and not side.is_file()):
            raise OSError(errno.EINVAL, "is not a regular file", str(side))
    return path.exists()


def make(path: Path, *, reset: str = "") -> None:
    """Make an empty store that tells of `reset`: beside its place, private from the first byte."""
    with closing(connect(None)) as db:
        db.execute(PUT, ("reset", reset))
        content = db.serialize()
    beside = path.with_name(f".{path.name}.new")
    for old in (beside, *(Path(f"{path}{suffix}") for suffix in LOGS)):
        old.unlink(missing_ok=True)  # a stale log would be taken for the new file's
    files.write_new(beside, content[:18] + WAL_MODE + content[20:])
    beside.replace(path)
    files.sync_directory(path.parent)


def begin_anew(path: Path, spoiled: Exception, now_s: int) -> None:
    """Rename a file that cannot be used, with its logs, and make a store that tells of it.

    One of a newer version keeps its reserved numbers too, so that it can be used again as it was.
    """
    newer = isinstance(spoiled, NewerError)
    kind, beside = ("newer", (*LOGS, reserve.BLOCK_FILE)) if newer else ("corrupt", LOGS)
    while (aside := path.with_name(f"{path.name}.{kind}-{now_s}")).exists():
        now_s += 1
    path.rename(aside)
    for suffix in beside:
        with suppress(FileNotFoundError):
            Path(f"{path}{suffix}").rename(f"{aside}{suffix}")
    told = f"{path}: {plain(str(spoiled))}; kept as {aside.name}, a new store was begun"
    make(path, reset=f"{told}\n{NEWER}" if newer else told)


def usable_aside(path: Path) -> str:
    """Notice of a file that was set aside as a newer agent's, and that this one can use."""
    for aside in sorted(path.parent.glob(f"{path.name}.newer-*")):
        if aside.name.rpartition("-")[2].isdecimal():
            with suppress(sqlite3.Error, OSError, UnicodeDecodeError):
                exists(aside)  # and nothing strange, where SQLite would wait
                with closing(connect(aside, read_only=True)) as db:
                    schema.version(db)
                    query = "SELECT count(*) FROM records WHERE acknowledged = 0"
                    rows = db.execute(query).fetchone()[0]
                return f"{aside}: this version can read it, and {rows} records wait in it\n{BACK}"
    return ""


def connect(path: Path | None, *, read_only: bool = False) -> sqlite3.Connection:
    """A connection that any thread may use; without a path, to an empty store in memory."""
    mode = "ro" if read_only else "rw"
    name = f"{path.absolute().as_uri()}?mode={mode}" if path else ":memory:"
    db = sqlite3.connect(
        name, uri=True, check_same_thread=False, isolation_level=None, timeout=BUSY_S
    )
    db.text_factory = lambda text: text.decode(errors="replace")  # a spoiled letter ends nothing
    if not path:
        schema.fill(db)
    return db


def try_out(path: Path) -> None:
    """Commit next to nothing: it costs little to find out that the file takes none."""
    with closing(connect(path)) as db:
        schema.version(db)
        db.execute(PUT, ("tried", ""))


def load(db: sqlite3.Connection) -> tuple[Figures, dict[str, Fact]]:
    """The rows in figures, and the facts of `meta`; all records are read. Raises SpoiledError."""
    try:
        schema.bring_up_to_date(db)
        db.execute(f"PRAGMA cache_size = -{CACHE_KIB}")
        # One by one: SQLite then looks into no row to count them, and at one for either end.
        parts = ("count(*)", "coalesce(min(seq), 1)", "coalesce(max(seq), 0)")
        rows, first_seq, last_seq = (
            db.execute(f"SELECT {part} FROM records").fetchone()[0]  # noqa: S608 -- our own words
            for part in parts
        )
        mark = "SELECT acknowledged IS 1 AND body = x'' FROM records WHERE seq = ?"
        marked = bool((db.execute(mark, (last_seq,)).fetchone() or [False])[0])
        meta = dict(db.execute("SELECT name, value FROM meta"))
        dropped = {name[8:]: fact for name, fact in meta.items() if name.startswith("dropped_")}
        counters = all(map(is_number, (meta["total"], *dropped.values())))
        if not (counters and re.fullmatch(r"[0-9a-f]{16}", meta["epoch"])):
            raise SpoiledError("its counters are lost")
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise SpoiledError("its counters are lost") from error
    if first_seq < 1 or last_seq > SEQ_MAX:
        raise SpoiledError("its numbers are lost")
    return Figures(last_seq, marked, rows - marked, 0, dropped), meta


def check(db: sqlite3.Connection, *, monotonic_s: Callable[[], float]) -> None:
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


def spare_the_card(db: sqlite3.Connection, path: Path) -> None:
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
        db.execute(
            "INSERT OR REPLACE INTO meta (name, value) VALUES ('', zeroblob(?))", (WAL_BYTES,)
        )
    except sqlite3.Error as error:
        if not is_full(path, error):  # a full card spares itself
            raise
    if db.in_transaction:
        db.execute("ROLLBACK")
    db.execute(f"PRAGMA cache_size = -{CACHE_KIB}")


def is_damage(error: BaseException) -> bool:
    """True if what is in the file cannot be given back."""
    code = getattr(error, "sqlite_errorcode", 0)
    known = isinstance(error, SpoiledError | UnicodeDecodeError)  # SQLite quotes what is spoiled
    return known or code in DAMAGE or code & 0xFF in DAMAGE


def is_unusable(path: Path, error: BaseException) -> bool:
    """True if opening has met what makes the file no store of the agent's for ever."""
    code = getattr(error, "sqlite_errorcode", 0)
    if code == sqlite3.SQLITE_READONLY:
        return os.access(path, os.W_OK)  # it is only its header that says so
    return is_damage(error) or code & 0xFF in UNUSABLE


def is_full(path: Path, error: Exception) -> bool:
    """True if there is no room on the disk; SQLite does not always call it so."""
    code, number = getattr(error, "sqlite_errorcode", 0), getattr(error, "errno", 0)
    if code & 0xFF == sqlite3.SQLITE_IOERR and not is_damage(error):
        return reserve.free_bytes(path) < WAL_BYTES
    return code == sqlite3.SQLITE_FULL or number == errno.ENOSPC


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
    if is_full(path, error):
        return DiskFullError(f"{path}: the disk is full", hint="free some space on the card")
    if isinstance(error, NewerError):
        return StoreError(f"{path}: {plain(str(error))}", hint="update the agent")
    if is_damage(error):
        return StoreError(f"{path}: {plain(str(error))}", hint="restart the agent")
    if getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_BUSY:
        return BlockedError(f"{path}: {error}", hint="another program has it open: end that one")
    hint = "check that the agent may write there, and the card itself"
    return StoreError(f"{path}: {error}", hint=hint)
