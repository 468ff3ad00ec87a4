"""The buffer: the newest records as long as they are in memory only, bounded."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

from agent.model import MIB

if TYPE_CHECKING:
    from collections.abc import Iterator

    from agent.model import NewRecord
    from agent.store.records import Numbered

#: More is not kept in memory; the oldest go.
ROWS_MAX = 10_000
MIB_MAX = 4


@dataclass(frozen=True, slots=True)
class _Entry:
    new: NewRecord
    body: bytes
    since_boot_s: float


class Buffer:
    """Records by their numbers, which go on behind `last_seq`; used under the store's lock."""

    def __init__(self, last_seq: int) -> None:
        self.last_seq = last_seq
        self._entries: dict[int, _Entry] = {}
        self._bytes = 0

    def __len__(self) -> int:
        """The number of records."""
        return len(self._entries)

    def __iter__(self) -> Iterator[tuple[int, NewRecord, bytes]]:
        """Number, record and encoded body of each, oldest first."""
        for seq, entry in self._entries.items():
            yield seq, entry.new, entry.body

    def add(self, new: NewRecord, body: bytes, now_boot_s: float) -> int:
        """Take the newest; its number."""
        self.last_seq += 1
        self._entries[self.last_seq] = _Entry(new, body, now_boot_s)
        self._bytes += len(body)
        return self.last_seq

    def take_back(self) -> None:
        """Undo the last `add`."""
        self.remove(self.last_seq)
        self.last_seq -= 1

    def remove(self, seq: int) -> bool:
        """Let one go; False if it is not here."""
        entry = self._entries.pop(seq, None)
        if entry:
            self._bytes -= len(entry.body)
        return entry is not None

    def bound(self) -> int:
        """Give up the oldest beyond the bounds; the number of them."""
        before = len(self._entries)
        while len(self._entries) > ROWS_MAX or (
            self._bytes > MIB_MAX * MIB and len(self._entries) > 1
        ):
            self.remove(next(iter(self._entries)))
        return before - len(self._entries)

    def waiting(self, after_seq: int, limit: int) -> list[Numbered]:
        """The oldest with a number above `after_seq`, at most `limit`."""
        later = ((seq, entry.new) for seq, entry in self._entries.items() if seq > after_seq)
        return list(islice(later, max(0, limit)))

    def newest(self, kind: str, after_seq: int) -> Numbered | None:
        """The newest of `kind` with a number above `after_seq`."""
        for seq, entry in reversed(self._entries.items()):
            if seq <= after_seq:
                return None
            if entry.new.kind == kind:
                return seq, entry.new
        return None

    def due_s(self, patience_s: float) -> float:
        """When, on the boot clock, the oldest will have been here for `patience_s`."""
        for entry in self._entries.values():
            return entry.since_boot_s + patience_s
        return math.inf

    def clear(self) -> None:
        """All are on the disk."""
        self._entries.clear()
        self._bytes = 0
