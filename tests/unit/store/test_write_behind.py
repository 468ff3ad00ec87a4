"""Commits that wait for `commit_after_s`."""

from __future__ import annotations

import math
import threading
from typing import TYPE_CHECKING

import pytest

from agent.errors import StoreError
from agent.model import MIB
from agent.store import open_store
from agent.store.inspection import inspect
from agent.store.pending import ROWS_MAX
from agent.value import replace
from tests.fakes import Ticks
from tests.unit.store.conftest import MOMENT, new, numbers

if TYPE_CHECKING:
    from agent.config import StoreLimits


def test_with_patience_what_is_acknowledged_in_time_never_reaches_the_card(
    limits: StoreLimits,
) -> None:
    """What is not is committed once it is old enough."""
    ticks = Ticks()
    patient = replace(limits, commit_after_s=10.0)
    with open_store(patient, boot_s=ticks) as store:
        first = store.append(new())
        assert (numbers(store), inspect(limits.path, 9).queued) == ([1], 0)
        log = limits.path.with_name("store.db-wal").read_bytes()
        store.acknowledge(first.seq)
        for _ in range(50):
            ticks.now_s += 1.0
            store.acknowledge(store.append(new()).seq)
        assert limits.path.with_name("store.db-wal").read_bytes() == log
        store.append(new())
        assert store.flush_due_s() == ticks() + 10.0
        ticks.now_s += 10.0
        store.flush()
        assert [one.seq for one in inspect(limits.path, 9).records] == [52]


def test_with_patience_a_count_takes_everything_along(limits: StoreLimits) -> None:
    """The running total is never behind what was published."""
    with open_store(replace(limits, commit_after_s=10.0)) as store:
        store.append(new())
        store.append(new("count"), detections=0)
        assert inspect(limits.path, 9).queued == 0
        store.append(new("count"), detections=2)
        assert inspect(limits.path, 9).queued == 3


def test_with_patience_no_more_is_held_than_memory_may(limits: StoreLimits) -> None:
    """Beyond that it is committed at once, and nothing is given up."""
    with open_store(replace(limits, commit_after_s=1e6)) as store:
        for _ in range(ROWS_MAX + 1):
            store.append(new())
        assert (inspect(limits.path, 0).queued, len(store._write_behind.buffer)) == (10_001, 0)
        for _ in range(5):
            store.append(new(text="x" * MIB))
        assert inspect(limits.path, 0).queued > 10_001
        assert store.dropped == 0


def test_acknowledgements_are_committed_within_a_minute(limits: StoreLimits) -> None:
    """Of the oldest; then nothing is due."""
    ticks = Ticks()
    with open_store(limits, boot_s=ticks) as store:
        for _ in range(2):
            store.append(new())
        assert store.flush_due_s() == math.inf
        began_s = ticks.now_s
        for seq in (1, 2):
            store.acknowledge(seq)
            ticks.now_s += 30.0
            assert store.flush_due_s() == began_s + 59.0
        store.flush()
        assert (store.flush_due_s(), inspect(limits.path, 9).queued) == (math.inf, 0)


def test_a_commit_that_fails_has_done_nothing(limits: StoreLimits) -> None:
    """Total, facts, numbers, figures and boots are as before; the same call works later."""
    with open_store(replace(limits, max_rows=2)) as store:
        for _ in range(2):
            store.append(new("count"), detections=1)
        store.note_clock(MOMENT, is_set=False)
        store.acknowledge(1)
        content = store._write_behind

        def state() -> object:
            figures, boots = content.figures, content.boots
            shown = (store.total, store.newest_seq, store.queued, store.dropped, store.fullness)
            return shown, figures, boots, store.recall("a"), store.newest("count")

        before = state()
        content.db.execute("PRAGMA query_only = 1")
        for call in (
            lambda: store.append(new("count"), detections=5, a="b"),
            lambda: store.note_clock(MOMENT, is_set=True),
            lambda: store.remember(a="c"),
            lambda: store.set_total(9, "id"),
            lambda: store.set_aside(2, "no"),
            store.flush,
        ):
            with pytest.raises(StoreError):
                call()
            assert state() == before
        content.db.execute("PRAGMA query_only = 0")
        store.note_clock(MOMENT, is_set=True)
        assert store.append(new("count"), detections=5, a="b").body["total"] == 7
        assert store.set_total(9, "id")
        assert (store.newest_seq, store.recall("a"), store.queued) == (3, "b", 2)


def test_what_is_shown_waits_for_no_lock(limits: StoreLimits) -> None:
    """A commit may take long."""
    with open_store(limits) as store:
        store.append(new("count"), detections=3)
        seen: list[object] = []

        def look() -> None:
            seen.extend((store.queued, store.total, store.dropped, store.newest_seq))
            seen.extend((store.blocked, store.congested, store.memory_only, store.skipped))
            seen.append(store.flush_due_s())
            store.true_wall_s(MOMENT)

        with store._lock:
            looker = threading.Thread(target=look, daemon=True)
            looker.start()
            looker.join(30.0)
        assert seen == [1, 3, 0, 1, None, False, "", None, math.inf]
