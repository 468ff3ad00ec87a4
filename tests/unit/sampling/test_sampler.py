"""The sampler reads each sensor at its pace, counts in windows, and stores what comes of it."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, TypeVar

import pytest

from agent.config import Count, SensorConfig
from agent.errors import StoreError
from agent.sampling import Pool, Sampler
from agent.sensors.simulated import Options
from agent.store.inspection import inspect
from agent.value import replace
from tests import fakes
from tests.fakes import START_S, FakeDetector
from tests.unit.sampling.conftest import Bench, told

if TYPE_CHECKING:
    from collections.abc import Callable

    from agent.clock import Clock
    from agent.sampling.pool import Job
    from agent.sensors import Sensor

T = TypeVar("T")


def test_a_sensor_is_read_at_once_and_then_every_interval(bench: Bench) -> None:
    """The pace is that of the boot clock and does not drift."""
    sampler = bench.sampler(bench.thermometer("room", 0.7))
    bench.work(sampler, 70.5)

    assert bench.times("sensors/room") == pytest.approx([0.7 * n for n in range(101)], abs=0.01)
    first = bench.records()[0]
    assert first.body == {"temperature_c": 20.0}
    assert bench.stored == len(bench.records()) == 101


def test_slots_that_were_missed_are_left_out(bench: Bench) -> None:
    """After a long pause there is one reading, not one for each missed slot; the grid stays."""
    sampler = bench.sampler(bench.thermometer("room", 60.0))
    sampler.step()
    bench.clock.pass_by(195.0)
    bench.work(sampler, 50.0)

    assert bench.times("sensors/room") == [0, 195, 240]


def test_without_an_interval_a_sensor_is_read_every_minute(bench: Bench) -> None:
    """That is the default."""
    bench.work(bench.sampler(bench.thermometer("room", None)), 120.0)

    assert bench.times("sensors/room") == [0, 60, 120]


def test_a_detector_without_an_interval_only_counts(bench: Bench) -> None:
    """It is drained when its window closes and never read."""
    motion, driver = bench.motion()
    steps = bench.work(bench.sampler(motion), 3600.0)

    assert driver.reads == 0
    assert bench.times("count") == [600, 1200, 1800, 2400, 3000, 3600]
    assert steps <= 70


def test_a_detector_with_an_interval_does_both(bench: Bench) -> None:
    """Readings and windows do not disturb each other."""
    motion, _ = bench.motion(interval_s=300.0)
    bench.work(bench.sampler(motion), 600.0)

    assert bench.times("sensors/motion") == [0, 300, 600]
    assert bench.times("count") == [600]


def test_detections_add_to_the_total_and_empty_windows_are_reported(bench: Bench) -> None:
    """Zero is a fact too."""
    motion, driver = bench.motion()
    sampler = bench.sampler(motion)
    sampler.step()
    driver.seen, driver.active_s = 3, 41.2
    bench.work(sampler, 1200.0)

    first, second = bench.records()
    assert first.body == {
        "detect_count": 3,
        "active_ms": 41_200,
        "observed_ms": 600_000,
        "window_s": 600,
        "quality": "ok",
        "next_by": START_S + 1260,
        "total": 3,
        "last_detection": START_S + 60,
        "quiet_for_s": 540,
    }
    assert (second.body["detect_count"], second.body["total"]) == (0, 3)
    assert bench.health.snapshot().facts["total"] == 3
    assert bench.health.snapshot().facts["queued"] == 2


def test_an_idle_agent_wakes_once_a_minute(bench: Bench) -> None:
    """Nothing is polled."""
    motion, _ = bench.motion()
    steps = bench.work(bench.sampler(bench.thermometer("room", 60.0), motion), 3600.0)

    assert steps <= 70


def test_a_stop_closes_the_open_window_as_partial(bench: Bench) -> None:
    """Closing twice reports once, and nothing is opened again."""
    motion, driver = bench.motion()
    sampler = bench.sampler(motion, bench.thermometer("room"))
    sampler.step()
    driver.seen = 2
    bench.clock.pass_by(100.0)
    sampler.close()
    sampler.close()
    bench.clock.pass_by(1000.0)
    sampler.step()

    (record,) = [one for one in bench.records() if one.kind == "count"]
    assert bench.times("sensors/room") == [0]
    assert bench.drivers["room"].closed == 1
    assert record.timestamp_s == START_S + 600
    assert (record.body["quality"], record.body["observed_ms"]) == ("partial", 100_000)
    assert (record.body["detect_count"], record.body["total"]) == (2, 2)
    assert driver.closed == 1


def test_a_counted_sensor_that_does_not_detect_is_a_warning(bench: Bench) -> None:
    """Else nobody would know why no count ever comes."""
    bench.work(bench.sampler(bench.thermometer("motion")), 1200.0)

    assert bench.times("count") == []
    assert [one.code for one in bench.health.snapshot().conditions] == ["config-warning"]


@pytest.mark.parametrize("jump_s", [-86_400.0, 86_400.0, 1234.5])
def test_nothing_waits_for_a_wall_clock_that_was_set(bench: Bench, jump_s: float) -> None:
    """Readings and windows go on at their pace whatever the wall clock does."""
    motion, _ = bench.motion()
    sampler = bench.sampler(bench.thermometer("room", 60.0), motion)
    bench.work(sampler, 300.0)
    bench.clock.jump(jump_s)
    bench.work(sampler, 2700.0)

    kinds = [record.kind for record in bench.records()]
    assert kinds.count("sensors/room") == 51
    assert kinds.count("count") in {4, 5}
    ends = [record.timestamp_s for record in bench.records() if record.kind == "count"]
    assert [end % 600 for end in ends] == [0] * len(ends)


def test_an_empty_reading_makes_no_record(bench: Bench) -> None:
    """The sensor is well, and there is nothing to send."""
    room = bench.thermometer("room")
    bench.drivers["room"].values = {}
    bench.sampler(room).step()

    assert bench.records() == []
    assert bench.health.snapshot().facts["sensors"] == {"room": told(last=None)}


def test_a_store_that_cannot_be_written_ends_the_worker(bench: Bench) -> None:
    """Crash-only: the process is started again."""
    sampler = bench.sampler(bench.thermometer("room"))
    bench.store.close()

    with pytest.raises(StoreError):
        sampler.step()


def test_it_runs_until_it_is_stopped(bench: Bench) -> None:
    """The wait for the next reading ends at once."""
    sampler = bench.sampler(bench.thermometer("room"))
    worker = threading.Thread(target=sampler.run)
    worker.start()
    sampler.stop()
    worker.join(5.0)

    assert not worker.is_alive()
    assert bench.times("sensors/room") in ([], [0])


def test_the_watchdog_hears_when_the_next_beat_is_due(bench: Bench) -> None:
    """A wait within its time is no silence; a step that does not end is."""
    sampler = bench.sampler(bench.thermometer("room"))
    sampler.step()
    bench.clock.pass_by(119.0)
    assert bench.health.late() == []
    bench.clock.pass_by(2.0)
    assert bench.health.late() == ["sampler"]


def test_one_that_was_only_guessed_to_detect_is_not_told(bench: Bench) -> None:
    """Nobody has named it, and a plug-in that measures is as good as one that detects."""
    bench.count = Count(sensor=("room",), window_s=600, asked=False)
    sampler = bench.sampler(bench.thermometer("room"))
    bench.work(sampler, 600.0)
    assert bench.health.snapshot().conditions == ()
    assert bench.times("count") == []
    assert bench.times("sensors/room")


def test_one_that_was_guessed_to_detect_is_told_where_a_count_is_wanted(bench: Bench) -> None:
    """Then somebody waits for it."""
    bench.count = Count(sensor=("room",), window_s=600, asked=True)
    bench.work(bench.sampler(bench.thermometer("room")), 600.0)
    (condition,) = bench.health.snapshot().conditions
    assert condition.text == "count.sensor: room does not detect, so it is not counted"


def test_several_sensors_are_counted_together(bench: Bench) -> None:
    """One report a window: the sum, and each sensor's part of it."""
    motion, hall = bench.motion()
    kitchen = bench.drivers["kitchen"] = FakeDetector()
    bench.count = Count(sensor=("motion", "kitchen"), window_s=600)
    sampler = bench.sampler(motion, SensorConfig(name="kitchen", driver="fake"))
    sampler.step()
    hall.seen, hall.active_s = 2, 50.0
    kitchen.seen, kitchen.active_s = 3, 10.0
    bench.work(sampler, 600.0)

    (record,) = bench.records()
    assert record.body == {
        "detect_count": 5,
        "by_sensor": {"motion": 2, "kitchen": 3},
        "active_ms": 50_000,
        "observed_ms": 600_000,
        "window_s": 600,
        "quality": "ok",
        "next_by": START_S + 1260,
        "total": 5,
        "last_detection": START_S + 60,
        "quiet_for_s": 540,
    }


def test_what_a_sensor_in_test_detects_is_no_part_of_the_total(bench: Bench) -> None:
    """It is marked, so that nobody takes it for life."""
    motion, driver = bench.motion()
    sampler = bench.sampler(replace(motion, test=True))
    sampler.step()
    driver.seen = 9
    bench.work(sampler, 600.0)

    (record,) = bench.records()
    assert (record.body["detect_count"], record.body["test_count"]) == (0, 9)
    assert (record.body["total"], bench.store.total) == (0, 0)
    assert record.body["quality"] == "partial"


def test_with_report_change_a_stable_temperature_costs_little(bench: Bench) -> None:
    """It is read all the same, and its sensor is seen to live."""
    room = replace(
        bench.thermometer("room"), report="change", dead_band={"": 0.2}, heartbeat_s=1800.0
    )
    sampler = bench.sampler(room)
    bench.work(sampler, 600.0)
    bench.drivers["room"].values = {"temperature_c": 20.15}
    bench.work(sampler, 600.0)
    bench.drivers["room"].values = {"temperature_c": 20.3}
    bench.work(sampler, 2400.0)

    assert bench.times("sensors/room") == [0, 1260, 3060]
    assert bench.drivers["room"].reads == 61
    assert bench.health.snapshot().facts["sensors"] == {"room": told(last=START_S + 3600)}


def test_a_detector_that_is_not_counted_is_read(bench: Bench) -> None:
    """A door whose state is worth knowing, though nobody counts how often it moves."""
    door = bench.drivers["door"] = FakeDetector()
    door.values = {"active": 1.0}
    bench.work(bench.sampler(SensorConfig(name="door", driver="fake")), 120.0)

    assert bench.times("sensors/door") == [0, 60, 120]


def test_the_drivers_of_this_version_are_used(bench: Bench) -> None:
    """Without a test's own sensors the configured drivers are opened; one that nobody has fails."""
    config = fakes.config(
        bench.directory,
        SensorConfig(name="hall", driver="gone", options={}),
        SensorConfig(name="motion", driver="simulated", options=Options(detections_per_s=2.5)),
        SensorConfig(name="room", driver="simulated", options=Options()),
        count=Count(sensor=("motion",), window_s=60),
    )
    sampler = Sampler(
        config,
        bench.recorder(config),
        clock=bench.clock,
        health=bench.health,
        wakeup=bench.wakeup,
        settle_s=bench.settle_s,
    )
    bench.work(sampler, 180.0)
    sampler.close()

    counts = [one.body["detect_count"] for one in bench.records() if one.kind == "count"]
    assert counts == [150, 150, 150]  # of the next one nobody has watched any
    assert bench.store.total == 450
    assert bench.times("sensors/room") == [0, 60, 120, 180]
    assert bench.times("sensors/motion") == []
    assert [one.text for one in bench.health.snapshot().conditions] == [
        "hall: there is no driver gone"
    ]


def test_acknowledgements_are_committed_within_a_minute(bench: Bench) -> None:
    """A sensor that is read once an hour does not leave them waiting so long."""
    sampler = bench.sampler(bench.thermometer("room", 3600.0))
    bench.work(sampler, 1.0)
    bench.store.acknowledge(1)
    bench.work(sampler, 61.0)

    on_disk = inspect(bench.directory / "store.db", 10)

    assert on_disk.queued == 0


def counts(bench: Bench) -> list[tuple[float, object, object, object]]:
    """Of each count its time from the start, detections, milliseconds observed, and quality."""
    names = ("detect_count", "observed_ms", "quality")
    return [
        (one.timestamp_s - START_S, *(one.body[name] for name in names))  # type: ignore[misc]
        for one in bench.records()
        if one.kind == "count"
    ]


@pytest.mark.parametrize("stops", [False, True])
def test_after_a_stall_each_window_is_reported_for_what_is_known_of_it(
    bench: Bench, *, stops: bool
) -> None:
    """A commit took 22 s. What was detected meanwhile may be of any of these windows, says one."""
    bench.count = Count(sensor=("motion",), window_s=5)
    motion, driver = bench.motion(interval_s=1.0)
    driver.values = {}
    sampler = bench.sampler(motion)
    bench.work(sampler, 11.0)
    driver.seen = 7
    bench.clock.pass_by(22.0)
    if stops:
        sampler.close()
    else:
        bench.work(sampler, 10.0)
    unknown = (None, 0, "sensor_fault")
    known = [
        (5, 0, 5000, "ok"),
        (10, 0, 5000, "ok"),
        (15, 0, 1000, "partial"),
        (20, *unknown),
        (25, *unknown),
        (30, *unknown),
    ]
    rest = [(35, 7, 3000, "partial")] if stops else [(35, 7, 5000, "partial"), (40, 0, 5000, "ok")]
    assert counts(bench) == [*known, *rest]
    assert bench.store.total == 7


def test_a_short_stall_costs_nothing(bench: Bench) -> None:
    """A sensor that is asked soon after the end has watched all of the window."""
    motion, driver = bench.motion()
    sampler = bench.sampler(motion)
    bench.work(sampler, 590.0)
    driver.seen = 2
    bench.clock.pass_by(15.0)
    bench.work(sampler, 600.0)
    assert counts(bench) == [(600, 2, 600_000, "ok"), (1200, 0, 600_000, "ok")]


class Slow:
    """Has the sensors of a bench opened only when a test lets it."""

    def __init__(self, bench: Bench) -> None:
        self._open = bench.open
        self.release = threading.Event()

    def __call__(self, config: SensorConfig, *, clock: Clock) -> Sensor:
        """Open it, then."""
        assert self.release.wait(30.0)
        return self._open(config, clock=clock)


@pytest.mark.parametrize("late_s", [0.1, 11.5])
def test_a_window_that_ends_while_its_sensor_is_opened_is_none_of_its_faults(
    bench: Bench, late_s: float
) -> None:
    """At a start shortly before the end; once its time is over it is one that fails."""
    motion, _ = bench.motion()
    slow = bench.open = Slow(bench)  # type: ignore[method-assign]
    bench.settle_s = 0.01
    bench.clock.pass_by(599.9)
    sampler = bench.sampler(motion)
    bench.work(sampler, late_s)
    assert counts(bench) == []
    if late_s < 10.0:
        slow.release.set()
        sampler._settle_s = 10.0
        sampler._settle(sampler._targets, 10.0)
        bench.work(sampler, 600.0)
        ((at_s, count, _, quality),) = counts(bench)
        assert (at_s, count, quality) == (1200, 0, "partial")
    else:
        bench.work(sampler, 600.0)
        assert counts(bench) == [(1200, None, 0, "sensor_fault")]
        slow.release.set()


class Scarce(Pool):
    """A pool with a thread for so many jobs."""

    def __init__(self, free: int) -> None:
        super().__init__()
        self.free = free

    def start(self, work: Callable[[], T], *, proven: bool = True) -> Job:
        """Begin it, if it is not one too many."""
        if not self.free:
            raise RuntimeError("no thread is free")
        self.free -= 1
        return super().start(work, proven=proven)


def test_what_has_been_due_for_longest_gets_a_thread_first(bench: Bench) -> None:
    """However the sensors stand in the configuration, when threads are short."""
    rooms = bench.thermometer("attic", 60.0), bench.thermometer("room", 10.0)
    sampler = bench.sampler(*rooms)
    pool = sampler._pool = Scarce(2)
    sampler.step()
    bench.clock.pass_by(100.0)
    pool.free = 1
    sampler.step()
    assert [bench.drivers[name].reads for name in ("attic", "room")] == [1, 2]
    pool.free = 1
    sampler.step()
    assert [bench.drivers[name].reads for name in ("attic", "room")] == [2, 2]


def test_a_counted_sensor_for_which_no_thread_was_ever_free_is_a_fault(bench: Bench) -> None:
    """Nobody opens it, and its windows are told as unknown."""
    motion, _ = bench.motion()
    sampler = bench.sampler(motion)
    sampler._pool = Scarce(0)
    bench.work(sampler, 601.0)
    assert counts(bench) == [(600, None, 0, "sensor_fault")]
