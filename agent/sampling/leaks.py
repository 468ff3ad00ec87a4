"""Leaks of somebody else's code: files and threads that were begun while it ran, and stayed."""

from __future__ import annotations

import os
import threading
from contextlib import suppress
from typing import Self

#: So many nobody needs who gives back what he has taken; the process may have 1024 files.
FILES_MAX = 64
THREADS_MAX = 16


class Leaks:
    """A context for each call of the code; what was begun in it, and is there still, is counted.

    What other threads begin meanwhile counts too, if it lasts; that is little.
    """

    def __init__(self) -> None:
        self._files: set[tuple[int, ...]] = set()
        self._threads: set[int] = set()
        self._files_before: set[tuple[int, ...]] = set()
        self._threads_before: set[int] = set()

    def __enter__(self) -> Self:
        """Note what there is."""
        self._files_before, self._threads_before = _files(), _threads()
        return self

    def __exit__(self, *_: object) -> None:
        """Note what has come, and forget what is gone."""
        files, threads = _files(), _threads()
        self._files = (self._files & files) | (files - self._files_before)
        self._threads = (self._threads & threads) | (threads - self._threads_before)

    def complaint(self) -> str:
        """The excess in words; empty if there is none."""
        files, threads = len(self._files & _files()), len(self._threads & _threads())
        if files > FILES_MAX:
            return f"it leaves files open, {files} by now"
        if threads > THREADS_MAX:
            return f"it leaves threads running, {threads} by now"
        return ""


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
