"""The store: a lock around what waits, and errors in the store's own words.

A record is on the disk when `append` returns, or `commit_after_s` later. One that was acknowledged
leaves the file in the next commit, so that a reading costs one commit, not two; after a power cut
it may be sent again. The newest row is kept even when acknowledged, marked: numbers go on behind
it, without holes.
"""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Self

from agent.store import database
from agent.store.write_behind import WriteBehind

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from agent.config import StoreLimits
    from agent.errors import StoreError
    from agent.model import Moment, NewRecord, Record
    from agent.store.meta import Fact


class Store:
    """The queue, the running total and the ids of applied commands; made by `opening.open_store`.

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
        self._path = limits.path
        self._wall_s = wall_s
        self._lock = threading.Lock()
        self._write_behind = WriteBehind(limits, memory_only=bool(memory_only), boot_s=boot_s)
        self.epoch = self._write_behind.epoch

    def __enter__(self) -> Self:
        """Itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close."""
        self.close()

    @property
    def blocked(self) -> StoreError | None:
        """The reason for which the file takes no commit now; what is new is then buffered."""
        return self._write_behind.blocked

    @property
    def newest_seq(self) -> int:
        """The number of the newest record, waiting or not; 0 if there never was one."""
        return self._write_behind.newest_seq

    @property
    def total(self) -> int:
        """The running total of detections."""
        return self._write_behind.meta.number("total")

    @property
    def skipped(self) -> tuple[int, int] | None:
        """First and last of the numbers that were lost with the last process's memory, if any."""
        meta = self._write_behind.meta
        last = meta.number("skipped_last")
        return (meta.number("skipped_first"), last) if last else None

    @property
    def queued(self) -> int:
        """The number of records that wait for their PUBACK."""
        with self._lock:
            return self._write_behind.queued

    @property
    def congested(self) -> bool:
        """True while so many acknowledgements wait for a commit that no more rows may go."""
        return self._write_behind.congested

    @property
    def dropped(self) -> int:
        """The number of records that were given up, since the file was made."""
        return sum(self.dropped_for.values())

    @property
    def dropped_for(self) -> dict[str, int]:
        """The number of records that were given up, by reason, since the file was made."""
        return self._write_behind.dropped_for

    @property
    def fullness(self) -> float:
        """The part of its bounds that is in use, from 0 to 1."""
        with self._lock:
            return self._write_behind.fullness

    def append(self, new: NewRecord, *, detections: int | None = None, **facts: Fact) -> Record:
        """Number `new` and put it on the disk; it is there when this returns.

        With `detections` the total grows by as many in the same transaction and the body gains
        `total`; `facts` are remembered in it too. Where records were given up since the last call,
        the body gains `dropped`. The oldest rows go where the bounds ask for it. With
        `commit_after_s`, and while the file takes no commit, it is only buffered in memory. Raises
        ValueError, and stores nothing, for a body that JSON cannot hold.
        """
        with self._locked() as content:
            return content.append(new, detections, facts)

    def waiting(self, after_seq: int, limit: int) -> list[Record]:
        """The oldest unacknowledged records with a number above `after_seq`, at most `limit`.

        A row whose body is spoiled is set aside and left out.
        """
        with self._locked() as content:
            records, spoiled = content.waiting(after_seq, limit)
        for seq in spoiled:
            self.set_aside(seq, "its body cannot be read")
        return records

    def newest(self, kind: str, after_seq: int = 0) -> Record | None:
        """The newest unacknowledged record of `kind` with a number above `after_seq`, if any."""
        with self._locked() as content:
            return content.newest(kind, after_seq)

    def acknowledge(self, seq: int) -> None:
        """Let a waiting record go; it leaves the file in the next commit.

        Only in memory, but for every thousandth since the last commit. A number that was dropped
        for the bounds meanwhile does nothing.
        """
        with self._lock:
            self._write_behind.acknowledge(seq)
            full = self._write_behind.congested
        if full:
            self.flush()

    def flush(self) -> None:
        """Commit all that is not on the disk yet; does nothing when there is nothing."""
        with self._locked() as content:
            content.flush()

    def flush_due_s(self) -> float:
        """The time on the boot clock at which `flush` is due; infinite if nothing is buffered."""
        with self._lock:
            return self._write_behind.due_s()

    def set_total(self, value: int, command_id: str | None) -> bool:
        """Set the running total; it is on the disk when this returns.

        False, and nothing done, if the command `command_id` was applied before (the last thousand
        are remembered); without an id it always applies. Value and id are such as the uplink's
        inbox lets through. Raises BlockedError where the file takes no commit.
        """
        with self._locked() as content:
            return content.set_total(value, command_id)

    def set_aside(self, seq: int, reason: str) -> None:
        """Move a waiting record, which nobody will take, into the table `dead`.

        The newest thousand are kept there; those that go count as dropped. A number that is not
        waiting does nothing. Where the file takes no commit, it is let go.
        """
        with self._locked() as content:
            content.set_aside(seq, reason, now_s=self._wall_s())

    def note_clock(self, now: Moment, *, is_set: bool) -> None:
        """Note how far the two clocks are apart in this boot, and whether wall time is set.

        What waits from this boot is stamped accordingly from now on. Written only on a change.
        """
        with self._locked() as content:
            if content.boots.note(now, is_set=is_set):
                content.commit()

    def true_wall_s(self, moment: Moment) -> float:
        """The time that the wall clock should have shown at `moment`, by the best knowledge."""
        with self._lock:
            return self._write_behind.boots.wall_s(moment)

    def remember(self, **facts: Fact) -> None:
        """Keep facts in the file for the next process."""
        with self._locked() as content:
            content.remember(facts)

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
        with self._locked() as content:
            content.close()

    @contextmanager
    def _locked(self) -> Iterator[WriteBehind]:
        with self._lock, database.translated(self._path):
            yield self._write_behind
