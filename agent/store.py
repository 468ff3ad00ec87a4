"""The durable queue: every record from its reading until its PUBACK, in one SQLite file.

A record is on the disk when `append` returns. One that was acknowledged leaves the file in the next
commit, so that a reading costs one commit, not two; after a power cut it may be sent again. The
newest row is kept even when acknowledged, marked: numbers go on behind it, without holes.
"""

from __future__ import annotations

import threading
import time
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Self

from agent import files, storefile
from agent.errors import StoreError
from agent.model import Record, encode
from agent.rows import Rows

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path
    from types import TracebackType

    from agent.config import StoreLimits
    from agent.model import NewRecord
    from agent.rows import Tally

#: Acknowledgements held in memory at most; during a long drain nothing else would commit them.
ACKNOWLEDGED_MAX = 1000

#: How many ids of applied commands are remembered.
COMMANDS_MAX = 1000


class StoreMissingError(StoreError):
    """There is no store yet."""


@dataclass(frozen=True, slots=True)
class Peek:
    """A look at a store from outside; `records` are the oldest that wait.

    `queued` may count records that were acknowledged in the last minute.
    """

    queued: int
    dropped: int
    records: tuple[Record, ...]


class Store:
    """The queue, the running total and the ids of applied commands; made by `open_store`.

    Any thread may call it: one lock, one connection. `epoch` names the file for ever; `reset` says
    what happened to the file before it, if anything. Methods raise StoreError when the file cannot
    be read or written, and have then done nothing.
    """

    def __init__(
        self,
        limits: StoreLimits,
        *,
        reset: str = "",
        wall_s: Callable[[], float] = time.time,
    ) -> None:
        self.reset = reset
        self._limits = limits
        self._wall_s = wall_s
        self._lock = threading.Lock()
        self._acknowledged: set[int] = set()  # still in the file
        self._db = storefile.connect(limits.path)
        try:
            self.epoch, self._tally = storefile.load(self._db)
            storefile.spare_the_card(self._db)
        except BaseException:
            self._db.close()
            raise
        self._rows = Rows(self._db, self.epoch)

    def __enter__(self) -> Self:
        """Itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close."""
        self.close()

    @property
    def newest_seq(self) -> int:
        """The number of the newest record, waiting or not; 0 if there never was one."""
        return self._tally.last_seq

    @property
    def total(self) -> int:
        """The running total of detections."""
        return self._tally.total

    @property
    def queued(self) -> int:
        """How many records wait for their PUBACK."""
        with self._lock:
            return self._tally.rows - len(self._acknowledged)

    @property
    def dropped(self) -> int:
        """How many records were given up for the bounds, since the file was made."""
        return self._tally.dropped

    def append(self, new: NewRecord, *, detections: int | None = None) -> Record:
        """Number `new` and put it on the disk; it is there when this returns.

        With `detections` the total grows by as many in the same transaction and the body gains
        `total`. The oldest rows go where the bounds ask for it. Raises ValueError, and stores
        nothing, for a body that JSON cannot hold.
        """
        with self._transaction() as tally:
            body = dict(new.body)
            if detections is not None:
                self._set_total(tally, tally.total + detections)
                body["total"] = tally.total
            text = encode(body)
            self._rows.make_room(tally, self._limits, new, len(text))
            self._rows.insert(tally, new, text)
            return Record(self.epoch, tally.last_seq, new.kind, new.timestamp_s, body)

    def waiting(self, after_seq: int, limit: int) -> list[Record]:
        """The oldest unacknowledged records with a number above `after_seq`, at most `limit`.

        A row whose body is spoiled is set aside and left out.
        """
        with self._reading():
            found, spoiled = self._rows.oldest(after_seq, limit, self._acknowledged)
        for seq in spoiled:
            self.set_aside(seq, "its body cannot be read")
        return found

    def newest(self, kind: str, after_seq: int = 0) -> Record | None:
        """The newest unacknowledged record of `kind` with a number above `after_seq`, if any."""
        with self._reading():
            return self._rows.newest(kind, after_seq, self._acknowledged)

    def acknowledge(self, seq: int) -> None:
        """Let a waiting record go; it leaves the file in the next commit.

        Only in memory, but for every thousandth since the last commit. A number that was dropped
        for the bounds meanwhile does nothing.
        """
        with self._lock:
            if self._tally.dropped_seq < seq <= self._tally.last_seq:
                self._acknowledged.add(seq)
            full = len(self._acknowledged) >= ACKNOWLEDGED_MAX
        if full:
            self.flush()

    def flush(self) -> None:
        """Commit the acknowledgements; does nothing when there are none."""
        if self._acknowledged:
            with self._transaction():
                pass

    def set_total(self, value: int, command_id: str | None) -> bool:
        """Set the running total; it is on the disk when this returns.

        False, and nothing done, if the command `command_id` was applied before (the last thousand
        are remembered); without an id it always applies. Value and id are such as
        `counting.classify` lets through.
        """
        with self._transaction() as tally:
            if command_id is not None:
                remember = "INSERT OR IGNORE INTO commands (id) VALUES (?)"
                if not self._db.execute(remember, (command_id,)).rowcount:
                    return False
                forget = "DELETE FROM commands WHERE number <= last_insert_rowid() - ?"
                self._db.execute(forget, (COMMANDS_MAX,))
            self._set_total(tally, value)
            return True

    def set_aside(self, seq: int, reason: str) -> None:
        """Move a waiting record, which nobody will take, into the table `dead`.

        The newest thousand are kept there; those that go count as dropped. A number that is not
        waiting does nothing.
        """
        with self._transaction() as tally:
            self._rows.set_aside(tally, seq, reason=reason, now_s=self._wall_s())

    def close(self) -> None:
        """Commit the acknowledgements and close the file; more than once does no harm."""
        try:
            self.flush()
        finally:
            with self._lock:
                self._acknowledged.clear()
                self._db.close()

    @contextmanager
    def _transaction(self) -> Iterator[Tally]:
        """One transaction, which takes along what was acknowledged since the last one.

        Yields a tally to change; it and the acknowledgements count only if the commit succeeds.
        """
        with self._reading():
            tally = replace(self._tally)
            self._db.execute("BEGIN IMMEDIATE")
            try:
                self._rows.remove(tally, self._acknowledged)
                yield tally
                self._db.execute("COMMIT")
            except BaseException:
                if self._db.in_transaction:  # some errors have rolled it back already
                    self._db.execute("ROLLBACK")
                raise
            self._tally = tally
            self._acknowledged.clear()

    @contextmanager
    def _reading(self) -> Iterator[None]:
        with self._lock, storefile.translated(self._limits.path):
            yield

    def _set_total(self, tally: Tally, value: int) -> None:
        if value != tally.total:  # a window without detections need not touch another page
            self._db.execute("UPDATE meta SET value = ? WHERE name = 'total'", (value,))
            tally.total = value


def open_store(limits: StoreLimits, *, wall_s: Callable[[], float] = time.time) -> Store:
    """The store in the file `limits.path`, made with its directory if there is none.

    A file that is spoiled, foreign or of another schema is renamed to `<name>.corrupt-<time>` and a
    new one begun; `Store.reset` then says so. Raises StoreError when that cannot be done either,
    and when the file is locked or the disk fails. Takes seconds with a large backlog: it is read.
    """
    path = limits.path
    with storefile.translated(path):
        files.make_directory(path.parent)
        reset = ""
        if path.exists():
            try:
                return Store(limits, wall_s=wall_s)
            except storefile.SpoiledError as spoiled:
                aside = storefile.move_aside(path, int(wall_s()))
                reset = f"{path}: {spoiled}; kept as {aside.name}, a new store was begun"
        storefile.make(path)
        return Store(limits, reset=reset, wall_s=wall_s)


def peek(path: Path, limit: int) -> Peek:
    """What waits in a store that another process may have open; nothing in it is changed.

    Raises StoreMissingError if there is none, StoreError if it cannot be read.
    """
    with storefile.translated(path):
        if not path.exists():
            raise StoreMissingError(f"{path}: no such store", hint="it is made by the agent")
        with closing(storefile.connect(path, read_only=True)) as db:
            try:
                epoch, tally = storefile.load(db)
            except storefile.SpoiledError as spoiled:
                raise StoreError(f"{path}: {spoiled}", hint="restart the agent") from spoiled
            records, _ = Rows(db, epoch).oldest(0, limit, ())
    return Peek(tally.rows, tally.dropped, tuple(records))
