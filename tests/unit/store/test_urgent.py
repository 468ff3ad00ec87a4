"""Urgent records: known until they are acknowledged, and the last to be given up."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

from agent.model import KIB, MIB
from agent.store import open_store
from agent.store.inspection import inspect
from agent.store.pending import ROWS_MAX, URGENT_MAX
from agent.value import replace
from tests.fakes import Ticks
from tests.unit.store.conftest import (
    MOMENT,
    crash,
    fill_the_disk,
    free_the_disk,
    new,
    numbers,
    reasons,
    spoil,
)

if TYPE_CHECKING:
    from agent.config import StoreLimits

MONTHS_LATER = replace(MOMENT, wall_s=MOMENT.wall_s + 1e7, boot_s=MOMENT.boot_s + 1e7)


def test_an_urgent_record_is_known_until_it_is_acknowledged(limits: StoreLimits) -> None:
    """By its number, and read ahead of what came before it."""
    with open_store(limits) as store:
        store.note_clock(MOMENT, is_set=True)
        store.append(new())
        assert store.next_urgent() is None
        pressed = [store.append(new("events"), urgent=True) for _ in range(2)]
        assert list(store.urgent) == [2, 3]
        assert [store.next_urgent(), store.next_urgent(2)] == pressed
        assert store.next_urgent(3) is None
        store.acknowledge(2)
        assert list(store.urgent) == [3]
        assert store.next_urgent() == pressed[1]
        store.set_aside(3, "no")
        assert ([*store.urgent], store.next_urgent(), numbers(store)) == ([], None, [1])


def test_it_is_urgent_over_restarts_and_power_cuts(limits: StoreLimits) -> None:
    """It is so from its own commit on."""
    store = open_store(limits)
    store.append(new("events"), urgent=True)
    crash(store)
    with open_store(limits) as store:
        assert store.urgent == (1,)
        store.acknowledge(1)
    with open_store(limits) as store:
        assert store.urgent == ()


def test_one_whose_acknowledgement_a_power_cut_took_is_urgent_again(limits: StoreLimits) -> None:
    """As it waits again."""
    store = open_store(limits)
    store.append(new("events"), urgent=True)
    store.acknowledge(1)
    crash(store)
    with open_store(limits) as store:
        assert (store.urgent, numbers(store)) == ((1,), [1])


def test_no_commit_of_an_urgent_record_waits(limits: StoreLimits) -> None:
    """Whatever `commit_after_s` says."""
    with open_store(replace(limits, commit_after_s=1e6)) as store:
        store.append(new())
        assert inspect(limits.path, 9).queued == 0
        store.append(new("events"), urgent=True)
        assert inspect(limits.path, 9).queued == 2


def test_while_the_disk_is_full_it_is_urgent_in_memory(limits: StoreLimits) -> None:
    """And in the file once there is room."""
    ticks = Ticks()
    with open_store(limits, boot_s=ticks) as store:
        store.note_clock(MOMENT, is_set=True)
        store.append(new())
        fill_the_disk(store)
        pressed = store.append(new("events", text="x" * 2000), urgent=True)
        assert store.blocked
        assert (store.urgent, store.next_urgent()) == ((2,), pressed)
        free_the_disk(store)
        ticks.now_s += 5.0
        store.flush()
        assert not store.blocked
    with open_store(limits) as store:
        assert (store.urgent, store.next_urgent()) == ((2,), pressed)


def test_what_memory_cannot_hold_is_not_the_urgent_one(limits: StoreLimits) -> None:
    """It came first, and is left."""
    with open_store(limits, boot_s=Ticks()) as store:
        fill_the_disk(store)
        store.append(new("events", text="x" * 2000), urgent=True)
        for _ in range(5):
            store.append(new(text="x" * MIB))
        assert (store.urgent, store.dropped) == ((1,), 2)
        assert numbers(store)[0] == 1
        free_the_disk(store)


def test_all_others_go_before_it(limits: StoreLimits) -> None:
    """For rows, for bytes and for age, each counted as ever."""
    bounds = {
        "rows": replace(limits, max_rows=5),
        "bytes": replace(limits, max_mib=0.2),
        "age": replace(limits, max_age_days=1.0),
    }
    for name, bound in bounds.items():
        path = limits.path.with_name(name)
        with open_store(replace(bound, path=path)) as store:
            store.note_clock(MOMENT, is_set=True)
            store.append(new())
            store.append(new("events"), urgent=True)
            for _ in range(200):
                moment = MONTHS_LATER if name == "age" else MOMENT
                store.append(new(moment=moment, text="x" * 2 * KIB))
            assert store.urgent == (2,)
            assert numbers(store)[0] == 2
            assert store.queued == len(numbers(store))
            assert set(store.dropped_for) == {name}
            assert store.dropped + store.queued == 202
            store.acknowledge(2)
            store.flush()
            assert 2 not in store.urgent
            assert store.queued == len(numbers(store))
            assert store.dropped + store.queued == 201


def test_where_there_is_nothing_but_urgent_ones_the_oldest_go(limits: StoreLimits) -> None:
    """Bounds are bounds."""
    with open_store(replace(limits, max_rows=3)) as store:
        for _ in range(5):
            store.append(new("events"), urgent=True)
        assert (numbers(store), store.urgent) == ([3, 4, 5], (3, 4, 5))
        assert store.dropped_for == {"rows": 2}
    assert reasons(limits.path) == {"rows": 2}


def test_so_many_are_urgent_at_most(limits: StoreLimits) -> None:
    """Older ones wait as all others do."""
    with open_store(replace(limits, commit_after_s=1e6)) as store:
        for _ in range(3):
            store.append(new())
        meta = store._write_behind.meta
        for seq in range(1, URGENT_MAX + 1):
            meta = meta.with_urgent(seq + ROWS_MAX)
        assert len(meta.with_urgent(2**40).urgent) == URGENT_MAX
        assert meta.with_urgent(2**40).urgent[-1] == 2**40


def test_a_spoiled_fact_is_worth_nothing(limits: StoreLimits) -> None:
    """What it names that waits is urgent, all else is forgotten."""
    with open_store(limits) as store:
        for _ in range(3):
            store.append(new())
    for spoiled in ("2,x,,9,-1,1e3,2²," + "9" * 40, b"2,9", 2, 2.5, None):
        with closing(sqlite3.connect(limits.path)) as db, db:
            db.execute("UPDATE meta SET value = ifnull(?, 7) WHERE name = 'urgent'", (spoiled,))
            db.execute("INSERT OR IGNORE INTO meta VALUES ('urgent', ?)", (spoiled or 7,))
        with open_store(limits) as store:
            assert set(store.urgent) <= {2}
            assert store.reset == ""
            assert numbers(store) == [1, 2, 3]


def test_a_spoiled_urgent_record_is_passed_over(limits: StoreLimits) -> None:
    """It is set aside with the page that it is on, and is urgent no more."""
    with open_store(limits) as store:
        for _ in range(2):
            store.append(new("events"), urgent=True)
    spoil(limits.path, "body = x'00'")
    with open_store(limits) as store:
        found = store.next_urgent()
        assert found
        assert (found.seq, store.urgent) == (2, (1, 2))
        assert [seq for seq, _, _ in store.page(0, 9).set_aside] == [1]
        assert store.urgent == (2,)
