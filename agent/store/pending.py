"""Pending: what is in memory and not on the disk yet, facts of the table `meta` and records."""

from __future__ import annotations

import math

from agent.model import MIB
from agent.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Collection, Iterator, Mapping

    from agent.store.validation import Row

Fact = int | str

#: Writes a fact.
PUT = "INSERT OR REPLACE INTO meta (name, value) VALUES (?, ?)"

#: The fact that has the numbers of urgent records, and the most of them; the oldest are then as
#: all others.
URGENT = "urgent"
URGENT_MAX = 1000

#: No number is larger, so that SQLite can hold it and one more.
NUMBER_MAX = 2**62

#: More is not kept in memory; the oldest records go.
ROWS_MAX = 10_000
MIB_MAX = 4


def is_number(fact: object) -> bool:
    """True for a number that no cell has spoiled."""
    return isinstance(fact, int) and 0 <= fact <= NUMBER_MAX


class Meta(Value):
    """Facts that are known, and those of them that the file has to learn in the next commit."""

    known: Mapping[str, Fact]
    pending: Mapping[str, Fact] = {}

    def number(self, name: str) -> int:
        """A fact that is a number, 0 if it is not known."""
        fact = self.known.get(name, 0)
        return int(fact) if is_number(fact) else 0

    def text(self, name: str) -> str:
        """A fact that is a text, empty if it is not known."""
        return str(self.known.get(name, ""))

    def changed(self, **facts: Fact) -> Meta:
        """These facts, and the others as they are."""
        new = {name: fact for name, fact in facts.items() if self.known.get(name) != fact}
        return Meta({**self.known, **new}, {**self.pending, **new})

    @property
    def urgent(self) -> tuple[int, ...]:
        """Numbers of urgent records, oldest first."""
        words = self.text(URGENT).split(",")
        return tuple(
            int(word) for word in words if word.isdecimal() and len(word) <= len(str(NUMBER_MAX))
        )

    def with_urgent(self, seq: int) -> Meta:
        """The same with one more urgent record."""
        return self.changed(urgent=",".join(map(str, (*self.urgent, seq)[-URGENT_MAX:])))

    def without_urgent(self, numbers: Collection[int]) -> Meta:
        """The same without these as urgent records."""
        left = [seq for seq in self.urgent if seq not in numbers]
        return self.changed(urgent=",".join(map(str, left))) if self.urgent else self

    def write(self, db: sqlite3.Connection) -> None:
        """Write what is pending."""
        for fact in self.pending.items():
            db.execute(PUT, fact)


class Buffer:
    """Rows by their numbers, which go on behind `last_seq`; used under the store's lock."""

    def __init__(self, last_seq: int) -> None:
        self.last_seq = last_seq
        self._rows: dict[int, tuple[Row, float]] = {}
        self._bytes = 0

    def __len__(self) -> int:
        """The number of records."""
        return len(self._rows)

    def __iter__(self) -> Iterator[Row]:
        """The rows, oldest first."""
        return (row for row, _ in self._rows.values())

    @property
    def full(self) -> bool:
        """True if there is more than may be."""
        return len(self._rows) > ROWS_MAX or (self._bytes > MIB_MAX * MIB and len(self._rows) > 1)

    def add(self, row: Row, now_boot_s: float) -> None:
        """Take the newest, whose number is the next."""
        self.last_seq = row[0]
        self._rows[self.last_seq] = row, now_boot_s
        self._bytes += len(row[3])

    def take_back(self) -> None:
        """Undo the last `add`."""
        self.remove(self.last_seq)
        self.last_seq -= 1

    def get(self, seq: int) -> Row | None:
        """The row of a number, if it is here."""
        return self._rows[seq][0] if seq in self._rows else None

    def remove(self, seq: int) -> bool:
        """Let one go; False if it is not here."""
        row, _ = self._rows.pop(seq, (None, 0.0))
        if row:
            self._bytes -= len(row[3])
        return row is not None

    def bound(self, urgent: Collection[int] = ()) -> int:
        """Give up the oldest beyond the bounds, urgent ones last; the number of them."""
        before = len(self._rows)
        while self.full:
            others = (seq for seq in self._rows if seq not in urgent)
            self.remove(next(others, next(iter(self._rows))))
        return before - len(self._rows)

    def due_s(self, patience_s: float) -> float:
        """When, on the boot clock, the oldest will have been here for `patience_s`."""
        for _, since_boot_s in self._rows.values():
            return since_boot_s + patience_s
        return math.inf

    def clear(self) -> None:
        """All are on the disk."""
        self._rows.clear()
        self._bytes = 0
