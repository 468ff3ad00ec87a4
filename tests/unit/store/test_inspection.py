"""The store seen from outside, by a person's commands."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from agent.errors import StoreError
from agent.store import open_store
from agent.store.inspection import StoreMissingError, inspect, recall, revive
from tests.unit.store.conftest import MOMENT, new, numbers, spoil_with_text

if TYPE_CHECKING:
    from agent.config import StoreLimits


def test_a_look_from_outside_disturbs_nobody(limits: StoreLimits) -> None:
    """Beside a running agent, without one, without a store, and with a spoiled one."""
    with pytest.raises(StoreMissingError) as missing:
        inspect(limits.path, 10)
    assert missing.value.hint
    with open_store(limits) as store:
        store.note_clock(MOMENT, is_set=True)
        first = store.append(new(n=1))
        store.append(new(n=2))
        seen = inspect(limits.path, 1)
        assert (seen.queued, seen.dropped, seen.records) == (2, 0, (first,))
        store.append(new(n=3))
    assert inspect(limits.path, 10).queued == 3
    spoil_with_text(limits.path)
    with pytest.raises(StoreError, match=str(limits.path)):
        inspect(limits.path, 10)
    assert limits.path.read_text().startswith("I am a text file")


def test_a_fact_is_recalled_or_nobody_can_tell(limits: StoreLimits) -> None:
    """Beside a running agent too; nothing is raised."""
    assert recall(limits.path, "admitted") == ""
    with open_store(limits) as store:
        store.remember(admitted="a name")
        assert recall(limits.path, "admitted") == "a name"
        assert recall(limits.path, "another") == ""
    spoil_with_text(limits.path)
    assert recall(limits.path, "admitted") == ""


def test_what_is_no_file_is_told_and_never_waited_for(limits: StoreLimits) -> None:
    """SQLite itself would wait at a FIFO until somebody writes."""
    limits.path.parent.mkdir(exist_ok=True)
    os.mkfifo(limits.path)
    with pytest.raises(StoreError, match="is not a regular file"):
        inspect(limits.path, 1)


def test_dead_records_are_shown_and_revived(limits: StoreLimits) -> None:
    """Under their own numbers; what is newest stays the newest."""
    with open_store(limits) as store:
        store.note_clock(MOMENT, is_set=True)
        for n in range(3):
            store.append(new(n=n))
        store.set_aside(2, "payload format not valid")
        store.set_aside(3, "too large")
    seen = inspect(limits.path, 1, dead=True)
    assert (seen.queued, [one.body for one in seen.records]) == (2, [{"n": 1}])
    assert seen.reasons == ("payload format not valid",)
    assert revive(limits.path) == 2
    assert inspect(limits.path, 9, dead=True).records == ()
    with open_store(limits) as store:
        assert numbers(store) == [1, 2, 3]
        assert store.append(new()).seq == 4
        for seq in (1, 2, 3, 4):
            store.acknowledge(seq)
        assert store.queued == 0
    with open_store(limits) as store:
        assert (store.append(new()).seq, store.queued) == (5, 1)
