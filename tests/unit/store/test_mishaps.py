"""What spoiled rows, locks at the wrong moment and a card full of our own rows must not do."""

from __future__ import annotations

import os
import sqlite3
import subprocess
from contextlib import closing, contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from agent import BUILT_S
from agent.config import StoreLimits
from agent.errors import StoreError
from agent.model import Moment, NewRecord
from agent.mqtt.answers import ClosedError
from agent.store import inspect, open_store, usable_again
from agent.store.reserve import FREE_MIN
from agent.uplink import note_start
from agent.uplink.outbox import Outbox
from agent.uplink.poison import PoisonWatch
from agent.uplink.waits import Backoff
from tests.fakes import House, Ticks
from tests.unit.store.test_store import MOMENT, new, numbers
from tests.unit.store.test_troubles import fill, fill_the_disk, free_the_disk

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from agent.store import Store

DAY_S = 86_400.0


@pytest.fixture
def limits(tmp_path: Path) -> StoreLimits:
    """Where the store is; bounds that no test meets by accident."""
    return StoreLimits(path=tmp_path / "state" / "store.db")


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Another program has a transaction open."""
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield
        other.execute("ROLLBACK")


class Passing(Ticks):
    """A clock that goes on by a second each time that it is asked."""

    def __call__(self) -> float:
        """The time, which is later than it was."""
        self.now_s += 1.0
        return self.now_s


def drain(box: Outbox) -> list[int]:
    """Send and have acknowledged what may go; the numbers."""
    sent = []
    while record := box.take():
        box.sent(record.seq, record, 10)
        box.answered(record.seq, 0)
        sent.append(record.seq)
    return sent


def outbox(store: Store, poison_watch: PoisonWatch | None = None) -> Outbox:
    """That of one connection."""
    return Outbox(
        store,
        window=20,
        per_s=1e6,
        backoff=Backoff(1, 2),
        poison_watch=poison_watch or PoisonWatch(),
        monotonic_s=Passing(),
    )


def spoil(path: Path, change: str) -> None:
    """Change the first record in the file."""
    with closing(sqlite3.connect(path)) as db, db:
        db.execute(f"UPDATE records SET {change} WHERE seq = 1")  # noqa: S608 -- our own words
    db.close()


def test_a_backlog_goes_on_when_a_lock_has_gone(limits: StoreLimits) -> None:
    """A thousand acknowledgements wait for their commit; then the rest follows, in order."""
    ticks = Ticks()
    with open_store(limits, boot_s=ticks) as store:
        for _ in range(1500):
            store.append(new())
        box = outbox(store)
        with locked(limits.path):
            sent = drain(box)
            assert 1000 <= len(sent) < 1500
        ticks.now_s += 5.0
        store.flush()
        store.append(new())
        sent += drain(box)
        assert (sent, store.queued) == (list(range(1, 1502)), 0)


@pytest.mark.parametrize("waits", ["held and acknowledged", "clock"])
def test_a_block_is_over_when_nothing_waits_any_more(limits: StoreLimits, waits: str) -> None:
    """The next flush finds out, and nothing is due for ever."""
    ticks = Ticks()
    with open_store(limits, boot_s=ticks) as store:
        store.note_clock(MOMENT, is_set=False)
        with locked(limits.path):
            if waits == "clock":
                store.note_clock(MOMENT, is_set=True)
            else:
                store.acknowledge(store.append(new()).seq)
            assert store.blocked
        ticks.now_s += 5.0
        store.flush()
        assert store.flush_due_s() > ticks()
        assert not store.blocked


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


@pytest.mark.parametrize(
    "change",
    [
        "kind = CAST(x'63ef756e74' AS TEXT)",
        "boot_id = CAST(x'ff' AS TEXT)",
        "body = 5",
        "body = x'7b7b'",
        "wall_s = 'x'",
        "boot_s = x'00'",
        "timestamp_s = 'x'",
    ],
)
def test_a_spoiled_row_ends_nothing(limits: StoreLimits, change: str) -> None:
    """Whatever was flipped; a person can still look at it."""
    with open_store(limits) as store:
        store.append(new())
        store.append(new())
    spoil(limits.path, change)
    with open_store(limits) as store:
        store.note_clock(MOMENT, is_set=True)
        assert 2 in numbers(store)
        assert all(record.payload() for record in store.waiting(0, 10))
        assert store.newest_moment() == MOMENT
        assert store.newest("sensors/room")
        store.append(new())
    inspect(limits.path, 10, dead=True)
    inspect(limits.path, 10)


def test_a_version_that_never_was_is_moved_aside(limits: StoreLimits) -> None:
    """One flipped bit in the header."""
    open_store(limits).close()
    with closing(sqlite3.connect(limits.path)) as db, db:
        db.execute("PRAGMA user_version = 0")
    db.close()
    with open_store(limits) as store:
        assert store.reset


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
    with pytest.raises(StoreError, match="can be used again"):
        house.live(100, detections=7)
    house.stop()
    house.start()
    assert (house.store.memory_only, house.store.total) == ("", 7)
    house.stop()


def test_a_clock_that_nobody_set_makes_nothing_old(limits: StoreLimits) -> None:
    """A wall clock in the far future is no reason to give up the backlog."""
    old = Moment(BUILT_S + 1000, 100.0, "before")
    now = Moment(BUILT_S + 1000 + 400 * DAY_S, 5.0, "after")
    with open_store(limits) as store:
        store.note_clock(old, is_set=True)
        for _ in range(5):
            store.append(replace(new(), moment=old))
        store.note_clock(now, is_set=False)
        store.append(replace(new(), moment=now))
        assert store.dropped == 0
    with open_store(limits) as store:
        store.note_clock(now, is_set=True)
        store.append(replace(new(), moment=now))
        assert store.dropped_for == {"age": 5}


def test_what_is_let_go_in_a_block_is_counted(limits: StoreLimits) -> None:
    """A record that was set aside and could not be kept; a number that never was counts nothing."""
    with open_store(limits) as store:
        store.append(new())
        with locked(limits.path):
            store.set_aside(1, "no")
            store.set_aside(99, "no")
            assert (store.queued, store.dropped) == (0, 1)


def test_innocent_neighbours_of_a_guilty_record_go_at_once(limits: StoreLimits) -> None:
    """What was left out with it is sent over the same connection."""
    with open_store(limits) as store:
        for _ in range(6):
            store.append(new())
        poison_watch = PoisonWatch()
        poison_watch.careful = True
        lost = ClosedError("x")
        for trial in range(2):
            for _ in range(3):
                poison_watch.ended(lost, [1], 0.1)
            if not trial:
                poison_watch.ended(lost, [2], 0.1)
        assert poison_watch.held == range(1, 3)
        assert sorted(drain(outbox(store, poison_watch))) == [2, 3, 4, 5, 6]
        assert store.queued == 0
    assert inspect(limits.path, 9, dead=True).queued == 1


def test_a_lost_store_is_no_first_start(limits: StoreLimits, tmp_path: Path) -> None:
    """Why the process before ended is not known then."""
    with open_store(limits) as store:
        note_start(store, MOMENT, tmp_path, window=None)
    limits.path.write_bytes(b"garbage" * 1000)
    with open_store(limits) as store:
        assert note_start(store, MOMENT, tmp_path, window=None).reason == "unknown"


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
            box = outbox(store)
            for _ in range(waiting // 500 + 10):
                drain(box)
                ticks.now_s += 5.0
                store.flush()
            assert store.queued == 0
            assert not store.blocked
    finally:
        subprocess.run(["/bin/umount", "-l", str(disk)], check=True)
