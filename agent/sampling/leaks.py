"""Leaks of somebody else's code: files and threads that were begun while it ran, and stayed."""

from __future__ import annotations

import gc
import os
import threading
from contextlib import contextmanager, suppress

from agent.errors import SensorError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

#: So many nobody needs who gives back what he has taken; the process may have 1024 files.
FILES_MAX = 64
THREADS_MAX = 16

HINT = "mend the plug-in; what it cannot give back is gone with a restart of the agent"


class Leaks:
    """Count of what was begun while the code ran, and is there still.

    What other threads begin meanwhile counts too, if it lasts; that is little.
    """

    def __init__(self) -> None:
        self._files: set[tuple[int, ...]] = set()
        self._threads: set[int] = set()

    @contextmanager
    def watch(self, name: str) -> Iterator[None]:
        """Watch a call of the sensor `name`. Raises SensorError, unwatched, at an excess."""
        if self._excess():
            gc.collect()  # what is open only because nobody has looked for it yet
            if excess := self._excess():
                raise SensorError(f"{name}: {excess}", hint=HINT)
        files_before, threads_before = _files(), _threads()
        try:
            yield
        finally:
            files, threads = _files(), _threads()
            self._files = (self._files & files) | (files - files_before)
            self._threads = (self._threads & threads) | (threads - threads_before)

    def _excess(self) -> str:
        """The excess in words; empty if there is none."""
        files, threads = len(self._files & _files()), len(self._threads & _threads())
        if files > FILES_MAX:
            return f"it leaves files open, {files} by now"
        return f"it leaves threads running, {threads} by now" if threads > THREADS_MAX else ""


def _files() -> set[tuple[int, ...]]:
    """Each open descriptor, with what it stands for, since numbers are used again."""
    found: set[tuple[int, ...]] = set()
    for name in os.listdir("/proc/self/fd"):  # noqa: PTH208 -- a Path for each would cost more
        with suppress(OSError):
            status = os.fstat(int(name))
            found.add((int(name), status.st_dev, status.st_ino))
    return found


def _threads() -> set[int]:
    """Each thread but those of the pool, which come and go with the polls."""
    return {thread.ident or 0 for thread in threading.enumerate() if thread.name != "job"}
