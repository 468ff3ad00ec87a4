"""Commands of the cloud that were applied: the store's table `commands` of their ids."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import sqlite3

#: The newest ids are remembered, so many.
COMMANDS_MAX = 1000


class Commands:
    """Works on the table through `db`, in a transaction that is open."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    def is_new(self, command_id: str) -> bool:
        """Remember the id of a command; False if it is known."""
        remember = "INSERT OR IGNORE INTO commands (id) VALUES (?)"
        if not self._db.execute(remember, (command_id,)).rowcount:
            return False
        forget = "DELETE FROM commands WHERE number <= last_insert_rowid() - ?"
        self._db.execute(forget, (COMMANDS_MAX,))
        return True
