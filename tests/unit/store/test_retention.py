"""What goes for the bounds: in slices, counted, and never what is young or new."""

from __future__ import annotations

import random
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from agent import BUILT_S
from agent.config import StoreLimits
from agent.model import KIB, MIB, Moment
from agent.store import open_store
from agent.store.database import WAL_BYTES
from agent.store.records import SLICE_ROWS, YOUNG_ROWS
from agent.value import replace
from tests.unit.store.conftest import new, numbers

if TYPE_CHECKING:
    from pathlib import Path

    from agent.store import Store

DAY_S = 86_400.0
NOW_S = BUILT_S + 1000 * DAY_S


def fill(limits: StoreLimits, rows: int, *, wall_s: float = NOW_S, boot: str = "b") -> None:
    """Put rows into the file, at one commit or a few."""
    moment = Moment(wall_s, 5.0, boot)
    with open_store(replace(limits, commit_after_s=1e6, max_age_days=36_500)) as store:
        if wall_s >= BUILT_S:
            store.note_clock(moment, is_set=True)
        for _ in range(rows):
            store.append(new(moment=moment))


def later(store: Store, days: float = 2.0) -> None:
    """A reading of another day and boot."""
    moment = Moment(NOW_S + days * DAY_S, 5.0, "later")
    store.note_clock(moment, is_set=True)
    store.append(new(moment=moment))


@pytest.mark.parametrize(
    ("bound", "most"),
    [({"max_age_days": 1.0}, 20), ({"max_rows": 10}, 10), ({"max_mib": 0.1}, 2300)],
)
def test_far_beyond_a_bound_each_commit_drops_a_slice(
    tmp_path: Path, bound: dict[str, float], most: int
) -> None:
    """None of them is large, and after some the bound is kept."""
    limits = StoreLimits(path=tmp_path / "store.db")
    fill(limits, 9500)
    log = tmp_path / "store.db-wal"
    with open_store(replace(limits, **bound)) as store:  # type: ignore[arg-type]  # floats and ints
        sizes = set()
        for _ in range(20):
            before = store.queued
            later(store)
            assert before + 1 - store.queued <= 4 * SLICE_ROWS
            sizes.add(log.stat().st_size)
        assert max(sizes) < 3 * WAL_BYTES
        assert store.queued <= most
        assert numbers(store)[-1] == 9520
        assert store.queued + store.dropped == 9520
        assert len(store.dropped_for) == 1


def test_the_log_is_cut_after_a_large_commit(tmp_path: Path) -> None:
    """Else it takes the card's room for ever."""
    limits = StoreLimits(path=tmp_path / "store.db")
    with open_store(replace(limits, commit_after_s=1e6)) as store:
        for _ in range(9000):
            store.append(new(text="x" * 300))
        store.flush()
        log = tmp_path / "store.db-wal"
        assert log.stat().st_size > 2 * MIB
        for _ in range(3):
            store.append(new())
            store.flush()
        assert log.stat().st_size <= 2 * WAL_BYTES


@pytest.mark.parametrize("rows", [1, 3 * SLICE_ROWS])
def test_rows_of_an_unknown_age_keep_no_others(tmp_path: Path, rows: int) -> None:
    """Nothing is known of their boot: they stay themselves."""
    limits = StoreLimits(path=tmp_path / "store.db", max_age_days=1.0)
    fill(limits, rows, wall_s=1000.0, boot="unknown")
    fill(limits, 50)
    with open_store(limits) as store:
        for _ in range(10):
            later(store)
        assert store.dropped_for == {"age": 50}
        assert numbers(store, limit=rows) == list(range(1, rows + 1))


def test_a_row_that_only_looks_young_keeps_no_others(tmp_path: Path) -> None:
    """Nor does one of the future, nor do some."""
    limits = StoreLimits(path=tmp_path / "store.db", max_age_days=1.0)
    fill(limits, 1, wall_s=NOW_S + 1.5 * DAY_S, boot="young")
    fill(limits, 1, wall_s=NOW_S + 4000 * DAY_S, boot="future")
    fill(limits, 50)
    fill(limits, YOUNG_ROWS, wall_s=NOW_S + 1.5 * DAY_S, boot="young")
    fill(limits, 1)
    with open_store(limits) as store:
        later(store)
        assert store.dropped_for == {"age": 51}


def test_the_search_goes_on_over_young_and_unknown_ones(tmp_path: Path) -> None:
    """However many they are; what is too old behind them is found."""
    limits = StoreLimits(path=tmp_path / "store.db", max_age_days=1.0)
    fill(limits, 1, wall_s=NOW_S + 1.5 * DAY_S, boot="young")
    fill(limits, 2 * SLICE_ROWS, wall_s=1000.0, boot="unknown")
    fill(limits, 1)
    with open_store(limits) as store:
        for _ in range(10):
            later(store)
        assert store.dropped_for == {"age": 1}


@pytest.mark.parametrize("behind_s", [0.0, 100 * DAY_S, NOW_S - 1000.0])
@pytest.mark.parametrize("off_s", [0.0, 100 * DAY_S])
def test_a_clock_that_was_never_set_condemns_nothing(
    tmp_path: Path, behind_s: float, off_s: float
) -> None:
    """Such a boot is at least as old as the begin of the next whose clock was set."""
    limits = StoreLimits(path=tmp_path / "store.db", max_age_days=1.0)
    boots = (("a", 0.0, True), ("b", off_s - behind_s, False), ("c", off_s + 60, True))
    with open_store(limits) as store:
        for boot, since_s, is_set in boots:
            moment = Moment(NOW_S + since_s, 5.0, boot)
            store.note_clock(moment, is_set=is_set)
            for _ in range(500 if boot == "b" else 3):
                store.append(new(moment=moment))
        gone = 3 if off_s else 0  # of the boot before, whose clock was right
        assert store.dropped == gone
        for days, dropped in ((0.9, gone), (1.1, 506)):
            moment = Moment(NOW_S + off_s + 60 + days * DAY_S, 5.0, f"{days} days later")
            store.note_clock(moment, is_set=True)
            store.append(new(moment=moment))
            assert store.dropped == dropped


@pytest.mark.parametrize("noted", ["not set", ""])
def test_a_clock_that_is_not_set_now_condemns_nothing(tmp_path: Path, noted: str) -> None:
    """However far ahead it is, and if nobody has said how it stands."""
    limits = StoreLimits(path=tmp_path / "store.db", max_age_days=1.0)
    fill(limits, 50)
    with open_store(limits) as store:
        moment = Moment(NOW_S + 500 * DAY_S, 5.0, "ahead")
        if noted:
            store.note_clock(moment, is_set=False)
        store.append(new(moment=moment))
        assert store.dropped == 0


@pytest.mark.parametrize(
    "change",
    ["boot_s = -1e10", "wall_s = 5.0", "wall_s = 0, boot_s = 0", "boot_id = 'odd'", "boot_s = 'x'"],
)
def test_an_odd_row_condemns_no_other(tmp_path: Path, change: str) -> None:
    """What came before it is not as old as it seems."""
    limits = StoreLimits(path=tmp_path / "store.db", max_age_days=1.0)
    fill(limits, 30, wall_s=NOW_S + 1.5 * DAY_S, boot="young")
    with closing(sqlite3.connect(limits.path)) as db, db:
        db.execute(f"UPDATE records SET {change} WHERE seq = 5")  # noqa: S608 -- our own words
    db.close()
    with open_store(limits) as store:
        later(store)
        assert store.queued >= 30
        assert {*range(1, 31)} - {*numbers(store)} <= {5}


def test_what_no_clock_can_judge_is_judged_once_it_is_set(tmp_path: Path) -> None:
    """The search begins again."""
    limits = StoreLimits(path=tmp_path / "store.db", max_age_days=1.0)
    fill(limits, 50)
    with open_store(limits) as store:
        now = Moment(NOW_S + 2 * DAY_S, 5.0, "later")
        for is_set, dropped in ((False, {}), (True, {"age": 50})):
            store.note_clock(now, is_set=is_set)
            store.append(new(moment=now))
            assert store.dropped_for == dropped


@pytest.mark.parametrize("sizes", [(1,), (480, 530), (900, 1000, 1100), (1, 5000, 20_000)])
@pytest.mark.parametrize("patience_s", [0.0, 1e6])
def test_the_file_is_never_longer_than_it_may_be(
    directory: Path, sizes: tuple[int, ...], patience_s: float
) -> None:
    """Whatever the sizes of records, and with what was set aside; most of it is used."""
    chance = random.Random(1)
    path = directory / "store.db"
    limits = StoreLimits(path=path, max_mib=0.25, commit_after_s=patience_s)
    with open_store(limits) as store:
        written = 0
        while written < MIB:
            size = chance.choice(sizes)
            seq = store.append(new(text="x" * size)).seq
            written += size + 60
            if not patience_s and not seq % 50:
                store.set_aside(seq, "no")
        store.flush()
        assert store.dropped_for["bytes"] > store.queued > 4
        assert store.fullness > 0.75
    assert path.stat().st_size <= MIB // 4


def test_what_was_set_aside_goes_before_what_waits(tmp_path: Path) -> None:
    """Nobody takes it any more; it is counted."""
    limits = StoreLimits(path=tmp_path / "store.db", max_mib=0.7)
    with open_store(limits) as store:
        for _ in range(20):
            store.set_aside(store.append(new(text="x" * 10 * KIB)).seq, "no")
        for _ in range(40):
            store.append(new(text="x" * 10 * KIB))
        assert (store.queued, set(store.dropped_for)) == (40, {"dead"})


def test_an_append_looks_at_nothing_that_waits(tmp_path: Path) -> None:
    """Nor do the newest count and a page: they cost the same, however much there is."""
    limits = StoreLimits(path=tmp_path / "store.db")
    with open_store(limits) as store:
        store.append(new("count", moment=Moment(NOW_S, 5.0, "b")))
    fill(limits, 9000)
    with open_store(limits) as store:
        later(store)  # which looks for the first time for what is too old
        later(store)
        steps = [0]

        def step() -> None:
            steps[0] += 1

        store._write_behind.db.set_progress_handler(step, 100)
        later(store)
        assert store.newest("count")
        store.acknowledge(1)
        store.flush()
        assert not store.newest("count")
        assert len(store.page(5000, 10).records) == 10
        store.set_aside(9000, "no")
        assert steps[0] < 40
