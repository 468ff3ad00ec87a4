"""Rows that dying cells have changed: none of them ends anything."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from agent.store import open_store
from agent.store.inspection import inspect
from tests.unit.store.conftest import MOMENT, new, numbers, spoil, waiting

if TYPE_CHECKING:
    from agent.config import StoreLimits


def test_a_row_whose_body_is_spoiled_is_set_aside(limits: StoreLimits) -> None:
    """It stops nobody else."""
    with open_store(limits) as store:
        for _ in range(3):
            store.append(new())
    with closing(sqlite3.connect(limits.path)) as db, db:
        db.execute("UPDATE records SET body = x'7bff7d' WHERE seq = 2")
    db.close()
    with open_store(limits) as store:
        assert numbers(store) == [1, 3]
        assert store.queued == 2


@pytest.mark.parametrize(
    "change",
    [
        "kind = CAST(x'63ef756e74' AS TEXT)",
        "boot_id = CAST(x'ff' AS TEXT)",
        "body = 5",
        "body = x'7b7b'",
        "wall_s = 'x'",
        "boot_s = x'00'",
        "timestamp_s = 'x'",
    ],
)
def test_a_spoiled_row_ends_nothing(limits: StoreLimits, change: str) -> None:
    """Whatever was flipped; a person can still look at it."""
    with open_store(limits) as store:
        store.append(new())
        store.append(new())
    spoil(limits.path, change)
    with open_store(limits) as store:
        store.note_clock(MOMENT, is_set=True)
        assert 2 in numbers(store)
        assert all(record.payload() for record in waiting(store, 0, 10))
        assert store.newest_moment() == MOMENT
        assert store.newest("sensors/room")
        store.append(new())
    inspect(limits.path, 10, dead=True)
    inspect(limits.path, 10)
