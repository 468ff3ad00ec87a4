"""Room on the card that is kept free for one purpose: letting go of what has arrived.

On a full card SQLite cannot delete either: its log has to grow first. What is unlinked here gives
it the room to do so, and with every record that has arrived there is more.
"""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING

from agent import files

if TYPE_CHECKING:
    from pathlib import Path

SIZE = 512 * 1024

#: It is not taken from a disk that has little more.
FREE_MIN = 4 * SIZE


class Spare:
    """The file `<store>-spare`; used under the store's lock. Nothing is ever raised."""

    def __init__(self, path: Path) -> None:
        self._path = path.with_name(f"{path.name}-spare")
        self.keep()

    def keep(self) -> None:
        """Take the room, if there is plenty and it is not taken yet."""
        with suppress(OSError):
            disk = os.statvfs(self._path.parent)
            if not self._path.exists() and disk.f_bavail * disk.f_frsize >= FREE_MIN:
                files.write_new(self._path, bytes(SIZE))

    def spend(self) -> None:
        """Give the room back."""
        with suppress(OSError):
            self._path.unlink(missing_ok=True)
