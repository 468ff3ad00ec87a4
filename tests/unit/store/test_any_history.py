"""Any history of the store, held against a plain list."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from agent.config import StoreLimits
from agent.store import open_store
from agent.store.inspection import inspect
from tests.unit.store.conftest import new, numbers

DAY_S = 86_400.0


class StoreMachine(RuleBasedStateMachine):
    """The store against a list: after any sequence of calls both say the same."""

    MAX_ROWS = 7

    def __init__(self) -> None:
        super().__init__()
        self.directory = Path(tempfile.mkdtemp())
        self.limits = StoreLimits(path=self.directory / "store.db", max_rows=self.MAX_ROWS)
        self.rows: list[tuple[int, str]] = []
        self.last = self.total = self.dropped = self.newest_count = 0
        self.kinds: dict[int, str] = {}
        self.ids: set[str] = set()

    @initialize()
    def begin(self) -> None:
        """An empty store."""
        self.store = open_store(self.limits)
        self.epoch = self.store.epoch

    @rule(kind=st.sampled_from(["count", "sensors/room"]), seen=st.none() | st.integers(0, 9))
    def append(self, kind: str, seen: int | None) -> None:
        """The next number; the oldest goes if there are too many."""
        record = self.store.append(new(kind, n=self.last), detections=seen)
        self.last += 1
        self.total += seen or 0
        assert record.seq == self.last
        assert record.body.get("total") == (None if seen is None else self.total)
        self.rows.append((self.last, kind))
        self.kinds = {self.last: kind}
        if kind == "count":
            self.newest_count = self.last
        if len(self.rows) > self.MAX_ROWS:
            self.rows.pop(0)
            self.dropped += 1

    @precondition(lambda self: self.rows)
    @rule(data=st.data())
    def acknowledge(self, data: st.DataObject) -> None:
        """Any one that waits."""
        row = data.draw(st.sampled_from(self.rows))
        self.store.acknowledge(row[0])
        self.rows.remove(row)

    @precondition(lambda self: self.rows)
    @rule(data=st.data())
    def set_aside(self, data: st.DataObject) -> None:
        """Any one that waits."""
        row = data.draw(st.sampled_from(self.rows))
        self.store.set_aside(row[0], "no")
        self.rows.remove(row)

    @rule(value=st.integers(0, 2**53 - 1), name=st.none() | st.sampled_from("abc"))
    def set_total(self, value: int, name: str | None) -> None:
        """Once for each id."""
        known = name in self.ids
        assert self.store.set_total(value, name) is not known
        if not known:
            self.total = value
        if name:
            self.ids.add(name)

    @rule()
    def flush(self) -> None:
        """Changes nothing that can be seen."""
        self.store.flush()
        assert inspect(self.limits.path, 0).queued == len(self.rows)

    @rule()
    def restart(self) -> None:
        """Neither does this."""
        self.store.close()
        self.store = open_store(self.limits)
        assert self.store.reset == ""
        left = {**dict(self.rows), **self.kinds}  # the newest row marks its number
        self.newest_count = max([seq for seq, kind in left.items() if kind == "count"], default=0)

    @invariant()
    def same(self) -> None:
        """All that can be asked."""
        store, seqs = self.store, [seq for seq, _ in self.rows]
        assert numbers(store) == seqs
        assert (
            numbers(store, after_seq=self.last // 2, limit=2)
            == [seq for seq in seqs if seq > self.last // 2][:2]
        )
        newest = store.newest("count")
        assert (newest.seq if newest else None) == (
            self.newest_count if self.newest_count in seqs else None
        )
        assert store.queued == len(seqs)
        assert (store.newest_seq, store.total, store.dropped, store.epoch) == (
            self.last,
            self.total,
            self.dropped,
            self.epoch,
        )

    def teardown(self) -> None:
        """Remove the file."""
        self.store.close()
        shutil.rmtree(self.directory)


TestStoreMachine = StoreMachine.TestCase

TestStoreMachine.settings = settings(
    max_examples=40,
    stateful_step_count=40,
)
