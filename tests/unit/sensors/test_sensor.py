"""A sensor guards its driver: only readings, detections and sensor errors come out."""

from __future__ import annotations

import math

import pytest

from agent.errors import SensorError
from agent.sensors import Detections, Sensor
from tests.fakes import FakeDetector, FakeDriver


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


def test_a_driver_is_asked_for_nothing_that_it_does_not_have() -> None:
    """A plug-in needs neither method."""
    sensor = Sensor("room", FakeDriver())
    sensor.listen(lambda: None)
    assert sensor.quiet_s() == float("inf")
