"""Reserves beside the store's file, for the day when it takes no commit: numbers and room.

Numbers are reserved in a file of fixed length that is overwritten in place, as a full card allows.
Room is kept for letting go of what has arrived: to delete, too, SQLite's log has to grow first.
"""

from __future__ import annotations

import os
from contextlib import suppress

from agent import files
from agent.model import MIB

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pathlib import Path

#: The end of the name of the file of reserved numbers.
BLOCK_FILE = "-block"

#: Numbers are reserved so many at once; as many may be skipped by a crash.
BLOCK = 1000

#: No memory has held more than that.
AHEAD_MAX = 2**32

_LENGTH = 64

#: The room, in bytes; it is not taken from a disk that has little more.
SIZE = MIB // 2
FREE_MIN = 4 * SIZE


class NumberReserve:
    """The reservation beside the store `path`, for its `epoch`; `last` is 0 where there is none.

    One that cannot be read reserves a block behind `newest_seq`. Methods raise OSError.
    """

    def __init__(self, path: Path, epoch: str, newest_seq: int) -> None:
        self._path = path.with_name(f"{path.name}{BLOCK_FILE}")
        self._epoch = epoch
        self.last = 0
        try:
            found, last = files.read(self._path).decode("ascii").split()
            if found != epoch:
                self._write(0)  # of the store before
            else:
                self.last = int(last)
                if not 0 <= self.last <= newest_seq + AHEAD_MAX:
                    raise ValueError(last)  # noqa: TRY301 -- one more way to be unreadable
        except FileNotFoundError:
            files.write_new(self._path, self._text(0))
            files.sync_directory(self._path.parent)
        except ValueError:
            self.last = 0
            self.reserve(newest_seq + 1)

    def reserve(self, seq: int) -> None:
        """Make sure that `seq` and the numbers up to it are reserved; on the disk on return."""
        if seq > self.last:
            self._write(seq + BLOCK - 1)

    def release(self) -> None:
        """Give back what is reserved: all numbers that were used are in the store."""
        if self.last:
            self._write(0)

    def _write(self, last: int) -> None:
        descriptor = os.open(self._path, os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            os.pwrite(descriptor, self._text(last), 0)
            os.fdatasync(descriptor)
        finally:
            os.close(descriptor)
        self.last = last

    def _text(self, last: int) -> bytes:
        return f"{self._epoch} {last}".ljust(_LENGTH - 1).encode("ascii") + b"\n"


def keep_room(path: Path) -> None:
    """Take the room, if there is plenty and it is not taken yet, or not all of it."""
    spare = path.with_name(f"{path.name}-spare")
    with suppress(OSError):
        there = spare.exists() and spare.lstat().st_size >= SIZE
        if not there and free_bytes(path) >= FREE_MIN:
            spare.unlink(missing_ok=True)
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
            descriptor = os.open(spare, flags, files.PRIVATE_FILE)
            try:
                os.posix_fallocate(descriptor, 0, SIZE)  # blocks alone: there is nothing to write
            except OSError:
                give_room(path)
            finally:
                os.close(descriptor)


def free_bytes(path: Path) -> int:
    """Bytes that are free where `path` is; enough, if nobody can tell."""
    with suppress(OSError):
        disk = os.statvfs(path.parent)
        return disk.f_bavail * disk.f_frsize
    return FREE_MIN


def give_room(path: Path) -> None:
    """Give the room back."""
    with suppress(OSError):
        path.with_name(f"{path.name}-spare").unlink(missing_ok=True)
