"""The history: spans of the last days, in tables of their own and with a bound of their own.

It never stands in the way of the queue: what is noted waits in memory for the next commit, which
succeeds without it where there is no room, and it goes first when the file is full.
"""

from __future__ import annotations

import math
import sqlite3
from contextlib import closing, suppress

from agent.model import DAY_S, HOUR_S, MIB
from agent.store.spans import (
    COUNTS,
    TABLES,
    Hour,
    ends_s,
    holds,
    joined,
    judged,
    key,
    legible,
    row,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from agent.config import StoreLimits
    from agent.model import Moment
    from agent.store.spans import AnySpan, Key, Kind, Span, Table

#: The most names of an hour, that of the counts aside.
NAMES_MAX = 64

#: Most that waits in memory; what was noted first goes.
PENDING_MAX = 512

#: What is noted waits so long for another commit; where there was no room, for the next trial.
NOTED_S = 600.0

#: What a row takes of the file, at most and at least; the history may take a part of it.
ROW_MAX_BYTES, ROW_MIN_BYTES = 256, 64
PART = 4

#: What is too old is looked for this often, and goes in slices: a clock that was set wrong for a
#: while costs no more than one. Nothing that was noted is of later than `AHEAD_S` from now.
PRUNE_S = 6 * HOUR_S
SLICE_ROWS = 500
SLACK = 100
AHEAD_S = 2 * DAY_S

#: What tables that are not as they should be give as an error.
UNUSABLE = (sqlite3.SQLITE_ERROR, sqlite3.SQLITE_CONSTRAINT)


def recorded(
    db: sqlite3.Connection,
    kind: type[Span],
    since_s: float,
    until_s: float,
    names: Collection[str] = (),
) -> list[Span]:
    """The sound rows that lie in that time, oldest first; of these names, or of all."""
    table = TABLES[kind]
    query = f"SELECT {', '.join(table.columns)} FROM {table.name}"  # noqa: S608 -- our own words
    query += f" WHERE {table.since_s} < ? AND {table.until_s} >= ?"
    if names:
        query += f" AND name IN ({', '.join('?' * len(names))})"
    query += f" ORDER BY {', '.join(table.key)}"
    try:
        with closing(db.execute(query, (until_s, since_s, *names))) as rows:
            return [span for cells in rows if (span := judged(kind, cells))]
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode == sqlite3.SQLITE_ERROR:  # there is no such table
            return []
        raise


def _complete(db: sqlite3.Connection, table: Table) -> None:
    """Give a table the columns that the version before did not have; its rows lack a value."""
    query = "SELECT name FROM pragma_table_info(?)"
    there = {name for (name,) in db.execute(query, (table.name,))}
    for name in table.columns if there else ():
        if name not in there:
            db.execute(f"ALTER TABLE {table.name} ADD COLUMN {name}")


class History:
    """The history in the file behind `db`, and what is noted and not written yet.

    Used under the store's lock. What `write` raises rolls the transaction back.
    """

    def __init__(
        self, db: sqlite3.Connection, limits: StoreLimits, boot_s: Callable[[], float]
    ) -> None:
        self._db = db
        self._boot_s = boot_s
        self._keep_s = limits.history_days * DAY_S
        self._max_rows = int(limits.max_mib * MIB) // PART // ROW_MAX_BYTES
        self._pending: dict[tuple[Kind, Key], AnySpan] = {}
        self._rows: dict[Kind, int] = {}  # of each table, as soon as they are known
        self._made = self._written = False
        self._offset_s = math.nan  # of the wall clock from the boot clock, while it is set
        self._noted_boot_s = math.inf  # since when the oldest waits
        self._again_boot_s = self._pruned_boot_s = -math.inf
        for table in TABLES.values():
            with suppress(sqlite3.Error):  # then the next start has it so
                if self._keep_s:
                    _complete(db, table)
                else:
                    db.execute(f"DROP TABLE IF EXISTS {table.name}")

    @property
    def waits(self) -> bool:
        """True if something waits for a commit."""
        return bool(self._pending)

    @property
    def ready(self) -> bool:
        """True if the next commit is to take it along."""
        return self.waits and self._boot_s() >= self._again_boot_s

    @property
    def due_s(self) -> float:
        """The time on the boot clock at which a commit has to be made for it."""
        return max(self._noted_boot_s + NOTED_S, self._again_boot_s)

    def note_clock(self, now: Moment, *, is_set: bool) -> None:
        """Note how the wall clock stands; nothing is too old while it is not set."""
        self._offset_s = now.wall_s - now.boot_s if is_set else math.nan

    def note(self, *found: AnySpan) -> None:
        """Add to hours, replace outages and spells; what no row can hold is passed over."""
        for span in map(legible, found if self._keep_s else ()):
            if not holds(type(span), row(span)):
                continue
            name = type(span), key(span)
            self._pending[name] = joined(self._pending.pop(name, None), span)
            self._noted_boot_s = min(self._noted_boot_s, self._boot_s())
        while len(self._pending) > PENDING_MAX:
            del self._pending[next(iter(self._pending))]

    def spans(
        self, kind: type[Span], since_s: float, until_s: float, names: Collection[str] = ()
    ) -> list[Span]:
        """Those in that time, oldest first, with what is not written yet."""
        found = {key(one): one for one in recorded(self._db, kind, since_s, until_s, names)}
        for (_, name), span in self._pending.items():
            if isinstance(span, kind) and not (names and name[-1] not in names):
                now = joined(found.pop(name, None), span)
                if name[0] < until_s and ends_s(span) >= since_s:
                    found[name] = now
        return [found[name] for name in sorted(found)]

    def write(self) -> None:
        """Write what waits, in a transaction, and drop what is beyond the bounds."""
        self._written = True
        try:
            self._make()
            for (_, name), span in self._pending.items():
                self._put(name, span)
            self._prune()
            if (over := sum(self._rows.values()) - self._max_rows) > 0:
                self._drop(over + self._max_rows // SLACK)
        except sqlite3.Error as error:
            if error.sqlite_errorcode & 0xFF not in UNUSABLE:
                raise
            # Its tables are spoiled, which is no reason to keep a record from its commit.
            self._rows, self._made = {}, False

    def hurry(self) -> None:
        """Have the next commit take along what waits, though there was no room for it."""
        self._again_boot_s = -math.inf

    def committed(self) -> None:
        """The transaction is on the disk."""
        if self._written:
            self._pending.clear()
            self._noted_boot_s = math.inf
            self._written = False

    def rolled_back(self, *, full: bool) -> None:
        """The transaction is not; where there was no room, what waits rests for a time."""
        self._rows, self._made, self._written, self._pruned_boot_s = {}, False, False, -math.inf
        if full:
            self._again_boot_s = self._boot_s() + NOTED_S

    def drop(self, size: int) -> int:
        """Drop the oldest, about so many bytes and at most some; how many rows."""
        return self._drop(min(size // ROW_MIN_BYTES + 1, 4 * SLICE_ROWS))

    def _make(self) -> None:
        """Make the tables, anew where they do not serve; a newer agent may have added columns."""
        if not self._made:
            for table in TABLES.values():
                names = ", ".join(table.columns)
                made = f"CREATE TABLE {table.name} ({names}, PRIMARY KEY ({', '.join(table.key)}))"
                made += " WITHOUT ROWID"
                query = "SELECT sql FROM sqlite_schema WHERE name = ?"
                found = self._db.execute(query, (table.name,)).fetchone()
                if found and found != (made,) and not self._serves(made):
                    self._db.execute(f"DROP TABLE {table.name}")
                    found = None
                if not found:
                    self._db.execute(made)
            self._rows, self._made = {}, True
        self._count()

    def _serves(self, made: str) -> bool:
        from agent.store.newer import serves  # noqa: PLC0415 -- which hardly any file needs

        return serves(self._db, made)

    def _count(self) -> None:
        """Count the rows, if they are not known."""
        if not self._rows:
            for kind, table in TABLES.items():
                query = "SELECT 1 FROM sqlite_schema WHERE name = ?"
                there = self._db.execute(query, (table.name,)).fetchone()
                rows = f"SELECT count(*) FROM {table.name}"  # noqa: S608 -- our own words
                self._rows[kind] = self._db.execute(rows).fetchone()[0] if there else 0

    def _put(self, name: Key, span: Span) -> None:
        """Insert or replace a row; an hour is added to what is there."""
        kind = type(span)
        table = TABLES[kind]
        where = " AND ".join(f"{column} = ?" for column in table.key)
        query = f"SELECT {', '.join(table.columns)} FROM {table.name} WHERE {where}"  # noqa: S608
        there = self._db.execute(query, name).fetchone()
        if there is None and isinstance(span, Hour) and self._crowded(span):
            return
        before = judged(kind, there) if there else None
        cells = row(joined(before, span))
        if cells != there:
            places = ", ".join("?" * len(cells))
            put = f"INSERT OR REPLACE INTO {table.name} ({', '.join(table.columns)})"
            self._db.execute(f"{put} VALUES ({places})", cells)
            self._rows[kind] += there is None

    def _crowded(self, hour: Hour) -> bool:
        """True if the hour has no place for another name."""
        query = "SELECT count(*) FROM hours WHERE start_s = ? AND name != ?"
        (names,) = self._db.execute(query, (hour.start_s, COUNTS)).fetchone()
        return hour.name != COUNTS and int(names) >= NAMES_MAX

    def _prune(self) -> None:
        """Drop a slice of what is too old, and of what cannot be, if the clock is set."""
        now_s = self._boot_s()
        if not math.isnan(self._offset_s) and now_s >= self._pruned_boot_s + PRUNE_S:
            self._pruned_boot_s = now_s
            wall_s = now_s + self._offset_s
            for kind, table in TABLES.items():
                self._delete(kind, SLICE_ROWS, f"{table.since_s} < ?", wall_s - self._keep_s)
                self._delete(kind, SLICE_ROWS, f"{table.since_s} > ?", wall_s + AHEAD_S)

    def _drop(self, rows: int) -> int:
        """Drop the oldest rows of the fullest table."""
        self._count()
        fullest = max(self._rows, key=lambda kind: self._rows[kind])
        return self._delete(fullest, rows, "? IS NULL", None) if self._rows[fullest] else 0

    def _delete(self, kind: Kind, rows: int, where: str, value: float | None) -> int:
        table = TABLES[kind]
        names = ", ".join(table.key)
        oldest = f"SELECT {names} FROM {table.name} WHERE {where} ORDER BY {names} LIMIT ?"  # noqa: S608
        query = f"DELETE FROM {table.name} WHERE ({names}) IN ({oldest})"  # noqa: S608 -- our own words
        gone = self._db.execute(query, (value, rows)).rowcount
        self._rows[kind] -= gone
        return gone
