"""The schema of the store's file, the steps that have led to it, and who can use a file.

A device goes up a version by itself, and back when that one fails: then the version before has to
use the file that the newer one has brought up to date. So a step only adds: tables, indexes that
are not unique, columns that may be NULL or have a default. It renames, removes and rebuilds
nothing, and makes no trigger; what is written names its columns, and no step before is changed.
A step whose rows older agents would take for something else also notes, as the fact
`readable_from`, the version from which on they are understood, which has been released before. A
change of the tables of `spans` goes with a step, though it be an empty one.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing

APPLICATION_ID = 0x50694167  # "PiAg"

#: Each brings a file to the next version; a new file takes all of them.
STEPS = (
    """CREATE TABLE records (
    seq INTEGER PRIMARY KEY, kind TEXT NOT NULL, timestamp_s REAL NOT NULL, body BLOB NOT NULL,
    wall_s REAL NOT NULL, boot_s REAL NOT NULL, boot_id TEXT NOT NULL,
    acknowledged INTEGER NOT NULL DEFAULT 0);
CREATE TABLE dead (
    seq INTEGER PRIMARY KEY, kind TEXT NOT NULL, timestamp_s REAL NOT NULL, body BLOB NOT NULL,
    wall_s REAL NOT NULL, boot_s REAL NOT NULL, boot_id TEXT NOT NULL,
    reason TEXT NOT NULL, set_aside_s REAL NOT NULL);
CREATE TABLE commands (number INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE);
CREATE TABLE meta (name TEXT PRIMARY KEY, value NOT NULL) WITHOUT ROWID;
INSERT INTO meta VALUES ('epoch', lower(hex(randomblob(8)))), ('total', 0);
""",
    """CREATE TABLE boots (
    number INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, offset_s REAL NOT NULL,
    is_set INTEGER NOT NULL);""",
)
SCHEMA_VERSION = len(STEPS)


class SpoiledError(sqlite3.DatabaseError):
    """The file cannot be used as a store, and never will be."""


class NewerError(SpoiledError):
    """The file was made by a newer version of the agent, and this one cannot use it."""


def steps(since: int = 0) -> str:
    """The program that brings a file of the version `since` to this one: all, or nothing."""
    change = "".join(STEPS[since:])
    return f"BEGIN IMMEDIATE; {change} PRAGMA user_version = {SCHEMA_VERSION}; COMMIT;"


def fill(db: sqlite3.Connection) -> None:
    """Make an empty store in an empty file."""
    db.executescript(f"PRAGMA page_size = 1024; PRAGMA application_id = {APPLICATION_ID};")
    db.executescript(steps())


def version(db: sqlite3.Connection) -> int:
    """The version of the file's schema, at little cost.

    Raises SpoiledError if it is not ours, NewerError if only a newer agent can use it.
    """
    names = ("application_id", "user_version")
    found, number = (int(db.execute(f"PRAGMA {name}").fetchone()[0]) for name in names)
    if found != APPLICATION_ID or number < 1:
        raise SpoiledError("not a store of this version")
    if number > SCHEMA_VERSION:
        from agent.store.newer import is_readable  # noqa: PLC0415 -- which hardly any file needs

        if is_readable(db, steps(), SCHEMA_VERSION):
            return number
        raise NewerError(
            f"made by a newer version of the agent: schema {number}, not {SCHEMA_VERSION} as here"
        )
    return number


def bring_up_to_date(db: sqlite3.Connection) -> None:
    """Have the file be of this version; a newer one that can be used stays as it is.

    Raises SpoiledError if its tables are not those of its version.
    """
    number = version(db)
    if number < SCHEMA_VERSION:
        db.executescript(steps(number))
    with closing(sqlite3.connect(":memory:")) as fresh:
        fill(fresh)
        schema = "SELECT name, sql FROM sqlite_schema"
        if number <= SCHEMA_VERSION and not set(fresh.execute(schema)) <= set(db.execute(schema)):
            raise SpoiledError("its tables are lost")
