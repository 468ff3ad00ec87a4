"""Named facts of the store's table `meta`, of which the newest may not be on the disk yet."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Mapping

Fact = int | str

#: No number is larger, so that SQLite can hold it and one more.
NUMBER_MAX = 2**62


def is_number(fact: object) -> bool:
    """True for a number that no cell has spoiled."""
    return isinstance(fact, int) and 0 <= fact <= NUMBER_MAX


@dataclass(frozen=True, slots=True)
class Meta:
    """Facts that are known, and those of them that the file has to learn in the next commit."""

    known: Mapping[str, Fact]
    pending: Mapping[str, Fact] = field(default_factory=dict)

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

    def write(self, db: sqlite3.Connection) -> None:
        """Write what is pending."""
        for fact in self.pending.items():
            db.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", fact)

    def kept(self) -> Meta:
        """The same once that is committed."""
        return Meta(self.known)
