"""Commands of the cloud that were applied: the store's table `commands` of their ids."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import sqlite3

#: The newest ids are remembered, so many.
COMMANDS_MAX = 1000


class Commands:
    """Works on the table through `db`."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    def has(self, command_id: str) -> bool:
        """True if the id of a command is remembered."""
        query = "SELECT 1 FROM commands WHERE id = ?"
        return self._db.execute(query, (command_id,)).fetchone() is not None

    def add(self, command_id: str) -> None:
        """Remember the id of a command, in a transaction that is open."""
        self._db.execute("INSERT INTO commands (id) VALUES (?)", (command_id,))
        forget = "DELETE FROM commands WHERE number <= last_insert_rowid() - ?"
        self._db.execute(forget, (COMMANDS_MAX,))
