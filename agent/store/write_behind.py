"""The write-behind: what is on the disk, what is only in memory yet, and the transaction between.

Every commit takes along all that waits for one: acknowledgements, buffered records, facts. While
the file takes no commit, because the card is full or another program has the file locked, what is
new is buffered in memory, bounded, under numbers that were reserved beforehand.
"""

from __future__ import annotations

import math
import sqlite3
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from agent.model import MIB, Record, encode
from agent.store import database
from agent.store.buffer import MIB_MAX, ROWS_MAX, Buffer
from agent.store.commands import Commands
from agent.store.database import BlockedError, DiskFullError
from agent.store.meta import Meta
from agent.store.records import Records
from agent.store.reserve import NumberReserve, SpaceReserve
from agent.store.timestamps import Boots

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from agent.config import StoreLimits
    from agent.errors import StoreError
    from agent.model import Json, NewRecord
    from agent.store.meta import Fact
    from agent.store.records import Figures, Numbered

#: Most acknowledgements in memory; during a long drain nothing else would commit them.
ACKNOWLEDGED_MAX = 1000

#: While the file takes no commit, one is tried this often.
COMMIT_AGAIN_S = 5.0


class WriteBehind:
    """The store's content; used under its lock. `blocked` is why the file takes no commit now.

    Methods raise what SQLite and the system do, and have then done nothing. Opening it raises
    SpoiledError too.
    """

    def __init__(
        self, limits: StoreLimits, *, memory_only: bool, boot_s: Callable[[], float]
    ) -> None:
        self._limits = limits
        if memory_only:
            rows, mib = min(limits.max_rows, ROWS_MAX), min(limits.max_mib, MIB_MAX)
            self._limits = replace(limits, max_rows=rows, max_mib=mib)
        self._boot_s = boot_s
        self._commit_after_s = 0.0 if memory_only else limits.commit_after_s
        self._again_boot_s = 0.0
        self._numbers: NumberReserve | None = None
        self._space: SpaceReserve | None = None
        self._acknowledged: set[int] = set()  # still in the file
        self._given_up = 0  # records that no commit has counted yet
        self.blocked: StoreError | None = None
        self._db, self._figures, known = database.opened(None if memory_only else limits.path)
        try:
            self._commands = Commands(self._db)
            self._buffer = Buffer(self._figures.last_seq)
            self.records = Records(self._db)
            self.meta = Meta(known)
            self.boots = Boots(self._db)
            self.epoch = self.meta.text("epoch")
            if not memory_only:
                self._numbers = NumberReserve(limits.path, self.epoch, self._figures.last_seq)
                self._space = SpaceReserve(limits.path)
                self._skip_reserved(self._numbers)
        except BaseException:
            self._db.close()
            raise
        self._told_dropped = self.dropped_for

    @property
    def newest_seq(self) -> int:
        """The number of the newest record, waiting or not."""
        return self._buffer.last_seq

    @property
    def queued(self) -> int:
        """The number of records that wait."""
        return self._figures.rows - len(self._acknowledged) + len(self._buffer)

    @property
    def congested(self) -> bool:
        """True while as many acknowledgements wait for a commit as may."""
        return len(self._acknowledged) >= ACKNOWLEDGED_MAX

    @property
    def dropped_for(self) -> dict[str, int]:
        """The number of records that were given up, by reason, since the file was made."""
        memory = self._figures.dropped.get("memory", 0) + self._given_up
        return {**self._figures.dropped, **({"memory": memory} if memory else {})}

    @property
    def fullness(self) -> float:
        """The part of its bounds that is in use, from 0 to 1."""
        rows = (self._figures.rows + len(self._buffer)) / self._limits.max_rows
        return min(1.0, max(rows, self._figures.bytes / (self._limits.max_mib * MIB)))

    def append(self, new: NewRecord, detections: int | None, facts: Mapping[str, Fact]) -> Record:
        """Number a record and commit it, or see to it that this can wait; see `Store.append`."""
        body, meta, dropped = dict(new.body), self.meta.changed(**facts), self.dropped_for
        if detections is not None:
            body["total"] = meta.number("total") + detections
            meta = meta.changed(total=meta.number("total") + detections)
        if dropped != self._told_dropped:
            body["dropped"] = dict[str, "Json"](dropped)
        new = replace(new, body=body)
        seq = self._buffer.add(new, encode(body), self._boot_s())
        try:
            if meta.pending or self._buffer.due_s(self._commit_after_s) <= self._boot_s():
                self.commit(meta)
            else:
                self._reserve()
        except BaseException:
            self._buffer.take_back()
            raise
        self._told_dropped = dropped
        return Record(self.epoch, seq, new.kind, new.timestamp_s, body)

    def waiting(self, after_seq: int, limit: int) -> tuple[list[Record], list[int]]:
        """The oldest waiting records above `after_seq`, and the numbers of spoiled rows met."""
        found, spoiled = self.records.oldest(after_seq, limit, self._acknowledged)
        found += self._buffer.waiting(after_seq, limit - len(found))
        return [self._record(one) for one in found], spoiled

    def newest(self, kind: str, after_seq: int) -> Record | None:
        """The newest waiting record of `kind` above `after_seq`."""
        found = self._buffer.newest(kind, after_seq)
        found = found or self.records.newest(kind, after_seq, self._acknowledged)
        return self._record(found) if found else None

    def acknowledge(self, seq: int) -> bool:
        """Let a record go, in memory; the next commit takes it out. False if it does not wait."""
        if self._buffer.remove(seq):
            return True
        waits = self._figures.has(seq) and seq not in self._acknowledged
        if waits:
            self._acknowledged.add(seq)
        return waits

    def set_aside(self, seq: int, reason: str, *, now_s: float) -> None:
        """Move a waiting record into the table `dead`, or let it go where nothing can be moved."""
        try:
            with self.transaction() as figures:
                self.records.set_aside(figures, seq, reason=reason, now_s=now_s)
        except (sqlite3.Error, OSError) as error:
            if not isinstance(database.explained(self._limits.path, error), BlockedError):
                raise
            self._given_up += self.acknowledge(seq)

    def set_total(self, value: int, command_id: str | None) -> bool:
        """Set the total, at once and once for each id; False, and nothing done, if it is known."""
        if command_id is not None and self._commands.has(command_id):
            return False
        with self.transaction(self.meta.changed(total=value)):
            if command_id is not None:
                self._commands.add(command_id)
        return True

    def remember(self, facts: Mapping[str, Fact]) -> None:
        """Commit facts for the next process."""
        meta = self.meta.changed(**facts)
        if meta.pending:
            self.commit(meta)

    def flush(self) -> None:
        """Commit what is not on the disk yet; while blocked, find out whether that is over."""
        if self._acknowledged or self._buffer or self.meta.pending or self.blocked:
            self.commit()

    def due_s(self) -> float:
        """The time on the boot clock at which `flush` is due; infinite if nothing is buffered."""
        return self._again_boot_s if self.blocked else self._buffer.due_s(self._commit_after_s)

    def commit(self, meta: Meta | None = None) -> None:
        """Commit all that is not on the disk yet, and `meta`; while blocked, keep it in memory."""
        if not self.blocked or self._boot_s() >= self._again_boot_s:
            try:
                with self.transaction(meta):
                    return
            except (sqlite3.Error, OSError) as error:
                blocked = database.explained(self._limits.path, error)
                if not isinstance(blocked, BlockedError):
                    raise
                self.blocked = blocked
                self._again_boot_s = self._boot_s() + COMMIT_AGAIN_S
                if isinstance(self.blocked, DiskFullError):
                    self._let_go()
        self._reserve()
        self.meta = meta or self.meta
        self._given_up += self._buffer.bound()

    @contextmanager
    def transaction(
        self, meta: Meta | None = None, *, only_let_go: bool = False
    ) -> Iterator[Figures]:
        """One transaction, which takes along all that is not on the disk yet, and facts in `meta`.

        With `only_let_go` it takes the acknowledgements alone. Yields figures to change; nothing
        counts unless the commit succeeds.
        """
        figures, meta = replace(self._figures), meta or self.meta
        self._db.execute("BEGIN IMMEDIATE")
        try:
            self.records.remove(figures, self._acknowledged)
            if not only_let_go:
                self._take_along(figures)
            yield figures
            if not only_let_go:
                meta.write(self._db)
                self.boots.write()
            self._db.execute("COMMIT")
        except BaseException:
            if self._db.in_transaction:  # some errors have rolled it back already
                self._db.execute("ROLLBACK")
            raise
        self._figures = figures
        self._acknowledged.clear()
        if not only_let_go:
            self._kept(meta)

    def close(self) -> None:
        """Commit what is not on the disk yet and close the file; more than once does no harm."""
        try:
            self._again_boot_s = -math.inf  # there is no later
            unmarked = self._buffer.last_seq > self._figures.last_seq
            if self._acknowledged or unmarked or self.meta.pending:
                self.commit()
            if self._numbers and not self.blocked:
                self._numbers.release()
        finally:
            self._acknowledged.clear()
            self._buffer = Buffer(self._figures.last_seq)
            self.meta = self.meta.kept()
            self._numbers = None
            self._db.close()

    def _take_along(self, figures: Figures) -> None:
        for seq, new, body in self._buffer:
            self.records.make_room(figures, self._limits, new, len(body), self.boots.age_s)
            self.records.insert(figures, seq, new, body)
        if self._buffer.last_seq > figures.last_seq:
            self.records.mark(figures, self._buffer.last_seq)
        if self._given_up:
            self.records.count_dropped(figures, "memory", self._given_up)

    def _kept(self, meta: Meta) -> None:
        """All is on the disk."""
        self._buffer.clear()
        self._given_up = 0
        self.meta = meta.kept()
        self.boots.kept()
        if self._space and self.blocked:
            self._space.keep()
        self.blocked = None
        if self._numbers and not self._commit_after_s:
            with suppress(OSError):  # then some numbers are skipped that need not be
                self._numbers.release()

    def _let_go(self) -> None:
        """On a full disk delete at least what was acknowledged, in the room kept for that."""
        if self._space and self._acknowledged:
            self._space.spend()
            with suppress(sqlite3.Error, OSError), self.transaction(only_let_go=True):
                pass

    def _reserve(self) -> None:
        """Make sure that no other process gives the numbers of what is buffered again."""
        if self._numbers and len(self._buffer):
            self._numbers.reserve(self._buffer.last_seq)

    def _skip_reserved(self, numbers: NumberReserve) -> None:
        """Go on behind the numbers that the last process may have used, if it did not end well."""
        if numbers.last > self._figures.last_seq:
            first = self.meta.number("skipped_first") or self._figures.last_seq + 1
            self.meta = self.meta.changed(skipped_first=first, skipped_last=numbers.last)
            self._buffer = Buffer(numbers.last)
            self.commit()
            if not self.blocked:
                numbers.release()

    def _record(self, numbered: Numbered) -> Record:
        seq, new = numbered
        return Record(self.epoch, seq, new.kind, *self.boots.stamped(new))
