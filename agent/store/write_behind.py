"""What is on the disk, what is only in memory yet, and the one transaction that moves it there.

Every commit takes along all that waits for one: acknowledgements, records that are held, facts.
While the file takes no commit, because the card is full or another program has the file locked,
what is new is held in memory, bounded, under numbers that were reserved beforehand.
"""

from __future__ import annotations

import math
import sqlite3
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from agent.store import database
from agent.store.buffer import MIB_MAX, ROWS_MAX, Buffer
from agent.store.database import BlockedError, DiskFullError
from agent.store.meta import Meta
from agent.store.records import MIB, Records
from agent.store.reserve import NumberReserve, SpaceReserve
from agent.store.timestamps import Boots

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from agent.config import StoreLimits
    from agent.errors import StoreError
    from agent.store.records import Figures

#: How many ids of applied commands are remembered.
COMMANDS_MAX = 1000

#: While the file takes no commit, one is tried this often.
RETRY_S = 5.0


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
        self._patience_s = 0.0 if memory_only else limits.commit_after_s
        self._retry_boot_s = 0.0
        self._block: NumberReserve | None = None
        self._spare: SpaceReserve | None = None
        self.blocked: StoreError | None = None
        self.acknowledged: set[int] = set()  # still in the file
        self.db = database.in_memory() if memory_only else database.connect(limits.path)
        try:
            database.migrate(self.db)
            self.figures, known = database.load(self.db)
            self.facts = Meta(known)
            self.rows = Records(self.db)
            self.boots = Boots(self.db)
            self.held = Buffer(self.figures.last_seq)
            if not memory_only:
                database.check(self.db)
                database.spare_the_card(self.db)
                self._block = NumberReserve(
                    limits.path, self.facts.text("epoch"), self.figures.last_seq
                )
                self._spare = SpaceReserve(limits.path)
                self._skip_reserved(self._block)
        except BaseException:
            self.db.close()
            raise

    @property
    def dropped(self) -> dict[str, int]:
        """How many records were given up for which reason, since the file was made."""
        memory = self.figures.dropped.get("memory", 0) + self.held.dropped
        return {**self.figures.dropped, **({"memory": memory} if memory else {})}

    def fullness(self) -> float:
        """What part of its bounds is in use, from 0 to 1."""
        rows = (self.figures.rows + len(self.held)) / self._limits.max_rows
        return min(1.0, max(rows, self.figures.bytes / (self._limits.max_mib * MIB)))

    def in_file(self, seq: int) -> bool:
        """Whether a row that was handed out is still in the file, as far as is known."""
        return self.figures.dropped_seq < seq <= self.figures.last_seq

    def settle(self) -> None:
        """After something new is held: commit now, or see to it that this can wait."""
        may_wait = self.held.due_s(self._patience_s) > self._boot_s()
        if may_wait and not self.facts.pending:
            self._reserve()
        else:
            self.commit()

    def commit(self) -> None:
        """Commit what is not on the disk yet; while the file takes no commit, hold it."""
        if not self.blocked or self._boot_s() >= self._retry_boot_s:
            try:
                with self.transaction():
                    return
            except (sqlite3.Error, OSError) as error:
                self.blocked = database.explained(self._limits.path, error)
                if not isinstance(self.blocked, BlockedError):
                    raise
                self._retry_boot_s = self._boot_s() + RETRY_S
                if isinstance(self.blocked, DiskFullError):
                    self._let_go()
        self._reserve()
        self.held.bound()

    def _let_go(self) -> None:
        """On a full disk delete at least what was acknowledged, in the room kept for that."""
        if self._spare and self.acknowledged:
            self._spare.spend()
            blocked = self.blocked
            with suppress(sqlite3.Error, OSError), self.transaction(only_let_go=True):
                pass
            self.blocked = blocked

    @contextmanager
    def transaction(self, *, only_let_go: bool = False) -> Iterator[Figures]:
        """One transaction, which takes along all that is not on the disk yet.

        With `only_let_go` it takes the acknowledgements alone. Yields a tally to change; nothing
        counts unless the commit succeeds.
        """
        figures = replace(self.figures)
        self.db.execute("BEGIN IMMEDIATE")
        try:
            self.rows.remove(figures, self.acknowledged)
            if not only_let_go:
                self._take_along(figures)
            yield figures
            if not only_let_go:
                self.facts.write(self.db)
                self.boots.write()
            self.db.execute("COMMIT")
        except BaseException:
            if self.db.in_transaction:  # some errors have rolled it back already
                self.db.execute("ROLLBACK")
            raise
        self.figures = figures
        self.acknowledged.clear()
        if not only_let_go:
            self._kept()

    def _take_along(self, figures: Figures) -> None:
        for seq, new, body in self.held:
            self.rows.make_room(figures, self._limits, new, len(body), self.boots.age_s)
            self.rows.insert(figures, seq, new, body)
        if self.held.last_seq > figures.last_seq:
            self.rows.mark(figures, self.held.last_seq)
        if self.held.dropped:
            self.rows.count_dropped(figures, "memory", self.held.dropped)

    def _kept(self) -> None:
        """All is on the disk."""
        self.held.clear()
        self.facts = self.facts.kept()
        self.boots.kept()
        if self._spare and self.blocked:
            self._spare.keep()
        self.blocked = None
        if self._block and not self._patience_s:
            with suppress(OSError):  # then some numbers are skipped that need not be
                self._block.release()

    def due_s(self) -> float:
        """When, on the boot clock, `commit` is due for what is held; infinite if nothing is."""
        return self._retry_boot_s if self.blocked else self.held.due_s(self._patience_s)

    def close(self) -> None:
        """Commit what is not on the disk yet and close the file; more than once does no harm."""
        try:
            self._retry_boot_s = -math.inf  # there is no later
            unmarked = self.held.last_seq > self.figures.last_seq
            if self.acknowledged or unmarked or self.facts.pending:
                self.commit()
            if self._block and not self.blocked:
                self._block.release()
        finally:
            self.acknowledged.clear()
            self.held = Buffer(self.figures.last_seq)
            self.facts = self.facts.kept()
            self._block = None
            self.db.close()

    def is_new(self, command_id: str) -> bool:
        """Remember the id of a command, in a transaction that is open; False if it is known."""
        remember = "INSERT OR IGNORE INTO commands (id) VALUES (?)"
        if not self.db.execute(remember, (command_id,)).rowcount:
            return False
        forget = "DELETE FROM commands WHERE number <= last_insert_rowid() - ?"
        self.db.execute(forget, (COMMANDS_MAX,))
        return True

    def _reserve(self) -> None:
        """Make sure that no other process gives the numbers of what is held to something else."""
        if self._block and len(self.held):
            self._block.reserve(self.held.last_seq)

    def _skip_reserved(self, block: NumberReserve) -> None:
        """Go on behind the numbers that the last process may have used, if it did not end well."""
        if block.last > self.figures.last_seq:
            first = self.facts.number("skipped_first") or self.figures.last_seq + 1
            self.facts = self.facts.changed(skipped_first=first, skipped_last=block.last)
            self.held.last_seq = block.last
            self.commit()
            if not self.blocked:
                block.release()
