"""A file that another program has locked: what is new waits, and goes on when it may."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest

from agent.errors import StoreError
from agent.store import BlockedError, open_store
from tests.fakes import Ticks
from tests.unit.store.conftest import MOMENT, drain, locked, new

if TYPE_CHECKING:
    from agent.config import StoreLimits


def test_a_backlog_goes_on_when_a_lock_has_gone(limits: StoreLimits) -> None:
    """A thousand acknowledgements wait for their commit; then the rest follows, in order."""
    ticks = Ticks()
    with open_store(limits, boot_s=ticks) as store:
        for _ in range(1500):
            store.append(new())
        with locked(limits.path):
            sent = drain(store)
            assert 1000 <= len(sent) < 1500
        ticks.now_s += 5.0
        store.flush()
        store.append(new())
        sent += drain(store)
        assert (sent, store.queued) == (list(range(1, 1502)), 0)


@pytest.mark.parametrize("waits", ["held and acknowledged", "clock"])
def test_a_block_is_over_when_nothing_waits_any_more(limits: StoreLimits, waits: str) -> None:
    """The next flush finds out, and nothing is due for ever."""
    ticks = Ticks()
    with open_store(limits, boot_s=ticks) as store:
        store.note_clock(MOMENT, is_set=False)
        with locked(limits.path):
            if waits == "clock":
                store.note_clock(MOMENT, is_set=True)
            else:
                store.acknowledge(store.append(new()).seq)
            assert store.blocked
        ticks.now_s += 5.0
        store.flush()
        assert store.flush_due_s() > ticks()
        assert not store.blocked


def test_a_total_counts_once_it_is_on_the_disk(limits: StoreLimits) -> None:
    """Nobody sees the new one while a lock keeps it from the file; a known id waits for nothing."""
    with open_store(limits) as store:
        store.set_total(7, "a")
        refused: list[StoreError] = []

        def command() -> None:
            try:
                store.set_total(999, "b")
            except StoreError as error:
                refused.append(error)

        with locked(limits.path):
            worker = threading.Thread(target=command)
            worker.start()
            seen = {store.total}
            while worker.is_alive():
                seen.add(store.total)
            assert not store.set_total(999, "a")
        assert (seen, store.total, len(refused)) == ({7}, 7, 1)


def test_a_fact_that_could_not_be_kept_is_not_known(limits: StoreLimits) -> None:
    """A file that cannot be written at all: the method raises, and has done nothing."""
    with open_store(limits) as store:
        store._write_behind.db.execute("PRAGMA query_only = 1")
        with pytest.raises(StoreError):
            store.remember(ended="stopped")
        assert (store.recall("ended"), store.blocked) == ("", None)
        store._write_behind.db.execute("PRAGMA query_only = 0")


def test_what_is_let_go_in_a_block_is_counted(limits: StoreLimits) -> None:
    """A record that was set aside and could not be kept; a number that never was counts nothing."""
    with open_store(limits) as store:
        store.append(new())
        with locked(limits.path):
            store.set_aside(1, "no")
            store.set_aside(99, "no")
            assert (store.queued, store.dropped) == (0, 1)


def test_a_total_that_a_lock_keeps_out_is_a_block(limits: StoreLimits) -> None:
    """Whoever waits for the file sees that it is taken, and when it is free."""
    ticks = Ticks()
    with open_store(limits, boot_s=ticks) as store:
        with locked(limits.path), pytest.raises(BlockedError, match="locked"):
            store.set_total(5, "a")
        assert store.blocked
        assert store.flush_due_s() == ticks() + 5.0
        store.flush()
        assert store.blocked, "not before it is time"
        ticks.now_s += 5.0
        store.flush()
        assert not store.blocked
        assert store.set_total(5, "a")
