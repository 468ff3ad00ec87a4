"""Opening of the store: in its file, or, where there can be none, in memory for the time being."""

from __future__ import annotations

import sqlite3
import time
from contextlib import suppress

from agent import files
from agent.errors import StoreError
from agent.store import database
from agent.store.reserve import SIZE, free_bytes, give_room
from agent.store.store import Store

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from agent.config import StoreLimits

    Now = Callable[[], float]


def open_store(
    limits: StoreLimits,
    *,
    wall_s: Now = time.time,
    boot_s: Now = time.monotonic,
) -> Store:
    """The store in the file `limits.path`, made with its directory if there is none.

    A file that is spoiled or foreign is renamed `<name>.corrupt-<time>`, one that only a newer
    agent can use `<name>.newer-<time>`, which `Store.reset` tells; also, while one of those lies
    there, that this agent can use it. Where there can be none, or another thing, a link too, has
    its name, the store is in memory, small, and `Store.memory_only` says why. Takes seconds with a
    large backlog: it is read.
    """
    try:
        store = _in_file(limits, wall_s, boot_s)
    except StoreError as error:
        return Store(limits, memory_only=error.text, wall_s=wall_s, boot_s=boot_s)
    if store.reset:
        with suppress(StoreError):  # then it is told once more
            store.remember(reset="")
    else:
        store.reset, _, store.reset_hint = database.usable_aside(limits.path).partition("\n")
    return store


def usable_again(limits: StoreLimits, *, boot_s: Now = time.monotonic) -> bool:
    """True if `open_store` now finds a store in the file, which is made anew if it had to be."""
    with suppress(StoreError), _in_file(limits, time.time, boot_s, trial=True) as store:
        return not store.blocked
    return False


def _in_file(limits: StoreLimits, wall_s: Now, boot_s: Now, *, trial: bool = False) -> Store:
    """The store in the file; whatever damage opening it meets, a new one begins. May raise."""
    path = limits.path
    with database.translated(path):
        files.make_directory(path.parent)
        if free_bytes(path) < SIZE:
            give_room(path)  # to begin with, the log has to grow
        if database.exists(path):
            try:
                if trial:
                    database.try_out(path)
                return Store(limits, wall_s=wall_s, boot_s=boot_s)
            except (sqlite3.Error, UnicodeDecodeError) as error:
                if not database.is_unusable(path, error):
                    raise
                database.begin_anew(path, error, int(wall_s()))
        else:
            database.make(path)
        return Store(limits, wall_s=wall_s, boot_s=boot_s)
