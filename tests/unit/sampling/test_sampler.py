"""The worker that reads, counts and stores."""

from __future__ import annotations

import sys
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING
from unittest.mock import ANY

import pytest

from agent.config import Config, Count, SensorConfig, StoreLimits
from agent.errors import NoDataError, SensorError, StoreError
from agent.health.health import Health
from agent.sampling import Recorder, Sampler
from agent.sampling.sampler import SHORT_TURN_S, TURN_S
from agent.sensors import Sensor
from agent.sensors.plausibility import Limits
from agent.sensors.simulated import Options
from agent.store import inspect, open_store
from agent.wakeup import Wakeup
from tests import fakes
from tests.fakes import FakeClock, FakeDetector, FakeDriver

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from agent.clock import Clock
    from agent.model import Record
    from agent.store import Store

START_S = 1_795_500_000.0  # a multiple of 600


@dataclass
class Bench:
    """A sampler on a clock that stands still, with sensors that a test commands."""

    directory: Path
    clock: FakeClock
    health: Health
    store: Store
    wakeup: Wakeup
    drivers: dict[str, FakeDriver] = field(default_factory=dict)
    refusals: dict[str, Exception] = field(default_factory=dict)
    opened: list[str] = field(default_factory=list)
    samplers: list[Sampler] = field(default_factory=list)
    instant: bool = False
    stored: int = 0
    count: Count = field(default_factory=lambda: Count(sensor=("motion",), window_s=600))
    settle_s: float = 10.0  # that what does not hang is over when a step is

    def sampler(self, *sensors: SensorConfig) -> Sampler:
        """A sampler of these sensors that counts the one named motion."""
        config = fakes.config(self.directory, *sensors, count=self.count)
        sampler = Sampler(
            config,
            self.recorder(config),
            clock=self.clock,
            health=self.health,
            wakeup=self.wakeup,
            open_sensor=self.open,
            settle_s=self.settle_s,
        )
        self.samplers.append(sampler)
        return sampler

    def recorder(self, config: Config) -> Recorder:
        """What keeps the records of a sampler, as a start of the agent makes it."""
        recorder = Recorder(
            config, self.store, clock=self.clock, health=self.health, on_record=self.on_record
        )
        recorder.begin()
        return recorder

    def on_record(self) -> None:
        """Count the calls."""
        self.stored += 1

    def open(self, config: SensorConfig, *, clock: Clock) -> Sensor:
        """The fake driver of that name, or the refusal that was set."""
        assert clock is self.clock
        self.opened.append(config.name)
        if refusal := self.refusals.get(config.name):
            raise refusal
        return Sensor(config.name, self.drivers[config.name], instant=self.instant)

    def thermometer(self, name: str, interval_s: float | None = 60.0) -> SensorConfig:
        """A sensor that is read."""
        self.drivers[name] = FakeDriver()
        return SensorConfig(name=name, driver="fake", interval_s=interval_s)

    def motion(self, interval_s: float | None = None) -> tuple[SensorConfig, FakeDetector]:
        """The sensor that is counted."""
        driver = self.drivers["motion"] = FakeDetector()
        return SensorConfig(name="motion", driver="fake", interval_s=interval_s), driver

    def records(self) -> list[Record]:
        """All that is stored."""
        return self.store.waiting(0, 1000)

    def times(self, kind: str) -> list[float]:
        """When the records of a kind were made, in seconds from the start."""
        return [record.timestamp_s - START_S for record in self.records() if record.kind == kind]

    def work(self, sampler: Sampler, seconds: float) -> int:
        """Let the sampler work for a while, as `run` does; how often it woke up."""
        end_s = self.clock.now_boot_s + seconds
        steps = 0
        while True:
            wait_s = sampler.step()
            steps += 1
            if self.clock.now_boot_s + wait_s > end_s:
                self.clock.pass_by(end_s - self.clock.now_boot_s)
                return steps
            self.clock.pass_by(max(wait_s, 1e-6))


def told(*, last: float | None, error: str = "") -> dict[str, object]:
    """What health is told of a sensor; whether the look took no time does not matter."""
    return {"last": last, "ok": not error, "error": error, "took_ms": ANY}


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    """A bench with a real store and real health."""
    clock = FakeClock(START_S)
    health = Health(wall_s=clock.wall_s, boot_s=clock.boot_s)
    with open_store(StoreLimits(path=tmp_path / "store.db")) as store, Wakeup() as wakeup:
        bench = Bench(tmp_path, clock, health, store, wakeup)
        yield bench
        for sampler in bench.samplers:
            with suppress(StoreError):
                sampler.close()


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


def test_a_failing_sensor_harms_nobody_else_and_comes_back(bench: Bench) -> None:
    """It is a condition while it lasts; the tries grow rarer up to five minutes."""
    rooms = bench.thermometer("attic"), bench.thermometer("room", 60.0)
    sampler = bench.sampler(*rooms)
    sampler.step()
    bench.drivers["attic"].trouble = OSError(5, "Input/output error")
    bench.work(sampler, 3600.0)

    assert len(bench.times("sensors/room")) == 61
    assert bench.times("sensors/attic") == [0]
    assert 12 <= bench.drivers["attic"].reads <= 20
    assert bench.drivers["attic"].closed == bench.drivers["attic"].reads - 1
    snapshot = bench.health.snapshot()
    (condition,) = snapshot.conditions
    assert condition.code == "sensor-failing"
    assert "attic: [Errno 5] Input/output error" in condition.text
    sensors = snapshot.facts["sensors"]
    assert isinstance(sensors, dict)
    assert sensors["attic"] == told(last=START_S, error=condition.text)
    assert sensors["room"] == told(last=START_S + 3600)

    bench.drivers["attic"].trouble = None
    bench.work(sampler, 360.0)
    assert not bench.health.snapshot().conditions
    assert len(bench.times("sensors/attic")) >= 2


def test_a_detector_that_cannot_be_opened_reports_no_windows(bench: Bench) -> None:
    """Zero is not unknown; once it opens, its first window says what it observed."""
    motion, driver = bench.motion()
    bench.refusals["motion"] = SensorError("motion: no such chip", hint="plug it in")
    sampler = bench.sampler(motion)
    bench.work(sampler, 650.0)

    assert bench.records() == []
    (condition,) = bench.health.snapshot().conditions
    assert (condition.code, condition.text, condition.hint) == (
        "sensor-failing",
        "motion: no such chip",
        "plug it in",
    )
    bench.refusals.clear()
    driver.seen = 7
    bench.work(sampler, 600.0)
    (record,) = bench.records()
    assert (record.timestamp_s, record.body["quality"]) == (START_S + 1200, "partial")
    assert record.body["detect_count"] == 0  # what it saw before its window does not count
    assert not bench.health.snapshot().conditions


def test_a_detector_that_fails_reports_nothing_until_it_is_back(bench: Bench) -> None:
    """What its window saw is unknown; the first one after it says what it observed."""
    motion, driver = bench.motion()
    sampler = bench.sampler(motion)
    sampler.step()
    driver.trouble = OSError("gone")
    bench.work(sampler, 1000.0)
    assert bench.times("count") == []
    assert [one.code for one in bench.health.snapshot().conditions] == ["sensor-failing"]

    driver.trouble = None
    bench.work(sampler, 800.0)
    assert bench.records()[0].body["quality"] == "partial"
    assert not bench.health.snapshot().conditions


def test_detections_are_kept_when_only_the_reading_fails(bench: Bench) -> None:
    """The window says at its end what was seen until then, and that the sensor is at fault."""
    motion, driver = bench.motion(interval_s=60.0)
    sampler = bench.sampler(motion)
    sampler.step()
    driver.seen = 4
    driver.values = {"seq": 1.0}
    bench.work(sampler, 605.0)

    (record,) = [one for one in bench.records() if one.kind == "count"]
    assert (record.body["detect_count"], record.body["quality"]) == (4, "sensor_fault")
    assert record.body["observed_ms"] == 60_000
    assert [one.code for one in bench.health.snapshot().conditions] == ["sensor-failing"]


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


class Hanging(FakeDetector):
    """Does not answer until a test lets it."""

    def __init__(self) -> None:
        super().__init__()
        self.release = threading.Event()

    def read(self) -> dict[str, float]:
        """Wait for the test's end."""
        self.reads += 1
        self.release.wait(30.0)
        return {}


def hanging(bench: Bench, name: str = "well") -> tuple[SensorConfig, Hanging]:
    """A sensor whose first read does not end; steps do not wait for it."""
    driver = bench.drivers[name] = Hanging()
    bench.settle_s = 0.05
    return SensorConfig(name=name, driver="fake", timeout_s=10.0), driver


def until(condition: Callable[[], bool]) -> None:
    """Wait for what another thread is about to do."""
    deadline_s = time.monotonic() + 10.0
    while not condition():
        assert time.monotonic() < deadline_s
        time.sleep(0.005)


def test_a_sensor_that_never_blocks_needs_no_thread(bench: Bench) -> None:
    """Only its opening does: a device that counts at a pin wakes as rarely as can be."""
    threads = set()

    class Instant(FakeDriver):
        """Notes where it is read."""

        def read(self) -> dict[str, float]:
            """Who asks."""
            threads.add(threading.current_thread().name)
            return {}

    bench.drivers["room"] = Instant()
    bench.instant = True
    bench.work(bench.sampler(SensorConfig(name="room", driver="fake")), 30.0)
    assert threads == {"job"}
    threads.clear()
    bench.work(bench.samplers[0], 120.0)
    assert threads == {threading.current_thread().name}


def test_a_read_that_hangs_is_left_behind_and_delays_nobody(bench: Bench) -> None:
    """It is a failure once its time is over; the sensor is opened anew when the read has ended."""
    well, driver = hanging(bench)
    sampler = bench.sampler(well, bench.thermometer("room", 1.0))
    bench.work(sampler, 10.5)
    assert bench.times("sensors/room") == list(range(11))
    assert bench.health.snapshot().conditions == ()

    bench.work(sampler, 100.5)
    (condition,) = bench.health.snapshot().conditions
    assert condition.code == "sensor-failing"
    assert condition.text == "well: it still hangs"
    assert sys.getswitchinterval() == pytest.approx(SHORT_TURN_S)  # should it be computing
    assert (bench.opened.count("well"), driver.closed) == (1, 0)
    assert bench.times("sensors/room") == list(range(112))

    driver.release.set()
    until(lambda: driver.closed == 1)
    bench.work(sampler, 300.0)
    until(lambda: driver.reads >= 2)

    def well_again() -> bool:
        bench.work(sampler, 1.0)
        return not bench.health.snapshot().conditions

    until(well_again)
    assert bench.opened.count("well") == 2
    assert sys.getswitchinterval() == pytest.approx(TURN_S)
    sampler.close()


def test_a_detector_that_hangs_keeps_no_other_from_being_counted(bench: Bench) -> None:
    """The window waits for it as long as a look may take; then it is told what the others saw."""
    well, driver = hanging(bench)
    well = replace(well, interval_s=500.0)
    motion, detector = bench.motion()
    bench.settle_s = 10.0
    driver.release.set()
    bench.count = Count(sensor=("motion", "well"), window_s=600)
    sampler = bench.sampler(well, motion)
    bench.work(sampler, 1.0)
    driver.release.clear()
    sampler._settle_s = 0.05
    detector.seen = 7
    bench.work(sampler, 612.0)

    (record,) = [one for one in bench.records() if one.kind == "count"]
    assert (record.timestamp_s, record.body["detect_count"]) == (START_S + 600, 7)
    assert record.body["by_sensor"] == {"motion": 7}
    assert record.body["quality"] == "sensor_fault"
    driver.release.set()
    sampler.close()


def test_closing_does_not_wait_for_a_hanging_driver(bench: Bench) -> None:
    """It is left behind, and closed if it ever answers."""
    well, driver = hanging(bench)
    sampler = bench.sampler(well)
    sampler.step()
    began_s = time.monotonic()
    sampler.close()

    assert time.monotonic() - began_s < 5.0
    assert driver.closed == 0
    driver.release.set()
    until(lambda: driver.closed == 1)


def test_no_value_three_times_in_a_row_is_a_failure(bench: Bench) -> None:
    """Once or twice is nothing; the sensor stays open all the while."""
    sampler = bench.sampler(bench.thermometer("room", 10.0))
    sampler.step()
    bench.drivers["room"].trouble = NoDataError("CRC")
    bench.work(sampler, 25.0)
    assert not bench.health.snapshot().conditions
    bench.work(sampler, 10.0)
    assert [one.text for one in bench.health.snapshot().conditions] == ["room: CRC"]

    bench.drivers["room"].trouble = None
    bench.work(sampler, 30.0)
    assert not bench.health.snapshot().conditions
    assert (bench.opened, bench.drivers["room"].closed) == (["room"], 0)


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


def test_a_detector_that_is_stuck_is_suspect_and_its_counts_a_fault(bench: Bench) -> None:
    """The condition goes, and the counts are believed again, when it moves."""
    motion, driver = bench.motion()
    driver.limits = Limits(active_max_s=600.0, max_per_min=60.0)
    driver.always_active = bench.clock
    sampler = bench.sampler(motion)
    bench.work(sampler, 1200.0)

    qualities = [one.body["quality"] for one in bench.records()]
    assert qualities == ["sensor_fault", "sensor_fault"]
    (condition,) = bench.health.snapshot().conditions
    assert condition.code == "sensor-suspect"
    assert condition.text == "motion: active for more than 10 minutes without a break"
    driver.always_active = None
    bench.work(sampler, 600.0)
    assert not bench.health.snapshot().conditions
    assert bench.records()[-1].body["quality"] == "ok"


def test_a_detector_without_limits_is_not_judged(bench: Bench) -> None:
    """Its driver knows best."""
    motion, driver = bench.motion()
    driver.always_active = bench.clock
    sampler = bench.sampler(motion)
    bench.work(sampler, 86_400.0)

    assert not bench.health.snapshot().conditions
    assert {one.body["quality"] for one in bench.records()} == {"ok"}


@pytest.mark.parametrize("trouble", [SystemExit(3), KeyboardInterrupt(), GeneratorExit("odd")])
def test_whatever_a_driver_raises_harms_only_its_sensor(
    bench: Bench, trouble: BaseException
) -> None:
    """Even what is meant to end a program."""
    rooms = bench.thermometer("attic"), bench.thermometer("room")
    bench.drivers["attic"].trouble = trouble
    bench.work(bench.sampler(*rooms), 120.0)

    assert bench.times("sensors/room") == [0, 60, 120]
    (condition,) = bench.health.snapshot().conditions
    assert condition.text.startswith(f"attic: {type(trouble).__name__}: ")


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
    assert counts == [150, 150, 150, 0]
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
