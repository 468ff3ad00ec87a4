"""Records and windows are kept through crashes and jumps of the clock; troubles are told."""

from __future__ import annotations

import json
import sqlite3
import time
from contextlib import suppress
from itertools import pairwise
from typing import TYPE_CHECKING, TypeVar

import pytest

from agent import BUILT_S
from agent.config import StoreLimits
from agent.errors import FileBackError, StoreError
from agent.health.health import Health
from agent.model import NewRecord
from agent.sampling import open_windows
from agent.sampling.pool import Job, Pool
from agent.sensors import Detections
from agent.store import BlockedError, open_store
from agent.value import replace
from agent.wakeup import Wakeup
from tests.fakes import START_S, FakeClock, House, live_facts
from tests.unit.sampling.conftest import Bench

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

DAY_S = 86_400.0

T = TypeVar("T")


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    """With its agent running."""
    made = House(tmp_path)
    made.start()
    yield made
    made.stop()


def test_a_crash_loses_no_detection(house: House) -> None:
    """What the open window saw until then is reported at the next start, once."""
    house.live(100, detections=40)
    for _ in range(3):
        house.crash()
        house.clock.pass_by(5.0)
        house.start()
        house.live(60, detections=7)
    house.stop()
    house.start()

    counts = house.counts()
    assert [at for at, *_ in counts] == [600] * 4
    assert [count for _, count, _ in counts] == [40, 7, 7, 7]
    assert {quality for *_, quality in counts} == {"partial"}
    assert house.store.total == 61
    observed_ms = [one.body["observed_ms"] for one in house.records()]
    assert observed_ms == [100_000, 60_000, 60_000, 60_000]


def test_a_crash_right_after_the_report_reports_nothing_twice(house: House) -> None:
    """The mirror of a window that the store has is not believed."""
    house.live(300, detections=3)
    kept = (house.directory / "window.json").read_bytes()
    house.live(300)
    house.crash()
    (house.directory / "window.json").write_bytes(kept)
    house.start()

    assert house.counts() == [(600, 3, "ok")]
    assert house.store.total == 3


def test_after_a_power_cut_the_next_window_is_partial(house: House) -> None:
    """What was in memory is gone, and the report says for how long somebody watched."""
    house.live(700, detections=5)
    house.crash()
    (house.directory / "window.json").unlink()
    house.clock.pass_by(100.0)
    house.start()
    house.live(400)

    assert house.counts() == [(600, 5, "ok"), (1200, 0, "partial")]
    assert house.records()[1].body["observed_ms"] == 400_000


@pytest.mark.parametrize("jump_s", [DAY_S, -DAY_S, 3600.0, 12_345.0, -777.0])
def test_a_jump_of_the_clock_neither_doubles_nor_skips_a_window(
    house: House, jump_s: float
) -> None:
    """Every detection is in one window, every window has its own time, and they adjoin."""
    house.live(1000, detections=1000)
    house.clock.jump(jump_s)
    house.live(2000, detections=2000)

    counts = house.counts()
    assert sum(count for _, count, _ in counts) == 3000 - (START_S + jump_s + 3000) % 600
    observed_s = sum(int(str(one.body["observed_ms"])) for one in house.records()) / 1000
    assert observed_s == sum(count for _, count, _ in counts)
    whole = [at for at, _, quality in counts if quality == "ok"]
    assert len(whole) == len(set(whole))
    times = [at for at, *_ in counts]
    assert times[0] == 600 + (jump_s if jump_s % 600 == 0 else times[0] - 600)
    assert all(later - at in {0, 600} for at, later in pairwise(times))


def test_windows_before_the_clock_was_set_get_their_time_when_it_is(house: House) -> None:
    """A Pi that slept for three hours and a bit comes back with the time of its last shutdown."""
    house.stop()
    house.clock.was_set = False
    house.clock.jump(-10_000.0)
    house.start()
    house.live(600, detections=600)
    assert [quality for *_, quality in house.counts()] == ["clock_estimated"]
    house.clock.jump(10_000.0)
    house.clock.was_set = True
    house.live(10)

    (moved,) = house.counts()
    assert moved == (600, 10_000 % 600, "partial")


def test_troubles_of_the_store_are_conditions(house: House) -> None:
    """A full disk, a lock, what was given up, and when it is over."""
    house.live(1)
    content = house.store._write_behind
    pages = content.db.execute("PRAGMA page_count").fetchone()[0]
    content.db.execute(f"PRAGMA max_page_count = {pages}")
    for _ in range(3):
        house.recorder.append(
            NewRecord("sensors/a", START_S, house.clock.now(), {"text": "x" * 5000})
        )
    house.recorder.hand_on()
    assert "full" in house.conditions()["disk-full"]
    content._given_up = 1
    house.live(5)
    assert house.conditions()["records-dropped"].endswith(": 1 for memory")
    content.db.execute("PRAGMA max_page_count = 1000000")
    house.live(6)
    assert list(house.conditions()) == ["records-dropped"]
    house.clock.pass_by(DAY_S)
    house.live(1)
    assert house.conditions() == {}
    content.blocked = BlockedError("locked")
    content._again_boot_s = float("inf")
    house.live(1)
    assert house.conditions() == {"store-memory-only": "locked"}
    content.blocked = None


def test_a_store_that_is_nearly_full_is_told_before_anything_is_lost(tmp_path: Path) -> None:
    """There is time to do something about it."""
    house = House(tmp_path, limits=StoreLimits(max_rows=10))
    house.start()
    for _ in range(9):
        house.recorder.append(NewRecord("sensors/a", START_S, house.clock.now()))
    house.recorder.hand_on()
    assert house.conditions() == {"store-full": "it is 90% full"}
    for seq in range(1, 10):
        house.store.acknowledge(seq)
    house.store.flush()
    house.live(1)
    assert house.conditions() == {}
    house.stop()


def test_an_unset_clock_is_told(house: House) -> None:
    """Where a time service runs that has not set it; whether it has is asked every 5 seconds."""
    house.clock.was_set = False
    assert house.sampler.step() <= 5.0
    house.sampler.wait(0.0)
    assert "no time service has set the clock" in house.conditions()["clock-unset"]
    house.clock.was_set = True
    house.live(1)
    assert house.conditions() == {}


def test_an_implausible_clock_is_told_by_the_uplink(house: House) -> None:
    """Which waits for it; here is nothing to add."""
    house.clock.was_set = False
    house.clock.now_wall_s = BUILT_S - 1000.0
    house.sampler.step()
    assert house.conditions() == {}


@pytest.fixture
def memory_house(tmp_path: Path) -> Iterator[House]:
    """With an agent whose store cannot have its file, and has a record that waits."""
    (tmp_path / "file").write_text("")
    house = House(tmp_path)
    house.limits = replace(house.limits, path=tmp_path / "file" / "store.db")
    house.start()
    house.recorder.append(NewRecord("sensors/a", START_S, house.clock.now()))
    yield house
    house.stop()


def make_room(house: House) -> None:
    """Let there be a file."""
    house.limits.path.parent.unlink()
    house.limits.path.parent.mkdir()


def acknowledge_all(house: House) -> None:
    """Have all that waits arrive."""
    for record in house.records():
        house.store.acknowledge(record.seq)


class Bystander(Pool):
    """A pool that does each job at once, or never if it `hangs`."""

    def __init__(self) -> None:
        super().__init__()
        self.jobs = 0
        self.hangs = False

    def start(self, work: Callable[[], T], *, proven: bool = True) -> Job:
        """Count it."""
        assert proven
        self.jobs += 1
        return Job(work) if self.hangs else self.run(work)


def minutes_until_back(house: House, pool: Bystander, minutes: int) -> int | None:
    """Tend once a minute; after how many it goes back to the file."""
    for minute in range(minutes):
        try:
            house.recorder.tend(pool, watching=True)
        except FileBackError:
            return minute
        house.clock.pass_by(60.0)
    return None


def test_a_store_in_memory_ends_the_process_when_there_can_be_a_file(memory_house: House) -> None:
    """But not before all that is in memory has arrived; the next start finds the file."""
    house, pool = memory_house, Bystander()
    assert str(house.directory / "file") in house.conditions()["store-memory-only"]
    make_room(house)
    assert minutes_until_back(house, pool, 30) is None
    assert pool.jobs == 1
    acknowledge_all(house)
    with pytest.raises(FileBackError, match="can be used again"):
        house.recorder.tend(pool, watching=True)
    house.stop()
    house.start()
    assert house.store.memory_only == ""


def test_a_file_is_tried_once_a_minute_whatever_waits(memory_house: House) -> None:
    """In another thread; a trial that hangs is the last."""
    house, pool = memory_house, Bystander()
    assert minutes_until_back(house, pool, 31) is None
    assert pool.jobs == 30
    acknowledge_all(house)
    pool.hangs = True
    make_room(house)
    assert minutes_until_back(house, pool, 100) is None
    assert pool.jobs == 31


def test_records_that_come_without_a_break_do_not_keep_the_store_in_memory(
    memory_house: House,
) -> None:
    """Once each arrives within seconds; what is new goes up at the end. Offline it stays."""
    house, pool = memory_house, Bystander()
    make_room(house)
    new = NewRecord("sensors/a", START_S, house.clock.now())

    def live(seconds: int, *, online: bool) -> None:
        """A record a second, of which each arrives after a second, or none does."""
        for _ in range(seconds):
            waiting = house.records()
            house.recorder.append(new)
            house.recorder.tend(pool, watching=True)
            for record in waiting if online else ():
                house.store.acknowledge(record.seq)
            house.clock.pass_by(1.0)

    live(65, online=True)
    assert pool.jobs == 1
    live(1000, online=False)
    live(2, online=True)  # what arrives now had to wait
    with pytest.raises(FileBackError):
        live(2, online=True)


@pytest.mark.parametrize("intervals_s", [(0.5,), (1.0,), (20.0,), (60.0,), (60.0, 45.0)])
def test_sensors_that_are_read_all_the_time_do_not_keep_the_store_in_memory(
    tmp_path: Path, intervals_s: tuple[float, ...]
) -> None:
    """All is acknowledged within a moment: a new record is made after the look, not before it."""
    clock, path = FakeClock(START_S), tmp_path / "store.db"
    path.mkdir()
    store = open_store(StoreLimits(path=path), boot_s=clock.boot_s)
    with store, Wakeup() as wakeup:
        assert store.memory_only
        bench = Bench(tmp_path, clock, Health(live=lambda: live_facts(store)), store, wakeup)
        rooms = [bench.thermometer(f"room{n}", one_s) for n, one_s in enumerate(intervals_s)]
        sampler = bench.sampler(*rooms)
        path.rmdir()
        began_s = clock.boot_s()

        def live() -> None:
            while clock.boot_s() < began_s + 600.0:
                wait_s = sampler.step()
                until_s = time.monotonic() + 10.0
                while (trial := bench.recorders[0]._trial) and not trial.done:
                    assert time.monotonic() < until_s
                for record in bench.records():
                    store.acknowledge(record.seq)
                clock.pass_by(max(wait_s, 0.001))

        with pytest.raises(FileBackError):
            live()
        assert clock.boot_s() < began_s + 130.0
        sampler.close()


def test_a_window_that_nobody_watched_is_no_detection(house: House) -> None:
    """The total stays, and a start of the agent has no open window to report."""
    house.live(60, detections=3)
    house.detector.trouble = OSError("gone")
    house.live(1800)
    assert [count for _, count, _ in house.counts()] == [3, -1, -1]
    assert {quality for *_, quality in house.counts()} == {"sensor_fault"}
    assert [one.body["total"] for one in house.records()] == [3, 3, 3]
    house.crash()
    house.start()
    assert len(house.counts()) == 3
    house.live(600)
    assert house.counts()[3] == (2400, -1, "sensor_fault")


class Cut(BaseException):
    """The process dies at this very moment."""


@pytest.mark.parametrize("reported", [False, True])
def test_a_crash_while_a_window_waits_loses_no_detection(tmp_path: Path, *, reported: bool) -> None:
    """What was seen since its end is kept apart, and so is not forgotten with its report."""
    house = House(tmp_path)
    house.start()
    house.live(599, detections=5)
    house.clock.pass_by(1.5)
    window, now = house.sampler._window, house.clock.now()
    window.saw("motion", Detections(1, 0.1), now)
    window.saw("motion", Detections(2, 0.1), now)
    house.recorder.mirror(window.so_far(now))
    if reported:

        def cut() -> None:
            raise Cut

        house.health.touch = cut  # type: ignore[method-assign]  # right after the commit
        with pytest.raises(Cut):
            house.sampler._report(now)
        del house.health.touch
    house.crash()
    house.start()
    assert house.counts() == [(600, 6, "ok"), (1200, 2, "partial")]
    assert house.store.total == 8
    assert open_windows(house.directory) == []
    house.crash()
    house.start()
    assert len(house.counts()) == 2
    house.stop()


def test_what_a_damaged_file_does_not_take_the_next_one_does(house: House) -> None:
    """The open window is not reported to a file that was moved aside, nor its mirror removed."""
    house.live(60, detections=3)
    records = house.store._write_behind.records

    def damaged(*_: object) -> None:
        error = sqlite3.DatabaseError("database disk image is malformed")
        error.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
        raise error

    records.after = damaged  # type: ignore[assignment, method-assign]
    with pytest.raises(StoreError):
        house.store.page(0, 10)
    with pytest.raises(StoreError):
        house.sampler.close()
    with suppress(StoreError):
        house.store.close()
    house.start()
    assert "damaged" in house.store.reset
    assert house.counts() == [(600, 3, "partial")]


def test_what_the_store_tells_is_asked_for_when_it_has_changed(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A step that changes nothing changes nothing in what is shown, in the first hours too."""
    shown: list[object] = []
    house.health._on_rest = lambda: shown.append(house.health.snapshot())
    house.sampler.step()
    shown.clear()
    house.recorder.append(NewRecord("sensors/a", START_S, house.clock.now()))
    assert not shown
    house.recorder.hand_on()
    assert shown
    assert house.health.snapshot().facts["queued"] == 1
    shown.clear()
    account = iter(range(10**6, 10**9, 12_345))
    monkeypatch.setattr(house.recorder._card_wear, "_measured", lambda _: (next(account), "x"))
    pool = Bystander()
    for _ in range(3600):
        house.clock.pass_by(1.0)
        house.recorder.tend(pool, watching=True)
        house.recorder.hand_on()
    assert len(shown) == 6


def test_the_kernels_account_is_read_for_real(house: House) -> None:
    """This process has written something to a disk by now."""
    house.live(120)
    card = house.health.snapshot().facts["card"]
    assert isinstance(card, dict)
    assert json.dumps(card)
    assert set(card) == {"bytes_per_day", "most_by"}
