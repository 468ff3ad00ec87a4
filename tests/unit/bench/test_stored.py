"""The stores that are measured hold what the row says."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent.store import open_store
from bench import stored

if TYPE_CHECKING:
    from pathlib import Path


def test_all_rows_wait_and_only_the_oldest_is_a_count(tmp_path: Path) -> None:
    """Nothing is dropped, and the newest count is as far away as can be."""
    path = tmp_path / "store.db"
    stored.fill(path, 1500)

    with open_store(stored.limits(path)) as store:
        count = store.newest("count")
        assert (store.queued, store.dropped, count and count.seq) == (1500, 0, 1)


def test_one_in_so_many_is_a_count(tmp_path: Path) -> None:
    """The first of each so many."""
    path = tmp_path / "store.db"
    stored.fill(path, 25, counts_every=10)

    with open_store(stored.limits(path)) as store:
        kinds = [record.kind for record in store.page(0, 100).records]
        assert [number for number, kind in enumerate(kinds) if kind == "count"] == [0, 10, 20]


def test_each_operation_finds_as_much_in_each_store(tmp_path: Path) -> None:
    """Costs are told by operation and store; there are as many rows afterwards."""
    paths = {str(rows): tmp_path / str(rows) / "store.db" for rows in (500, 1500)}
    for rows, path in paths.items():
        stored.fill(path, int(rows))

    costs = stored.costs_us(paths, times=3)

    assert set(costs) == set(stored.OPERATIONS)
    assert all(cost > 0 for by in costs.values() for cost in by.values())
    for rows, path in paths.items():
        with open_store(stored.limits(path)) as store:
            assert store.queued == int(rows)
            operations = stored.operations(store)
            assert len(operations[stored.PAGE]().records) == 100  # type: ignore[attr-defined]
