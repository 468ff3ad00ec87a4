"""A sensor that fails, hangs or is not to be believed harms nobody else, and may come back."""

from __future__ import annotations

import sys
import threading
import time
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from agent.config import Count, SensorConfig
from agent.errors import NoDataError, SensorError
from agent.sampling.sampler import SHORT_TURN_S, TURN_S
from agent.sensors.plausibility import Limits
from tests.fakes import START_S, FakeDetector, FakeDriver, House
from tests.unit.sampling.conftest import Bench, told

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


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


def test_of_a_sensor_that_never_gave_a_value_nothing_is_told_yet(bench: Bench) -> None:
    """Neither that it works nor that it fails: at first nobody knows."""
    sampler = bench.sampler(bench.thermometer("room"))
    bench.drivers["room"].trouble = NoDataError("CRC")
    sampler.step()
    assert bench.health.snapshot().facts["sensors"] == {}
    bench.drivers["room"].trouble = None
    bench.clock.pass_by(60.0)
    sampler.step()
    assert bench.health.snapshot().facts["sensors"]["room"]["ok"] is True  # type: ignore[index,call-overload]


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


def test_a_driver_that_calls_is_looked_at_once_a_second_at_most(tmp_path: Path) -> None:
    """However many edges there are; only the first after a look wakes the sampler."""

    class Calling(FakeDetector):
        """A detector that calls."""

        def listen(self, call: object) -> None:
            """Keep whom to call."""
            self.call = call

    detector = Calling()
    house = House(tmp_path, detector=detector)
    house.start()
    house.sampler.step()
    assert callable(detector.call)
    looks = wakes = 0
    for _ in range(50):
        detector.seen += 1
        detector.call()
        wakes += house.wakeup.wait(0.0)
        before = detector.seen
        house.sampler.step()
        looks += detector.seen < before
        house.clock.pass_by(0.1)
    assert 4 <= looks <= 6
    assert looks <= wakes <= looks + 1
    house.stop()


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
