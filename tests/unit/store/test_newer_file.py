"""A file that a newer agent has brought up to date: it is used, and else set aside whole."""

from __future__ import annotations

import os
import re
import shutil
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.config import StoreLimits
from agent.errors import StoreError
from agent.store import COUNTS, Hour, newer, open_store, schema, usable_again
from agent.store.database import BACK, NEWER
from agent.store.inspection import inspect, past, recall, revive
from agent.store.schema import SCHEMA_VERSION, NewerError
from agent.value import replace
from tests.unit.store.conftest import MOMENT, crash, new, numbers, waiting

if TYPE_CHECKING:
    from collections.abc import Callable

OPERATIONS = Path(__file__).parents[3] / "docs/operations.md"

#: What steps to come may do to a file.
ADDITIONS = (
    """CREATE TABLE weather (day INTEGER PRIMARY KEY, words TEXT NOT NULL CHECK (words > ''));
    CREATE TRIGGER sunny AFTER DELETE ON weather BEGIN SELECT 1; END;""",
    "CREATE INDEX kinds ON records (kind);",
    "ALTER TABLE records ADD COLUMN weight REAL;",
    "ALTER TABLE records ADD COLUMN ways INTEGER NOT NULL DEFAULT 1;",
    "ALTER TABLE dead ADD COLUMN who TEXT;",
    "ALTER TABLE commands ADD COLUMN at REAL DEFAULT 0;",
    "ALTER TABLE meta ADD COLUMN since REAL;",
    "ALTER TABLE boots ADD COLUMN drift TEXT;",
    "INSERT INTO meta (name, value) VALUES ('sky', 'blue');",
    f"INSERT OR REPLACE INTO meta (name, value) VALUES ('readable_from', {SCHEMA_VERSION});",  # noqa: S608
    "INSERT OR REPLACE INTO meta (name, value) VALUES ('readable_from', 1);",
    "INSERT OR REPLACE INTO meta (name, value) VALUES ('readable_from', 'a spoiled cell');",
)
ANEW = (
    "DROP TABLE commands;"
    " CREATE TABLE commands (number INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE"
)
#: What no step may do, since an older agent could not go on.
BREACHES = (
    f"INSERT OR REPLACE INTO meta (name, value) VALUES ('readable_from', {SCHEMA_VERSION + 1});",  # noqa: S608
    "DROP TABLE boots;",
    "DROP TABLE meta;",
    "ALTER TABLE records RENAME COLUMN wall_s TO wall;",
    "ALTER TABLE records RENAME TO readings;",
    "ALTER TABLE dead DROP COLUMN reason;",
    "ALTER TABLE records ADD COLUMN hops INTEGER DEFAULT 1 CHECK (hops > 0);",
    "CREATE UNIQUE INDEX offsets ON boots (offset_s);",
    "CREATE TRIGGER no BEFORE INSERT ON records BEGIN SELECT raise(ABORT, 'no'); END;",
    ANEW.replace("TEXT", "BLOB") + ");",
    ANEW + ", at REAL NOT NULL);",
    ANEW + ") STRICT;",
)


def change(path: Path, program: str) -> None:
    """Do to a file what a newer agent would."""
    with closing(sqlite3.connect(path)) as db:
        db.executescript(program)


def raise_version(path: Path, program: str = "", *, to: int = SCHEMA_VERSION + 1) -> None:
    """Have the file be one of a newer agent."""
    change(path, f"BEGIN; {program} PRAGMA user_version = {to}; COMMIT;")


def version_of(path: Path) -> int:
    """The version that the file has."""
    with closing(sqlite3.connect(path)) as db:
        return int(db.execute("PRAGMA user_version").fetchone()[0])


def live(limits: StoreLimits) -> list[int]:
    """Use everything that an agent uses of a store; the numbers that wait then."""
    with open_store(limits) as store:
        store.note_clock(replace(MOMENT, boot_id=f"boot {store.newest_seq}"), is_set=True)
        store.append(new("count", n=1), detections=1, urgent=True, weather="rain")
        dead = store.append(new()).seq
        store.set_aside(dead, "nobody takes it")
        store.set_total(store.total, f"id {dead}")
        store.note(Hour(3600 * dead, COUNTS, 1))
        store.acknowledge(store.append(new()).seq)
        store.flush()
        assert (store.blocked, store.memory_only, store.reset) == (None, "", "")
        return numbers(store)


@pytest.mark.parametrize("addition", ["", *ADDITIONS])
@pytest.mark.parametrize("to", [SCHEMA_VERSION + 1, 99])
def test_a_newer_file_that_has_all_that_is_needed_is_used(
    limits: StoreLimits, addition: str, to: int
) -> None:
    """What waits is sent, what is new is stored, and the file stays what it is."""
    assert live(limits) == [1]
    raise_version(limits.path, addition, to=to)
    with open_store(limits) as store:
        epoch = store.epoch
    assert usable_again(limits)
    assert live(limits) == [1, 4]
    assert inspect(limits.path, 9).queued == 2
    assert inspect(limits.path, 9, dead=True).queued == 2
    assert past(limits.path, 0, 1e6).total == 2
    assert recall(limits.path, "weather") == "rain"
    assert revive(limits.path) == 2
    with open_store(limits) as store:
        assert (store.epoch, store.total, numbers(store)) == (epoch, 2, [1, 2, 4, 5])
        assert store.knows("id 2")
    assert version_of(limits.path) == to
    assert not [*limits.path.parent.glob("store.db.*")]


@settings(max_examples=40)
@given(chosen=st.lists(st.sampled_from(ADDITIONS), unique=True), crashes=st.booleans())
def test_any_steps_of_the_kind_leave_a_file_that_both_use_in_turn(
    tmp_path_factory: pytest.TempPathFactory, chosen: list[str], *, crashes: bool
) -> None:
    """Numbers go on without holes, and what the newer one has put there is still there."""
    limits = StoreLimits(path=tmp_path_factory.mktemp("store") / "store.db")
    live(limits)
    raise_version(limits.path, "".join(chosen))
    with closing(sqlite3.connect(limits.path)) as db:
        before = set(db.execute("SELECT name, sql FROM sqlite_schema"))
    with open_store(limits) as store:
        assert [store.append(new()).seq for _ in range(3)] == [4, 5, 6]
        if crashes:
            crash(store)
    change(
        limits.path,
        "INSERT INTO records (seq, kind, timestamp_s, body, wall_s, boot_s, boot_id)"
        " VALUES (7, 'sensors/rain', 1.8e9, x'7b7d', 1.8e9, 1.0, 'boot')",
    )
    with open_store(limits) as store:
        assert numbers(store) == [1, 4, 5, 6, 7]
        assert waiting(store)[-1].kind == "sensors/rain"
        assert store.append(new()).seq == 8
    with closing(sqlite3.connect(limits.path)) as db:
        assert before <= set(db.execute("SELECT name, sql FROM sqlite_schema"))


@pytest.mark.parametrize("breach", BREACHES)
def test_a_newer_file_that_cannot_be_used_is_set_aside_and_told(
    limits: StoreLimits, breach: str
) -> None:
    """Whole, with its log and its reserved numbers, and in words of its own."""
    with open_store(replace(limits, commit_after_s=1e6)) as store:
        for _ in range(3):
            store.append(new())
        store.flush()
        store.append(new())
        crash(store)
    raise_version(limits.path, breach)
    reserved = limits.path.with_name("store.db-block").read_bytes()
    with pytest.raises(StoreError, match="newer version") as failed:
        inspect(limits.path, 9)
    assert failed.value.hint == "update the agent"
    content = limits.path.read_bytes()

    with open_store(limits, wall_s=lambda: 77.5) as store:
        assert (store.queued, store.memory_only, store.reset_hint) == (0, "", NEWER)
        assert store.append(new()).seq == 1
    aside = limits.path.with_name("store.db.newer-77")
    assert store.reset == (
        f"{limits.path}: made by a newer version of the agent: schema {SCHEMA_VERSION + 1},"
        f" not {SCHEMA_VERSION} as here; kept as {aside.name}, a new store was begun"
    )
    assert aside.read_bytes() == content
    assert aside.with_name(f"{aside.name}-block").read_bytes() == reserved
    with open_store(limits) as store:
        assert (store.reset, numbers(store)) == ("", [1])


def test_one_that_can_be_used_again_is_told_until_the_commands_of_the_docs_are_run(
    limits: StoreLimits,
) -> None:
    """The newer agent is back: its file waits beside the one that was begun meanwhile."""
    with open_store(limits) as store:
        epoch = store.epoch
        store.acknowledge(store.append(new()).seq)
        store.append(new())
    raise_version(limits.path, BREACHES[0])
    with open_store(limits, wall_s=lambda: 77.5) as store:
        store.append(new())
    aside = limits.path.with_name("store.db.newer-77")
    change(aside, f"UPDATE meta SET value = {SCHEMA_VERSION} WHERE name = 'readable_from'")  # noqa: S608
    for _ in range(2):
        with open_store(limits) as store:
            assert store.reset == f"{aside}: this version can read it, and 1 records wait in it"
            assert (store.reset_hint, numbers(store)) == (BACK, [1])
    (lines,) = re.findall(r"sh -ec '(.*?)'", OPERATIONS.read_text(), re.DOTALL)
    lines = lines.replace("/var/lib/pi-iot-agent", str(limits.path.parent)).replace("…", "77")
    subprocess.run(["/bin/sh", "-ec", lines], check=True, capture_output=True)
    with open_store(limits) as store:
        assert (store.reset, store.epoch, numbers(store)) == ("", epoch, [2])
        assert store.append(new()).seq == 3
    with open_store(replace(limits, path=limits.path.with_name("before-store.db"))) as store:
        assert numbers(store) == [1]
    assert not [*limits.path.parent.glob("store.db.newer*")]


def another(path: Path) -> None:
    """A link to a store that could be read."""
    elsewhere = path.with_name("elsewhere")
    shutil.copy(path.with_name("store.db"), elsewhere)
    path.symlink_to(elsewhere)


@pytest.mark.parametrize("make", [os.mkdir, os.mkfifo, another, lambda path: path.write_text("no")])
def test_what_only_has_such_a_name_is_not_told(
    limits: StoreLimits, make: Callable[[Path], None]
) -> None:
    """Nothing is waited for, and no link is followed."""
    open_store(limits).close()
    make(limits.path.with_name("store.db.newer-5"))
    with open_store(limits) as store:
        assert (store.reset, store.reset_hint) == ("", "")


def test_a_file_that_the_agent_has_still_to_bring_up_to_date_is_left_to_it(
    limits: StoreLimits,
) -> None:
    """A command of this version, beside an agent that has not been restarted yet."""
    open_store(limits).close()
    change(limits.path, "DROP TABLE boots; PRAGMA user_version = 1;")
    with pytest.raises(StoreError, match="older version") as failed:
        inspect(limits.path, 9)
    assert failed.value.hint == "restart the agent"
    assert version_of(limits.path) == 1


def test_hours_of_a_newer_agent_are_kept_and_go_on(limits: StoreLimits) -> None:
    """It has given them a column; the older one adds to the same hours."""
    with open_store(limits) as store:
        store.note(Hour(3600, COUNTS, 1, 2.0))
    raise_version(limits.path, "ALTER TABLE hours ADD COLUMN lux REAL; UPDATE hours SET lux = 5;")
    with open_store(limits) as store:
        store.note(Hour(3600, COUNTS, 1, 3.0), Hour(7200, COUNTS, 1))
        store.append(new())
        assert [hour.total for hour in store.hours(0, 1e6)] == [5.0, 0.0]
    with open_store(limits) as store:
        assert [hour.total for hour in store.hours(0, 1e6)] == [5.0, 0.0]
    with closing(sqlite3.connect(limits.path)) as db:
        assert db.execute("SELECT count(lux) FROM hours WHERE start_s = 7200").fetchone() == (0,)


def test_hours_of_an_older_agent_gain_the_columns_that_they_lack(limits: StoreLimits) -> None:
    """And stay, in the middle of the columns or not."""
    with open_store(limits) as store:
        store.note(Hour(3600, COUNTS, 1, 2.0, low=1.0))
    change(limits.path, "ALTER TABLE hours DROP COLUMN low")
    for _ in range(2):
        with open_store(limits) as store:
            assert store.hours(0, 5000) == [Hour(3600, COUNTS, 1, 2.0)]
            store.note(Hour(7200, COUNTS, 1, low=3.0))
    with open_store(limits) as store:
        assert [hour.low for hour in store.hours(0, 1e6)] == [None, 3.0]


def test_a_new_file_is_made_by_the_steps_that_bring_an_old_one_up_to_date() -> None:
    """So both have the same tables, word for word."""
    with (
        closing(sqlite3.connect(":memory:")) as fresh,
        closing(sqlite3.connect(":memory:")) as old,
    ):
        schema.fill(fresh)
        old.executescript(f"PRAGMA application_id = {schema.APPLICATION_ID};")
        old.executescript(schema.STEPS[0] + "PRAGMA user_version = 1;")
        schema.bring_up_to_date(old)
        query = "SELECT name, sql FROM sqlite_schema ORDER BY name"
        assert fresh.execute(query).fetchall() == old.execute(query).fetchall()
        assert schema.version(old) == SCHEMA_VERSION


def test_every_step_leaves_a_file_that_the_version_before_can_use() -> None:
    """The rule for steps, held against each that there is."""
    for count in range(1, SCHEMA_VERSION):
        with closing(sqlite3.connect(":memory:")) as db:
            db.executescript("".join(schema.STEPS[: count + 1]))
            assert newer.serves(db, "".join(schema.STEPS[:count]))


def test_the_words_of_a_newer_file_are_those_of_its_error() -> None:
    """It is one of the errors that condemn a file for this agent."""
    with closing(sqlite3.connect(":memory:")) as db:
        schema.fill(db)
        db.executescript("DROP TABLE dead; PRAGMA user_version = 9;")
        with pytest.raises(NewerError, match="schema 9"):
            schema.version(db)
