"""The write-behind: what is on the disk, what is only in memory yet, and the transaction between.

Every commit takes along all that waits for one: acknowledgements, buffered records, facts. While
the file takes no commit, because the card is full or another program has the file locked, what is
new is buffered in memory, bounded, under numbers that were reserved beforehand.
"""

from __future__ import annotations

import math
import sqlite3
from contextlib import closing, contextmanager, suppress
from dataclasses import replace
from itertools import chain
from typing import TYPE_CHECKING, NamedTuple

from agent.model import COUNT, Moment, Record, encode
from agent.store import database
from agent.store.buffer import MIB_MAX, ROWS_MAX, Buffer
from agent.store.database import BlockedError, DiskFullError
from agent.store.meta import Meta
from agent.store.records import Records
from agent.store.reserve import NumberReserve, SpaceReserve
from agent.store.retention import ROW_BYTES, Retention
from agent.store.timestamps import Boots
from agent.store.validation import plain, validated

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping

    from agent.config import StoreLimits
    from agent.errors import StoreError
    from agent.model import Json, NewRecord
    from agent.store.meta import Fact
    from agent.store.records import Figures

#: Most acknowledgements in memory; during a long drain nothing else would commit them.
ACKNOWLEDGED_MAX = 1000

#: Acknowledgements are committed after this time at the latest, a minute with all that is around.
ACKNOWLEDGED_S = 59.0

#: The newest ids of commands that were applied are remembered, so many.
COMMANDS_MAX = 1000

#: While the file takes no commit, one is tried this often.
COMMIT_AGAIN_S = 5.0

#: A page ends when so many rows, or so many bytes, were looked at.
PAGE_ROWS = 1000
PAGE_BYTES = 1024 * 1024


class Page(NamedTuple):
    """Waiting `records`, after a look at all rows up to the number `up_to_seq`.

    `set_aside` are rows that were met and that no broker could take: number, kind and reason.
    """

    records: list[Record]
    up_to_seq: int
    set_aside: tuple[tuple[int, str, str], ...] = ()


class WriteBehind:
    """The store's content; used under its lock. `blocked` is why the file takes no commit now.

    Methods raise what SQLite and the system do, and have then done nothing. Opening it raises
    SpoiledError too.
    """

    def __init__(
        self, limits: StoreLimits, *, memory_only: bool, boot_s: Callable[[], float]
    ) -> None:
        if memory_only:
            rows, mib = min(limits.max_rows, ROWS_MAX), min(limits.max_mib, MIB_MAX)
            limits = replace(limits, max_rows=rows, max_mib=mib)
        self._path = limits.path
        self._boot_s = boot_s
        self._commit_after_s = 0.0 if memory_only else limits.commit_after_s
        self._again_boot_s = 0.0
        self._numbers: NumberReserve | None = None
        self._space: SpaceReserve | None = None
        self._acknowledged: set[int] = set()  # still in the file
        self._acknowledged_boot_s = math.inf  # the oldest
        self._given_up = 0  # records that no commit has counted yet
        self.blocked: StoreError | None = None
        self._db, self._figures, known = database.opened(None if memory_only else limits.path)
        try:
            self.buffer = Buffer(self._figures.last_seq)
            self.records = Records(self._db)
            self._retention = Retention(self._db, self.records, limits)
            self._retention.measure(self._figures)
            self._newest = {COUNT: self.records.newest(COUNT)}
            self.meta = Meta(known)
            self.boots = Boots.read(self._db)
            self.epoch = self.meta.text("epoch")
            if not memory_only:
                self._numbers = NumberReserve(limits.path, self.epoch, self._figures.last_seq)
                self._space = SpaceReserve(limits.path)
                self._skip_reserved(self._numbers)
        except BaseException:
            self._db.close()
            raise

    @property
    def queued(self) -> int:
        """The number of records that wait."""
        return max(0, self._figures.rows - len(self._acknowledged) + len(self.buffer))

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
        return self._retention.fullness(self._figures, len(self.buffer))

    @property
    def due_s(self) -> float:
        """The time on the boot clock at which `flush` is due; infinite if nothing waits for it."""
        acknowledged_s = self._acknowledged_boot_s + ACKNOWLEDGED_S
        due_s = min(acknowledged_s, self.buffer.due_s(self._commit_after_s))
        return self._again_boot_s if self.blocked else due_s

    def append(self, new: NewRecord, detections: int | None, facts: Mapping[str, Fact]) -> Record:
        """Number a record and commit it, or see to it that this can wait; see `Store.append`."""
        body, meta, dropped = dict(new.body), self.meta.changed(**facts), self.dropped_for
        if detections is not None:
            body["total"] = meta.number("total") + detections
            meta = meta.changed(total=meta.number("total") + detections)
        if sum(dropped.values()) != meta.number("told_dropped"):
            body["dropped"] = dict[str, "Json"](dropped)
            meta = meta.changed(told_dropped=sum(dropped.values()))
        seq, moment = self.buffer.last_seq + 1, new.moment
        text, times = encode(body), (moment.wall_s, moment.boot_s, moment.boot_id)
        self.buffer.add((seq, new.kind, new.timestamp_s, text, *times), self._boot_s())
        try:
            due = self.buffer.due_s(self._commit_after_s) <= self._boot_s()
            if due or meta.pending or self.buffer.full:
                self.commit(meta)
            else:
                self._reserve()
        except BaseException:
            self.buffer.take_back()
            raise
        self._newest[new.kind] = seq
        return Record(self.epoch, seq, new.kind, new.timestamp_s, body)

    def page(self, after_seq: int, limit: int, without: Collection[str], now_s: float) -> Page:
        """The oldest waiting records above `after_seq`; see `Store.page`."""
        found: list[Record] = []
        spoiled: list[tuple[int, str, str]] = []
        if limit <= 0:
            return Page(found, after_seq)
        up_to_seq = max(after_seq, self.buffer.last_seq)
        size = 0
        with closing(self.records.after(self._figures, after_seq)) as rows:
            buffered = (row for row in self.buffer if row[0] > after_seq)
            for looked, row in enumerate(chain(rows, buffered), 1):
                seq, kind, text = row[0], row[1], row[3]
                if seq not in self._acknowledged and kind not in without:
                    try:
                        found.append(validated(row, self.epoch, self.boots.known))
                    except ValueError as reason:
                        spoiled.append((seq, plain(kind), str(reason)))
                    size += len(text) if isinstance(text, bytes | str) else 0
                if len(found) >= limit or looked >= PAGE_ROWS or size >= PAGE_BYTES:
                    up_to_seq = seq
                    break
        if spoiled:
            self.set_aside([(seq, reason) for seq, _, reason in spoiled], now_s=now_s)
        return Page(found, up_to_seq, tuple(spoiled))

    def newest(self, kind: str) -> Record | None:
        """The newest record of `kind` of all, if it still waits and is sound."""
        if kind not in self._newest:
            self._newest[kind] = self.records.newest(kind)
        seq = self._newest[kind]
        row = self.buffer.get(seq) or self.records.get(self._figures, seq)
        if not row or row[0] in self._acknowledged or row[:2] != (seq, kind):
            return None
        with suppress(ValueError):  # `page` finds it too and has it set aside
            return validated(row, self.epoch, self.boots.known)
        return None

    def acknowledge(self, seq: int) -> bool:
        """Let a record go, in memory; the next commit takes it out. False if it does not wait."""
        if self.buffer.remove(seq):
            return True
        waits = self._figures.has(seq) and seq not in self._acknowledged
        if waits:
            self._acknowledged.add(seq)
            self._acknowledged_boot_s = min(self._acknowledged_boot_s, self._boot_s())
        return waits

    def set_aside(self, reasons: Iterable[tuple[int, str]], *, now_s: float) -> None:
        """Move waiting records to the table `dead`, or let them go where nothing can be moved."""
        try:
            with self.transaction() as figures:
                for seq, reason in reasons:
                    self.records.set_aside(figures, seq, reason=reason, now_s=now_s)
        except (sqlite3.Error, OSError) as error:
            if not isinstance(database.explained(self._path, error), BlockedError):
                raise
            self._given_up += sum(self.acknowledge(seq) for seq, _ in reasons)

    def set_total(self, value: int, command_id: str | None) -> bool:
        """Set the total, at once and once for each id; False, and nothing done, if it is known."""
        known = "SELECT 1 FROM commands WHERE id = ?"
        if self._db.execute(known, (command_id,)).fetchone():
            return False
        with self.transaction(self.meta.changed(total=value)):
            if command_id is not None:
                add = "INSERT OR REPLACE INTO commands (id) VALUES (?)"
                self._db.execute(add, (command_id,))
                newest = "SELECT number FROM commands ORDER BY number DESC LIMIT ?"
                forget = f"DELETE FROM commands WHERE number NOT IN ({newest})"  # noqa: S608
                self._db.execute(forget, (COMMANDS_MAX,))
        return True

    def remember(self, facts: Mapping[str, Fact]) -> None:
        """Commit facts for the next process."""
        meta = self.meta.changed(**facts)
        if meta.pending:
            self.commit(meta)

    def note_clock(self, now: Moment, *, is_set: bool) -> None:
        """Note how the clocks of this boot stand, and commit it if that is new."""
        boots = self.boots.noted(now, is_set=is_set)
        if boots is not self.boots:
            self.commit(boots=boots)
            # Now the age of more rows may be known.
            self._figures.searched_seq, self._figures.age_checked_s = 0, None

    def flush(self) -> None:
        """Commit what is not on the disk yet; while blocked, find out whether that is over."""
        if self._waits or self.blocked:
            self.commit()

    def commit(self, meta: Meta | None = None, boots: Boots | None = None) -> None:
        """Commit all that is not on the disk yet, and these; while blocked, keep it in memory."""
        if not self.blocked or self._boot_s() >= self._again_boot_s:
            try:
                with self.transaction(meta, boots):
                    return
            except (sqlite3.Error, OSError) as error:
                blocked = database.explained(self._path, error)
                if not isinstance(blocked, BlockedError):
                    raise
                self.blocked = blocked
                self._again_boot_s = self._boot_s() + COMMIT_AGAIN_S
                if isinstance(self.blocked, DiskFullError):
                    self._let_go()
        self._reserve()
        self.meta, self.boots = meta or self.meta, boots or self.boots
        self._given_up += self.buffer.bound()

    @contextmanager
    def transaction(
        self, meta: Meta | None = None, boots: Boots | None = None
    ) -> Iterator[Figures]:
        """One transaction, which takes along all that is not on the disk yet, `meta` and `boots`.

        Yields figures to change; nothing counts unless the commit succeeds.
        """
        meta, boots = meta or self.meta, boots or self.boots
        with self._letting_go() as figures:
            self._take_along(figures, boots)
            yield figures
            meta.write(self._db)
            boots.write(self._db)
        self.buffer.clear()
        self._given_up = 0
        self.meta, self.boots = meta.kept(), boots.kept()
        self.blocked = None
        if self._space:
            self._space.keep()
        if self._numbers and not self._commit_after_s:
            with suppress(OSError):  # then some numbers are skipped that need not be
                self._numbers.release()

    @contextmanager
    def _letting_go(self) -> Iterator[Figures]:
        """One transaction, which takes along the acknowledgements alone."""
        figures = replace(self._figures)
        self._db.execute("BEGIN IMMEDIATE")
        try:
            self.records.remove(figures, self._acknowledged)
            yield figures
            self._retention.measure(figures)
            self._db.execute("COMMIT")
        except BaseException:
            if self._db.in_transaction:  # some errors have rolled it back already
                self._db.execute("ROLLBACK")
            raise
        self._figures = figures
        self._acknowledged.clear()
        self._acknowledged_boot_s = math.inf

    def condemn(self) -> None:
        """Have the next start take the file for spoiled, since the card does not give it back."""
        if self._numbers:
            with suppress(OSError):
                self._numbers.condemn()
            self._numbers = None

    def close(self) -> None:
        """Commit what is not on the disk yet and close the file; more than once does no harm."""
        try:
            self._again_boot_s = -math.inf  # there is no later
            if self._waits or self.buffer.last_seq > self._figures.last_seq:
                self.commit()
            if self._numbers and not self.blocked:
                self._numbers.release()
        finally:
            self._acknowledged.clear()
            self.buffer = Buffer(self._figures.last_seq)
            self.meta, self.boots = self.meta.kept(), self.boots.kept()
            self._numbers = None
            self._db.close()

    @property
    def _waits(self) -> bool:
        """True if something waits for a commit."""
        pending = self.meta.pending or self.boots.pending
        return bool(self._acknowledged or self.buffer or pending)

    def _take_along(self, figures: Figures, boots: Boots) -> None:
        size = 0
        for left, row in zip(range(len(self.buffer) - 1, -1, -1), self.buffer, strict=True):
            self.records.insert(figures, row)
            size += len(row[3]) + ROW_BYTES
            if size >= self._retention.batch_bytes or not left:
                self._retention.make_room(figures, Moment(*row[4:]), boots.age_s)
                size = 0
        if self.buffer.last_seq > figures.last_seq:
            self.records.mark(figures, self.buffer.last_seq)
        self.records.count_dropped(figures, "memory", self._given_up)

    def _let_go(self) -> None:
        """On a full disk delete at least what was acknowledged, in the room kept for that."""
        if self._space and self._acknowledged:
            self._space.spend()
            with suppress(sqlite3.Error, OSError), self._letting_go():
                pass

    def _reserve(self) -> None:
        """Make sure that no other process gives the numbers of what is buffered again."""
        if self._numbers and len(self.buffer):
            self._numbers.reserve(self.buffer.last_seq)

    def _skip_reserved(self, numbers: NumberReserve) -> None:
        """Go on behind the numbers that the last process may have used, if it did not end well."""
        if numbers.last > self._figures.last_seq:
            first = self.meta.number("skipped_first") or self._figures.last_seq + 1
            self.meta = self.meta.changed(skipped_first=first, skipped_last=numbers.last)
            self.buffer = Buffer(numbers.last)
            self.commit()
            if not self.blocked:
                numbers.release()
