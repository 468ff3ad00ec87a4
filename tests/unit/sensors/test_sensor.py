"""A sensor guards its driver: only readings, detections and sensor errors come out."""

from __future__ import annotations

import errno
import json
import math
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.errors import NoDataError, SensorError
from agent.sensors import Detections, Measurement, Sensor
from tests.fakes import FakeDetector, FakeDriver

if TYPE_CHECKING:
    from collections.abc import Mapping

BAD = [
    {"temperature_c": math.nan},
    {"temperature_c": math.inf},
    {"temperature_c": 10**400},
    {"temperature_c": "20"},
    {"temperature_c": None},
    {"temperature_c": True},
    {"temperature_c": -127.0},
    {"humidity_pct": 3310.0},
    {"a": SensorError("at fault", hint="mend it")},
    {"a": NoDataError("not ready")},
    {"a": OSError(121, "Remote I/O error")},
    {"a": ValueError()},
    {"Timestamp": 1},
    {"seq": 1},
    {"": 1},
    {"a b": 1},
    {7: 1},
    {"\ud800": 1},
    {"x" * 65: 1},
]


@pytest.mark.parametrize(
    "values", [*BAD, {f"x{number}": 1 for number in range(201)}, 7, None], ids=repr
)
def test_what_is_no_reading_is_an_error(
    values: Mapping[str, float | str | Exception | None],
) -> None:
    """A record must have numbers, under names that are not the record's own."""
    driver = FakeDriver()
    driver.values = values

    with pytest.raises(SensorError, match=r"^room: ") as caught:
        Sensor("room", driver).read()
    assert caught.value.hint


@pytest.mark.parametrize("bad", BAD, ids=repr)
def test_a_quantity_loses_only_itself(bad: Mapping[str, float | str | Exception | None]) -> None:
    """What else was read is given, and why something is missing."""
    driver = FakeDriver()
    driver.values = {"pressure_pa": 101_325.0, **bad, "model": "BME280"}

    found = Sensor("room", driver).read()
    assert found.values == {"pressure_pa": 101_325.0, "model": "BME280"}
    (error,) = found.missing.values()
    assert error.text.isprintable()
    assert error.__traceback__ is None  # which would keep alive what the driver held


@pytest.mark.parametrize(
    ("value", "passing"),
    [
        (-127.0, True),
        (1e9, True),
        (math.inf, True),
        (None, True),
        (OSError(errno.EREMOTEIO, "Remote I/O error"), True),
        (OSError(errno.ETIMEDOUT, "Connection timed out"), True),
        (OSError(errno.EACCES, "Permission denied"), False),
        (ValueError(), False),
        ("20", False),
    ],
    ids=repr,
)
def test_what_may_pass_is_no_value_now(
    value: float | str | Exception | None, *, passing: bool
) -> None:
    """Of one quantity as of them all, returned as raised."""
    driver = FakeDriver()
    driver.values = {"pressure_pa": 101_325.0, "temperature_c": value}
    (error,) = Sensor("room", driver).read().missing.values()
    assert isinstance(error, NoDataError) == passing
    driver.values = {"temperature_c": value}
    with pytest.raises(SensorError, match="temperature_c") as caught:
        Sensor("room", driver).read()
    assert isinstance(caught.value, NoDataError) == passing
    if isinstance(value, Exception):
        driver.trouble = value
        with pytest.raises(SensorError) as caught:
            Sensor("room", driver).read()
        assert isinstance(caught.value, NoDataError) == passing


@pytest.mark.parametrize("built_in", [True, False])
def test_a_plug_in_without_a_value_is_opened_anew(*, built_in: bool) -> None:
    """The third time in a row it has failed, and so is closed: its device may have gone."""
    driver = FakeDriver()
    sensor = Sensor("room", driver, built_in=built_in)
    passing = []
    for value in (-127.0, -127.0, 21.0, -127.0, -127.0, -127.0):
        driver.values = {"temperature_c": value}
        try:
            sensor.read()
        except SensorError as error:
            passing.append(isinstance(error, NoDataError))
    assert passing == [True, True, True, True, built_in]


def test_detecting_never_passes_over_an_error() -> None:
    """What it saw is not known then."""
    driver = FakeDetector()
    driver.trouble = OSError(errno.EREMOTEIO, "Remote I/O error")
    with pytest.raises(SensorError) as caught:
        Sensor("motion", driver).drain()
    assert not isinstance(caught.value, NoDataError)


@pytest.mark.parametrize("missing", [None, -127.0, ValueError()], ids=repr)
def test_words_alone_are_no_reading(missing: float | Exception | None) -> None:
    """They say what the device is, which is no measurement."""
    driver = FakeDriver()
    driver.values = {"model": "BME280", "temperature_c": missing}
    with pytest.raises(SensorError, match="temperature_c"):
        Sensor("room", driver).read()
    driver.values = {"model": "BME280"}
    assert Sensor("room", driver).read().values == {"model": "BME280"}


@given(st.dictionaries(st.text(max_size=70), st.floats() | st.text() | st.none() | st.booleans()))
def test_whatever_a_driver_gives_nothing_is_lost_in_silence(
    values: Mapping[str, float | str | Exception | None],
) -> None:
    """Each quantity is there, or there is a reason why not; what comes out can be sent."""
    driver = FakeDriver()
    driver.values = values
    found = Measurement({}, {})
    with suppress(SensorError):
        found = Sensor("room", driver).read()
        assert len(found.values) + len(found.missing) == len(values)
    json.dumps(found.values, allow_nan=False).encode()


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

    assert Sensor("room", driver).read() == Measurement({}, {})


def test_a_sensor_without_drain_detects_nothing() -> None:
    """Detecting is told by the driver's methods alone."""
    assert not Sensor("room", FakeDriver()).detects
    assert Sensor("room", FakeDriver()).drain() == Detections(0, 0.0)
    assert Sensor("motion", FakeDetector()).detects


def test_a_sensor_whose_drain_is_none_detects_nothing() -> None:
    """As its other methods may be: the class of a plug-in detects only at times."""
    driver = FakeDriver()
    driver.drain = None  # type: ignore[attr-defined]
    assert not Sensor("room", driver).detects


def test_a_driver_is_asked_for_nothing_that_it_does_not_have() -> None:
    """A plug-in needs neither method."""
    sensor = Sensor("room", FakeDriver())
    sensor.listen(lambda: None)
    assert sensor.quiet_s() == float("inf")
