"""The store where there is no room, no file, or no commit yet: what is held in memory, and told."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import threading
from contextlib import closing, suppress
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from agent.config import StoreLimits
from agent.store import (
    BlockedError,
    DiskFullError,
    database,
    inspect,
    open_store,
    revive,
    usable_again,
)
from agent.store.buffer import ROWS_MAX, Buffer
from agent.store.reserve import BLOCK, NumberReserve
from tests.fakes import Ticks
from tests.unit.store.test_store import MOMENT, new, numbers

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from agent.store import Store


@pytest.fixture
def limits(tmp_path: Path) -> StoreLimits:
    """Where the store is; bounds that no test meets by accident."""
    return StoreLimits(path=tmp_path / "state" / "store.db")


def fill_the_disk(store: Store) -> None:
    """Leave no room for another page, as a full disk does (SQLITE_FULL)."""
    pages = store._write_behind._db.execute("PRAGMA page_count").fetchone()[0]
    store._write_behind._db.execute(f"PRAGMA max_page_count = {pages}")


def free_the_disk(store: Store) -> None:
    """Make room again."""
    store._write_behind._db.execute("PRAGMA max_page_count = 1000000")


def crash(store: Store) -> None:
    """End it as SIGKILL does: nothing more is written."""
    store._write_behind._db.close()
    store._write_behind._buffer = Buffer(store._write_behind._figures.last_seq)
    store._write_behind._acknowledged.clear()
    store._write_behind._numbers = None


def test_what_a_full_disk_cannot_take_is_held(limits: StoreLimits) -> None:
    """It is numbered, counted, sent and acknowledged as ever, and told of."""
    ticks = Ticks()
    with open_store(limits, boot_s=ticks) as store:
        store.append(new(), detections=1)
        fill_the_disk(store)
        held = store.append(new("count", text="x" * 5000), detections=5)
        assert (held.seq, held.body["total"], store.total) == (2, 6, 6)
        assert isinstance(store.blocked, DiskFullError)
        assert "free some space" in store.blocked.hint
        assert (numbers(store), store.queued) == ([1, 2], 2)
        newest = store.newest("count")
        assert newest
        assert newest.seq == 2
        store.acknowledge(2)
        assert (numbers(store), store.queued) == ([1], 1)


def test_when_there_is_room_again_it_is_stored(limits: StoreLimits) -> None:
    """In order, with the total, at the next commit but not more often than is sensible."""
    ticks = Ticks()
    with open_store(limits, boot_s=ticks) as store:
        fill_the_disk(store)
        for _ in range(3):
            store.append(new(text="x" * 5000), detections=1)
        free_the_disk(store)
        store.flush()
        assert store.flush_due_s() == ticks() + 5.0
        ticks.now_s += 5.0
        store.flush()
        assert store.blocked is None
        assert inspect(limits.path, 10).queued == 3
        crash(store)
    with open_store(limits) as store:
        assert (numbers(store), store.total, store.skipped) == ([1, 2, 3], 3, None)
        assert store.append(new()).seq == 4


def test_what_was_held_in_a_crash_is_told_as_skipped(limits: StoreLimits) -> None:
    """Its numbers are never given to anything else, and the next start says which they were."""
    with open_store(limits) as store:
        store.append(new())
        fill_the_disk(store)
        for _ in range(3):
            store.append(new(text="x" * 5000))
        crash(store)
    for _ in range(2):
        with open_store(limits) as store:
            assert store.skipped == (2, 1 + BLOCK)
            crash(store)
    with open_store(limits) as store:
        assert store.append(new()).seq == 2 + BLOCK
        store.told_skipped()
        assert store.skipped is None
    with open_store(limits) as store:
        assert (store.skipped, numbers(store)) == (None, [1, 2 + BLOCK])


def test_without_memory_no_number_is_skipped(limits: StoreLimits) -> None:
    """The number of a record that was committed at once is taken in its own transaction."""
    with open_store(limits) as store:
        store.append(new())
        crash(store)
    with open_store(limits) as store:
        assert (store.skipped, store.append(new()).seq) == (None, 2)


def test_an_orderly_end_tries_once_more(limits: StoreLimits) -> None:
    """There may be room again, though it is not yet time to look."""
    ticks = Ticks()
    with open_store(limits, boot_s=ticks) as store:
        fill_the_disk(store)
        store.append(new(text="x" * 5000), detections=2)
        store.remember(stopped="now")
        free_the_disk(store)
    with open_store(limits) as store:
        assert (numbers(store), store.total, store.recall("stopped")) == ([1], 2, "now")
        assert store.skipped is None


def test_memory_is_bounded(limits: StoreLimits) -> None:
    """The oldest go, counted, and the next payload tells of it."""
    with open_store(limits) as store:
        fill_the_disk(store)
        for number in range(ROWS_MAX + 5):
            store.append(new(text="x" * 2000) if number == 0 else new())
        assert store.queued == ROWS_MAX
        assert store.dropped_for == {"memory": 5}
        assert store.append(new()).body == {"dropped": {"memory": 5}}
    buffer, given_up = Buffer(0), 0
    for _ in range(5):
        buffer.add(new(), b"x" * 1_500_000, 0.0)
        given_up += buffer.bound()
    assert (len(buffer), given_up, buffer.last_seq) == (2, 3, 5)


def test_acknowledgements_wait_for_room_too(limits: StoreLimits) -> None:
    """They stay bounded in memory: what is in the file rests then, what is held goes on."""
    with open_store(limits) as store:
        for _ in range(1500):
            store.append(new())
        store._write_behind._db.execute("PRAGMA query_only = 1")
        store._write_behind.blocked = DiskFullError("full")
        store._write_behind._again_boot_s = float("inf")
        for seq in numbers(store):
            store.acknowledge(seq)
        fresh = store.append(new()).seq
        assert numbers(store) == [fresh]
        store._write_behind._db.execute("PRAGMA query_only = 0")


def test_a_command_that_cannot_be_kept_is_refused(limits: StoreLimits) -> None:
    """It must not be acknowledged; the total stays."""
    with open_store(limits) as store:
        other = sqlite3.connect(limits.path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        store._write_behind._db.execute("PRAGMA busy_timeout = 1")
        try:
            with pytest.raises(BlockedError):
                store.set_total(5, "id")
            assert store.total == 0
            assert store.append(new()).seq == 1
            assert store.blocked
            assert "another program" in store.blocked.hint
        finally:
            other.close()
        assert store.set_total(5, "id")


def test_a_store_that_is_locked_or_cannot_be_is_in_memory(
    limits: StoreLimits, tmp_path: Path
) -> None:
    """It works, small, with an epoch of its own; the file is left as it is."""
    with open_store(limits) as store:
        epoch = store.epoch
        store.append(new())
    locker = sqlite3.connect(limits.path, isolation_level=None)
    locker.execute("PRAGMA locking_mode = EXCLUSIVE")
    locker.execute("BEGIN EXCLUSIVE")
    (tmp_path / "file").write_text("")
    (tmp_path / "directory").mkdir()
    paths = {limits.path: "locked", tmp_path / "file" / "store.db": "Not a directory"}
    try:
        for path, reason in {**paths, tmp_path / "directory": "unable to open"}.items():
            with open_store(StoreLimits(path=path)) as store:
                assert store.memory_only.startswith(f"{path}: ")
                assert reason in store.memory_only
                assert store.epoch != epoch
                assert store.append(new(), detections=1).seq == 1
                assert numbers(store) == [1]
                store.acknowledge(1)
                assert store.set_total(3, "id")
                assert store.queued == 0
    finally:
        locker.close()
    with open_store(limits) as store:
        assert (store.reset, store.memory_only, store.epoch) == ("", "", epoch)


def test_a_store_in_memory_is_small(tmp_path: Path) -> None:
    """However much the configuration allows on the disk."""
    (tmp_path / "file").write_text("")
    with open_store(StoreLimits(path=tmp_path / "file" / "store.db")) as store:
        for _ in range(ROWS_MAX + 1):
            store.append(new())
        assert store.queued <= ROWS_MAX
        assert store.dropped_for["rows"] >= 1


def test_with_patience_what_is_acknowledged_in_time_never_reaches_the_card(
    limits: StoreLimits,
) -> None:
    """What is not is committed once it is old enough."""
    ticks = Ticks()
    patient = replace(limits, commit_after_s=10.0)
    with open_store(patient, boot_s=ticks) as store:
        first = store.append(new())
        assert (numbers(store), inspect(limits.path, 9).queued) == ([1], 0)
        log = limits.path.with_name("store.db-wal").read_bytes()
        store.acknowledge(first.seq)
        for _ in range(50):
            ticks.now_s += 1.0
            store.acknowledge(store.append(new()).seq)
        assert limits.path.with_name("store.db-wal").read_bytes() == log
        store.append(new())
        assert store.flush_due_s() == ticks() + 10.0
        ticks.now_s += 10.0
        store.flush()
        assert [one.seq for one in inspect(limits.path, 9).records] == [52]


def test_with_patience_a_count_takes_everything_along(limits: StoreLimits) -> None:
    """The running total is never behind what was published."""
    with open_store(replace(limits, commit_after_s=10.0)) as store:
        store.append(new())
        store.append(new("count"), detections=0)
        assert inspect(limits.path, 9).queued == 0
        store.append(new("count"), detections=2)
        assert inspect(limits.path, 9).queued == 3


def test_with_patience_a_crash_skips_the_block_and_an_end_does_not(limits: StoreLimits) -> None:
    """Numbers go on behind what was reserved; after an orderly end there is no hole."""
    patient = replace(limits, commit_after_s=10.0)
    with open_store(patient) as store:
        for _ in range(3):
            store.acknowledge(store.append(new()).seq)
    with open_store(patient) as store:
        assert (store.skipped, store.append(new()).seq) == (None, 4)
        crash(store)
    with open_store(patient) as store:
        assert store.skipped == (4, 3 + BLOCK)
        assert store.append(new()).seq == 4 + BLOCK


def test_a_block_that_cannot_be_read_is_taken_for_used(limits: StoreLimits) -> None:
    """A number too many is skipped rather than one given twice."""
    with open_store(limits) as store:
        store.append(new())
    limits.path.with_name("store.db-block").write_bytes(b"\xff" * 64)
    with open_store(limits) as store:
        assert store.skipped == (2, 1 + BLOCK)


def test_a_block_of_another_store_means_nothing(tmp_path: Path) -> None:
    """Its epoch is another."""
    NumberReserve(tmp_path / "store.db", "0" * 16, 0).reserve(77)
    assert NumberReserve(tmp_path / "store.db", "0" * 16, 0).last == 76 + BLOCK
    assert NumberReserve(tmp_path / "store.db", "1" * 16, 0).last == 0


def test_a_block_is_written_in_place(tmp_path: Path) -> None:
    """A full disk takes it, since it needs no new room."""
    block = NumberReserve(tmp_path / "store.db", "0" * 16, 0)
    path = tmp_path / "store.db-block"
    before = path.stat()
    block.reserve(1)
    block.reserve(900)
    block.release()
    after = path.stat()
    assert (before.st_ino, before.st_size, before.st_blocks) == (
        after.st_ino,
        after.st_size,
        after.st_blocks,
    )


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
    with open_store(limits) as store:
        for _ in range(2000):
            store.append(new())
        database.check(store._write_behind._db, within_s=-1.0)


def test_dead_records_are_shown_and_revived(limits: StoreLimits) -> None:
    """Under their own numbers; what is newest stays the newest."""
    with open_store(limits) as store:
        for n in range(3):
            store.append(new(n=n))
        store.set_aside(2, "payload format not valid")
        store.set_aside(3, "too large")
    seen = inspect(limits.path, 1, dead=True)
    assert (seen.queued, [one.body for one in seen.records]) == (2, [{"n": 1}])
    assert seen.reasons == ("payload format not valid",)
    assert revive(limits.path) == 2
    assert inspect(limits.path, 9, dead=True).records == ()
    with open_store(limits) as store:
        assert numbers(store) == [1, 2, 3]
        assert store.append(new()).seq == 4
        for seq in (1, 2, 3, 4):
            store.acknowledge(seq)
        assert store.queued == 0
    with open_store(limits) as store:
        assert (store.append(new()).seq, store.queued) == (5, 1)


def test_facts_are_remembered(limits: StoreLimits) -> None:
    """With a record in its own transaction, or alone."""
    with open_store(limits) as store:
        store.append(new("count"), detections=0, window="boot 100.0")
        store.remember(ended="stopped")
    with open_store(limits) as store:
        assert (store.recall("window"), store.recall("ended")) == ("boot 100.0", "stopped")
        assert store.recall("nothing") == ""
        newest = store.newest_moment()
        assert newest == MOMENT


def test_threads_wait_for_each_other(limits: StoreLimits) -> None:
    """Two that append and one that flushes leave no hole."""
    with open_store(replace(limits, commit_after_s=0.001)) as store:
        threads = [
            threading.Thread(target=lambda: [store.append(new()) for _ in range(200)])
            for _ in range(2)
        ]
        for thread in threads:
            thread.start()
        while any(thread.is_alive() for thread in threads):
            store.flush()
        assert numbers(store) == list(range(1, 401))


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of two MiB."""
    if os.geteuid() != 0:
        pytest.skip("only root can mount a file system")
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["/bin/mount", "-t", "tmpfs", "-o", "size=2m", "none", str(disk)]
    subprocess.run(mount, check=True)
    yield disk
    subprocess.run(["/bin/umount", "-l", str(disk)], check=True)


def fill(ballast: Path) -> None:
    """Leave no byte free."""
    with suppress(OSError), ballast.open("wb", 0) as file:
        while True:
            file.write(b"x" * 1024)


def test_a_disk_that_is_really_full(small_disk: Path) -> None:
    """The store goes on in memory, and in the file once there is room."""
    ticks, ballast = Ticks(), small_disk / "ballast"
    limits = StoreLimits(path=small_disk / "store.db")
    with open_store(limits, boot_s=ticks) as store:
        store.append(new())
        fill(ballast)
        for _ in range(600):
            store.append(new(text="x" * 1000))
        assert isinstance(store.blocked, DiskFullError)
        assert numbers(store, 0, 1000) == list(range(1, 602))
        for seq in range(1, 300):
            store.acknowledge(seq)
        ballast.unlink()
        ticks.now_s += 5.0
        store.flush()
        assert numbers(store)[0] == 300
        assert inspect(limits.path, 1).queued == 302
        crash(store)
    with open_store(limits) as store:
        assert (store.reset, numbers(store, 0, 1000)) == ("", list(range(300, 602)))


def test_a_full_disk_at_the_start_is_no_reason_to_forget_the_file(small_disk: Path) -> None:
    """A small store in memory serves until there is room, and the file then as it was."""
    ballast = small_disk / "ballast"
    limits = StoreLimits(path=small_disk / "store.db")
    with open_store(limits) as store:
        store.append(new())
        epoch = store.epoch
    fill(ballast)
    with open_store(limits) as store:
        assert "full" in store.memory_only or "I/O" in store.memory_only
        assert (store.reset, store.append(new()).seq) == ("", 1)
        assert not usable_again(limits)
    ballast.unlink()
    assert usable_again(limits)
    with open_store(limits) as store:
        assert (store.epoch, numbers(store), store.memory_only) == (epoch, [1], "")
