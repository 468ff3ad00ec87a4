"""A sensor that fails, hangs or is not to be believed harms nobody else, and may come back."""

from __future__ import annotations

import os
import sys
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING, TypeVar

import pytest

from agent.config import Count, SensorConfig
from agent.errors import NoDataError, SensorError
from agent.sampling import open_windows
from agent.sampling.leaks import Leaks
from agent.sampling.poll import Poller
from agent.sampling.pool import Job, Pool
from agent.sampling.sampler import SHORT_TURN_S, TURN_S
from agent.sampling.target import LOST, Target
from agent.sensors import Detections
from agent.sensors.plausibility import Limits
from agent.value import replace
from tests.fakes import START_S, FakeDetector, FakeDriver, House
from tests.unit.sampling.conftest import Bench, told

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from agent.sampling import Sampler

T = TypeVar("T")


def test_a_failing_sensor_harms_nobody_else_and_comes_back(bench: Bench) -> None:
    """It is a condition while it lasts; the tries grow rarer up to five minutes."""
    rooms = bench.thermometer("attic"), bench.thermometer("room", 60.0)
    sampler = bench.sampler(*rooms)
    sampler.step()
    bench.drivers["attic"].trouble = OSError(19, "No such device")
    bench.work(sampler, 3600.0)

    assert len(bench.times("sensors/room")) == 61
    assert bench.times("sensors/attic") == [0]
    assert 12 <= bench.drivers["attic"].reads <= 20
    assert bench.drivers["attic"].closed == bench.drivers["attic"].reads - 1
    snapshot = bench.health.snapshot()
    (condition,) = snapshot.conditions
    assert condition.code == "sensor-failing"
    assert "attic: [Errno 19] No such device" in condition.text
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


def test_a_detector_that_cannot_be_opened_is_reported_in_each_window(bench: Bench) -> None:
    """Zero is not unknown, nor is silence; once it opens, its window says what it observed."""
    motion, driver = bench.motion()
    bench.refusals["motion"] = SensorError("motion: no such chip", hint="plug it in")
    sampler = bench.sampler(motion)
    bench.work(sampler, 1250.0)

    assert [one.timestamp_s - START_S for one in bench.records()] == [600, 1200]
    for record in bench.records():
        assert record.body == {
            "detect_count": None,
            "active_ms": None,
            "observed_ms": 0,
            "window_s": 600,
            "quality": "sensor_fault",
            "next_by": record.timestamp_s + 660,
            "total": 0,
            "last_detection": None,
            "quiet_for_s": None,
        }
    (condition,) = bench.health.snapshot().conditions
    assert (condition.code, condition.text, condition.hint) == (
        "sensor-failing",
        "motion: no such chip",
        "plug it in",
    )
    bench.refusals.clear()
    driver.seen = 7
    bench.work(sampler, 600.0)
    record = bench.records()[-1]
    assert (record.timestamp_s, record.body["quality"]) == (START_S + 1800, "partial")
    assert record.body["detect_count"] == 0  # what it saw before its window does not count
    assert not bench.health.snapshot().conditions


def test_a_detector_that_fails_for_long_is_reported_in_each_window(bench: Bench) -> None:
    """What it saw before it failed stays in the total; at a stop nobody knows more."""
    motion, driver = bench.motion()
    sampler = bench.sampler(motion)
    sampler.step()
    driver.seen = 3
    bench.work(sampler, 100.0)
    driver.trouble = OSError("gone")
    bench.work(sampler, 1800.0)
    assert [one.body["detect_count"] for one in bench.records()] == [3, None, None]
    assert {one.body["quality"] for one in bench.records()} == {"sensor_fault"}
    assert [one.body["total"] for one in bench.records()] == [3, 3, 3]
    assert [one.code for one in bench.health.snapshot().conditions] == ["sensor-failing"]

    driver.trouble = None
    bench.work(sampler, 800.0)
    assert bench.records()[3].body["quality"] == "partial"
    assert not bench.health.snapshot().conditions
    driver.trouble = OSError("gone again")
    bench.work(sampler, 700.0)
    known = len(bench.records())
    sampler.close()
    assert len(bench.records()) == known


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
    """Once or twice is nothing; a built-in sensor stays open all the while."""
    bench.built_in = True
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


def test_what_is_left_is_sent_and_what_is_missing_is_told_once(bench: Bench) -> None:
    """In the same words while it lasts; the sensor is well. It is over with the first value."""
    sampler = bench.sampler(bench.thermometer("room", 10.0))
    driver = bench.drivers["room"]
    driver.values = {"temperature_c": 20.0, "humidity_pct": "wet"}
    sampler.step()
    (condition,) = bench.health.snapshot().conditions
    assert (condition.code, condition.severity) == ("quantity-missing", "info")
    assert condition.text == "room: humidity_pct is 'wet', not a number; the rest is sent"
    assert condition.hint
    driver.values = {"temperature_c": 20.0, "humidity_pct": None}
    bench.work(sampler, 10.0)
    assert bench.health.snapshot().conditions == (condition,)
    driver.values = {"temperature_c": 20.0, "humidity_pct": 200.0}
    bench.work(sampler, 40.0)
    assert bench.health.snapshot().conditions == (condition,)
    assert {tuple(one.body) for one in bench.records()} == {("temperature_c",)}
    assert len(bench.records()) == 6
    sensors = bench.health.snapshot().facts["sensors"]
    assert isinstance(sensors, dict)
    assert sensors["room"] == told(last=START_S + 50)

    driver.values = {"temperature_c": 20.0, "humidity_pct": 40.0}
    bench.work(sampler, 10.0)
    assert not bench.health.snapshot().conditions
    assert (bench.opened, driver.closed) == (["room"], 0)


def test_a_quantity_that_is_broken_now_and_then_is_told_once(bench: Bench) -> None:
    """Not each time; it is again when it is so three times in a row."""
    sampler = bench.sampler(bench.thermometer("room", 10.0))
    driver = bench.drivers["room"]
    bad: dict[str, float | str | Exception | None]
    bad, good = {"temperature_c": 20.0, "humidity_pct": "wet"}, {"temperature_c": 20.0}
    driver.values = bad
    sampler.step()
    assert bench.health.snapshot().conditions
    for _ in range(5):
        driver.values = good
        bench.work(sampler, 10.0)
        assert not bench.health.snapshot().conditions
        driver.values = bad
        bench.work(sampler, 20.0)
        assert not bench.health.snapshot().conditions
    bench.work(sampler, 10.0)
    (condition,) = bench.health.snapshot().conditions
    assert condition.text == "room: humidity_pct is 'wet', not a number; the rest is sent"


@pytest.mark.parametrize("quantity", ["humidity_pct", "temperature_c"])
def test_a_value_that_cannot_be_now_and_then_is_not_told(bench: Bench, quantity: str) -> None:
    """Be it the only one or one of two: the third in a row is."""
    sampler = bench.sampler(bench.thermometer("room", 10.0))
    driver = bench.drivers["room"]
    for _ in range(5):
        driver.values = {"temperature_c": 20.0}
        bench.work(sampler, 10.0)
        driver.values |= {quantity: 3310.0}
        bench.work(sampler, 20.0)
        assert not bench.health.snapshot().conditions
    bench.work(sampler, 10.0)
    (condition,) = bench.health.snapshot().conditions
    assert condition.text.startswith(f"room: {quantity} cannot be 3310")


def test_what_may_pass_is_named_when_it_was_missing_three_times_in_a_row(bench: Bench) -> None:
    """Once or twice is nothing, however often."""
    sampler = bench.sampler(bench.thermometer("room", 10.0))
    driver = bench.drivers["room"]
    lacking: dict[str, float | str | Exception | None] = {}
    lacking |= {"temperature_c": 20.0, "humidity_pct": NoDataError("CRC", hint="wait")}
    for _ in range(5):
        driver.values = lacking
        bench.work(sampler, 19.0)
        assert not bench.health.snapshot().conditions
        driver.values = {"temperature_c": 20.0, "humidity_pct": 40.0}
        bench.work(sampler, 11.0)
    driver.values = lacking
    bench.work(sampler, 30.0)
    (condition,) = bench.health.snapshot().conditions
    assert condition.text == "room: humidity_pct: CRC; the rest is sent"
    assert condition.hint == "wait"


def test_where_nothing_is_left_the_sensor_fails_and_lacks_nothing_more(bench: Bench) -> None:
    """One condition at a time says what is wrong."""
    sampler = bench.sampler(bench.thermometer("room", 10.0))
    driver = bench.drivers["room"]
    driver.values = {"temperature_c": 20.0, "humidity_pct": 3310.0}
    bench.work(sampler, 25.0)
    driver.values = {"temperature_c": -127.0, "humidity_pct": 3310.0}
    bench.work(sampler, 30.0)
    (condition,) = bench.health.snapshot().conditions
    assert condition.code == "sensor-failing"
    assert condition.text == "room: temperature_c cannot be -127; humidity_pct cannot be 3310"


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


class Line(FakeDetector):
    """A detector with a descriptor that is readable until it is drained."""

    instant = True

    def __init__(self) -> None:
        super().__init__()
        self.reader, self.writer = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self.drains = self.lost = 0

    def detects(self) -> None:
        """Something happens at the line."""
        self.seen += 1
        os.write(self.writer, b"x")

    def drain(self) -> tuple[int, float, int, int]:  # type: ignore[override]  # it tells more
        """What was seen; the descriptor is not readable then."""
        self.drains += 1
        with suppress(BlockingIOError):
            os.read(self.reader, 1000)
        lost, self.lost = self.lost, 0
        return (*super().drain(), 0, lost)

    def quiet_s(self) -> float:
        """It may be asked less often than once a minute."""
        return 60.0

    def fileno(self) -> int:
        """The descriptor."""
        return self.reader

    def end(self) -> None:
        """Give both ends back."""
        os.close(self.reader)
        os.close(self.writer)


@pytest.fixture
def line(bench: Bench) -> Iterator[Line]:
    """The counted detector."""
    bench.built_in = True
    driver = bench.drivers["motion"] = Line()
    yield driver
    driver.end()


def ready(bench: Bench, sampler: Sampler) -> bool:
    """True if a wait of the sampler's ends at once, as it would end each wait of this moment."""
    waits = [one.descriptor for one in sampler._targets if one.descriptor is not None]
    ended = bool(bench.wakeup.wait_for(0.0, *waits))
    sampler.wait(0.0)
    return ended


@pytest.mark.parametrize("counted", [True, False])
def test_a_line_is_looked_at_once_a_second_at_most(
    bench: Bench, line: Line, *, counted: bool
) -> None:
    """However often it changes, only the first change after a look wakes the sampler."""
    bench.count = Count(sensor=("motion",) if counted else ("other",), window_s=600)
    motion = SensorConfig(name="motion", driver="fake", interval_s=3600.0)
    sampler = bench.sampler(motion)
    sampler.step()
    assert not ready(bench, sampler)
    looks = wakes = 0
    for _ in range(50):
        line.detects()
        wakes += ready(bench, sampler)
        assert not ready(bench, sampler)  # though it is readable
        before = line.drains
        sampler.step()
        looks += line.drains > before
        bench.clock.pass_by(0.1)
    assert 4 <= looks <= 6
    assert looks <= wakes <= looks + 1


@pytest.mark.parametrize("counted", [True, False])
def test_a_line_at_which_nothing_happens_is_looked_at_once_a_minute(
    bench: Bench, line: Line, *, counted: bool
) -> None:
    """So that a chip that is gone is noticed; nothing else wakes the sampler."""
    bench.count = Count(sensor=("motion",) if counted else ("other",), window_s=86_400)
    sampler = bench.sampler(SensorConfig(name="motion", driver="fake", interval_s=3600.0))
    sampler.step()
    assert bench.work(sampler, 601.0) == 11
    assert line.drains == 11


def test_changes_that_were_lost_spoil_their_window_alone(bench: Bench, line: Line) -> None:
    """They are told at once, for a minute; the sensor is believed all the same."""
    bench.count = Count(sensor=("motion",), window_s=20)
    sampler = bench.sampler(SensorConfig(name="motion", driver="fake"))
    bench.work(sampler, 25.0)
    line.lost = 7
    line.detects()
    assert ready(bench, sampler)
    sampler.step()
    (condition,) = bench.health.snapshot().conditions
    assert condition.code == "sensor-suspect"
    assert condition.text == f"motion: {LOST}"
    assert "debounce_ms" in condition.hint
    bench.work(sampler, 59.0)
    line.detects()
    assert bench.health.snapshot().conditions
    bench.work(sampler, 20.0)
    assert not bench.health.snapshot().conditions
    windows = [(one.body["quality"], one.body.get("lost_edges", 0)) for one in bench.records()]
    assert windows == [("ok", 0), ("partial", 7), *[("ok", 0)] * 3]


def test_a_line_whose_descriptor_fails_is_asked_and_fails(bench: Bench, line: Line) -> None:
    """A chip that is unplugged: its descriptor is readable for ever, and wakes once."""
    sampler = bench.sampler(SensorConfig(name="motion", driver="fake"))
    sampler.step()
    bench.clock.pass_by(5.0)
    os.close(line.writer)
    line.trouble = OSError(19, "No such device")
    assert ready(bench, sampler)
    sampler.step()
    assert [one.code for one in bench.health.snapshot().conditions] == ["sensor-failing"]
    assert not ready(bench, sampler)
    line.writer = os.dup(line.reader)


def test_a_counted_sensor_that_is_gone_is_opened_again_within_a_minute(
    bench: Bench, line: Line
) -> None:
    """Though it is read once an hour only."""
    sampler = bench.sampler(SensorConfig(name="motion", driver="fake", interval_s=3600.0))
    sampler.step()
    line.trouble = OSError(19, "No such device")
    bench.work(sampler, 61.0)
    assert bench.health.snapshot().conditions
    line.trouble = None
    bench.work(sampler, 61.0)
    assert bench.opened == ["motion", "motion"]
    assert not bench.health.snapshot().conditions


def test_a_line_wakes_the_worker(bench: Bench, line: Line) -> None:
    """Within its run, which waits for a minute otherwise."""
    sampler = bench.sampler(SensorConfig(name="motion", driver="fake"))
    worker = threading.Thread(target=sampler.run)
    worker.start()
    until(lambda: line.drains > 0)
    bench.clock.pass_by(5.0)
    line.detects()
    until(lambda: line.drains > 1)
    sampler.stop()
    worker.join(30.0)
    assert not worker.is_alive()


def test_the_descriptor_of_a_plug_in_is_not_waited_for(bench: Bench, line: Line) -> None:
    """It may be of anything, and readable for ever."""
    bench.built_in = False
    sampler = bench.sampler(SensorConfig(name="motion", driver="fake"))
    bench.work(sampler, 0.0)
    line.detects()
    assert not ready(bench, sampler)


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

        instant = True

        def read(self) -> dict[str, float]:
            """Who asks."""
            threads.add(threading.current_thread().name)
            return {}

    bench.drivers["room"] = Instant()
    bench.built_in = True
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
    assert record.body["by_sensor"] == {"motion": 7, "well": 0}
    assert (record.body["observed_ms"], record.body["quality"]) == (500_000, "sensor_fault")
    driver.release.set()
    sampler.close()


def test_the_next_windows_detections_do_not_go_into_one_that_waits(bench: Bench) -> None:
    """It waits for a sensor that hangs; the others count on, in the window after it."""
    well, driver = hanging(bench)
    well = replace(well, interval_s=595.0)
    motion, detector = bench.motion(interval_s=1.0)
    detector.values = {}
    driver.release.set()
    bench.settle_s = 10.0
    bench.count = Count(sensor=("motion", "well"), window_s=600)
    sampler = bench.sampler(well, motion)
    bench.work(sampler, 590.5)
    driver.release.clear()
    sampler._settle_s = 0.2
    detector.seen = 7
    bench.work(sampler, 10.0)
    assert bench.times("count") == []
    detector.seen = 2
    bench.work(sampler, 7.0)
    (first,) = [one for one in bench.records() if one.kind == "count"]
    assert first.body["by_sensor"] == {"motion": 7, "well": 0}
    driver.release.set()
    bench.work(sampler, 600.0)
    second = [one for one in bench.records() if one.kind == "count"][1]
    assert second.body["by_sensor"]["motion"] == 2  # type: ignore[index,call-overload]
    assert second.timestamp_s == START_S + 1200
    sampler.close()


@pytest.mark.parametrize("stops", [True, False])
def test_what_came_while_a_window_waited_is_kept_by_itself(bench: Bench, *, stops: bool) -> None:
    """At a stop as a partial window of its own, in a crash by the copy of the open window."""
    well, driver = hanging(bench)
    well = replace(well, interval_s=595.0)
    motion, _ = bench.motion()
    driver.release.set()
    bench.settle_s = 10.0
    bench.count = Count(sensor=("motion", "well"), window_s=600)
    sampler = bench.sampler(well, motion)
    bench.work(sampler, 590.5)
    driver.release.clear()
    sampler._settle_s = 0.2
    bench.work(sampler, 10.0)
    bench.clock.pass_by(1.0)
    sampler._window.saw("motion", Detections(2, 0.1), bench.clock.now())
    assert bench.times("count") == []
    if stops:
        sampler.close()
        first, second = bench.records()
        assert (first.body["quality"], second.body["quality"]) == ("sensor_fault", "sensor_fault")
        assert second.body["by_sensor"] == {"motion": 2}
        assert second.timestamp_s == START_S + 1200
    else:
        bench.work(sampler, 5.0)
        assert bench.times("count") == [600]
        (kept,) = open_windows(bench.directory)
        assert kept.record.timestamp_s == START_S + 1200
        assert kept.record.body["detect_count"] == 2
    driver.release.set()


class Doorman(Pool):
    """A pool that notes for which jobs a thread is wanted, and can be full."""

    def __init__(self) -> None:
        super().__init__()
        self.proven: list[bool] = []
        self.full = False

    def start(self, work: Callable[[], T], *, proven: bool = True) -> Job:
        """As it is told."""
        if self.full:
            raise RuntimeError("no thread is free")
        self.proven.append(proven)
        return super().start(work, proven=proven)


def test_a_sensor_is_proven_by_its_last_poll(bench: Bench) -> None:
    """One that has hung has to prove itself anew; what it called for is not forgotten."""
    driver = bench.drivers["motion"] = Prompt()
    driver.quiet_s = lambda: float("inf")  # type: ignore[method-assign]
    config = SensorConfig(name="motion", driver="fake", interval_s=60.0)
    target = Target(
        Poller(config, bench.clock, bench.open, counted=True, leaks=Leaks()), wake=lambda: None
    )
    pool = Doorman()
    driver.release.set()
    for now_s in (0.0, 60.0):
        assert target.begin(pool, now_s)
        poll = target.ended(now_s, wait_s=10.0)
        assert poll
        target.take(poll, now_s)
    driver.call()
    assert target.next_boot_s == 61.0
    pool.full = True
    assert not target.begin(pool, 61.0)
    assert (target.waits, target.next_boot_s) == (True, 61.0)
    pool.full = False
    driver.release.clear()
    assert target.begin(pool, 120.0)
    assert target.ended(131.0)
    driver.release.set()
    until(lambda: not target.hangs)
    assert target.begin(pool, 200.0)
    assert target.ended(200.0, wait_s=10.0)
    assert pool.proven == [False, True, True, False]
    pool.close()


def test_one_hanging_detector_delays_its_own_report_a_little(bench: Bench) -> None:
    """However much time it was given to answer; then nothing is known of the windows."""
    well, driver = hanging(bench, "motion")
    well = replace(well, interval_s=595.0, timeout_s=3000.0)
    driver.release.set()
    bench.settle_s = 10.0
    sampler = bench.sampler(well)
    bench.work(sampler, 10.0)
    driver.release.clear()
    sampler._settle_s = 0.05
    bench.work(sampler, 619.0)
    assert bench.times("count") == []
    steps = bench.work(sampler, 1201.0)
    assert bench.times("count") == [600, 1200, 1800]
    assert [one.body["observed_ms"] for one in bench.records()] == [595_000, 0, 0]
    assert [one.body["detect_count"] for one in bench.records()] == [0, None, None]
    assert steps < 40
    driver.release.set()
    sampler.close()


def test_what_was_detected_before_a_read_that_hangs_is_counted(bench: Bench) -> None:
    """It was drained, and is known, though the poll never ends; so too at a stop."""
    well, driver = hanging(bench, "motion")
    well = replace(well, interval_s=60.0)
    driver.release.set()
    bench.settle_s = 10.0
    sampler = bench.sampler(well)
    bench.work(sampler, 59.0)
    driver.release.clear()
    sampler._settle_s = 0.05
    driver.seen = 4
    bench.work(sampler, 2.0)
    assert driver.seen == 0
    sampler.close()
    (record,) = bench.records()
    assert (record.body["detect_count"], record.body["observed_ms"]) == (4, 60_000)
    driver.release.set()
    until(lambda: driver.closed == 1)


def test_a_poll_that_is_late_is_counted_once(bench: Bench) -> None:
    """What it had seen counts; what it would see from then on is nobody's."""
    well, driver = hanging(bench, "motion")
    well = replace(well, interval_s=60.0)
    driver.release.set()
    bench.settle_s = 10.0
    sampler = bench.sampler(well)
    bench.work(sampler, 59.0)
    driver.release.clear()
    sampler._settle_s = 0.05
    driver.seen = 4
    bench.clock.pass_by(1.0)
    sampler.step()
    bench.clock.pass_by(20.0)
    for _ in range(3):
        sampler.step()
        bench.clock.pass_by(1.0)
    assert [one.text for one in bench.health.snapshot().conditions] == [
        "motion: it gives no answer within 10 s"
    ]
    sampler.close()
    (record,) = bench.records()
    assert (record.body["detect_count"], record.body["quality"]) == (4, "sensor_fault")
    driver.release.set()


class Slow(Hanging):
    """Answers only when it is let, to what it is asked for at the end of a window."""

    def drain(self) -> tuple[int, float]:
        """Wait, and tell all."""
        self.release.wait(30.0)
        return super().drain()


def test_detections_told_minutes_late_are_counted_once(bench: Bench) -> None:
    """In the window that is open then; of those that went by meanwhile nothing is known."""
    driver = bench.drivers["motion"] = Slow()
    bench.settle_s = 10.0
    well = SensorConfig(name="motion", driver="fake", timeout_s=1700.0)
    sampler = bench.sampler(well)
    driver.release.set()
    bench.work(sampler, 599.0)
    driver.release.clear()
    sampler._settle_s = 0.05
    bench.work(sampler, 1400.0)
    driver.seen = 9
    driver.release.set()
    until(lambda: driver.seen == 0)
    sampler._settle_s = 10.0
    bench.work(sampler, 1000.0)

    counts = [one.body["detect_count"] for one in bench.records()]
    assert counts == [0, None, None, 9]
    sampler.close()


def test_a_fast_sensor_and_a_busy_one_keep_the_pace(bench: Bench) -> None:
    """Twenty readings a second, thousands of detections a second: each is kept, once."""
    motion, detector = bench.motion(interval_s=0.05)
    detector.instant = True
    bench.built_in = True
    sampler = bench.sampler(motion)
    sampler.step()
    for _ in range(1000):
        bench.clock.pass_by(0.01)
        detector.seen += 50
        sampler.step()
    sampler.close()

    assert len(bench.times("sensors/motion")) == pytest.approx(201, abs=1)
    (record,) = [one for one in bench.records() if one.kind == "count"]
    assert (record.body["detect_count"], record.body["total"]) == (50_000, 50_000)


class Prompt(Hanging):
    """Will detect something in a moment, it says, and calls however long it is left behind."""

    def quiet_s(self) -> float:
        """The time to the next."""
        return 0.5

    def listen(self, call: Callable[[], None]) -> None:
        """Keep whom to call."""
        self.call = call


@pytest.mark.parametrize("trouble", [None, OSError("gone")])
def test_a_detector_that_is_gone_is_tried_again_at_its_own_pace(
    bench: Bench, trouble: Exception | None
) -> None:
    """Whatever it said of its next detection, and though it calls from where it was left."""
    driver = bench.drivers["motion"] = Prompt()
    bench.settle_s = 0.05
    sampler = bench.sampler(SensorConfig(name="motion", driver="fake", interval_s=60.0))
    driver.release.set()
    bench.work(sampler, 30.0)
    driver.release.clear()
    if trouble:
        driver.release.set()
        driver.values = {"seq": 1.0}
        driver.read = lambda: {"seq": 1.0}  # type: ignore[method-assign]
    bench.work(sampler, 72.0)
    driver.call()
    steps = bench.work(sampler, 600.0)

    assert steps < 40
    assert bench.opened.count("motion") < 8
    assert [one.code for one in bench.health.snapshot().conditions] == ["sensor-failing"]
    driver.release.set()
    sampler.close()


@pytest.mark.parametrize("plug_ins", [40, 60])
def test_hanging_sensors_starve_no_other(bench: Bench, plug_ins: int) -> None:
    """However many hang, one that works goes on, and those of this version are tried first."""
    wells = [hanging(bench, f"well{number}") for number in range(plug_ins)]
    room = bench.thermometer("room", 10.0)
    good = replace(room, driver="simulated") if plug_ins > 40 else room
    sampler = bench.sampler(*(well for well, _ in wells), good)
    bench.work(sampler, 60.0)
    told = {one.text for one in bench.health.snapshot().conditions}

    assert bench.times("sensors/room") == [0, 10, 20, 30, 40, 50, 60]
    assert not [text for text in told if text.startswith("room")]
    assert len(told) == plug_ins
    begun = sum(driver.reads for _, driver in wells)
    assert sum("hangs" in text or "no answer" in text for text in told) == begun
    assert sum("no thread was free" in text for text in told) == plug_ins - begun
    for _, driver in wells:
        driver.release.set()
    until(lambda: all(driver.closed for _, driver in wells[:begun]))
    sampler._settle_s = 10.0
    bench.work(sampler, 400.0)
    assert all(driver.reads for _, driver in wells)
    sampler.close()


def test_a_sensor_that_works_goes_on_where_others_take_all_that_is_left(bench: Bench) -> None:
    """Threads are kept for what has answered before; short ones make the sampler no busier."""
    room = bench.thermometer("room", 10.0)
    wells = [hanging(bench, f"well{number}") for number in range(60)]
    for _, driver in wells:
        driver.release.set()
    bench.settle_s = 10.0
    sampler = bench.sampler(*(well for well, _ in wells), room)
    bench.work(sampler, 30.0)
    for _, driver in wells:
        driver.release.clear()
    sampler._settle_s = 0.2
    bench.work(sampler, 55.0)
    steps = bench.work(sampler, 60.0)

    assert steps < 100
    for _, driver in wells:
        driver.release.set()
    until(lambda: not any(target.hangs for target in sampler._targets))
    sampler._settle_s = 10.0
    bench.work(sampler, 700.0)
    assert bench.times("sensors/room")[-1] >= 840.0
    assert not bench.health.snapshot().conditions
    sampler.close()


class Clinging(FakeDetector):
    """Cannot be closed, or ends the thread that tries to drain it at last."""

    def __init__(self, error: BaseException | None = None) -> None:
        super().__init__()
        self.error = error
        self.release = threading.Event()

    def close(self) -> None:
        """Wait for the test's end."""
        self.release.wait(30.0)
        self.closed += 1


def test_a_driver_that_hangs_in_close_is_told_with_the_reason_for_closing_it(bench: Bench) -> None:
    """It is left behind as one that hangs in a reading; the others go on."""
    driver = bench.drivers["well"] = Clinging()
    bench.settle_s = 0.05
    well = SensorConfig(name="well", driver="fake", timeout_s=5.0)
    sampler = bench.sampler(well, bench.thermometer("room", 1.0))
    sampler.step()
    driver.trouble = OSError("gone")
    bench.work(sampler, 66.5)
    (condition,) = bench.health.snapshot().conditions
    assert condition.text == "well: gone"
    bench.work(sampler, 60.0)
    (condition,) = bench.health.snapshot().conditions
    assert condition.text == "well: it still hangs"
    assert len(bench.times("sensors/room")) == 127
    sampler.close()
    driver.release.set()


def test_whatever_is_raised_at_the_last_poll_harms_nobody(bench: Bench) -> None:
    """What the others saw is reported."""
    motion, detector = bench.motion()
    driver = bench.drivers["well"] = FakeDetector()
    bench.count = Count(sensor=("motion", "well"), window_s=600)
    sampler = bench.sampler(SensorConfig(name="well", driver="fake"), motion)
    bench.work(sampler, 30.0)
    detector.seen = 2
    driver.trouble = SystemExit(3)
    sampler.close()

    (record,) = bench.records()
    assert record.body["by_sensor"]["motion"] == 2  # type: ignore[index,call-overload]
    assert (driver.closed, detector.closed) == (1, 1)


def test_closing_does_not_wait_for_a_hanging_driver(bench: Bench) -> None:
    """It is left behind, and closed if it ever answers."""
    well, driver = hanging(bench)
    sampler = bench.sampler(well)
    sampler.step()
    closing = threading.Thread(target=sampler.close)
    closing.start()
    closing.join(25.0)  # the driver hangs for longer

    assert not closing.is_alive()
    assert driver.closed == 0
    driver.release.set()
    until(lambda: driver.closed == 1)
