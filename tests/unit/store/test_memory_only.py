"""A store without a file: small, told, and back in the file as soon as there can be one."""

from __future__ import annotations

import sqlite3
import subprocess
import time
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from agent.config import StoreLimits
from agent.errors import StoreError
from agent.store import BlockedError, open_store, usable_again
from agent.store.pending import ROWS_MAX, Buffer
from tests.fakes import House
from tests.unit.store.conftest import fill_the_disk, locked, new, numbers

if TYPE_CHECKING:
    from pathlib import Path


def test_what_is_usable_again_can_be_opened(limits: StoreLimits) -> None:
    """Else the agent would start anew every minute."""
    open_store(limits).close()
    block = limits.path.with_name("store.db-block")
    block.unlink()
    block.mkdir()
    with open_store(limits) as store:
        assert store.memory_only
        assert not usable_again(limits)
    block.rmdir()
    assert usable_again(limits)


def test_the_way_back_to_the_file_loses_no_detection(tmp_path: Path) -> None:
    """The open window is reported by the next process, to the file."""
    first = House(tmp_path)
    first.start()
    first.stop()
    house = House(tmp_path)
    with locked(tmp_path / "store.db"):
        house.start()
    assert house.store.memory_only
    house.live(50, detections=7)

    def live_on() -> None:
        while True:  # until the trial, which runs in a thread, has ended
            house.live(10)
            time.sleep(0.001)

    with pytest.raises(StoreError, match="can be used again"):
        live_on()
    house.stop()
    house.start()
    assert (house.store.memory_only, house.store.total) == ("", 7)
    house.stop()


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
    for seq in range(1, 6):
        buffer.add((seq, "count", 0.0, b"x" * 1_500_000, 0.0, 0.0, ""), 0.0)
        given_up += buffer.bound()
    assert (len(buffer), given_up, buffer.last_seq) == (2, 3, 5)


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
        for path, reason in {**paths, tmp_path / "directory": "not a regular"}.items():
            with open_store(StoreLimits(path=path)) as store:
                assert store.memory_only.startswith(f"{path}: ")
                assert reason in store.memory_only
                assert store.epoch != epoch
                assert store.append(new(), detections=1).seq == 1
                assert numbers(store) == [1]
                store.acknowledge(1)
                with pytest.raises(BlockedError):
                    store.set_total(3, "id")
                assert store.total == 1
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


def test_a_trial_of_a_file_that_takes_no_commit_reads_nothing(limits: StoreLimits) -> None:
    """Once a minute it may be: damage far within it is found once the lock has gone."""
    with open_store(limits) as store:
        for _ in range(50):
            store.append(new(text="x" * 500))
    with limits.path.open("r+b") as file:
        file.seek(limits.path.stat().st_size // 2 // 1024 * 1024)
        file.write(b"\xff" * 1024)
    with locked(limits.path):
        assert not usable_again(limits)
        assert not list(limits.path.parent.glob("*corrupt*"))
    assert usable_again(limits)
    with open_store(limits) as store:
        assert (store.memory_only, "corrupt" in store.reset) == ("", True)


def test_a_trial_makes_what_a_start_would(limits: StoreLimits) -> None:
    """A directory that is missing, and a file that is."""
    limits.path.parent.write_text("in the way")
    assert not usable_again(limits)
    limits.path.parent.unlink()
    assert usable_again(limits)
    with open_store(limits) as store:
        assert (store.memory_only, store.reset) == ("", "")


def test_a_foreign_database_is_left_as_it_is(limits: StoreLimits) -> None:
    """It is moved aside, and nothing is written to it, though it has such a table."""
    limits.path.parent.mkdir()
    with closing(sqlite3.connect(limits.path)) as db, db:
        db.execute("CREATE TABLE meta (name PRIMARY KEY, value)")
    db.close()
    before = limits.path.read_bytes()
    assert usable_again(limits)
    (aside,) = limits.path.parent.glob("*corrupt*")
    assert aside.read_bytes() == before


def test_a_file_that_may_not_be_written_is_left_alone(small_disk: Path) -> None:
    """Its header is as it should be: it serves again once it may be written."""
    limits = StoreLimits(path=small_disk / "store.db")
    with open_store(limits) as store:
        store.append(new())
    for mode in ("ro", "rw"):
        subprocess.run(["/bin/mount", "-o", f"remount,{mode}", str(small_disk)], check=True)
        with open_store(limits) as store:
            assert (bool(store.memory_only), store.reset) == (mode == "ro", "")
        assert usable_again(limits) == (mode == "rw")
    with open_store(limits) as store:
        assert numbers(store) == [1]
