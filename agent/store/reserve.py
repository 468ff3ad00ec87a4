"""Numbers reserved for records that are only in memory, so that none is ever given twice.

The reservation is one small file of fixed length, made beforehand and overwritten in place: that
works on a full card too, where nothing new can be written.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from agent import files

if TYPE_CHECKING:
    from pathlib import Path

#: How many numbers are reserved at once; as many may be skipped by a crash.
BLOCK = 1000

_LENGTH = 64


class Block:
    """The reservation beside the store `path`, for its `epoch`; `last` is 0 where there is none.

    One that cannot be read reserves a block behind `newest_seq`. Used under the store's lock.
    Methods raise OSError.
    """

    def __init__(self, path: Path, epoch: str, newest_seq: int) -> None:
        self._path = path.with_name(f"{path.name}-block")
        self._epoch = epoch
        self.last = 0
        try:
            found, last = self._path.read_text(encoding="ascii").split()
            if found == epoch:
                self.last = int(last)
            else:
                self._write(0)  # of the store before
        except FileNotFoundError:
            files.write_new(self._path, self._text(0))
            files.sync_directory(self._path.parent)
        except ValueError:
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
        descriptor = os.open(self._path, os.O_WRONLY | os.O_CLOEXEC)
        try:
            os.pwrite(descriptor, self._text(last), 0)
            os.fdatasync(descriptor)
        finally:
            os.close(descriptor)
        self.last = last

    def _text(self, last: int) -> bytes:
        return f"{self._epoch} {last}".ljust(_LENGTH - 1).encode("ascii") + b"\n"
