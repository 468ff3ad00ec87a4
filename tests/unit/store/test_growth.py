"""The cost of a call, in SQLite's own steps, is the same whatever waits."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from functools import partial
from typing import TYPE_CHECKING

import pytest

from agent.model import COUNT
from agent.store import database, open_store
from agent.value import replace
from tests.unit.store.conftest import MOMENT, new, numbers

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from agent.config import StoreLimits
    from agent.store import Store

FEW, MANY = 200, 20_000


def steps(db: sqlite3.Connection, call: Callable[[], object]) -> int:
    """The steps of SQLite's machine that a call takes."""
    taken = [0]

    def step() -> None:
        taken[0] += 1

    db.set_progress_handler(step, 1)
    call()
    db.set_progress_handler(None, 0)
    return taken[0]


def filled(limits: StoreLimits, rows: int) -> Store:
    """A store, just opened, in which so many readings wait, and no count at all."""
    with open_store(replace(limits, commit_after_s=1e6)) as store:
        for _ in range(rows):
            store.append(new())
    store = open_store(limits)
    store.append(new())  # has looked for rows that are too old
    return store


def costs(limits: StoreLimits, rows: int) -> dict[str, int]:
    """What each call takes with so many rows; each is one that an agent makes again and again."""
    with filled(limits, rows) as store:
        calls: dict[str, Callable[[], object]] = {
            "newest": lambda: store.newest(COUNT),
            "append": lambda: store.append(new()),
            "append a count": lambda: store.append(new(COUNT), detections=1, window="w"),
            "page": lambda: store.page(0, 20),
            "page at the end": lambda: store.page(rows - 20, 20),
            "page without": lambda: store.page(rows - 20, 20, without={"sensors/room"}),
            "acknowledge": lambda: store.acknowledge(*range(1, 21)),
            "flush": store.flush,
            "set aside": lambda: store.set_aside(rows // 2, "no"),
            "clock": lambda: store.note_clock(MOMENT, is_set=True),
            "shown": lambda: (store.queued, store.dropped_for, store.fullness, store.blocked),
            "newest moment": store.newest_moment,
        }
        return {name: steps(store._write_behind.db, call) for name, call in calls.items()}


def test_no_call_costs_more_when_more_waits(limits: StoreLimits, tmp_path: Path) -> None:
    """A hundred times the rows; the look at ages after the clock was set is a slice at most."""
    few = costs(limits, FEW)
    assert costs(replace(limits, path=tmp_path / "many.db"), MANY) == few


def test_the_start_looks_into_no_row(limits: StoreLimits) -> None:
    """They are counted page by page, and only the ends are looked at."""
    taken = []
    for rows in (FEW, MANY):
        filled(limits, rows).close()
        with closing(database.connect(limits.path)) as db:
            taken.append(steps(db, partial(database.load, db)))
    assert taken[0] == taken[1]


def test_the_start_reads_through_a_small_cache(limits: StoreLimits) -> None:
    """Else what it read of a backlog would stay in memory."""
    open_store(limits).close()
    with closing(database.connect(limits.path)) as db:
        statements: list[str] = []
        db.set_trace_callback(statements.append)
        database.load(db)
    cache = statements.index(f"PRAGMA cache_size = -{database.CACHE_KIB}")
    assert cache < statements.index("SELECT count(*) FROM records")


def fact(path: Path) -> object:
    """The number that the file has for the newest count."""
    with closing(sqlite3.connect(path)) as db:
        found = db.execute("SELECT value FROM meta WHERE name = 'newest_count'").fetchone()
    return found and found[0]


def change(path: Path, sql: str) -> None:
    """Do something behind the store's back."""
    with closing(sqlite3.connect(path)) as db, db:
        db.execute(sql)
    db.close()


def newest_count(store: Store) -> int:
    """The number of the newest count, 0 if it does not wait."""
    record = store.newest(COUNT)
    return record.seq if record else 0


def test_the_newest_count_is_noted_with_it(limits: StoreLimits) -> None:
    """In its own commit, and only there; nobody looks for it."""
    with open_store(replace(limits, commit_after_s=99.0)) as store:
        for kind in (COUNT, "sensors/room", COUNT, "sensors/room"):
            store.append(new(kind))
        assert fact(limits.path) is None, "they wait for their commit"
        store.flush()
        assert fact(limits.path) == 3
        store.append(new(), a="b")
        assert fact(limits.path) == 3
    change(limits.path, "UPDATE meta SET value = 1 WHERE name = 'newest_count'")
    with open_store(limits) as store:
        newest = store.newest(COUNT)
        assert newest
        assert newest.seq == 1


def test_a_file_that_does_not_tell_is_searched_once(limits: StoreLimits) -> None:
    """One of an older agent: what was found is noted at the end."""
    with open_store(limits) as store:
        for kind in (COUNT, "sensors/room", COUNT, "sensors/room"):
            store.append(new(kind))
    change(limits.path, "DELETE FROM meta WHERE name IN ('newest_count', 'noted_seq')")
    with open_store(limits) as store:
        assert newest_count(store) == 3
    assert fact(limits.path) == 3


def test_the_count_of_an_older_agent_that_came_between_is_found(limits: StoreLimits) -> None:
    """It notes nothing; only its rows are looked through."""
    with open_store(limits) as store:
        for kind in (COUNT, "sensors/room", "sensors/room"):
            store.append(new(kind))
    older = "SELECT seq + 3, 'count', timestamp_s, body, wall_s, boot_s, boot_id, 0"
    change(limits.path, f"INSERT INTO records {older} FROM records WHERE seq < 3")
    for _ in range(2):
        with open_store(limits) as store:
            assert newest_count(store) == 5
    assert fact(limits.path) == 5


def test_after_an_orderly_end_no_row_is_searched(limits: StoreLimits) -> None:
    """Where there is no count either."""
    with open_store(limits) as store:
        store.append(new())
    change(limits.path, "UPDATE records SET kind = 'count'")
    with open_store(limits) as store:
        assert newest_count(store) == 0


def test_an_end_without_a_note_is_orderly(limits: StoreLimits) -> None:
    """The card has become read-only; all is there, and searched."""
    with open_store(limits) as store:
        store.append(new(COUNT))
        store.append(new())
        store._write_behind.db.execute("PRAGMA query_only = 1")
    with open_store(limits) as store:
        assert (newest_count(store), store.skipped, numbers(store)) == (1, None, [1, 2])


@pytest.mark.parametrize("value", ["2", "4", "99", "-1", "1e300", "'x'", "x'00'", "1.5"])
def test_a_spoiled_number_of_the_newest_count_ends_nothing(limits: StoreLimits, value: str) -> None:
    """Nothing goes ahead then; all is there, in order, and the next count mends it."""
    with open_store(limits) as store:
        for kind in (COUNT, "sensors/room", COUNT, "sensors/room"):
            store.append(new(kind))
        store.acknowledge(4)
    change(limits.path, f"UPDATE meta SET value = {value} WHERE name = 'newest_count'")  # noqa: S608
    with open_store(limits) as store:
        assert (store.newest(COUNT), store.reset, numbers(store)) == (None, "", [1, 2, 3])
        store.append(new(COUNT))
        assert fact(limits.path) == 5


def test_a_newest_count_that_was_let_go_makes_none_of_the_others_newest(
    limits: StoreLimits,
) -> None:
    """It has gone ahead already; what is left goes in order, after a restart too."""
    with open_store(limits) as store:
        for _ in range(3):
            store.append(new(COUNT))
        store.acknowledge(3)
        assert store.newest(COUNT) is None
    with open_store(limits) as store:
        assert (store.newest(COUNT), numbers(store)) == (None, [1, 2])
