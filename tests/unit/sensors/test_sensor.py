"""Finding drivers, opening sensors, and the guard around them."""

from __future__ import annotations

import importlib
import math
import subprocess
import sys
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest

from agent.config import SensorConfig
from agent.errors import SensorError
from agent.sensors import BUILT_IN, Detections, Sensor, open_sensor, options_of
from agent.sensors.plausibility import Limits
from agent.sensors.simulated import Options
from tests.fakes import FakeClock, FakeDetector, FakeDriver

if TYPE_CHECKING:
    from pathlib import Path

PLUG_IN = """
class Well:
    def __init__(self, options):
        self.depth_m = options["depth_m"]

    def read(self):
        return {"depth_m": self.depth_m}

    def close(self):
        pass


def open_driver(options, *, clock):
    return Well(options)
"""


@pytest.fixture
def clock() -> FakeClock:
    """Both clocks."""
    return FakeClock()


@pytest.fixture
def plug_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """An installed package with the driver `well`, and with `broken`, which cannot be imported."""
    (tmp_path / "wells_of_kim.py").write_text(PLUG_IN)
    metadata = tmp_path / "wells_of_kim-1.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: wells-of-kim\nVersion: 1\n")
    (metadata / "entry_points.txt").write_text(
        "[pi_iot_agent.sensors]\nwell = wells_of_kim:open_driver\nbroken = no_such_module:x\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    return "well"


def simulated(clock: FakeClock, per_s: float | None = None) -> Sensor:
    """An open simulated sensor."""
    options = Options(detections_per_s=per_s)
    return open_sensor(SensorConfig(name="room", driver="simulated", options=options), clock=clock)


@pytest.mark.parametrize("driver", BUILT_IN)
def test_every_built_in_driver_has_options(driver: str) -> None:
    """A frozen dataclass that the configuration is checked against."""
    assert options_of(driver).__name__ == "Options"


def test_a_driver_that_nobody_has_cannot_be_opened(clock: FakeClock) -> None:
    """A plug-in may have been removed since the configuration was read."""
    with pytest.raises(SensorError, match="x: there is no driver gone") as caught:
        open_sensor(SensorConfig(name="x", driver="gone", options={}), clock=clock)
    assert caught.value.hint


def test_an_unknown_driver_is_a_key_error_that_names_the_known_ones() -> None:
    """The configuration makes a problem of it."""
    with pytest.raises(KeyError) as caught:
        options_of("gpoi")
    assert caught.value.args[0] == "gpoi"
    assert {"gpio", "simulated"} <= set(caught.value.args[1:])


def test_a_plug_in_is_found_by_its_entry_point(plug_in: str, clock: FakeClock) -> None:
    """It imports nothing of ours and gets its options as they stand in the file."""
    config = SensorConfig(name="garden", driver=plug_in, options={"depth_m": 4})

    assert options_of(plug_in) is dict
    assert open_sensor(config, clock=clock).read() == {"depth_m": 4}


@pytest.mark.usefixtures("plug_in")
@pytest.mark.parametrize(("driver", "reason"), [("broken", "no_such_module"), ("well", "depth_m")])
def test_a_plug_in_that_cannot_be_opened_is_a_sensor_error(
    driver: str, reason: str, clock: FakeClock
) -> None:
    """Whether it cannot be imported or does not like its options."""
    config = SensorConfig(name="garden", driver=driver, options={})

    with pytest.raises(SensorError, match=f"garden: .*{reason}"):
        open_sensor(config, clock=clock)


def test_only_a_built_in_driver_may_be_asked_without_a_thread(
    plug_in: str, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A plug-in may promise what it likes."""
    well = importlib.import_module("wells_of_kim").Well
    monkeypatch.setattr(well, "instant", True, raising=False)
    config = SensorConfig(name="garden", driver=plug_in, options={"depth_m": 4})
    assert not open_sensor(config, clock=clock).instant
    assert simulated(clock).instant


def test_entry_points_are_looked_for_only_when_needed() -> None:
    """importlib.metadata takes as long to load as the rest; built-in drivers do without."""
    program = (
        "import sys, agent.sensors; agent.sensors.options_of('simulated');"
        "sys.exit('importlib.metadata' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


@pytest.mark.parametrize(
    "values",
    [
        {"temperature_c": math.nan},
        {"temperature_c": math.inf},
        {"temperature_c": "20"},
        {"temperature_c": None},
        {"temperature_c": True},
        {"Timestamp": 1},
        {"seq": 1},
        {"": 1},
        {"a b": 1},
        {7: 1},
        {"\ud800": 1},
        {"x" * 65: 1},
        {f"x{number}": 1 for number in range(201)},
        7,
        None,
    ],
    ids=repr,
)
def test_what_is_no_reading_is_an_error(values: dict[str, float]) -> None:
    """A record must have numbers, under names that are not the record's own."""
    driver = FakeDriver()
    driver.values = values

    with pytest.raises(SensorError):
        Sensor("room", driver).read()


@pytest.mark.parametrize("limits", [7, {"active_max_s": 1}, Limits])
def test_limits_that_are_none_are_an_error(
    limits: object, plug_in: str, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A plug-in's, for one; what it had opened is closed."""
    well = importlib.import_module("wells_of_kim").Well
    closed: list[int] = []
    monkeypatch.setattr(well, "limits", limits, raising=False)
    monkeypatch.setattr(well, "drain", lambda _: (0, 0.0), raising=False)
    monkeypatch.setattr(well, "close", lambda _: closed.append(1))
    config = SensorConfig(name="garden", driver=plug_in, options={"depth_m": 4})
    with pytest.raises(SensorError, match="garden: "):
        open_sensor(config, clock=clock)
    assert closed == [1]


def test_only_sensor_errors_come_out_of_a_driver() -> None:
    """Whatever it raises is told in words."""
    driver = FakeDetector()
    driver.trouble = OSError(121, "Remote I/O error")
    sensor = Sensor("room", driver)

    for method in (sensor.read, sensor.drain):
        with pytest.raises(SensorError, match=r"room: .*Remote I/O error") as caught:
            method()
        assert caught.value.hint


def test_an_empty_reading_is_fine() -> None:
    """A sensor may have nothing to say."""
    driver = FakeDriver()
    driver.values = {}

    assert Sensor("room", driver).read() == {}


def test_a_sensor_without_drain_detects_nothing() -> None:
    """Detecting is told by the driver's methods alone."""
    assert not Sensor("room", FakeDriver()).detects
    assert Sensor("room", FakeDriver()).drain() == Detections(0, 0.0)
    assert Sensor("motion", FakeDetector()).detects


def test_the_simulated_temperature_is_plausible_and_follows_the_clock(clock: FakeClock) -> None:
    """The same instant gives the same value; it moves smoothly through the day."""
    sensor = simulated(clock)
    seen = []
    for _ in range(24 * 60):
        seen.append(float(sensor.read()["temperature_c"]))
        clock.pass_by(60.0)
    clock.pass_by(-86_400.0)

    assert sensor.read()["temperature_c"] == seen[0]
    assert 17.5 < min(seen) < 19
    assert 23 < max(seen) < 24.5
    assert max(abs(a - b) for a, b in pairwise(seen)) < 0.2
    assert not sensor.detects


@pytest.mark.parametrize("per_s", [0.0, 0.01, 0.5, 3.0, 10_000.0])
def test_no_simulated_detection_is_lost_between_drains(clock: FakeClock, per_s: float) -> None:
    """However often it is drained, the sum is what passed since the opening."""
    sensor = simulated(clock, per_s)
    drained = []
    for seconds in (0.0, 0.1, 7.3, 0.0, 599.9, 1.0):
        clock.pass_by(seconds)
        drained.append(sensor.drain())

    assert sum(one.count for one in drained) == math.floor((clock.now_boot_s - 1000.0) * per_s)
    assert sum(one.active_s for one in drained) <= clock.now_boot_s - 1000.0
    assert sensor.drain() == Detections(0, 0.0)


def test_simulated_detections_do_not_care_for_the_wall_clock(clock: FakeClock) -> None:
    """Only time that really passed counts."""
    sensor = simulated(clock, 1.0)
    clock.jump(3600.0)
    assert sensor.drain().count == 0
    clock.jump(-7200.0)
    clock.pass_by(10.0)
    assert sensor.drain() == Detections(10, 5.0)
