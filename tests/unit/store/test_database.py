"""The file: private, forced to the card, grown once, brought up to date, looked through."""

from __future__ import annotations

import os
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from agent.store import database, open_store
from agent.value import replace
from tests.unit.store.conftest import new, numbers

if TYPE_CHECKING:
    import pytest

    from agent.config import StoreLimits


def test_all_files_are_private(limits: StoreLimits) -> None:
    """Readings tell when somebody is at home."""
    before = os.umask(0)
    try:
        with open_store(limits) as store:
            store.append(new())
            modes = {
                path.name: path.stat().st_mode & 0o777 for path in limits.path.parent.iterdir()
            }
    finally:
        os.umask(before)
    names = [f"store.db{end}" for end in ("", "-block", "-shm", "-spare", "-wal")]
    assert modes == dict.fromkeys(names, 0o600)
    assert limits.path.parent.stat().st_mode & 0o777 == 0o700
    left = {path.name for path in limits.path.parent.iterdir()}
    assert left == {"store.db", "store.db-block", "store.db-spare"}


def test_the_log_is_grown_once_and_keeps_its_size(limits: StoreLimits) -> None:
    """A log that grows with each commit costs the card twice as much."""
    with open_store(limits) as store:
        log = limits.path.with_name("store.db-wal")
        size = log.stat().st_size
        assert size > 200_000
        for _ in range(500):
            store.acknowledge(store.append(new(text="x" * 200)).seq)
        assert log.stat().st_size == size
        assert store._write_behind.db.execute("PRAGMA page_size").fetchone() == (1024,)


def test_every_commit_is_forced_to_the_card(limits: StoreLimits) -> None:
    """Full synchronisation, which no test can see without a power cut."""
    with open_store(limits) as store:
        assert store._write_behind.db.execute("PRAGMA synchronous").fetchone() == (2,)


def test_a_log_left_behind_is_not_taken_for_the_new_files(limits: StoreLimits) -> None:
    """Where the file was removed and its log was not, the log goes too."""
    with open_store(limits) as store:
        store.append(new())
        shutil.copy(f"{limits.path}-wal", f"{limits.path}.kept")
    limits.path.unlink()
    Path(f"{limits.path}.kept").rename(f"{limits.path}-wal")
    with open_store(limits) as store:
        assert (store.queued, store.reset) == (0, "")


def test_an_interrupted_creation_is_begun_again(limits: StoreLimits) -> None:
    """What it left behind is of no account."""
    limits.path.parent.mkdir()
    (limits.path.parent / ".store.db.new").write_bytes(b"half")
    with open_store(limits) as store:
        assert (store.append(new()).seq, store.reset) == (1, "")


def test_a_store_of_the_first_version_is_brought_up_to_date(limits: StoreLimits) -> None:
    """With all that is in it."""
    with open_store(limits) as store:
        store.append(new("count", n=1), detections=4)
        epoch = store.epoch
    with closing(sqlite3.connect(limits.path)) as db, db:
        db.execute("DROP TABLE boots")
        db.execute("PRAGMA user_version = 1")
    db.close()
    with open_store(limits) as store:
        assert (store.reset, store.epoch, store.total, numbers(store)) == ("", epoch, 4, [1])


def test_damage_that_only_a_check_finds_is_found(limits: StoreLimits) -> None:
    """An index that lacks a row would let a command be applied twice."""
    with open_store(limits) as store:
        store.set_total(1, "id")
    with closing(sqlite3.connect(limits.path)) as db, db:
        db.execute("PRAGMA writable_schema = 1")
        db.execute("DELETE FROM sqlite_schema WHERE name LIKE 'sqlite_autoindex_commands%'")
    db.close()
    with open_store(limits) as store:
        assert "store.db.corrupt-" in store.reset


def test_the_check_takes_no_longer_than_it_may(limits: StoreLimits) -> None:
    """A million rows on a slow card must not keep the sensors from being read."""
    with open_store(replace(limits, commit_after_s=99.0)) as store:
        for _ in range(4000):
            store.append(new())
    asked: list[float] = []

    def late() -> float:
        asked.append(database.CHECK_S + 1.0 if asked else 0.0)
        return asked[-1]

    with closing(sqlite3.connect(limits.path)) as db:
        database.check(db, monotonic_s=late)
    assert len(asked) == 2, "it ends when it is found out to be late"


def test_a_new_file_s_name_is_forced_to_the_card(
    limits: StoreLimits, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its directory is, after the file has its name; else a power cut loses the store."""
    forced: list[tuple[str, bool]] = []
    fsync = os.fsync

    def note(descriptor: int) -> None:
        forced.append((str(Path(f"/proc/self/fd/{descriptor}").readlink()), limits.path.exists()))
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", note)
    limits.path.parent.mkdir()
    database.make(limits.path)
    assert forced[-1] == (str(limits.path.parent), True)


def test_a_new_store_is_whole_at_once(limits: StoreLimits) -> None:
    """It is one file, with its log's mark in it, and nothing has to be brought to an end."""
    limits.path.parent.mkdir(parents=True)
    database.make(limits.path, reset="why")
    assert [one.name for one in limits.path.parent.iterdir()] == [limits.path.name]
    with closing(sqlite3.connect(f"file:{limits.path}?mode=ro", uri=True)) as db:
        assert db.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        assert db.execute("SELECT value FROM meta WHERE name = 'reset'").fetchone() == ("why",)
