"""A card without room: nothing is lost that memory can hold, and what has arrived makes room."""

from __future__ import annotations

import os
import sqlite3
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from agent.config import StoreLimits
from agent.model import NewRecord
from agent.store import BlockedError, DiskFullError, open_store, usable_again
from agent.store.inspection import inspect
from agent.store.reserve import FREE_MIN
from tests.fakes import House, Ticks
from tests.unit.store.conftest import (
    crash,
    drain,
    fill,
    fill_the_disk,
    free_the_disk,
    new,
    numbers,
)

if TYPE_CHECKING:
    from pathlib import Path


def test_the_sampler_does_not_spin_while_the_disk_is_full(tmp_path: Path) -> None:
    """Online, what is held is acknowledged at once."""
    house = House(tmp_path)
    house.start()
    house.live(2)
    fill_the_disk(house.store)
    record = NewRecord("sensors/x", 1.0, house.clock.now(), {"text": "x" * 5000})
    house.store.acknowledge(house.store.append(record).seq)
    house.clock.pass_by(6)
    waits = [house.sampler.step() for _ in range(20)]
    free_the_disk(house.store)
    house.stop()
    assert all(wait_s > 0 for wait_s in waits[3:])


def test_a_card_that_is_full_of_our_own_rows_is_drained(tmp_path: Path) -> None:
    """What arrives makes room, without anybody's help, and then all is well."""
    if os.geteuid() != 0:
        pytest.skip("only root can mount a file system")
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["/bin/mount", "-t", "tmpfs", "-o", "size=4m", "none", str(disk)]
    subprocess.run(mount, check=True)
    try:
        ticks = Ticks()
        limits = StoreLimits(path=disk / "store.db")
        with open_store(limits, boot_s=ticks) as store:
            assert FREE_MIN < 4 * 1024 * 1024
            assert (disk / "store.db-spare").exists()
            while not store.blocked:
                store.append(new(text="x" * 150))
            fill(disk / "ballast")
            waiting = store.queued
            for _ in range(waiting // 500 + 10):
                drain(store)
                ticks.now_s += 5.0
                store.flush()
            assert store.queued == 0
            assert not store.blocked
    finally:
        subprocess.run(["/bin/umount", "-l", str(disk)], check=True)


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


def test_acknowledgements_wait_for_room_too(limits: StoreLimits) -> None:
    """They stay bounded in memory: what is in the file rests then, what is held goes on."""
    with open_store(limits) as store:
        for _ in range(1500):
            store.append(new())
        store._write_behind.db.execute("PRAGMA query_only = 1")
        store._write_behind.blocked = DiskFullError("full")
        store._write_behind._again_boot_s = float("inf")
        for seq in numbers(store):
            store.acknowledge(seq)
        fresh = store.append(new()).seq
        assert numbers(store) == [fresh]
        store._write_behind.db.execute("PRAGMA query_only = 0")


def test_a_command_that_cannot_be_kept_is_refused(limits: StoreLimits) -> None:
    """It must not be acknowledged; the total stays."""
    with open_store(limits) as store:
        other = sqlite3.connect(limits.path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        store._write_behind.db.execute("PRAGMA busy_timeout = 1")
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
        assert "the disk is full" in store.memory_only
        assert (store.reset, store.append(new()).seq) == ("", 1)
        assert not usable_again(limits)
    ballast.unlink()
    assert usable_again(limits)
    with open_store(limits) as store:
        assert (store.epoch, numbers(store), store.memory_only) == (epoch, [1], "")


def test_the_spare_room_is_spent_on_a_start(tmp_path: Path) -> None:
    """The file then goes on where it was, though the card is full."""
    if os.geteuid() != 0:
        pytest.skip("only root can mount a file system")
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["/bin/mount", "-t", "tmpfs", "-o", "size=4m", "none", str(disk)]
    subprocess.run(mount, check=True)
    try:
        limits = StoreLimits(path=disk / "store.db")
        with open_store(limits) as store:
            store.append(new())
        fill(disk / "ballast")
        with open_store(limits) as store:
            assert not store.memory_only
            assert (store.append(new()).seq, numbers(store)) == (2, [1, 2])
    finally:
        subprocess.run(["/bin/umount", "-l", str(disk)], check=True)
