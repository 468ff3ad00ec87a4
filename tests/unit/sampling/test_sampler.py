"""The sampler reads each sensor at its pace, counts in windows, and stores what comes of it."""

from __future__ import annotations

import threading
from dataclasses import replace

import pytest

from agent.config import Count, SensorConfig
from agent.errors import StoreError
from agent.sampling import Sampler
from agent.sensors.simulated import Options
from agent.store.inspection import inspect
from tests import fakes
from tests.fakes import START_S, FakeDetector
from tests.unit.sampling.conftest import Bench, told


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
    assert [one.code for one in bench.health.snapshot().conditions] == ["config-warning"]


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
