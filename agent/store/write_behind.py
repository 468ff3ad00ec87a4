"""The write-behind: what is on the disk, what is only in memory yet, and the transaction between.

Every commit takes along all that waits for one: acknowledgements, buffered records, facts. While
the file takes no commit, because the card is full or another program has the file locked, what is
new is buffered in memory, bounded, under numbers that were reserved beforehand.
"""

from __future__ import annotations

import math
import sqlite3
from contextlib import contextmanager, suppress

from agent.model import COUNT, Moment
from agent.store import database
from agent.store.commands import Commands
from agent.store.database import BlockedError, DiskFullError
from agent.store.history import History
from agent.store.pending import MIB_MAX, ROWS_MAX, Buffer, Meta
from agent.store.records import Records, Retention
from agent.store.reserve import NumberReserve, give_room, keep_room
from agent.store.timestamps import Boots
from agent.value import replace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator

    from agent.config import StoreLimits
    from agent.errors import StoreError
    from agent.model import NewRecord
    from agent.store.records import Figures
    from agent.store.validation import Row

#: Most acknowledgements in memory; during a long drain nothing else would commit them.
ACKNOWLEDGED_MAX = 1000

#: Acknowledgements are committed after this time at the latest, a minute with all that is around.
ACKNOWLEDGED_S = 59.0

#: While the file takes no commit, one is tried this often.
COMMIT_AGAIN_S = 5.0


class WriteBehind:
    """The store's content; used under its lock. `blocked` is why the file takes no commit now.

    Methods raise BlockedError, or what SQLite and the system do, and have then done nothing.
    """

    def __init__(
        self, limits: StoreLimits, *, memory_only: bool, boot_s: Callable[[], float]
    ) -> None:
        if memory_only:
            rows, mib = min(limits.max_rows, ROWS_MAX), min(limits.max_mib, MIB_MAX)
            limits = replace(limits, max_rows=rows, max_mib=mib, commit_after_s=0.0)
        self._limits = limits
        self._boot_s = boot_s
        self._again_boot_s = 0.0
        self._numbers: NumberReserve | None = None
        self._acknowledged_boot_s = math.inf  # since when the oldest waits
        self._given_up = 0  # records that no commit has counted yet
        self.acknowledged: set[int] = set()  # still in the file
        self.blocked: StoreError | None = None
        self.db = database.connect(None if memory_only else limits.path)
        try:
            self.figures, known = database.load(self.db)
            if not memory_only:
                database.check(self.db, monotonic_s=boot_s)
                database.spare_the_card(self.db, limits.path)
            self.buffer = Buffer(self.figures.last_seq)
            self.records, self.commands = Records(self.db), Commands(self.db)
            self.history = History(self.db, limits, boot_s)
            self.retention = Retention(self.db, self.records, self.history, limits)
            self.retention.measure(self.figures)
            self.meta = Meta(known)
            self._see_urgent()
            self.newest = {COUNT: self.records.newest_count(self.meta)}  # their numbers, by kind
            self.boots = Boots.read(self.db)
            if not memory_only:
                epoch = self.meta.text("epoch")
                self._numbers = NumberReserve(limits.path, epoch, self.figures.last_seq)
                keep_room(limits.path)
                self._skip_reserved(self._numbers)
        except BaseException:
            self.db.close()
            raise

    @property
    def queued(self) -> int:
        """The number of records that wait."""
        return max(0, self.figures.rows - len(self.acknowledged) + len(self.buffer))

    @property
    def congested(self) -> bool:
        """True while as many acknowledgements wait for a commit as may."""
        return len(self.acknowledged) >= ACKNOWLEDGED_MAX

    @property
    def dropped_for(self) -> dict[str, int]:
        """The number of records that were given up, by reason, since the file was made."""
        memory = self.figures.dropped.get("memory", 0) + self._given_up
        return {**self.figures.dropped, **({"memory": memory} if memory else {})}

    @property
    def due_s(self) -> float:
        """The time on the boot clock at which `flush` is due; infinite if nothing waits for it."""
        acknowledged_s = self._acknowledged_boot_s + ACKNOWLEDGED_S
        buffered_s = self.buffer.due_s(self._limits.commit_after_s)
        due_s = min(acknowledged_s, buffered_s, self.history.due_s)
        return self._again_boot_s if self.blocked else due_s

    def row(self, seq: int) -> Row | None:
        """The row of a record, if it waits."""
        if seq in self.acknowledged:
            return None
        row = self.buffer.get(seq) or next(self.records.after(self.figures, seq - 1), None)
        return row if row and row[0] == seq else None

    def append(self, new: NewRecord, text: bytes, meta: Meta, *, urgent: bool) -> int:
        """Number a record with the body `text`; commit it with `meta`, or see that it can wait."""
        seq, moment = self.buffer.last_seq + 1, new.moment
        meta = meta.with_urgent(seq) if urgent else meta
        times = (moment.wall_s, moment.boot_s, moment.boot_id)
        self.buffer.add((seq, new.kind, new.timestamp_s, text, *times), self._boot_s())
        try:
            due = self.buffer.due_s(self._limits.commit_after_s) <= self._boot_s()
            if due or meta.pending or self.buffer.full:
                self.commit(meta)
            else:
                self._reserve()
        except BaseException:
            self.buffer.take_back()
            raise
        return seq

    def acknowledge(self, numbers: Collection[int]) -> int:
        """Let records go, in memory; the next commit takes them out. How many of them waited."""
        filed = range(self.figures.dropped_seq + 1, self.figures.last_waiting_seq + 1)
        different = set(numbers)
        others = {seq for seq in different if not self.buffer.remove(seq)}
        urgent = different.intersection(self.meta.urgent)
        new = {seq for seq in others if seq in filed or seq in urgent} - self.acknowledged
        if new:
            self.acknowledged |= new
            self._acknowledged_boot_s = min(self._acknowledged_boot_s, self._boot_s())
        self.meta = self.meta.without_urgent(urgent)
        return len(different) - len(others) + len(new)

    def set_aside(self, reasons: list[tuple[int, str]], *, now_s: float) -> None:
        """Move waiting records to the table `dead`, or let them go where nothing can be moved."""
        meta = self.meta.without_urgent([seq for seq, _ in reasons])
        try:
            with self.transaction(meta) as figures:
                for seq, reason in reasons:
                    self.records.set_aside(figures, seq, reason=reason, now_s=now_s)
        except BlockedError:
            self._given_up += self.acknowledge([seq for seq, _ in reasons])

    def note_clock(self, now: Moment, *, is_set: bool) -> None:
        """Note how the clocks of this boot stand, and commit it if that is new."""
        self.history.note_clock(now, is_set=is_set)
        boots = self.boots.noted(now, is_set=is_set)
        if boots is not self.boots:
            self.commit(boots=boots)
            # Now the age of more rows may be known.
            self.figures.searched_seq, self.figures.age_checked_s = 0, None

    def flush(self) -> None:
        """Commit what is not on the disk yet; while blocked, find out whether that is over."""
        if self._waits or self.blocked:
            self.commit()

    def commit(self, meta: Meta | None = None, boots: Boots | None = None) -> None:
        """Commit all that is not on the disk yet, and these; while blocked, keep it in memory."""
        if not self.blocked or self._boot_s() >= self._again_boot_s:
            try:
                if self.history.ready:
                    with suppress(DiskFullError), self.transaction(meta, boots, history=True):
                        return
                with self.transaction(meta, boots):
                    return
            except BlockedError as blocked:
                if isinstance(blocked, DiskFullError) and self.acknowledged:
                    # Delete at least what was acknowledged, in the room kept for that.
                    give_room(self._limits.path)
                    with suppress(sqlite3.Error, OSError):
                        with self._letting_go() as figures:
                            self.records.count_dropped(figures, "memory", self._given_up)
                        self._given_up = 0
        self._reserve()
        self.meta, self.boots = meta or self.meta, boots or self.boots
        if lost := self.buffer.bound(self.meta.urgent):
            self._given_up += lost
            self._see_urgent()

    @contextmanager
    def transaction(
        self, meta: Meta | None = None, boots: Boots | None = None, *, history: bool = False
    ) -> Iterator[Figures]:
        """One transaction, which takes along all that is not on the disk yet, and these.

        Yields figures to change; nothing counts unless the commit succeeds.
        """
        meta, boots = meta or self.meta, boots or self.boots
        if counts := [row[0] for row in self.buffer if row[1] == COUNT]:
            meta = meta.changed(newest_count=counts[-1])
        try:
            with self._letting_go() as figures:
                self.retention.take_in(figures, [*self.buffer], boots, meta.urgent)
                if self.buffer.last_seq > figures.last_seq:
                    self.records.mark(figures, self.buffer.last_seq)
                self.records.count_dropped(figures, "memory", self._given_up)
                yield figures
                meta.write(self.db)
                boots.write(self.db, self._limits.max_mib)
                if history:
                    self.history.write()
        except (sqlite3.Error, OSError) as error:
            blocked = database.explained(self._limits.path, error)
            self.history.rolled_back(full=isinstance(blocked, DiskFullError))
            if not isinstance(blocked, BlockedError):
                raise
            self.blocked, self._again_boot_s = blocked, self._boot_s() + COMMIT_AGAIN_S
            raise blocked from error
        self.buffer.clear()
        self._given_up = 0
        self.meta, self.boots = Meta(meta.known), Boots(boots.known)
        self._see_urgent()
        self.blocked = None
        self.history.committed()
        if self._numbers:
            keep_room(self._limits.path)
        if self._numbers and not self._limits.commit_after_s:
            with suppress(OSError):  # then some numbers are skipped that need not be
                self._numbers.release()

    def close(self) -> None:
        """Commit what is not on the disk yet and close the file; more than once does no harm."""
        try:
            self._again_boot_s = -math.inf  # there is no later
            self.history.hurry()
            last_seq = self.buffer.last_seq
            noted = self.meta.changed(newest_count=self.newest[COUNT], noted_seq=last_seq)
            if due := self._waits or last_seq > self.figures.last_seq:
                self.commit(noted)
            if self._numbers and not self.blocked:
                self._numbers.release()
                if noted.pending and not due:  # all is kept: a note that fails is no failure
                    with suppress(sqlite3.Error, BlockedError), self.transaction(noted):
                        pass
        finally:
            self.acknowledged.clear()
            self.buffer = Buffer(self.figures.last_seq)
            self.meta, self.boots = Meta(self.meta.known), Boots(self.boots.known)
            self._numbers = None
            self.db.close()

    @contextmanager
    def _letting_go(self) -> Iterator[Figures]:
        """One transaction, which takes along the acknowledgements alone."""
        figures = replace(self.figures)
        self.db.execute("BEGIN IMMEDIATE")
        try:
            self.records.remove(figures, self.acknowledged)
            yield figures
            self.retention.measure(figures)
            self.db.execute("COMMIT")
        except BaseException:
            if self.db.in_transaction:  # some errors have rolled it back already
                self.db.execute("ROLLBACK")
            raise
        self.figures = figures
        self.acknowledged.clear()
        self._acknowledged_boot_s = math.inf

    @property
    def _waits(self) -> bool:
        """True if something waits for a commit."""
        pending = self.meta.pending or self.boots.pending or self.history.waits
        return bool(self.acknowledged or self.buffer or pending)

    def _see_urgent(self) -> None:
        """Forget the numbers of urgent records that wait no more."""
        self.meta = self.meta.without_urgent([seq for seq in self.meta.urgent if not self.row(seq)])

    def _reserve(self) -> None:
        """Make sure that no other process gives the numbers of what is buffered again."""
        if self._numbers and len(self.buffer):
            self._numbers.reserve(self.buffer.last_seq)

    def _skip_reserved(self, numbers: NumberReserve) -> None:
        """Go on behind the numbers that the last process may have used, if it did not end well."""
        if numbers.last > self.figures.last_seq:
            first = self.meta.number("skipped_first") or self.figures.last_seq + 1
            self.meta = self.meta.changed(skipped_first=first, skipped_last=numbers.last)
            self.buffer = Buffer(numbers.last)
            self.commit()
            if not self.blocked:
                numbers.release()
