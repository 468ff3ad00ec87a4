"""The simulated sensor follows the clock and loses no detection."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest

from agent.config import SensorConfig
from agent.sensors import Detections, Sensor, open_sensor
from agent.sensors.simulated import Options

if TYPE_CHECKING:
    from tests.fakes import FakeClock


def simulated(clock: FakeClock, per_s: float | None = None) -> Sensor:
    """An open simulated sensor."""
    options = Options(detections_per_s=per_s)
    return open_sensor(SensorConfig(name="room", driver="simulated", options=options), clock=clock)


def test_the_simulated_temperature_is_plausible_and_follows_the_clock(clock: FakeClock) -> None:
    """The same instant gives the same value; it moves smoothly through the day."""
    sensor = simulated(clock)
    seen = []
    for _ in range(24 * 60):
        seen.append(float(sensor.read().values["temperature_c"]))
        clock.pass_by(60.0)
    clock.pass_by(-86_400.0)

    assert sensor.read().values["temperature_c"] == seen[0]
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
