"""The drivers of files below /sys keep their word when the kernel's own are behind the files."""

from __future__ import annotations

import errno
import os
import re
import time
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

import pytest

from agent.clock import Clock
from agent.config import SensorConfig
from agent.errors import NoDataError, SensorError
from agent.sensors import Sensor, discovery, open_sensor
from agent.sensors.registry import options_of
from tests.hardware import lines, onewire

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.hardware import i2c
    from tests.hardware.chips import Chip

LM75, BMP280 = 0x48, 0x76

#: The BMP280's data sheet, 3.12: calibration, the raw values of its example, and what they mean.
CALIBRATION = (27504, 26435, -1000, 36477, -10685, 3024, 2855, 140, -7, 15500, -14600, 6000)
RAW_PRESSURE, RAW_TEMPERATURE = 415148, 519888
PRESSURE_PA, TEMPERATURE_C = 100653.25, 25.08
PRESSURE_REGISTER = 0xF7


def opened(driver: str, **options: str) -> closing[Sensor]:
    """A sensor with these options."""
    config = SensorConfig(name="room", driver=driver, options=options_of(driver)(**options))
    return closing(open_sensor(config, clock=Clock()))


@contextmanager
def held(chip: Chip, offset: int, consumer: str) -> Iterator[None]:
    """A line that somebody of this name holds."""
    descriptor = lines.hold(chip.path, offset, consumer)
    try:
        yield
    finally:
        os.close(descriptor)


def wait_value(sensor: Sensor) -> dict[str, float | str]:
    """What it reads, once it reads something."""
    until_s = time.monotonic() + onewire.PATIENCE_S
    while True:
        try:
            return sensor.read().values
        except SensorError:
            assert time.monotonic() < until_s
            time.sleep(0.1)


class TestOneWire:
    """DS18B20 behind w1_therm."""

    def test_each_is_read_by_its_id(self, thermometers: onewire.Bus) -> None:
        """Two at one bus, one of them below zero."""
        thermometers.set(21.5, -10.125)
        first, second = thermometers.ids
        with opened("onewire", id=first) as sensor:
            assert sensor.read().values == {"temperature_c": 21.5}
        with opened("onewire", id=second) as sensor:
            assert sensor.read().values == {"temperature_c": -10.125}

    def test_without_an_id_those_that_there_are_are_named(self, thermometers: onewire.Bus) -> None:
        """With two, none is the only one."""
        with pytest.raises(SensorError, match=", ".join(thermometers.ids)):
            opened("onewire")

    @pytest.mark.parametrize("celsius", [-55.0, -0.5, 0.0, 85.0625, 125.0])
    def test_the_whole_range_is_read(self, celsius: float, thermometers: onewire.Bus) -> None:
        """What the part can say, to its ends."""
        thermometers.set(celsius, 20)
        with opened("onewire", id=thermometers.ids[0]) as sensor:
            assert sensor.read().values["temperature_c"] == pytest.approx(celsius, abs=0.001)

    @pytest.mark.parametrize(
        "fault",
        [
            onewire.WRONG_CHECKSUM,
            onewire.ALL_ONES,
            onewire.ALL_ZEROS,
            onewire.POWER_LOST,
            onewire.OFF_THE_BUS,
        ],
    )
    def test_a_fault_is_an_error_and_never_a_value(
        self, fault: int, thermometers: onewire.Bus
    ) -> None:
        """For some the kernel gives an empty file; when it is mended, the next reading is right."""
        thermometers.set(21.5, 20)
        with opened("onewire", id=thermometers.ids[0]) as sensor:
            sensor.read()
            thermometers.set(21.5, 20, fault=fault)
            with pytest.raises(SensorError):
                sensor.read()
            thermometers.set(22.5, 20)
            assert wait_value(sensor) == {"temperature_c": 22.5}

    def test_one_that_has_left_the_bus_is_gone_and_comes_back(
        self, thermometers: onewire.Bus
    ) -> None:
        """The kernel takes its folder away after a while; the other goes on."""
        name, other = thermometers.ids
        thermometers.set(21.5, 19.0, fault=onewire.OFF_THE_BUS)
        thermometers.wait(1)
        with pytest.raises(SensorError, match=f"{name} is not on the bus; there are: {other}"):
            opened("onewire", id=name)
        with opened("onewire") as sensor:
            assert sensor.read().values == {"temperature_c": 19.0}
        thermometers.set(23.5, 19.0)
        thermometers.wait(2)
        with opened("onewire", id=name) as sensor:
            assert sensor.read().values == {"temperature_c": 23.5}


class TestHwmon:
    """An LM75 behind its driver."""

    @pytest.mark.parametrize("celsius", [21.5, -10.0, 0.0, 125.0, -55.0])
    def test_its_temperature_is_read(self, celsius: float, i2c_bus: i2c.Bus) -> None:
        """Also below zero."""
        i2c_bus.write_word(LM75, 0, round(celsius * 256))
        with i2c_bus.device("lm75", LM75), opened("hwmon", device="lm75") as sensor:
            assert sensor.read().values == {"temperature_c": celsius}

    def test_a_device_that_was_removed_is_an_error(self, i2c_bus: i2c.Bus) -> None:
        """It is found again when it is back."""
        i2c_bus.write_word(LM75, 0, 20 << 8)
        with i2c_bus.device("lm75", LM75), opened("hwmon", device="lm75") as sensor:
            i2c_bus.remove(LM75)
            with pytest.raises(SensorError) as caught:
                sensor.read()
            assert not isinstance(caught.value, NoDataError)
        with i2c_bus.device("lm75", LM75), opened("hwmon", device="lm75") as sensor:
            assert sensor.read().values == {"temperature_c": 20.0}

    @pytest.mark.parametrize("number", [errno.EREMOTEIO, errno.ENXIO, errno.EIO, errno.ETIMEDOUT])
    def test_an_answer_that_fails_is_no_value_for_now(self, number: int, i2c_bus: i2c.Bus) -> None:
        """Not acknowledged, as adapters call it, or late; the next one is a value."""
        i2c_bus.write_word(LM75, 0, 20 << 8)
        with i2c_bus.device("lm75", LM75), opened("hwmon", device="lm75") as sensor:
            i2c_bus.fail(number)
            with pytest.raises(NoDataError):
                sensor.read()
            i2c_bus.fail(0)
            assert sensor.read().values == {"temperature_c": 20.0}

    def test_two_of_a_kind_are_told_apart_by_their_places(self, i2c_bus: i2c.Bus) -> None:
        """Without `at` both are named."""
        i2c_bus.write_word(LM75, 0, 20 << 8)
        i2c_bus.write_word(LM75 + 1, 0, 30 << 8)
        first, second = f"{i2c_bus.number}-0048", f"{i2c_bus.number}-0049"
        with i2c_bus.device("lm75", LM75), i2c_bus.device("lm75", LM75 + 1):
            with pytest.raises(SensorError, match=re.escape(f"{first}, {second}")):
                opened("hwmon", device="lm75")
            with opened("hwmon", device="lm75", at=second) as sensor:
                assert sensor.read().values == {"temperature_c": 30.0}


@pytest.fixture
def barometer(i2c_bus: i2c.Bus) -> i2c.Bus:
    """The bus with the registers of a BMP280 that measures what its data sheet's example does."""
    i2c_bus.write(BMP280, 0xD0, 0x58)
    for place, number in enumerate(CALIBRATION):
        i2c_bus.write(BMP280, 0x88 + 2 * place, *(number & 0xFFFF).to_bytes(2, "little"))
    i2c_bus.write(BMP280, PRESSURE_REGISTER, *(RAW_PRESSURE << 4).to_bytes(3, "big"))
    i2c_bus.write(BMP280, 0xFA, *(RAW_TEMPERATURE << 4).to_bytes(3, "big"))
    return i2c_bus


class TestIio:
    """A BMP280 behind its driver."""

    def test_temperature_and_pressure_are_read(self, barometer: i2c.Bus) -> None:
        """In degrees and pascals, from the registers of the data sheet's example."""
        with barometer.device("bmp280", BMP280), opened("iio", device="bmp280") as sensor:
            values = sensor.read().values
        assert values == {
            "temperature_c": TEMPERATURE_C,
            "pressure_pa": pytest.approx(PRESSURE_PA, abs=0.01),
        }

    def test_a_bus_that_fails_is_no_value_for_now(self, barometer: i2c.Bus) -> None:
        """The next reading is whole again."""
        with barometer.device("bmp280", BMP280), opened("iio", device="bmp280") as sensor:
            barometer.fail(errno.EREMOTEIO)
            with pytest.raises(NoDataError):
                sensor.read()
            barometer.fail(0)
            assert len(sensor.read().values) == 2

    def test_a_channel_that_fails_costs_only_itself(self, barometer: i2c.Bus) -> None:
        """The other one is read, and why this one is not."""
        with barometer.device("bmp280", BMP280), opened("iio", device="bmp280") as sensor:
            barometer.fail(errno.EREMOTEIO, register=PRESSURE_REGISTER)
            found = sensor.read()
        assert found.values == {"temperature_c": TEMPERATURE_C}
        assert found.missing.keys() == {"pressure_pa"}

    def test_a_device_that_was_removed_is_an_error(self, barometer: i2c.Bus) -> None:
        """As one that was pulled out."""
        with barometer.device("bmp280", BMP280), opened("iio", device="bmp280") as sensor:
            barometer.remove(BMP280)
            with pytest.raises(SensorError):
                sensor.read()


class TestDiscovery:
    """What `setup` shows of a board."""

    def test_all_that_is_wired_is_found(
        self, barometer: i2c.Bus, thermometers: onewire.Bus, chip: Chip
    ) -> None:
        """Each once, as its driver wants it named, with what it says; pins with their holders."""
        barometer.write_word(LM75, 0, 20 << 8)
        barometer.write_word(LM75 + 1, 0, 30 << 8)
        with (
            barometer.device("bmp280", BMP280),
            barometer.device("lm75", LM75),
            barometer.device("lm75", LM75 + 1),
        ):
            found = discovery.devices(Clock(), str)
        places = [f"{barometer.number}-0048", f"{barometer.number}-0049"]
        assert [(one.driver, one.options) for one in found] == [
            *(("onewire", {"id": name}) for name in thermometers.ids),
            ("iio", {"device": "bmp280"}),
            *(("hwmon", {"device": "lm75", "at": place}) for place in places),
            ("system", {}),
        ]
        assert found[-2].says == "{'temperature_c': 30.0}"

        with held(chip, 4, "onewire@0"):
            pins = {pin.number: pin for pin in discovery.pins()}
        assert (pins[4].used, pins[4].consumer) == (True, "onewire@0")
        assert not pins[21].used
