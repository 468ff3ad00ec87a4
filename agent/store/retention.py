"""Retention: what has to go, oldest first, so that the store stays within its bounds.

It goes in slices, a few a commit, so that none takes long or needs much room.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from agent.model import DAY_S, KIB, MIB, Moment
from agent.store.records import SEQ_MAX

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable

    from agent.config import StoreLimits
    from agent.store.records import Figures, Records

#: Most that goes at once; it fits the log that is grown at the start.
SLICE_ROWS = 2000
SLICE_BYTES = 128 * KIB

#: So many slices go in one commit because of the bytes.
SLICES = 4

#: What a row takes besides its body.
ROW_BYTES = 80

#: Rows that are too old are looked for once in this time.
AGE_CHECK_S = 600.0

#: So many young rows running end that search; a few may only look young.
YOUNG_ROWS = 10

#: When full, one part in so many is dropped at once: dropping costs a page, so it is done seldom.
SLACK = 1000


class Retention:
    """The bounds of `limits` for the file behind `db`, to be seen to after each `batch_bytes`."""

    def __init__(self, db: sqlite3.Connection, records: Records, limits: StoreLimits) -> None:
        self._db = db
        self._records = records
        self._max_rows = limits.max_rows
        self._max_age_s = limits.max_age_days * DAY_S
        # The last part of the file is for what comes in before room is made.
        max_bytes = int(limits.max_mib * MIB)
        self._max_bytes = max_bytes - min(2 * SLICE_BYTES, max_bytes // 4)
        self.batch_bytes = min(SLICE_BYTES, self._max_bytes // 40)
        self._page_bytes = self._pragma("page_size")

    def fullness(self, figures: Figures, buffered: int) -> float:
        """The part of the bounds that is in use, from 0 to 1."""
        rows = (figures.rows + buffered) / self._max_rows
        return min(1.0, max(rows, figures.bytes / self._max_bytes))

    def measure(self, figures: Figures) -> None:
        """Put into figures what the file takes; pages that are free are used again."""
        pages = self._pragma("page_count") - self._pragma("freelist_count")
        figures.bytes = pages * self._page_bytes

    def make_room(
        self, figures: Figures, now: Moment, age_s: Callable[[Moment, Moment], float | None]
    ) -> None:
        """Drop the oldest as far as the bounds ask for it, at most some slices; never the newest.

        `age_s(then, now)` tells a row's age, None where no clock can be believed.
        """
        self._search(figures, now, age_s)
        if figures.old_seq and not self._drop(figures, "age", up_to_seq=figures.old_seq):
            figures.old_seq = 0
        if (over := figures.rows - self._max_rows) > 0:
            self._drop(figures, "rows", rows=over + self._max_rows // SLACK)
        for _ in range(SLICES):
            self.measure(figures)
            over = figures.bytes - self._max_bytes
            size = over + self._max_bytes // SLACK
            # What nobody takes goes first, then what waits.
            if over <= 0 or not (
                self._drop(figures, "dead", size=size) or self._drop(figures, "bytes", size=size)
            ):
                break

    def _drop(
        self,
        figures: Figures,
        reason: str,
        *,
        up_to_seq: int = SEQ_MAX,
        rows: int = SLICE_ROWS,
        size: int = SLICE_BYTES,
    ) -> int:
        """Drop the oldest until one of these is met; how many."""
        table, newest_seq = ("dead", SEQ_MAX) if reason == "dead" else ("records", figures.last_seq)
        query = (
            f"SELECT seq, ifnull(length(body), 0) FROM {table}"  # noqa: S608 -- our own words
            " WHERE seq <= ? AND seq < ? ORDER BY seq LIMIT ?"
        )
        last, found = 0, 0
        for seq, length in self._db.execute(query, (up_to_seq, newest_seq, min(rows, SLICE_ROWS))):
            last, found = seq, found + length + ROW_BYTES
            if found >= min(size, SLICE_BYTES):
                break
        gone = self._db.execute(f"DELETE FROM {table} WHERE seq <= ?", (last,)).rowcount  # noqa: S608
        if table == "records":
            figures.rows -= gone
            figures.dropped_seq = max(figures.dropped_seq, last)
        self._records.count_dropped(figures, reason, gone)
        return gone

    def _search(
        self, figures: Figures, now: Moment, age_s: Callable[[Moment, Moment], float | None]
    ) -> None:
        """Find rows that are too old, a slice at a time, and with them all that is before them.

        Rows of an age that nobody knows are passed over: they are as old as what comes after.
        """
        since_s = math.inf if figures.age_checked_s is None else now.boot_s - figures.age_checked_s
        if 0 <= since_s < AGE_CHECK_S:
            return
        query = (
            "SELECT seq, CAST(ifnull(wall_s, 0) AS REAL), CAST(ifnull(boot_s, 0) AS REAL), boot_id"
            " FROM records WHERE seq > ? AND seq <= ? ORDER BY seq LIMIT ?"
        )
        place = (figures.searched_seq, figures.last_waiting_seq, SLICE_ROWS)
        rows = self._db.execute(query, place).fetchall()
        young = 0
        for seq, *then in rows:
            age = age_s(Moment(*then), now)
            if age is not None and age > self._max_age_s:
                figures.old_seq, young = seq, 0
            elif age is not None:
                young += 1
            if not young:
                figures.searched_seq = seq
            if young >= YOUNG_ROWS:
                break
        else:
            if len(rows) == SLICE_ROWS:  # there is more: go on with the next commit
                figures.searched_seq = rows[-1][0]
                return
        figures.age_checked_s = now.boot_s

    def _pragma(self, name: str) -> int:
        return int(self._db.execute(f"PRAGMA {name}").fetchone()[0])
