"""A file that is no store any more: it is moved aside, and a new one begun."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from agent.errors import StoreError
from agent.model import Moment
from agent.store import open_store, usable_again
from agent.store.database import CHECK_S
from agent.value import replace
from tests.unit.store.conftest import new, numbers, spoil_with_text, waiting

if TYPE_CHECKING:
    from collections.abc import Callable

    from agent.config import StoreLimits


def spoil_to_nothing(path: Path) -> None:
    """What a power cut leaves of a file whose data was not on the disk."""
    path.write_bytes(b"")


def spoil_by_half(path: Path) -> None:
    """Only the first half is there."""
    os.truncate(path, path.stat().st_size // 2)


def spoil_the_middle(path: Path) -> None:
    """The header is good, the pages behind it are not."""
    data = path.read_bytes()
    path.write_bytes(data[:2048] + b"\xa5" * (len(data) - 2048))


def spoil_with_a_version_that_cannot_be(path: Path) -> None:
    """One bit of the header."""
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("PRAGMA user_version = -2147483646")
    db.close()


def spoil_with_a_foreign_database(path: Path) -> None:
    """Somebody else's database."""
    path.unlink()
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("CREATE TABLE songs (title)")
    db.close()


def spoil_the_counters(path: Path) -> None:
    """A table is empty."""
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("DELETE FROM meta")
    db.close()


def spoil_the_schema(path: Path) -> None:
    """A table is gone."""
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("DROP TABLE records")
    db.close()


def flip(place: int, bit: int) -> Callable[[Path], None]:
    """One bit of the header."""

    def spoil(path: Path) -> None:
        data = bytearray(path.read_bytes())
        data[place] ^= 1 << bit
        path.write_bytes(data)

    return spoil


def spoil_with_the_first_version(path: Path) -> None:
    """It says that it lacks a table, and has it."""
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("PRAGMA user_version = 1")
    db.close()


def spoil_beyond_the_check(path: Path) -> None:
    """The first table of rows, in a place that only reading them meets."""
    data = bytearray(path.read_bytes())
    with closing(sqlite3.connect(path)) as db:
        query = "SELECT rootpage FROM sqlite_schema WHERE name = 'boots'"
        root = db.execute(query).fetchone()[0]
    data[(root - 1) * 1024 : root * 1024] = b"\xff" * 1024
    path.write_bytes(data)


@pytest.mark.parametrize(
    "spoil",
    [
        *(flip(18, bit) for bit in (0, 7)),
        *(flip(47, bit) for bit in (0, 1, 5)),
        *(flip(place, 0) for place in (0, 16, 19, 21, 68)),
        spoil_with_the_first_version,
        spoil_beyond_the_check,
        spoil_with_text,
        spoil_to_nothing,
        spoil_by_half,
        spoil_the_middle,
        spoil_with_a_version_that_cannot_be,
        spoil_with_a_foreign_database,
        spoil_the_counters,
        spoil_the_schema,
    ],
)
def test_a_spoiled_file_is_moved_aside(limits: StoreLimits, spoil: object) -> None:
    """A new store of another epoch begins; the old file is kept whole beside it."""
    assert callable(spoil)
    with open_store(limits) as store:
        epoch = store.epoch
        for _ in range(50):
            store.append(new(text="x" * 200))
    spoil(limits.path)
    remains = limits.path.read_bytes()
    log = limits.path.with_name("store.db-wal")
    log.write_bytes(b"a log that is none")

    with open_store(limits, wall_s=lambda: 1234.5) as store:
        assert store.epoch != epoch
        assert "store.db.corrupt-1234" in store.reset
        assert store.append(new()).seq == 1
    aside = limits.path.with_name("store.db.corrupt-1234")
    assert aside.read_bytes() == remains
    with open_store(limits, wall_s=lambda: 1234.5) as store:
        assert (store.reset, numbers(store)) == ("", [1])


def test_a_second_spoiled_file_does_not_replace_the_first(limits: StoreLimits) -> None:
    """A Pi without a clock starts at the same time again and again."""
    for name in ("store.db.corrupt-7", "store.db.corrupt-8"):
        open_store(limits).close()
        spoil_with_text(limits.path)
        with open_store(limits, wall_s=lambda: 7.0) as store:
            assert name in store.reset


def test_a_version_that_never_was_is_moved_aside(limits: StoreLimits) -> None:
    """One flipped bit in the header."""
    open_store(limits).close()
    with closing(sqlite3.connect(limits.path)) as db, db:
        db.execute("PRAGMA user_version = 0")
    db.close()
    with open_store(limits) as store:
        assert store.reset


def nothing(path: Path) -> None:
    """A link that leads nowhere."""
    path.symlink_to(path.with_name("nowhere"))


def another(path: Path) -> None:
    """A link to somebody's file."""
    path.with_name("elsewhere").write_text("mine")
    path.symlink_to(path.with_name("elsewhere"))


@pytest.mark.parametrize("suffix", ["", "-wal", "-shm", "-journal"])
@pytest.mark.parametrize("make", [os.mkdir, os.mkfifo, nothing, another])
def test_what_is_no_file_is_told_and_left_alone(
    limits: StoreLimits, make: Callable[[Path], None], suffix: str
) -> None:
    """Nobody's directory is renamed, nothing is waited for, and no link is followed."""
    limits.path.parent.mkdir()
    if suffix:
        open_store(limits).close()
    there = limits.path.with_name(limits.path.name + suffix)
    make(there)
    before = there.lstat().st_ino, there.lstat().st_mode
    with open_store(limits) as store:
        assert "not a" in store.memory_only
        assert store.append(new()).seq == 1
        assert not usable_again(limits)
    assert (there.lstat().st_ino, there.lstat().st_mode) == before
    assert not list(limits.path.parent.glob("*corrupt*"))
    elsewhere = limits.path.with_name("elsewhere")
    assert not elsewhere.exists() or elsewhere.read_text() == "mine"


def spoil_a_page(data: bytearray, page: int) -> None:
    """It is no page of rows."""
    data[page * 1024] = 0xFF


def spoil_a_boot(data: bytearray, page: int) -> None:
    """The page of the small table is no page."""
    del page
    data[data.index(b"a boot of a name") // 1024 * 1024] = 0xFF


def hurried() -> Callable[[], float]:
    """A clock by which the check at the start has no time, as with a large file."""
    return count(0.0, 2 * CHECK_S).__next__


@pytest.mark.parametrize("spoil", [spoil_a_page, spoil_a_boot])
def test_damage_that_anything_at_the_start_meets_is_damage(
    limits: StoreLimits,
    spoil: Callable[[bytearray, int], None],
) -> None:
    """The check had no time to find it, as in a large file; a trial says the same as a start."""
    with open_store(replace(limits, commit_after_s=1e6)) as store:
        store.note_clock(Moment(5.0, 5.0, "a boot of a name"), is_set=True)
        for _ in range(4000):
            store.append(new())
    data = bytearray(limits.path.read_bytes())
    page = len(data) // 1024 * 2 // 3
    while data[page * 1024] != 13:
        page += 1
    spoil(data, page)
    limits.path.write_bytes(data)
    with open_store(limits, boot_s=hurried()) as store:
        assert (store.memory_only, "corrupt" in store.reset) == ("", True)
        assert store.append(new()).seq == 1
    limits.path.write_bytes(data)
    assert usable_again(limits, boot_s=hurried())
    with open_store(limits, boot_s=hurried()) as store:
        assert (store.memory_only, "corrupt" in store.reset) == ("", True)


def lower(data: bytearray, cell: int) -> None:
    """The number of a row, in two bytes, is one that was before."""
    assert 0x81 < data[cell + 1] < 0x9E
    data[cell + 1] = 0x81


def higher(data: bytearray, cell: int) -> None:
    """The number of a row is one that comes later."""
    assert 0x81 < data[cell + 1] < 0x9E
    data[cell + 1] = 0x9E


def longer(data: bytearray, cell: int) -> None:
    """A row says that a column is longer than itself."""
    data[cell + 4] = 0x79


@pytest.mark.parametrize(
    ("spoil", "why"),
    [(lower, "out of order"), (higher, "out of order"), (longer, "malformed")],
)
def test_damage_that_is_met_in_use_is_the_end_of_that_file(
    limits: StoreLimits,
    spoil: Callable[[bytearray, int], None],
    why: str,
) -> None:
    """Else the same page would be sent for ever; the next start begins a new one."""
    with open_store(replace(limits, commit_after_s=1e6)) as store:
        store.append(new("count"))  # else the start looks for one
        for _ in range(4000):
            store.append(new())
    data = bytearray(limits.path.read_bytes())
    page = len(data) // 1024 * 2 // 3
    while data[page * 1024] != 13:
        page += 1
    spoil(data, page * 1024 + int.from_bytes(data[page * 1024 + 8 :][:2], "big") % 1024)
    limits.path.write_bytes(data)
    with open_store(limits, boot_s=hurried()) as store:
        assert not store.reset
        with pytest.raises(StoreError, match=why):
            waiting(store)
    with open_store(limits) as store:
        assert why in store.reset
        assert store.append(new()).seq == 1


def test_a_fact_without_a_name_ends_nothing(limits: StoreLimits) -> None:
    """The name is what the store itself uses for a moment at each start."""
    open_store(limits).close()
    with closing(sqlite3.connect(limits.path)) as db, db:
        db.execute("INSERT INTO meta VALUES ('', 5)")
    db.close()
    with open_store(limits) as store:
        assert not store.memory_only


@pytest.mark.parametrize("there", [b"", b"junk" * 3000])
def test_a_journal_of_another_file_ends_nothing(limits: StoreLimits, there: bytes) -> None:
    """Beside a file that is missing, or is none: it is removed, or goes along."""
    limits.path.parent.mkdir()
    other = limits.path.with_name("other")
    with closing(sqlite3.connect(other, isolation_level=None)) as db:
        db.execute("PRAGMA cache_size = 2")
        db.execute("CREATE TABLE t (a)")
        db.executemany("INSERT INTO t VALUES (?)", [(b"x" * 900,)] * 100)
        db.execute("BEGIN")
        db.execute("UPDATE t SET a = zeroblob(901)")
        limits.path.with_name("store.db-journal").write_bytes(Path(f"{other}-journal").read_bytes())
    if there:
        limits.path.write_bytes(there)
    for life in range(2):
        with open_store(limits) as store:
            assert (store.memory_only, store.queued, bool(store.reset)) == (
                "",
                life,
                bool(there) and not life,
            )
            store.append(new())
