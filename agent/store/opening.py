"""Opening of the store: in its file, or, where there can be none, in memory for the time being."""

from __future__ import annotations

import time
from contextlib import closing, suppress
from typing import TYPE_CHECKING

from agent import files
from agent.errors import StoreError
from agent.store import database
from agent.store.store import Store
from agent.store.write_behind import WriteBehind

if TYPE_CHECKING:
    from collections.abc import Callable

    from agent.config import StoreLimits


def open_store(
    limits: StoreLimits,
    *,
    wall_s: Callable[[], float] = time.time,
    boot_s: Callable[[], float] = time.monotonic,
) -> Store:
    """The store in the file `limits.path`, made with its directory if there is none.

    A file that is spoiled or foreign is renamed `<name>.corrupt-<time>`, which `Store.reset` tells.
    Where there can be none, or another thing, a link too, has its name, the store is in memory,
    small, and `Store.memory_only` says why. Takes seconds with a large backlog: it is read.
    """
    path, reset = limits.path, ""
    try:
        with database.translated(path):
            files.make_directory(path.parent)
            if database.exists(path):
                try:
                    return Store(limits, wall_s=wall_s, boot_s=boot_s)
                except database.SpoiledError as spoiled:
                    aside = database.move_aside(path, int(wall_s()))
                    reset = f"{path}: {spoiled}; kept as {aside.name}, a new store was begun"
            elif asides := sorted(path.parent.glob(f"{path.name}.corrupt-*")):
                reset = f"{path}: was found damaged while in use; kept as {asides[-1].name}"
            database.make(path)
            return Store(limits, reset=reset, wall_s=wall_s, boot_s=boot_s)
    except StoreError as error:
        return Store(limits, reset=reset, memory_only=error.text, wall_s=wall_s, boot_s=boot_s)


def usable_again(limits: StoreLimits) -> bool:
    """True if there is, or now can be, a store in `limits.path`; it is read if it takes commits."""
    path = limits.path
    with suppress(StoreError, database.SpoiledError), database.translated(path):
        if not database.exists(path):
            database.make(path)
        with closing(database.connect(path)) as db:  # a look that costs little
            db.execute("INSERT OR REPLACE INTO meta VALUES ('tried', ?)", (time.time(),))
        # Exactly what the next start does: what this finds usable, that one does.
        content = WriteBehind(limits, memory_only=False, boot_s=time.monotonic)
        with closing(content), content.transaction():
            return True
    return False
