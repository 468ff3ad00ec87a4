"""Rows `growth`: what the store's own operations cost with much and with little in it."""

from __future__ import annotations

import time
from contextlib import ExitStack
from statistics import median
from typing import TYPE_CHECKING

from agent.config import StoreLimits
from agent.model import Moment, NewRecord
from agent.store import open_store
from agent.store.inspection import inspect

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from agent.store import Store

BOOT_ID = "an earlier boot"

#: With what the store adds, a payload has 200 bytes.
TEXT = "x" * 100

#: Operations that are measured, in words.
APPEND, NEWEST, PAGE, FIGURES = "append", "newest count", "page of 100", "status figures"
OPERATIONS = (APPEND, NEWEST, PAGE, FIGURES)

#: What is done once, in words.
OPEN, FIRST, QUEUE = "open", "first newest count", "`queue`"
STEPS = (OPEN, FIRST, QUEUE)


def limits(path: Path) -> StoreLimits:
    """Limits that nothing here meets, so that no row is dropped."""
    return StoreLimits(path=path, max_rows=10**7, max_mib=4096, max_age_days=36_500)


def fill(path: Path, rows: int, *, counts_every: int = 10**9) -> None:
    """Have so many records of 200 bytes wait; one in `counts_every` is a count, the oldest first.

    Where that is the only one, whoever looks for the newest count has the worst of it.
    """
    patient = StoreLimits(path=path, commit_after_s=86_400, max_rows=10**7, max_mib=4096)
    with open_store(patient) as store:
        for number in range(rows):
            moment = Moment(1.79e9 + number / 1000, 1.0 + number / 1000, BOOT_ID)
            kind = "sensors/room" if number % counts_every else "count"
            store.append(NewRecord(kind, moment.wall_s, moment, {"text": TEXT}))


def operations(store: Store) -> Mapping[str, Callable[[], object]]:
    """The operations, each as the daemon calls it; what is appended waits."""
    moment = Moment(1.8e9, 2000.0, BOOT_ID)
    reading = NewRecord("sensors/room", moment.wall_s, moment, {"text": TEXT})
    middle = store.newest_seq - store.queued // 2
    return {
        APPEND: lambda: store.append(reading),
        NEWEST: lambda: store.newest("count"),
        PAGE: lambda: store.page(middle, 100),
        FIGURES: lambda: (store.queued, store.fullness, store.dropped, store.newest_moment()),
    }


def costs_us(paths: Mapping[str, Path], times: int) -> dict[str, dict[str, float]]:
    """Median microseconds of the thread's CPU by operation and by store, taken in turns."""
    taken: dict[str, dict[str, list[int]]] = {
        name: {label: [] for label in paths} for name in OPERATIONS
    }
    with ExitStack() as stack:
        stores = {
            label: stack.enter_context(open_store(limits(path))) for label, path in paths.items()
        }
        for _ in range(times):
            for label, store in stores.items():
                newest_seq = store.newest_seq
                for name, operation in operations(store).items():
                    began = time.thread_time_ns()
                    operation()
                    taken[name][label].append(time.thread_time_ns() - began)
                store.acknowledge(newest_seq + 1)  # so that there are as many again
    return {
        name: {label: median(of) / 1000 for label, of in by.items()} for name, by in taken.items()
    }


def once_ms(path: Path) -> dict[str, float]:
    """Milliseconds of what is done once: opening, the first newest count, the command `queue`."""
    began = time.perf_counter()
    with open_store(limits(path)) as store:
        opened = time.perf_counter()
        store.newest("count")
        found = time.perf_counter()
    asked = time.perf_counter()
    inspect(path, 10)
    ended = time.perf_counter()
    return {
        OPEN: (opened - began) * 1000,
        FIRST: (found - opened) * 1000,
        QUEUE: (ended - asked) * 1000,
    }
