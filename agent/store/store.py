"""The durable queue: every record from its reading until its PUBACK, in one SQLite file.

A record is on the disk when `append` returns, or `commit_after_s` later. One that was acknowledged
leaves the file in the next commit, so that a reading costs one commit, not two; after a power cut
it may be sent again. The newest row is kept even when acknowledged, marked: numbers go on behind
it, without holes. What a full disk cannot take is held in memory until there is room again.
"""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Self

from agent.model import Record, encode
from agent.store import database
from agent.store.database import BlockedError
from agent.store.write_behind import WriteBehind

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from agent.config import StoreLimits
    from agent.errors import StoreError
    from agent.model import Json, Moment, NewRecord
    from agent.store.meta import Fact
    from agent.store.records import Numbered

#: Acknowledgements held in memory at most; during a long drain nothing else would commit them.
ACKNOWLEDGED_MAX = 1000


class Store:
    """The queue, the running total and the ids of applied commands; made by `storage.open_store`.

    Any thread may call it: one lock, one connection. `epoch` names the file for ever; `reset` says
    what happened to the file before it, `memory_only` why there is none. Methods raise StoreError
    when the file cannot be read or written, and have then done nothing.
    """

    def __init__(
        self,
        limits: StoreLimits,
        *,
        reset: str = "",
        memory_only: str = "",
        wall_s: Callable[[], float] = time.time,
        boot_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self.reset = reset
        self.memory_only = memory_only
        self._limits = limits
        self._wall_s = wall_s
        self._boot_s = boot_s
        self._lock = threading.Lock()
        self._journal = WriteBehind(limits, memory_only=bool(memory_only), boot_s=boot_s)
        self.epoch = self._journal.facts.text("epoch")
        self._told_dropped = self.dropped

    def __enter__(self) -> Self:
        """Itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close."""
        self.close()

    @property
    def blocked(self) -> StoreError | None:
        """Why the file takes no commit now; what is new is then held in memory."""
        return self._journal.blocked

    @property
    def newest_seq(self) -> int:
        """The number of the newest record, waiting or not; 0 if there never was one."""
        return self._journal.held.last_seq

    @property
    def total(self) -> int:
        """The running total of detections."""
        return self._journal.facts.number("total")

    @property
    def skipped(self) -> tuple[int, int] | None:
        """First and last of the numbers that were lost with the last process's memory, if any."""
        facts = self._journal.facts
        last = facts.number("skipped_last")
        return (facts.number("skipped_first"), last) if last else None

    @property
    def queued(self) -> int:
        """How many records wait for their PUBACK."""
        with self._lock:
            journal = self._journal
            return journal.figures.rows - len(journal.acknowledged) + len(journal.held)

    @property
    def congested(self) -> bool:
        """Whether so many acknowledgements wait for a commit that no more rows may go."""
        return len(self._journal.acknowledged) >= ACKNOWLEDGED_MAX

    @property
    def dropped(self) -> int:
        """How many records were given up, since the file was made."""
        return sum(self._journal.dropped.values())

    @property
    def dropped_for(self) -> dict[str, int]:
        """How many records were given up for which reason, since the file was made."""
        return self._journal.dropped

    @property
    def fullness(self) -> float:
        """What part of its bounds is in use, from 0 to 1."""
        with self._lock:
            return self._journal.fullness()

    def append(self, new: NewRecord, *, detections: int | None = None, **facts: Fact) -> Record:
        """Number `new` and put it on the disk; it is there when this returns.

        With `detections` the total grows by as many in the same transaction and the body gains
        `total`; `facts` are remembered in it too. Where records were given up since the last call,
        the body gains `dropped`. The oldest rows go where the bounds ask for it. With
        `commit_after_s`, and while the file takes no commit, it is only held in memory. Raises
        ValueError, and stores nothing, for a body that JSON cannot hold.
        """
        with self._locked() as journal:
            body, dropped = dict(new.body), self.dropped
            if detections is not None:
                body["total"] = facts["total"] = self.total + detections
            if dropped != self._told_dropped:
                body["dropped"] = dict[str, "Json"](self.dropped_for)
            new = replace(new, body=body)
            before = journal.facts
            seq = journal.held.add(new, encode(body), self._boot_s())
            journal.facts = before.changed(**facts)
            try:
                journal.settle()
            except BaseException:
                journal.held.take_back()
                journal.facts = before
                raise
            self._told_dropped = dropped
            return Record(self.epoch, seq, new.kind, new.timestamp_s, body)

    def waiting(self, after_seq: int, limit: int) -> list[Record]:
        """The oldest unacknowledged records with a number above `after_seq`, at most `limit`.

        A row whose body is spoiled is set aside and left out.
        """
        with self._locked() as journal:
            found, spoiled = journal.rows.oldest(after_seq, limit, journal.acknowledged)
            found += journal.held.waiting(after_seq, limit - len(found))
            records = [self._record(one) for one in found]
        for seq in spoiled:
            self.set_aside(seq, "its body cannot be read")
        return records

    def newest(self, kind: str, after_seq: int = 0) -> Record | None:
        """The newest unacknowledged record of `kind` with a number above `after_seq`, if any."""
        with self._locked() as journal:
            found = journal.held.newest(kind, after_seq)
            found = found or journal.rows.newest(kind, after_seq, journal.acknowledged)
            return self._record(found) if found else None

    def acknowledge(self, seq: int) -> None:
        """Let a waiting record go; it leaves the file in the next commit.

        Only in memory, but for every thousandth since the last commit. A number that was dropped
        for the bounds meanwhile does nothing.
        """
        with self._lock:
            journal = self._journal
            if not journal.held.remove(seq) and journal.in_file(seq):
                journal.acknowledged.add(seq)
            full = len(journal.acknowledged) >= ACKNOWLEDGED_MAX
        if full:
            self.flush()

    def flush(self) -> None:
        """Commit all that is not on the disk yet; does nothing when there is nothing."""
        with self._locked() as journal:
            waits = journal.acknowledged or journal.held or journal.facts.pending
            if waits or journal.blocked:  # what waited may have been acknowledged meanwhile
                journal.commit()

    def flush_due_s(self) -> float:
        """When, on the boot clock, `flush` is due for what is held; infinite if nothing is."""
        with self._lock:
            return self._journal.due_s()

    def set_total(self, value: int, command_id: str | None) -> bool:
        """Set the running total; it is on the disk when this returns.

        False, and nothing done, if the command `command_id` was applied before (the last thousand
        are remembered); without an id it always applies. Value and id are such as
        `counting.classify` lets through. Raises BlockedError where the file takes no commit.
        """
        with self._locked() as journal:
            before = journal.facts
            try:
                with journal.transaction():
                    if command_id is not None and not journal.is_new(command_id):
                        return False
                    journal.facts = before.changed(total=value)
            except BaseException:
                journal.facts = before
                raise
            return True

    def set_aside(self, seq: int, reason: str) -> None:
        """Move a waiting record, which nobody will take, into the table `dead`.

        The newest thousand are kept there; those that go count as dropped. A number that is not
        waiting does nothing. Where the file takes no commit, it is let go.
        """
        try:
            with self._locked() as journal, journal.transaction() as figures:
                journal.rows.set_aside(figures, seq, reason=reason, now_s=self._wall_s())
        except BlockedError:
            with self._lock:
                if not self._journal.held.drop(seq) and self._journal.in_file(seq):
                    self._journal.acknowledged.add(seq)
                    self._journal.held.dropped += 1

    def note_clock(self, now: Moment, *, is_set: bool) -> None:
        """Note how far the two clocks are apart in this boot, and whether wall time is set.

        What waits from this boot is stamped accordingly from now on. Written only on a change.
        """
        with self._locked() as journal:
            if journal.boots.note(now, is_set=is_set):
                journal.commit()

    def true_wall_s(self, moment: Moment) -> float:
        """What the wall clock should have said at `moment`, by the best knowledge."""
        with self._lock:
            return self._journal.boots.wall_s(moment)

    def remember(self, **facts: Fact) -> None:
        """Keep facts in the file for the next process."""
        with self._locked() as journal:
            journal.facts = journal.facts.changed(**facts)
            if journal.facts.pending:
                journal.commit()

    def told_skipped(self) -> None:
        """Forget about `skipped`: the cloud knows."""
        if self.skipped:
            self.remember(skipped_first=0, skipped_last=0)

    def recall(self, name: str) -> str:
        """A fact that this process or one before it had the file keep; empty if none."""
        return self._journal.facts.text(name)

    def newest_moment(self) -> Moment | None:
        """When the newest record that is on the disk was made."""
        with self._locked() as journal:
            return journal.rows.newest_moment()

    def close(self) -> None:
        """Commit what is not on the disk yet and close the file; more than once does no harm."""
        with self._locked() as journal:
            journal.close()

    @contextmanager
    def _locked(self) -> Iterator[WriteBehind]:
        with self._lock, database.translated(self._limits.path):
            yield self._journal

    def _record(self, numbered: Numbered) -> Record:
        seq, new = numbered
        return Record(self.epoch, seq, new.kind, *self._journal.boots.stamped(new))
