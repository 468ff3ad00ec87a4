"""The store: the queue's operations, under one lock, with errors in the store's own words.

One that was acknowledged leaves the file in the next commit, so that a reading costs one commit,
not two; after a power cut it may be sent again. The newest row is kept even then, marked: numbers
go on behind it, without holes.
"""

from __future__ import annotations

import sqlite3
import threading
import time
from contextlib import AbstractContextManager, closing, contextmanager, suppress
from itertools import chain

from agent.errors import StoreError
from agent.model import MIB, Record, encode
from agent.store import database
from agent.store.schema import SpoiledError
from agent.store.spans import Hour, Outage, Spell
from agent.store.validation import plain, sound, validated
from agent.store.write_behind import WriteBehind
from agent.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator

    from agent.config import StoreLimits
    from agent.model import Json, Moment, NewRecord
    from agent.store.pending import Fact

#: A page ends when so many rows, or so many bytes, were looked at.
PAGE_ROWS = 1000


class Page(Value):
    """Waiting `records` up to number `up_to_seq`; number, kind and reason of rows `set_aside`."""

    records: list[Record]
    up_to_seq: int
    set_aside: tuple[tuple[int, str, str], ...] = ()


class Store(AbstractContextManager["Store"]):
    """The queue, the running total and the ids of applied commands; made by `opening.open_store`.

    Any thread may call it: one lock, one connection. Methods raise StoreError when the file cannot
    be read or written, and have then done nothing; from then on, if it is damaged: it is moved
    aside. Attributes are read without waiting: `epoch` names the file for ever; `reset` says what
    happened to the file before it, `reset_hint` what to do if not the usual, `memory_only` why
    there is none, `blocked` why it takes no commit now, so that what is new is buffered; `queued`
    records wait for their PUBACK, the urgent ones of them by the numbers `urgent`, for which this
    process was `urged` so often to try at once; `newest_seq` is the last number; `skipped`, first
    and last, were lost with the last process's memory; `dropped` records were given up since the
    file was made, `dropped_for` which reasons; `fullness`, from 0 to 1, is in use of the bounds;
    while `congested` so many acknowledgements wait for a commit that no more rows may go.
    """

    def __init__(
        self,
        limits: StoreLimits,
        *,
        memory_only: str = "",
        wall_s: Callable[[], float] = time.time,
        boot_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self.memory_only, self.urged = memory_only, 0
        self._damage = ""
        self._path = limits.path
        self._wall_s = wall_s
        self._lock = threading.Lock()
        self._write_behind = WriteBehind(limits, memory_only=bool(memory_only), boot_s=boot_s)
        self.epoch = self._write_behind.meta.text("epoch")
        self.reset, _, self.reset_hint = self._write_behind.meta.text("reset").partition("\n")
        self._show()

    def __exit__(self, *_: object) -> None:
        """Close."""
        self.close()

    def append(
        self,
        new: NewRecord,
        *,
        detections: int | None = None,
        urgent: bool = False,
        **facts: Fact,
    ) -> Record:
        """Number `new` and put it on the disk; it is there when this returns.

        In the same transaction the total grows by `detections`, which the body tells as `total`,
        and `facts` are remembered; what was given up and never told is told as `dropped`. With
        `commit_after_s`, and while the file takes no commit, it is only buffered in memory; an
        `urgent` one is in `urgent` until it is acknowledged, and no commit of it waits. Raises
        ValueError, and stores nothing, for a body that JSON cannot hold.
        """
        with self._locked() as content:
            body, meta, dropped = dict(new.body), content.meta.changed(**facts), content.dropped_for
            if detections is not None:
                body["total"] = meta.number("total") + detections
                meta = meta.changed(total=meta.number("total") + detections)
            if sum(dropped.values()) != meta.number("told_dropped"):
                body["dropped"] = dict[str, "Json"](dropped)
                meta = meta.changed(told_dropped=sum(dropped.values()))
            text = encode(body)
            content.newest[new.kind] = seq = content.append(new, text, meta, urgent=urgent)
        self.urged += urgent  # once it can be seen among `urgent`
        return Record(self.epoch, seq, new.kind, new.timestamp_s, text)

    def urge(self) -> None:
        """Have what is urgent tried at once, as by one more; called by the thread that appends."""
        self.urged += 1

    def page(self, after_seq: int, limit: int, *, without: Collection[str] = ()) -> Page:
        """The oldest waiting records above `after_seq`, at most `limit`, none of a kind `without`.

        It ends after a look at 1000 rows, or at a MiB of them. Rows that no broker could take are
        set aside, and told.
        """
        found: list[Record] = []
        spoiled: list[tuple[int, str, str]] = []
        size, last_seq = 0, after_seq
        with self._locked() as content:
            up_to_seq = max(after_seq, content.buffer.last_seq)
            with closing(content.records.after(content.figures, after_seq)) as rows:
                buffered = (row for row in content.buffer if row[0] > after_seq)
                for looked, row in enumerate(chain(rows, buffered)):
                    if row[0] <= last_seq:  # the same would be sent for ever
                        raise SpoiledError("its rows are out of order")
                    last_seq = row[0]
                    if len(found) >= limit or looked >= PAGE_ROWS or size >= MIB:
                        up_to_seq = row[0] - 1
                        break
                    if row[0] in content.acknowledged or row[1] in without:
                        continue
                    size += len(row[3]) if isinstance(row[3], bytes | str) else 0
                    try:
                        found.append(validated(row, self.epoch, content.boots.known))
                    except ValueError as reason:
                        spoiled.append((row[0], plain(row[1]), str(reason)))
            if spoiled:
                content.set_aside([(seq, why) for seq, _, why in spoiled], now_s=self._wall_s())
        return Page(found, up_to_seq, tuple(spoiled))

    def newest(self, kind: str) -> Record | None:
        """The newest record of `kind` of all, if it still waits and is sound."""
        with self._locked() as content:
            if kind not in content.newest:
                content.newest[kind] = content.records.newest(kind)
            seq = content.newest[kind]
            row = content.row(seq)
            if row and row[1] == kind:
                return sound(row, self.epoch, content.boots.known)
            return None

    def next_urgent(self, after_seq: int = 0) -> Record | None:
        """The oldest urgent record above `after_seq` that waits, and is sound."""
        with self._locked() as content:
            rows = (content.row(seq) for seq in content.meta.urgent if seq > after_seq)
            found = (sound(row, self.epoch, content.boots.known) for row in rows if row)
            return next(filter(None, found), None)

    def acknowledge(self, *numbers: int) -> None:
        """Let waiting records go, in memory; they leave the file in the next commit."""
        with self._locked() as content:
            content.acknowledge(numbers)
            if content.congested:
                content.flush()

    def flush(self) -> None:
        """Commit all that is not on the disk yet; does nothing when there is nothing."""
        with self._locked() as content:
            content.flush()

    def flush_due_s(self) -> float:
        """The time on the boot clock at which `flush` is due; infinite if nothing waits for it."""
        return self._due_s

    def knows(self, command_id: str) -> bool:
        """True for the id of a command that was applied."""
        with self._locked() as content:
            return content.commands.known(command_id)

    def note_command(self, command_id: str | None, **facts: Fact) -> None:
        """Keep what a command changes on the disk, and its id if it has one; BlockedError if not.

        The total is the fact `total`.
        """
        if self.memory_only:
            raise database.BlockedError(self.memory_only)
        with self._locked() as content, content.transaction(content.meta.changed(**facts)):
            if command_id is not None:
                content.commands.add(command_id)

    def set_total(self, value: int, command_id: str | None) -> bool:
        """Set the total on the disk, False if the id is known. May raise BlockedError."""
        if command_id is not None and self.knows(command_id):
            return False
        self.note_command(command_id, total=value)
        return True

    def set_aside(self, seq: int, reason: str) -> None:
        """Keep a record apart for a person to see, or let it go where the file takes no commit."""
        with self._locked() as content:
            content.set_aside([(seq, reason)], now_s=self._wall_s())

    def note_clock(self, now: Moment, *, is_set: bool) -> None:
        """Note how the clocks of this boot stand; what waits from it is stamped accordingly."""
        with self._locked() as content:
            content.note_clock(now, is_set=is_set)

    def true_wall_s(self, moment: Moment) -> float:
        """The time that the wall clock should have shown at `moment`, by the best knowledge."""
        return self._write_behind.boots.wall_s(moment)

    def passed_s(self, since: Moment, until: Moment) -> float | None:
        """Seconds from one moment to another; None where no clock tells."""
        return self._write_behind.boots.passed_s(since, until)

    def remember(self, **facts: Fact) -> None:
        """Keep facts in the file for the next process."""
        with self._locked() as content:
            meta = content.meta.changed(**facts)
            if meta.pending:
                content.commit(meta)

    def note(self, *found: Hour | Outage | Spell) -> None:
        """Add what rows can hold to the history at the next commit: hours add up, no other does."""
        with self._locked() as content:
            content.history.note(*found)

    def hours(self, since_s: float, until_s: float, *names: str) -> list[Hour]:
        """The hours that begin in that time, oldest first; of these names, or of all."""
        with self._locked() as content:
            return content.history.spans(Hour, since_s, until_s, names)

    def outages(self, since_s: float, until_s: float) -> list[Outage]:
        """The outages that lie in that time, in whole or in part, oldest first."""
        with self._locked() as content:
            return content.history.spans(Outage, since_s, until_s)

    def spells(self, since_s: float, until_s: float) -> list[Spell]:
        """The longest quiet spells of days that begin in that time, oldest first."""
        with self._locked() as content:
            return content.history.spans(Spell, since_s, until_s)

    def told_skipped(self) -> None:
        """Forget about `skipped`: the cloud knows."""
        if self.skipped:
            self.remember(skipped_first=0, skipped_last=0)

    def recall(self, name: str) -> str:
        """A fact that this process or one before it had the file keep; empty if none."""
        return self._write_behind.meta.text(name)

    def newest_moment(self) -> Moment | None:
        """The moment at which the newest record that is on the disk was made."""
        with self._locked() as content:
            return content.records.newest_moment()

    def close(self) -> None:
        """Commit what is not on the disk yet and close the file; more than once does no harm."""
        if not self._damage:
            with self._locked() as content:
                content.close()

    @contextmanager
    def _locked(self) -> Iterator[WriteBehind]:
        with self._lock, database.translated(self._path):
            if self._damage:
                raise StoreError(self._damage, hint="restart the agent")
            try:
                yield self._write_behind
            except (sqlite3.Error, UnicodeDecodeError) as error:
                if self.memory_only or not database.is_damage(error):
                    raise
                # The next start must not meet it again, nor find what came after.
                self._damage = f"{self._path}: {plain(str(error))}"
                with suppress(sqlite3.Error, OSError):
                    self._write_behind.db.close()
                    database.begin_anew(self._path, error, int(self._wall_s()))
                raise
            finally:
                self._show()

    def _show(self) -> None:
        content = self._write_behind
        self.queued = content.queued
        self.congested = content.congested
        self._due_s = content.due_s
        self.blocked = content.blocked
        self.newest_seq = content.buffer.last_seq
        self.urgent = content.meta.urgent
        self.total = content.meta.number("total")
        last = content.meta.number("skipped_last")
        self.skipped = (content.meta.number("skipped_first"), last) if last else None
        self.dropped_for = content.dropped_for
        self.dropped = sum(self.dropped_for.values())
        self.fullness = content.retention.fullness(content.figures, len(content.buffer))
