"""Commits that wait for `commit_after_s`."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from agent.store import open_store
from agent.store.inspection import inspect
from tests.fakes import Ticks
from tests.unit.store.conftest import new, numbers

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
