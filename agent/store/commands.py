"""Commands of the cloud that were applied: the store's table `commands` of their ids."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import sqlite3

#: The newest ids are remembered, so many.
COMMANDS_MAX = 1000


def is_applied(db: sqlite3.Connection, command_id: str) -> bool:
    """True if the id of a command is remembered."""
    query = "SELECT 1 FROM commands WHERE id = ?"
    return db.execute(query, (command_id,)).fetchone() is not None


def add(db: sqlite3.Connection, command_id: str) -> None:
    """Remember the id of a command, in a transaction that is open."""
    db.execute("INSERT OR REPLACE INTO commands (id) VALUES (?)", (command_id,))
    newest = "SELECT number FROM commands ORDER BY number DESC LIMIT ?"
    db.execute(f"DELETE FROM commands WHERE number NOT IN ({newest})", (COMMANDS_MAX,))  # noqa: S608
