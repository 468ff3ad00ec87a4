"""Records: the rows of the tables `records` and `dead`, figures that save counting, and bounds.

All is changed in a transaction of the write-behind; the figures count when that commits. No row is
trusted: a dying cell may have changed any column of it. What has to go for the bounds goes oldest
first and in slices, a few a commit, so that none takes long or needs much room.
"""

from __future__ import annotations

import math
from contextlib import closing

from agent.model import COUNT, DAY_S, KIB, MIB, Moment, is_time
from agent.store.pending import PUT
from agent.store.validation import COLUMNS
from agent.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Collection, Generator, Mapping, Sequence

    from agent.config import StoreLimits
    from agent.store.history import History
    from agent.store.pending import Meta
    from agent.store.timestamps import Boots
    from agent.store.validation import Row

#: Records that nobody takes are kept for a person to see, at most so many.
DEAD_MAX = 1000

_INTO = f"INTO records ({COLUMNS}, acknowledged)"
_INSERT = f"INSERT {_INTO} VALUES (?, ?, ?, ?, ?, ?, ?, ?)"  # noqa: S608 -- our own words

#: Larger numbers lose digits where JSON is read, and none so large was ever given.
SEQ_MAX = 2**53 - 1

#: What a spoiled row may lack, and the table `dead` may not.
_WHOLE = "seq, " + ", ".join(f"ifnull({name}, '')" for name in COLUMNS.split(", ")[1:])

#: Most that goes at once, which fits the log that is grown at the start, and in one commit.
SLICE_ROWS, SLICE_BYTES, SLICES = 2000, 128 * KIB, 4

#: What a row takes besides its body.
ROW_BYTES = 80

#: Rows that are too old are looked for once in this time, until so many young ones come running.
AGE_CHECK_S = 600.0
YOUNG_ROWS = 10

#: When full, one part in so many is dropped at once, since dropping costs a page.
SLACK = 1000


class Figures(Value, frozen=False):
    """Figures of the file: its rows that wait, the bytes it takes, and drops by reason.

    The row `last_seq` is `marked` if it only holds the number. No row up to `dropped_seq` is left,
    but for urgent ones.
    """

    last_seq: int
    marked: bool
    rows: int
    bytes: int
    dropped: Mapping[str, int]
    dropped_seq: int = 0
    # When the search for rows that are too old has ended, and how far it has come.
    age_checked_s: float | None = None
    searched_seq: int = 0

    @property
    def last_waiting_seq(self) -> int:
        """No row above it waits."""
        return self.last_seq - self.marked


class Records:
    """Works on the tables through `db`."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    def insert(self, figures: Figures, row: Row) -> None:
        """Put a row behind all others; the mark that held the place of its forerunner goes."""
        self._unmark(figures)
        figures.last_seq = row[0]
        figures.rows += 1
        self._db.execute(_INSERT, (*row, 0))

    def mark(self, figures: Figures, seq: int) -> None:
        """Have numbers go on behind `seq`, which is above all others, though it waits no more."""
        self._unmark(figures)
        self._db.execute(_INSERT, (seq, "", 0, b"", 0, 0, "", 1))
        figures.last_seq, figures.marked = seq, True

    def after(self, figures: Figures, seq: int) -> Generator[Row, None, None]:
        """Rows above `seq` that wait, in order of their numbers, read as they are asked for."""
        query = f"SELECT {COLUMNS} FROM records WHERE seq > ? AND seq <= ? ORDER BY seq"  # noqa: S608
        with closing(self._db.execute(query, (seq, figures.last_waiting_seq))) as rows:
            yield from rows

    def newest(self, kind: str, after_seq: int = 0) -> int:
        """The number of the newest row above `after_seq` of a kind that waits, else 0."""
        query = "SELECT max(seq) FROM records WHERE seq > ? AND kind = ? AND acknowledged = 0"
        return self._db.execute(query, (after_seq, kind)).fetchone()[0] or 0

    def newest_count(self, meta: Meta) -> int:
        """The number that is noted, unless there is a count in rows that were stored since.

        An older agent notes none, and a process that did not end well has not said how far it came.
        """
        newest_seq = meta.number("newest_count")
        noted_seq = max(newest_seq, meta.number("noted_seq"))
        return self.newest(COUNT, noted_seq) or newest_seq

    def newest_moment(self) -> Moment | None:
        """The moment of the newest record in the table, or of the newest that it marks."""
        query = "SELECT wall_s, boot_s, boot_id FROM records ORDER BY seq DESC LIMIT 100"
        with closing(self._db.execute(query)) as rows:  # nearly always the first
            for wall_s, boot_s, boot_id in rows:
                if is_time(wall_s) and is_time(boot_s) and boot_id and isinstance(boot_id, str):
                    return Moment(wall_s, boot_s, boot_id)
        return None

    def remove(self, figures: Figures, numbers: Collection[int]) -> None:
        """Delete rows, as far as they are there; of the newest a mark stays, for its number."""
        others = ((seq,) for seq in numbers if seq != figures.last_seq)
        gone = self._db.executemany("DELETE FROM records WHERE seq = ?", others).rowcount
        figures.rows -= max(0, gone)  # -1 if there was nothing to do
        if figures.last_seq in numbers and not figures.marked:
            mark = "UPDATE records SET acknowledged = 1, body = x'' WHERE seq = ?"
            figures.rows -= self._db.execute(mark, (figures.last_seq,)).rowcount
            figures.marked = True

    def set_aside(self, figures: Figures, seq: int, *, reason: str, now_s: float) -> None:
        """Move a row into the table `dead`, if it waits; the oldest of those are dropped."""
        self._db.execute(
            f"INSERT OR REPLACE INTO dead ({COLUMNS}, reason, set_aside_s)"  # noqa: S608
            f" SELECT {_WHOLE}, ?, ? FROM records"
            " WHERE seq = ? AND seq <= ?",
            (reason, now_s, seq, figures.last_waiting_seq),
        )
        self.remove(figures, [seq])
        oldest = "SELECT seq FROM dead ORDER BY seq DESC LIMIT 1 OFFSET ?"
        gone = self._db.execute(f"DELETE FROM dead WHERE seq <= ({oldest})", (DEAD_MAX,))  # noqa: S608
        self.count_dropped(figures, "dead", gone.rowcount)

    def dead(self) -> list[tuple[Row, object]]:
        """Records that were set aside, oldest first, each with the reason."""
        query = f"SELECT {COLUMNS}, reason FROM dead ORDER BY seq"  # noqa: S608
        return [(row[:-1], row[-1]) for row in self._db.execute(query)]

    def revive(self, numbers: Collection[int]) -> None:
        """Have what was set aside wait again. Whoever has figures has to load them anew."""
        for seq in numbers:
            self._db.execute("DELETE FROM records WHERE seq = ? AND body = x''", (seq,))  # a mark
            wait = f"INSERT OR IGNORE {_INTO} SELECT {COLUMNS}, 0 FROM dead WHERE seq = ?"  # noqa: S608
            self._db.execute(wait, (seq,))
            self._db.execute("DELETE FROM dead WHERE seq = ?", (seq,))

    def count_dropped(self, figures: Figures, reason: str, rows: int) -> None:
        """Add to what was given up for `reason`, since the file was made."""
        if rows:
            dropped = figures.dropped.get(reason, 0) + rows
            self._db.execute(PUT, (f"dropped_{reason}", dropped))
            figures.dropped = {**figures.dropped, reason: dropped}

    def _unmark(self, figures: Figures) -> None:
        if figures.marked:
            self._db.execute("DELETE FROM records WHERE seq = ?", (figures.last_seq,))
            figures.marked = False


class Retention:
    """The bounds of `limits` for the file behind `db`, seen to after each `batch_bytes`."""

    def __init__(
        self, db: sqlite3.Connection, records: Records, history: History, limits: StoreLimits
    ) -> None:
        self._db = db
        self._history = history
        self._records = records
        self._urgent: Collection[int] = ()
        self._max_rows = limits.max_rows
        self._max_age_s = limits.max_age_days * DAY_S
        # The last part of the file is for what comes in before room is made.
        max_bytes = int(limits.max_mib * MIB)
        self._max_bytes = max_bytes - min(2 * SLICE_BYTES, max_bytes // 4)
        self.batch_bytes = min(SLICE_BYTES, self._max_bytes // 40)

    def fullness(self, figures: Figures, buffered: int) -> float:
        """The part of the bounds that is in use, from 0 to 1."""
        rows = (figures.rows + buffered) / self._max_rows
        return min(1.0, max(rows, figures.bytes / self._max_bytes))

    def measure(self, figures: Figures) -> None:
        """Put into figures what the file takes; pages that are free are used again."""
        used = "(page_count - freelist_count) * page_size"
        pragmas = "pragma_page_count, pragma_freelist_count, pragma_page_size"
        (figures.bytes,) = self._db.execute(f"SELECT {used} FROM {pragmas}").fetchone()  # noqa: S608

    def take_in(
        self, figures: Figures, rows: Sequence[Row], boots: Boots, urgent: Collection[int]
    ) -> None:
        """Insert `rows`, and make room as they come; `urgent` ones go last."""
        self._urgent, size = urgent, 0
        for left, row in zip(range(len(rows) - 1, -1, -1), rows, strict=True):
            self._records.insert(figures, row)
            size += len(row[3]) + ROW_BYTES
            if size >= self.batch_bytes or not left:
                self.make_room(figures, Moment(*row[4:]), boots)
                size = 0

    def make_room(self, figures: Figures, now: Moment, boots: Boots) -> None:
        """Drop the oldest for the bounds, at most some slices; never the newest."""
        self._drop_old(figures, now, boots)
        if (over := figures.rows - self._max_rows) > 0:
            self._drop(figures, "rows", rows=over + self._max_rows // SLACK)
        for _ in range(SLICES):
            self.measure(figures)
            over = figures.bytes - self._max_bytes
            size = over + self._max_bytes // SLACK
            # The history goes first, then what nobody takes, then what waits.
            if over <= 0 or not (
                self._history.drop(size)
                or self._drop(figures, "dead", size=size)
                or self._drop(figures, "bytes", size=size)
            ):
                break

    def _drop(
        self,
        figures: Figures,
        reason: str,
        *,
        rows: int = 0,
        size: int = 0,
        kept: Collection[int] | None = None,
    ) -> int:
        """Drop the oldest until one of these is met, or a slice; how many. Urgent ones go last."""
        table, newest_seq = ("dead", SEQ_MAX) if reason == "dead" else ("records", figures.last_seq)
        kept = self._urgent if kept is None else kept
        others = f"seq NOT IN ({', '.join(map(str, kept))})"
        where = f"WHERE seq < ? AND {others} ORDER BY seq LIMIT ?"
        query = f"SELECT seq, ifnull(length(body), 0) FROM {table} {where}"  # noqa: S608
        last, found = 0, 0
        for seq, length in self._db.execute(
            query, (newest_seq, min(rows or SLICE_ROWS, SLICE_ROWS))
        ):
            last, found = seq, found + length + ROW_BYTES
            if found >= min(size or SLICE_BYTES, SLICE_BYTES):
                break
        if not last and kept:  # nothing else is left
            return self._drop(figures, reason, rows=rows, size=size, kept=())
        drop = f"DELETE FROM {table} WHERE seq <= ? AND {others}"  # noqa: S608 -- numbers
        gone = self._db.execute(drop, (last,)).rowcount
        if table == "records":
            figures.rows -= gone
            figures.dropped_seq = max(figures.dropped_seq, last)
        self._records.count_dropped(figures, reason, gone)
        return gone

    def _drop_old(self, figures: Figures, now: Moment, boots: Boots) -> None:
        """Drop a slice of rows that are too old, each by its own age alone."""
        since_s = math.inf if figures.age_checked_s is None else now.boot_s - figures.age_checked_s
        if 0 <= since_s < AGE_CHECK_S:
            return
        query = (
            "SELECT boot_s, boot_id, seq, ifnull(length(body), 0) FROM records"
            " WHERE seq > ? AND seq < ? ORDER BY seq LIMIT ?"
        )
        place = (figures.searched_seq, figures.last_seq, SLICE_ROWS)
        rows = self._db.execute(query, place).fetchall()
        ages_s = boots.ages_s((row[:2] for row in rows), now)
        old, size, young = list[int](), 0, 0
        for (_, _, seq, length), age_s in zip(rows, ages_s, strict=False):
            young += 0 <= age_s <= self._max_age_s
            if age_s > self._max_age_s and seq not in self._urgent:
                old.append(seq)
                size += length + ROW_BYTES
            if size >= SLICE_BYTES:
                break
        if young >= YOUNG_ROWS or (size < SLICE_BYTES and len(rows) < SLICE_ROWS):
            figures.age_checked_s = now.boot_s
        else:  # there is more: go on with the next commit
            figures.searched_seq = seq
        self._records.remove(figures, old)
        self._records.count_dropped(figures, "age", len(old))
