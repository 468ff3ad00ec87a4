"""Inspection of the store from outside: what waits, and what was set aside."""

from __future__ import annotations

from contextlib import closing, contextmanager, suppress
from itertools import islice

from agent import files
from agent.errors import EXIT_REFUSED, StoreError
from agent.store import database, schema
from agent.store.history import recorded
from agent.store.pending import Meta
from agent.store.records import Records
from agent.store.spans import Hour, Outage, Spell
from agent.store.timestamps import Boots
from agent.store.validation import plain, shown, sound
from agent.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator
    from pathlib import Path

    from agent.model import Record


class StoreMissingError(StoreError):
    """There is no store yet."""


class StoreForbiddenError(StoreError):
    """The operating system keeps this user from the store."""

    exit_code = EXIT_REFUSED


class Inspection(Value):
    """Result of an inspection: the oldest `records`, and of dead ones why each was set aside.

    `queued` may count records that were acknowledged in the last minute.
    """

    queued: int
    dropped: int
    records: tuple[Record, ...]
    reasons: tuple[str, ...] = ()


class Past(Value):
    """History in a time, oldest first; the running `total`, and what is kept of the `quiet` now."""

    hours: tuple[Hour, ...]
    outages: tuple[Outage, ...]
    spells: tuple[Spell, ...]
    total: int
    quiet: str


def past(path: Path, since_s: float, until_s: float) -> Past:
    """Read the history in a store that another process may have open. Raises as `inspect`."""
    with _opened(path, read_only=True) as db:
        schema.version(db)
        meta = Meta(dict(db.execute("SELECT name, value FROM meta")))
        return Past(
            tuple(recorded(db, Hour, since_s, until_s)),
            tuple(recorded(db, Outage, since_s, until_s)),
            tuple(recorded(db, Spell, since_s, until_s)),
            meta.number("total"),
            meta.text("quiet"),
        )


def inspect(path: Path, limit: int, *, dead: bool = False) -> Inspection:
    """Inspect what waits, or what is dead, in a store that another process may have open.

    Raises StoreMissingError, StoreForbiddenError, or StoreError if it cannot be read.
    """
    with _opened(path, read_only=True) as db:
        if schema.version(db) < schema.SCHEMA_VERSION:
            raise StoreError(f"{path}: of an older version still", hint="restart the agent")
        figures, facts = database.load(db)
        table, boots, epoch = Records(db), Boots.read(db).known, str(facts["epoch"])
        dropped = sum(figures.dropped.values())
        if dead:
            rows = table.dead()
            records = tuple(shown(row, epoch, boots) for row, _ in rows[:limit])
            reasons = tuple(plain(reason) for _, reason in rows[:limit])
            return Inspection(len(rows), dropped, records, reasons)
        with closing(table.after(figures, 0)) as waiting:
            found = filter(None, (sound(row, epoch, boots) for row in waiting))
            return Inspection(figures.rows, dropped, tuple(islice(found, limit)))


def recall(path: Path, name: str) -> str:
    """A fact that an agent had the file keep; "" if none, or if nobody can tell."""
    with suppress(StoreError), _opened(path, read_only=True) as db:
        found = db.execute("SELECT value FROM meta WHERE name = ?", (name,)).fetchone()
        return str(found[0]) if found else ""
    return ""


def revive(path: Path) -> int:
    """Have what was set aside, and can be sent, wait again; how many. Raises as `inspect`."""
    with _opened(path, read_only=False) as db:
        figures, _ = database.load(db)
        rows = [row for row, _ in Records(db).dead() if sound(row, "", {})]
        numbers = [row[0] for row in rows if 0 < row[0] <= figures.last_seq]
        db.execute("BEGIN IMMEDIATE")
        Records(db).revive(numbers)
        db.execute("COMMIT")
        return len(numbers)


@contextmanager
def _opened(path: Path, *, read_only: bool) -> Iterator[sqlite3.Connection]:
    with database.translated(path):
        try:
            files.check(path)
            database.exists(path)  # and nothing strange beside it, where SQLite would wait
        except FileNotFoundError:
            raise StoreMissingError(f"{path}: no such store", hint="made by the agent") from None
        except PermissionError:
            raise StoreForbiddenError(
                f"{path}: may not be read by this user", hint="run this with sudo"
            ) from None
        with closing(database.connect(path, read_only=read_only)) as db:
            yield db
