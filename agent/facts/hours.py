"""Hours: what was counted and read in each local hour, gathered for the store's history."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from agent.model import NewRecord, Reading
    from agent.store import Store


class Hours:
    """Gathers in memory, and notes in the store with each count."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def read(self, reading: Reading) -> None:
        """Take a reading's quantities."""

    def counted(self, record: NewRecord, *, odd: bool) -> None:
        """Take a count, and note all that was gathered, for the commit that follows."""
