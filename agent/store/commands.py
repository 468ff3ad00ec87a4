"""Commands: the ids of commands of the cloud that were applied, each once."""

from __future__ import annotations

from hashlib import sha256

TYPE_CHECKING = False
if TYPE_CHECKING:
    import sqlite3

#: The newest ids are remembered, so many.
COMMANDS_MAX = 1000


class Commands:
    """Works on the table through `db`, in a transaction of the write-behind."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    def known(self, command_id: str) -> bool:
        """True for an id that was added."""
        query = "SELECT 1 FROM commands WHERE id IN (?, ?)"
        return self._db.execute(query, (command_id, _short(command_id))).fetchone() is not None

    def add(self, command_id: str) -> None:
        """Remember an id; the oldest are forgotten."""
        add = "INSERT OR REPLACE INTO commands (id) VALUES (?)"
        self._db.execute(add, (_short(command_id),))
        newest = "SELECT number FROM commands ORDER BY number DESC LIMIT ?"
        forget = f"DELETE FROM commands WHERE number NOT IN ({newest})"  # noqa: S608 -- our own words
        self._db.execute(forget, (COMMANDS_MAX,))


def _short(command_id: str) -> bytes:
    """Eight bytes, whatever ids the cloud uses; an older agent has kept them in full."""
    return sha256(command_id.encode()).digest()[:8]
