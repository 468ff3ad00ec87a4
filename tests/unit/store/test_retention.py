"""What goes for the bounds: in slices, counted, and never what is young or new."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from agent import BUILT_S
from agent.config import StoreLimits
from agent.model import KIB, MIB, Moment
from agent.store import open_store
from agent.store.database import WAL_BYTES
from agent.store.records import SLICE_ROWS, YOUNG_ROWS
from tests.unit.store.conftest import new, numbers

if TYPE_CHECKING:
    from pathlib import Path

    from agent.store import Store

DAY_S = 86_400.0
NOW_S = BUILT_S + 1000 * DAY_S


def fill(limits: StoreLimits, rows: int, *, wall_s: float = NOW_S, boot: str = "b") -> None:
    """Put rows into the file, at one commit or a few."""
    with open_store(replace(limits, commit_after_s=1e6)) as store:
        for _ in range(rows):
            store.append(new(moment=Moment(wall_s, 5.0, boot)))


def later(store: Store, days: float = 2.0) -> None:
    """A reading of another day and boot."""
    store.append(new(moment=Moment(NOW_S + days * DAY_S, 5.0, "later")))


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
    """They were made before those that are too old."""
    limits = StoreLimits(path=tmp_path / "store.db", max_age_days=1.0)
    fill(limits, rows, wall_s=1000.0, boot="never set")
    fill(limits, 50)
    with open_store(limits) as store:
        for _ in range(10):
            later(store)
        assert store.dropped_for == {"age": rows + 50}


def test_a_row_that_only_looks_young_keeps_no_others(tmp_path: Path) -> None:
    """Nor does one of the future; where many are young, the search ends."""
    limits = StoreLimits(path=tmp_path / "store.db", max_age_days=1.0)
    fill(limits, 1, wall_s=NOW_S + 2 * DAY_S)
    fill(limits, 1, wall_s=NOW_S + 4000 * DAY_S)
    fill(limits, 50)
    fill(limits, YOUNG_ROWS, wall_s=NOW_S + 2 * DAY_S)
    fill(limits, 1)
    with open_store(limits) as store:
        later(store)
        assert store.dropped_for == {"age": 52}


def test_the_search_goes_on_over_young_and_unknown_ones(tmp_path: Path) -> None:
    """However many they are; what is too old behind them is found."""
    limits = StoreLimits(path=tmp_path / "store.db", max_age_days=1.0)
    fill(limits, 1, wall_s=NOW_S + 2 * DAY_S)
    fill(limits, 2 * SLICE_ROWS, wall_s=1000.0, boot="never set")
    fill(limits, 1)
    with open_store(limits) as store:
        for _ in range(10):
            later(store)
        assert store.dropped_for == {"age": 2 * SLICE_ROWS + 2}


def test_what_no_clock_can_judge_is_judged_once_it_is_set(tmp_path: Path) -> None:
    """The search begins again."""
    limits = StoreLimits(path=tmp_path / "store.db", max_age_days=1.0)
    fill(limits, 50)
    with open_store(limits) as store:
        now = Moment(NOW_S + 2 * DAY_S, 5.0, "later")
        store.note_clock(now, is_set=False)
        later(store)
        assert store.dropped == 0
        store.note_clock(now, is_set=True)
        later(store)
        assert store.dropped_for == {"age": 50}


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
