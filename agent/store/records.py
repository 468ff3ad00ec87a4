"""Records: the rows of the store's table of that name, and the figures that save counting them.

Everything here happens inside a transaction of the write-behind; the figures that it changes count
only when that commits.
"""

from __future__ import annotations

import json
import math
from contextlib import closing, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from agent.model import DAY_S, MIB, Moment, NewRecord

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Collection, Iterator, Mapping

    from agent.config import StoreLimits

COLUMNS = "seq, kind, timestamp_s, body, wall_s, boot_s, boot_id FROM records"

#: The age of the oldest row is checked once in this time.
AGE_CHECK_S = 600.0

#: When full, one part in so many is dropped at once: dropping costs a page, so it is done seldom.
SLACK = 1000

#: Records that nobody takes are kept for a person to see, at most so many.
DEAD_MAX = 1000


#: A record as it waits, with its number.
Numbered = tuple[int, NewRecord]


@dataclass(slots=True)
class Figures:
    """Figures of the file: unacknowledged rows and the bytes of their bodies; drops by reason."""

    last_seq: int
    marked: bool  # the row `last_seq` is acknowledged and only holds the number
    rows: int
    bytes: int
    dropped: Mapping[str, int]
    dropped_seq: int = 0  # no row up to here is left
    age_checked_s: float | None = None

    def has(self, seq: int) -> bool:
        """True if a row that was handed out is still there, as far as is known."""
        return self.dropped_seq < seq <= self.last_seq


class Records:
    """Works on the table through `db`."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    def insert(self, figures: Figures, seq: int, new: NewRecord, body: bytes) -> None:
        """Put a row behind all others; the mark that held the place of its forerunner goes."""
        self._unmark(figures)
        figures.last_seq = seq
        figures.rows += 1
        figures.bytes += len(body)
        now = new.moment
        self._db.execute(
            "INSERT INTO records VALUES (?, ?, ?, ?, ?, ?, ?, 0)",
            (
                *(figures.last_seq, new.kind, new.timestamp_s, body),
                *(now.wall_s, now.boot_s, now.boot_id),
            ),
        )

    def mark(self, figures: Figures, seq: int) -> None:
        """Have numbers go on behind `seq`, which is above all others, though it waits no more."""
        self._unmark(figures)
        self._db.execute("INSERT INTO records VALUES (?, '', 0, x'', 0, 0, '', 1)", (seq,))
        figures.last_seq, figures.marked = seq, True

    def oldest(
        self, after_seq: int, limit: int, skip: Collection[int]
    ) -> tuple[list[Numbered], list[int]]:
        """Waiting records above `after_seq`, and the numbers of spoiled rows met on the way."""
        found: list[Numbered] = []
        spoiled: list[int] = []
        query = f"SELECT {COLUMNS} WHERE seq > ? AND NOT acknowledged ORDER BY seq"
        with closing(self._db.execute(query, (after_seq,))) as rows:
            for row in rows:
                if len(found) >= limit:
                    break
                if row[0] in skip:
                    continue
                try:
                    found.append(_record(row))
                except ValueError:
                    spoiled.append(row[0])
        return found, spoiled

    def newest(self, kind: str, after_seq: int, skip: Collection[int]) -> Numbered | None:
        """The newest waiting record of `kind` above `after_seq` whose row is sound."""
        where = "WHERE seq > ? AND kind = ? AND NOT acknowledged ORDER BY seq DESC"
        query = f"SELECT {COLUMNS} {where}"
        with closing(self._db.execute(query, (after_seq, kind))) as rows:
            for row in rows:
                if row[0] not in skip:
                    with suppress(ValueError):  # `oldest` finds it too and has it set aside
                        return _record(row)
        return None

    def newest_moment(self) -> Moment | None:
        """The moment of the newest record in the table, or of the newest that it marks."""
        query = (
            "SELECT wall_s, boot_s, boot_id FROM records WHERE kind != ''"
            " AND typeof(wall_s) = 'real' AND typeof(boot_s) = 'real' ORDER BY seq DESC"
        )
        row = self._db.execute(f"{query} LIMIT 1").fetchone()
        return Moment(*row) if row else None

    def remove(self, figures: Figures, numbers: Collection[int]) -> None:
        """Delete rows, as far as they are there; of the newest a mark stays, for its number."""
        for first, last in _runs(numbers):
            where = "WHERE seq BETWEEN ? AND ? AND NOT acknowledged"
            count, size = self._db.execute(
                f"SELECT count(*), total(length(body)) FROM records {where}",  # noqa: S608
                (first, last),
            ).fetchone()
            figures.rows -= count
            figures.bytes -= int(size)
            if first <= figures.last_seq <= last and not figures.marked:
                figures.marked = True
                mark = "UPDATE records SET acknowledged = 1, body = x'' WHERE seq = ?"
                self._db.execute(mark, (figures.last_seq,))
            self._db.execute(f"DELETE FROM records {where}", (first, last))  # noqa: S608

    def set_aside(self, figures: Figures, seq: int, *, reason: str, now_s: float) -> None:
        """Move a row into the table `dead`, if it is there; the oldest of those are dropped."""
        self._db.execute(
            "INSERT INTO dead SELECT seq, kind, timestamp_s, body, wall_s, boot_s, boot_id, ?, ?"
            " FROM records WHERE seq = ? AND NOT acknowledged",
            (reason, now_s, seq),
        )
        self.remove(figures, [seq])
        oldest = "SELECT seq FROM dead ORDER BY seq DESC LIMIT 1 OFFSET ?"
        gone = self._db.execute(f"DELETE FROM dead WHERE seq <= ({oldest})", (DEAD_MAX,))  # noqa: S608
        if gone.rowcount:
            self.count_dropped(figures, "dead", gone.rowcount)

    def dead(self, limit: int) -> list[tuple[int, NewRecord, str]]:
        """Records that were set aside, oldest first: number, record and the reason."""
        query = f"SELECT {COLUMNS.replace('FROM records', ', reason FROM dead')} ORDER BY seq"  # noqa: S608
        with closing(self._db.execute(query)) as rows:
            return [(*_shown(row[:7]), row[7]) for row, _ in zip(rows, range(limit), strict=False)]

    def dead_count(self) -> int:
        """The number of records that were set aside."""
        return int(self._db.execute("SELECT count(*) FROM dead").fetchone()[0])

    def revive(self) -> int:
        """Have all that was set aside wait again, under its own number; how many.

        Whoever has figures has to load them anew.
        """
        self._db.execute(
            "INSERT OR REPLACE INTO records"
            " SELECT seq, kind, timestamp_s, body, wall_s, boot_s, boot_id, 0 FROM dead"
        )
        return self._db.execute("DELETE FROM dead").rowcount

    def make_room(
        self,
        figures: Figures,
        limits: StoreLimits,
        new: NewRecord,
        size: int,
        age_s: Callable[[Moment, Moment], float],
    ) -> None:
        """Drop the oldest rows as far as the bounds ask for it, so that `new` fits in.

        `age_s(then, now)` tells a row's age, as far as the clocks can be believed.
        """
        now = new.moment
        max_age_s = limits.max_age_days * DAY_S
        max_bytes = int(limits.max_mib * MIB)
        rows_over = figures.rows + 1 - limits.max_rows
        bytes_over = figures.bytes + size - max_bytes

        since_s = math.inf if figures.age_checked_s is None else now.boot_s - figures.age_checked_s
        if not 0 <= since_s < AGE_CHECK_S:
            figures.age_checked_s = now.boot_s
            self._drop(figures, "age", lambda _rows, _bytes, then: age_s(then, now) > max_age_s)
        if rows_over > 0:
            rows_over += limits.max_rows // SLACK
            self._drop(figures, "rows", lambda rows, _bytes, _then: rows < rows_over)
        if bytes_over > 0:
            bytes_over += max_bytes // SLACK
            self._drop(figures, "bytes", lambda _rows, freed, _then: freed < bytes_over)

    def _drop(
        self, figures: Figures, reason: str, goes: Callable[[int, int, Moment], bool]
    ) -> None:
        """Drop rows from the oldest on while `goes(rows, bytes so far, when the next was made)`."""
        rows = size = last = 0
        query = (
            "SELECT seq, length(body), CAST(wall_s AS REAL), CAST(boot_s AS REAL), boot_id"
            " FROM records WHERE NOT acknowledged ORDER BY seq"
        )
        with closing(self._db.execute(query)) as oldest:
            for seq, length, *then in oldest:
                if not goes(rows, size, Moment(*then)):
                    break
                rows, size, last = rows + 1, size + length, seq
        if not rows:
            return
        self._db.execute("DELETE FROM records WHERE seq <= ? AND NOT acknowledged", (last,))
        figures.rows -= rows
        figures.bytes -= size
        figures.dropped_seq = last
        self.count_dropped(figures, reason, rows)

    def count_dropped(self, figures: Figures, reason: str, rows: int) -> None:
        """Add to what was given up for `reason`, since the file was made."""
        dropped = figures.dropped.get(reason, 0) + rows
        query = "INSERT OR REPLACE INTO meta VALUES (?, ?)"
        self._db.execute(query, (f"dropped_{reason}", dropped))
        figures.dropped = {**figures.dropped, reason: dropped}

    def _unmark(self, figures: Figures) -> None:
        if figures.marked:
            self._db.execute("DELETE FROM records WHERE seq = ?", (figures.last_seq,))
            figures.marked = False


def _record(row: tuple[int, str, float, bytes, float, float, str]) -> Numbered:
    """The record in a row. Raises ValueError if its body is spoiled."""
    seq, kind, timestamp_s, text, wall_s, boot_s, boot_id = row
    times = (timestamp_s, wall_s, boot_s)
    if not (isinstance(text, bytes) and all(isinstance(one, float) for one in times)):
        raise ValueError(f"record {seq} is spoiled")
    body = json.loads(text)
    if not isinstance(body, dict):
        raise ValueError(f"record {seq} has no JSON object")  # noqa: TRY004 -- as json.loads
    return seq, NewRecord(kind, timestamp_s, Moment(wall_s, boot_s, boot_id), body)


def _shown(row: tuple[int, str, float, bytes, float, float, str]) -> Numbered:
    """The record in a row for a person to see, without its body if that is spoiled."""
    try:
        return _record(row)
    except ValueError:
        return _record((row[0], str(row[1]), 0.0, b"{}", 0.0, 0.0, ""))


def _runs(numbers: Collection[int]) -> Iterator[tuple[int, int]]:
    """First and last of each unbroken run: deleting one takes half the time of a list."""
    first = last = None
    for number in sorted(numbers):
        if first is None or last is None:
            first = number
        elif number != last + 1:
            yield first, last
            first = number
        last = number
    if first is not None and last is not None:
        yield first, last
