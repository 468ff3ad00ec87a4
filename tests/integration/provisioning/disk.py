"""A disk on which the power goes before any change to it."""

from __future__ import annotations

import os
import sys
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from tests.integration.provisioning.device import CrashError

if TYPE_CHECKING:
    from collections.abc import Iterator

WRITES = {"os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.symlink", "os.chmod"}


class Disk:
    """Crashes the armed thread before its n-th change to the disk; an audit hook (PEP 578)."""

    def __init__(self) -> None:
        self._thread = 0
        self._left = 0
        sys.addaudithook(self._hook)

    def _hook(self, event: str, arguments: tuple[Any, ...]) -> None:
        if not self._thread or threading.get_ident() != self._thread:
            return
        writes = event in WRITES or (
            event == "open" and isinstance(arguments[2], int) and arguments[2] & os.O_CREAT
        )
        if writes:
            self._left -= 1
            if self._left == 0:
                raise CrashError

    @contextmanager
    def crash_before(self, number: int) -> Iterator[None]:
        """Crash before that change."""
        self._left, self._thread = number, threading.get_ident()
        try:
            yield
        finally:
            self._thread = 0
