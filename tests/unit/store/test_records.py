"""Records that go because there are too many, and those that nobody takes."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from agent import BUILT_S
from agent.config import StoreLimits
from agent.model import Moment
from agent.store import open_store
from agent.value import replace
from tests.unit.store.conftest import new, numbers, reasons

if TYPE_CHECKING:
    from pathlib import Path


DAY_S = 86_400.0


def test_a_record_that_nobody_takes_is_set_aside(limits: StoreLimits) -> None:
    """It no longer waits, and a person can look at it."""
    with open_store(limits, wall_s=lambda: 42.0) as store:
        for number in range(3):
            store.append(new("count", n=number))
        store.set_aside(2, "payload format not valid")
        store.set_aside(2, "again")
        store.set_aside(99, "none")
        store.set_aside(3, "topic name not valid")
        assert (numbers(store), store.queued, store.dropped) == ([1], 1, 0)
        assert store.append(new()).seq == 4
    with closing(sqlite3.connect(limits.path)) as db, db:
        dead = db.execute("SELECT seq, kind, body, reason, set_aside_s FROM dead").fetchall()
    db.close()
    assert dead == [
        (2, "count", b'{"n":1}', "payload format not valid", 42.0),
        (3, "count", b'{"n":2}', "topic name not valid", 42.0),
    ]


def test_records_set_aside_do_not_fill_the_card(limits: StoreLimits) -> None:
    """The newest thousand are kept, the others count as dropped."""
    with open_store(limits) as store:
        for _ in range(1003):
            store.set_aside(store.append(new()).seq, "no")
        assert store.dropped == 3
    with open_store(limits) as store:
        assert (store.dropped, store.queued) == (3, 0)


def test_the_oldest_go_when_there_are_too_many(tmp_path: Path) -> None:
    """They are counted, for good, and their late PUBACK does no harm."""
    limits = StoreLimits(path=tmp_path / "store.db", max_rows=3)
    with open_store(limits) as store:
        for _ in range(5):
            store.append(new())
        assert (numbers(store), store.queued, store.dropped) == ([3, 4, 5], 3, 2)
        store.acknowledge(1)
        assert store.queued == 3
        store.acknowledge(4)
        store.append(new())
        assert (numbers(store), store.queued, store.dropped) == ([3, 5, 6], 3, 2)
    with open_store(limits) as store:
        assert store.dropped == 2
    assert reasons(limits.path) == {"rows": 2}


def test_the_oldest_go_when_they_are_too_long(tmp_path: Path) -> None:
    """What counts is what the file takes; the newest is always kept."""
    limits = StoreLimits(path=tmp_path / "store.db", max_mib=0.1)
    with open_store(limits) as store:
        for _ in range(12):
            store.append(new(text="x" * 10_000))
        assert (store.queued, store.dropped) == (6, 6)
        store.append(new(text="x" * 110_000))
        assert numbers(store) == [13]
    assert reasons(limits.path) == {"bytes": 12}


def test_the_oldest_go_when_they_are_too_old(tmp_path: Path) -> None:
    """Age is boot time within a boot, wall time between boots, unknown if that was never set."""
    limits = StoreLimits(path=tmp_path / "store.db", max_age_days=1)
    now_s = BUILT_S + 100 * DAY_S
    with open_store(limits) as store:
        store.note_clock(Moment(now_s - 2 * DAY_S, 5.0, "old"), is_set=True)
        store.append(new(moment=Moment(now_s - 2 * DAY_S, 5.0, "old")))
        assert numbers(store) == [1]
    with open_store(limits) as store:
        store.note_clock(Moment(now_s + 900, 100.0, "boot"), is_set=True)
        store.append(new(moment=Moment(now_s + 900, 100.0, "boot")))
        assert numbers(store) == [2]
        store.append(new(moment=Moment(now_s - 90 * DAY_S, 100.0 + DAY_S, "boot")))
        assert numbers(store) == [2, 3]
        store.append(new(moment=Moment(now_s, 800.0 + DAY_S, "boot")))
        assert (numbers(store), store.dropped) == ([3, 4], 2)
    assert reasons(limits.path) == {"age": 2}
    other = StoreLimits(path=tmp_path / "other.db", max_age_days=1)
    with open_store(other) as store:
        store.append(new(moment=Moment(1000.0, 5.0, "never set")))
    with open_store(other) as store:
        store.append(new())
        assert numbers(store) == [1, 2]


def test_a_clock_that_nobody_set_makes_nothing_old(limits: StoreLimits) -> None:
    """A wall clock in the far future is no reason to give up the backlog."""
    old = Moment(BUILT_S + 1000, 100.0, "before")
    now = Moment(BUILT_S + 1000 + 400 * DAY_S, 5.0, "after")
    with open_store(limits) as store:
        store.note_clock(old, is_set=True)
        for _ in range(5):
            store.append(replace(new(), moment=old))
        store.note_clock(now, is_set=False)
        store.append(replace(new(), moment=now))
        assert store.dropped == 0
    with open_store(limits) as store:
        store.note_clock(now, is_set=True)
        store.append(replace(new(), moment=now))
        assert store.dropped_for == {"age": 5}


def test_what_was_given_up_is_told_in_the_next_payload_after_a_restart(tmp_path: Path) -> None:
    """Once: what was told is kept with the payload that told it."""
    limits = StoreLimits(path=tmp_path / "store.db", max_rows=3)
    with open_store(limits) as store:
        for _ in range(4):
            store.append(new())
    with open_store(replace(limits, max_rows=9)) as store:
        assert store.append(new()).body == {"dropped": {"rows": 1}}
        assert store.append(new()).body == {}
    with open_store(replace(limits, max_rows=9)) as store:
        assert store.append(new()).body == {}
