"""Newer files: what another version has made of the tables, and whether ours can use them."""

from __future__ import annotations

import re
import sqlite3
from contextlib import closing

from agent.store.pending import is_number

#: What a table's own words may not have: an INSERT of ours could fail by it.
_DEMANDS = re.compile(r"\b(check|strict)\b", re.IGNORECASE)


def serves(db: sqlite3.Connection, wanted: str) -> bool:
    """True if what the program `wanted` would make is there, though there be more, for our rows.

    All its columns are, and no other demands a value; nothing else is unique, and no trigger or
    check, which nobody can know, looks at what is written.
    """
    columns = 'name, type, "notnull", dflt_value, pk, hidden'
    unique = (
        "SELECT group_concat(one.name) FROM pragma_index_list(?) AS list,"
        ' pragma_index_info(list.name) AS one WHERE list."unique" GROUP BY list.name'
    )
    with closing(sqlite3.connect(":memory:")) as fresh:
        fresh.executescript(wanted)
        tables = fresh.execute("SELECT name FROM sqlite_schema WHERE type = 'table'").fetchall()
        for table in tables:
            query = f"SELECT {columns} FROM pragma_table_xinfo(?)"  # noqa: S608 -- our own words
            ours, theirs = (set(one.execute(query, table)) for one in (fresh, db))
            more = theirs - ours
            if not ours <= theirs or any(one[4] or (one[2] and one[3] is None) for one in more):
                return False
            if not set(db.execute(unique, table)) <= set(fresh.execute(unique, table)):
                return False
            words = "SELECT type, sql FROM sqlite_schema WHERE tbl_name = ? AND sql IS NOT NULL"
            for kind, sql in db.execute(words, table):
                if kind not in {"table", "index"} or _DEMANDS.search(str(sql)):
                    return False
    return True


def is_readable(db: sqlite3.Connection, wanted: str, version: int) -> bool:
    """True if a newer file has all that `wanted` would make, and asks for no later version.

    `version` is that of the schema here.
    """
    if not serves(db, wanted):
        return False
    said = db.execute("SELECT value FROM meta WHERE name = 'readable_from'").fetchone()
    return not (said and is_number(said[0]) and said[0] > version)
