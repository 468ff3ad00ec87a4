"""The drivers for what the kernel measures, over the files of whole boards, and every quirk."""

from __future__ import annotations

import errno
import os
import shutil
import socket
import tempfile
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.config import SensorConfig
from agent.errors import NoDataError, SensorError
from agent.sensors import Sensor, hwmon, iio, onewire, options_of, sysfs, system, thermal
from tests.fakes import FakeClock
from tests.tools import boards

ID = "28-0119433bc5ff"

#: Reading it is EIO for ever: nothing is mapped at address 0 (proc(5)).
EIO_FILE = "/proc/self/mem"


@pytest.fixture
def pi4(tmp_path: Path) -> Path:
    """The files of a Raspberry Pi 4."""
    boards.unpack("pi-4", tmp_path)
    return tmp_path


@pytest.fixture
def pi5(tmp_path: Path) -> Path:
    """The files of a Raspberry Pi 5."""
    boards.unpack("pi-5", tmp_path)
    return tmp_path


def opened(root: Path, driver: str, **options: str) -> Sensor:
    """A sensor on the board below `root`."""
    config = SensorConfig(name="s", driver=driver, options=options_of(driver)(**options))
    return boards.open_on(root, config)


def put(path: Path, content: str) -> None:
    """Have the kernel say this."""
    path.unlink(missing_ok=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)


@pytest.mark.parametrize("board", boards.BOARDS)
def test_a_board_reads_as_its_golden_file_says(board: str, tmp_path: Path) -> None:
    """Every driver over every board; after a wanted change run `python3 -m tests.tools.boards`."""
    boards.unpack(board, tmp_path)
    golden = (boards.FIXTURES / f"{board}.golden").read_text()

    assert "".join(boards.readings(board, tmp_path)) == golden


@pytest.mark.parametrize(
    ("number", "passing"),
    [
        (errno.EAGAIN, True),
        (errno.EBUSY, True),
        (errno.EINVAL, True),
        (errno.EIO, True),
        (errno.ENODATA, True),
        (errno.ETIMEDOUT, True),
        (errno.EREMOTEIO, True),
        (errno.ENXIO, True),
        (errno.EBADMSG, True),
        (errno.EILSEQ, True),
        (errno.ETIME, True),
        (errno.EOVERFLOW, True),
        (errno.EINTR, True),
        (errno.EPROTO, True),
        (errno.ENODEV, False),
        (errno.ENOENT, False),
        (errno.EACCES, False),
        (errno.EOPNOTSUPP, False),
    ],
    ids=lambda value: errno.errorcode.get(value, "") if value > 1 else str(bool(value)),
)
def test_error_numbers_that_pass_are_no_data(number: int, *, passing: bool, tmp_path: Path) -> None:
    """The others are a failure; both say which file, in words."""

    def refuse(_descriptor: int, _size: int) -> bytes:
        raise OSError(number, os.strerror(number))

    put(tmp_path / "temp1_input", "1\n")
    with pytest.raises(SensorError, match="temp1_input") as caught:
        sysfs.text(tmp_path / "temp1_input", read=refuse)
    assert isinstance(caught.value, NoDataError) == passing


@pytest.mark.parametrize("content", ["", "\n", "\0\0"])
def test_an_empty_file_is_no_data(content: str, tmp_path: Path) -> None:
    """Some drivers say so that they have nothing."""
    put(tmp_path / "temp", content)
    with pytest.raises(NoDataError, match="temp is empty"):
        sysfs.number(tmp_path / "temp")


@pytest.mark.parametrize("content", ["warm", "1 2", "12,5", "0x", "\xff\xfe"])
def test_what_is_no_number_is_a_failure(content: str, tmp_path: Path) -> None:
    """It is shown, cut to a fair length."""
    put(tmp_path / "temp", content)
    with pytest.raises(SensorError, match="which is no number") as caught:
        sysfs.number(tmp_path / "temp")
    assert not isinstance(caught.value, NoDataError)


def test_what_is_no_file_at_all_is_a_failure(tmp_path: Path) -> None:
    """Gone, a socket, a directory: real errors of the system."""
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "socket"))
        for name in ("gone", "socket", "."):
            with pytest.raises(SensorError) as caught:
                sysfs.text(tmp_path / name)
            assert not isinstance(caught.value, NoDataError)


def test_a_device_that_goes_away_is_a_failure_and_found_again_elsewhere(pi5: Path) -> None:
    """The kernel numbers devices as they come; they are known by name and place."""
    devices = pi5 / "sys/bus/iio/devices"
    battery = opened(pi5, "iio", device="ads1015")
    (devices / "iio:device0").rename(devices / "iio:device7")
    with pytest.raises(SensorError, match="not there"):
        battery.read()

    assert opened(pi5, "iio", device="ads1015").read().values["voltage_0_v"] == 3.30025


@pytest.mark.parametrize(
    ("driver", "options", "words"),
    [
        ("iio", {"device": "bme680"}, "no IIO device 'bme680'; there are: ads1015, bme280"),
        ("iio", {"device": "bme280"}, "'bme280' is at 1-0076, 1-0077; say which with `at`"),
        ("iio", {"device": "bme280", "at": "1-0075"}, "1-0076, 1-0077; none of them at '1-0075'"),
        ("hwmon", {"device": "cpu"}, "no hwmon device 'cpu'; there are: cpu_thermal, nvme, pwm"),
        ("hwmon", {"device": "rpi_volt"}, "measures nothing that is known here"),
        ("thermal", {"zone": "gpu"}, "no thermal zone 'gpu'; there are: cpu-thermal"),
        ("onewire", {}, "no thermometer on the 1-Wire bus"),
        ("onewire", {"id": ID}, f"{ID} is not on the bus; there are: none"),
    ],
)
def test_a_device_that_is_not_there_is_told_with_those_that_are(
    driver: str, options: dict[str, str], words: str, pi5: Path
) -> None:
    """So that the next line to write is plain."""
    with pytest.raises(SensorError) as caught:
        opened(pi5, driver, **options)
    assert words in caught.value.text
    assert caught.value.hint


def test_two_of_a_kind_of_hwmon_are_told_apart_by_their_places(pi4: Path) -> None:
    """The kernel has a folder `hwmon` between the place and the device."""
    for number, celsius in ((8, 20), (9, 30)):
        device = f"devices/i2c-1/1-004{number}/hwmon/hwmon{number}"
        put(pi4 / "sys" / device / "name", "lm75\n")
        put(pi4 / "sys" / device / "temp1_input", f"{celsius}000\n")
        (pi4 / f"sys/class/hwmon/hwmon{number}").symlink_to(f"../../{device}")
    with pytest.raises(SensorError, match="'lm75' is at 1-0048, 1-0049; say which with `at`"):
        opened(pi4, "hwmon", device="lm75")
    second = opened(pi4, "hwmon", device="lm75", at="1-0049")
    assert second.read().values == {"temperature_c": 30.0}


def test_two_thermometers_want_to_be_told_apart(pi4: Path) -> None:
    """Both ids are named."""
    with pytest.raises(SensorError, match=f"several thermometers: {ID}, 28-0119451f6c11"):
        opened(pi4, "onewire")


def test_one_of_several_thermal_zones_is_to_be_chosen(pi4: Path) -> None:
    """As on boards with a zone for each part."""
    put(pi4 / "sys/class/thermal/thermal_zone1/type", "gpu-thermal\n")
    with pytest.raises(SensorError, match="several zones: cpu-thermal, gpu-thermal"):
        opened(pi4, "thermal")
    assert opened(pi4, "thermal", zone="cpu-thermal").read().values == {"temperature_c": 38.459}


SLAVE = f"sys/bus/w1/devices/{ID}/w1_slave"


def scratchpad(octets: str, millicelsius: int, checksum: str = "YES") -> str:
    """The content of w1_slave, as w1_therm writes it."""
    return f"{octets} : crc={octets[-2:]} {checksum}\n{octets} t={millicelsius}\n"


@pytest.mark.parametrize(
    ("content", "celsius"),
    [
        (scratchpad("50 05 4b 46 7f ff 0c 10 1c", 85000), None),
        (scratchpad("50 05 55 05 7f a5 a5 66 21", 85000), None),
        (scratchpad("50 05 4b 46 7f ff 10 10 00", 85000), None),
        (scratchpad("4c 01 4b 46 7f ff 0c 10 83", 20750, "NO"), None),
        (scratchpad("00 00 00 00 00 00 00 00 00", 0), None),
        (scratchpad("ff ff ff ff ff ff ff ff ff", -62, "NO"), None),
        (scratchpad("ff ff ff ff ff ff ff ff ff", -62), None),
        (scratchpad("00 00 4b 46 7f ff 0c 10 00", 0), 0.0),
        (scratchpad("ff ff 4b 46 7f ff 0c 10 00", -62), -0.062),
        (scratchpad("90 fc 4b 46 7f ff 0c 10 00", -55000), -55.0),
        (scratchpad("d0 07 4b 46 7f ff 0c 10 00", 125000), 125.0),
        (scratchpad("d1 07 4b 46 7f ff 0c 10 00", 125062), None),
        (scratchpad("ff 07 4b 46 7f ff 0c 10 f8", 127937), None),
        (scratchpad("80 0c 4b 46 7f ff 0c 10 00", 200000), None),
        (scratchpad("00 fb 4b 46 7f ff 0c 10 00", -80000), None),
        (scratchpad("10 f8 4b 46 7f ff 0c 10 00", -127000), None),
        ("", None),
    ],
    ids=[
        *["power-on", "a copy's", "first of all", "checksum", "zeros", "ones", "ones that fit"],
        *["zero", "below zero", "coldest", "hottest", "hotter", "not measured", "200", "-80"],
        *["no answer", "empty"],
    ],
)
def test_a_ds18b20_is_believed_only_when_it_measured(
    content: str, celsius: float | None, pi4: Path
) -> None:
    """Neither a wrong checksum nor what it cannot say is a temperature."""
    floor = opened(pi4, "onewire", id=ID)
    put(pi4 / SLAVE, content)

    if celsius is None:
        with pytest.raises(NoDataError):
            floor.read()
    else:
        assert floor.read().values == {"temperature_c": celsius}


@pytest.mark.parametrize(
    ("family", "octets", "believed"),
    [
        ("28", "50 05 55 05 7f a5 a5 66 21", True),
        ("28", "50 05 4b 46 7f ff 10 10 00", True),
        ("28", "50 05 4b 46 7f ff 0c 10 1c", False),
        ("10", "aa 00 4b 46 ff ff 0c 10 87", True),
    ],
    ids=["copy", "measured", "power-on", "DS18S20"],
)
def test_85_degrees_are_believed_only_near_them(
    family: str, octets: str, *, believed: bool, pi4: Path
) -> None:
    """A second after 20 degrees it has lost its power; byte 6 tells only of a DS18B20 for sure."""
    directory = pi4 / f"sys/bus/w1/devices/{family}-0000072b5c8e"
    boiler = onewire.OneWire(directory)
    seen = []
    for octets_read, millicelsius in (
        ("4c 01 4b 46 7f ff 04 10 83", 20750),
        (octets, 85000),
        ("40 05 4b 46 7f ff 10 10 83", 84000),
        (octets, 85000),
    ):
        put(directory / "w1_slave", scratchpad(octets_read, millicelsius))
        with suppress(NoDataError):
            seen.append(boiler.read()["temperature_c"])
    assert seen == [20.75, 84.0, *([85.0] if believed else [])]


@pytest.mark.parametrize("celsius", [127.937, 200.0, -80.0, -127.0, -273.15, 85.0])
def test_the_file_with_the_temperature_alone_is_judged_alike(celsius: float, pi4: Path) -> None:
    """It says no more than the number."""
    boiler = opened(pi4, "onewire", id="28-0119451f6c11")
    put(pi4 / "sys/bus/w1/devices/28-0119451f6c11/temperature", f"{celsius * 1000:.0f}\n")
    with pytest.raises(NoDataError):
        boiler.read()


def test_a_thermocouple_has_another_span(pi4: Path) -> None:
    """A MAX31850 is of the DS1825's family; a bit tells them apart, another its broken wire."""
    directory = pi4 / "sys/bus/w1/devices/3b-0000072b5c8e"
    for octets, millicelsius in (
        ("00 4b 00 19 f0 ff ff ff 00", 1200000),
        ("90 01 00 19 f0 ff ff ff 00", 25000),
        ("50 05 00 19 f0 ff ff ff 00", 85000),
        ("90 01 4b 46 7f ff 0c 10 00", 25000),
    ):
        put(directory / "w1_slave", scratchpad(octets, millicelsius))
        assert onewire.OneWire(directory).read() == {"temperature_c": millicelsius / 1000}
    for octets, millicelsius, words in (
        ("00 4b 4b 46 7f ff 0c 10 00", 1200000, "cannot measure"),  # a DS1825
        ("00 80 00 19 f0 ff ff ff 00", -2048000, "cannot measure"),
        ("01 00 01 19 f0 ff ff ff 00", 0, "its thermocouple is open or short"),
        ("ff 07 4b 46 7f ff 0c 10 f8", 127937, "cannot measure"),
    ):
        put(directory / "w1_slave", scratchpad(octets, millicelsius))
        with pytest.raises(NoDataError, match=words) as caught:
            onewire.OneWire(directory).read()
        assert "w1-gpio" not in caught.value.hint


def test_without_the_scratchpad_85_degrees_are_believed_only_near_them(pi4: Path) -> None:
    """The later file has the temperature alone."""
    boiler = opened(pi4, "onewire", id="28-0119451f6c11")
    temperature = pi4 / "sys/bus/w1/devices/28-0119451f6c11/temperature"
    put(temperature, "85000\n")
    with pytest.raises(NoDataError):
        boiler.read()
    for celsius in (61.812, 84.5, 85.0):
        put(temperature, f"{celsius * 1000:.0f}\n")
        assert boiler.read().values == {"temperature_c": celsius}


@given(st.text(max_size=200))
def test_whatever_w1_slave_says_it_is_read_or_refused(content: str) -> None:
    """Nothing but SensorError comes out."""
    with suppress(SensorError):
        onewire._slave(content)


def test_a_read_error_on_the_bus_is_no_data(pi4: Path) -> None:
    """A real EIO, as w1_therm gives when its own checksum fails."""
    boiler = opened(pi4, "onewire", id="28-0119451f6c11")
    temperature = pi4 / "sys/bus/w1/devices/28-0119451f6c11/temperature"
    temperature.unlink()
    temperature.symlink_to(EIO_FILE)
    with pytest.raises(NoDataError, match="Input/output error"):
        boiler.read()


def test_a_channel_has_its_own_scale_or_that_of_its_kind(tmp_path: Path) -> None:
    """(raw + offset) * scale, in the unit of the ABI; unknown kinds and settings are left out."""
    device = tmp_path / "iio:device0"
    for name, content in {
        "in_accel_x_raw": "-100",
        "in_accel_scale": "0.0098",
        "in_concentration_co2_raw": "8",
        "in_concentration_co2_scale": "0.01",
        "in_concentration_co2_offset": "-2",
        "in_massconcentration_pm2p5_input": "12",
        "in_temp_raw": "500",
        "in_temp_offset": "-100",
        "in_temp_scale": "50",
        "in_temp_sampling_frequency": "4",
        "in_voltage_scale": "2.5",
        "in_voltage1_raw": "100",
        "in_voltage1_mean_raw": "7",
        "in_proximity_raw": "3",
    }.items():
        put(device / name, content + "\n")

    assert {one.quantity: one.value() for one in iio.channels(device)} == {
        "acceleration_x_m_per_s2": -0.98,
        "co2_ppm": 600.0,
        "pm2p5_concentration_ug_per_m3": 12.0,
        "temperature_c": 20.0,
        "voltage_1_mean_v": 0.0175,
        "voltage_1_v": 0.25,
    }


def test_a_bme680_that_tells_hectopascals_is_understood(pi4: Path) -> None:
    """Its driver had the wrong unit for years; no other had."""
    device = pi4 / "sys/bus/iio/devices/iio:device1"
    put(device / "name", "bme680")
    for told in ("1007.128", "100.7128"):
        put(device / "in_pressure_input", told)
        assert opened(pi4, "iio", device="bme680").read().values["pressure_pa"] == pytest.approx(
            100_712.8
        )
    put(device / "name", "bme280")
    put(device / "in_pressure_input", "1007.128")
    assert "pressure_pa" in opened(pi4, "iio", device="bme280").read().missing


def test_steps_without_a_scale_are_no_value(tmp_path: Path) -> None:
    """What they mean is known to nobody; where our unit is the kernel's they may be it."""
    for name, content in {
        "in_voltage0_raw": "2048",
        "in_voltage1_raw": "100",
        "in_voltage1_scale": "2.5",
        "in_temp_raw": "2000",
        "in_temp_offset": "500",
        "in_illuminance_raw": "250",
    }.items():
        put(tmp_path / name, content)
    found = iio.Iio(iio.channels(tmp_path)).read()
    missing = found.pop("voltage_0_v")
    assert isinstance(missing, SensorError)
    assert "in_voltage0_raw has no scale" in missing.text
    assert found == {"voltage_1_v": 0.25, "temperature_c": 2.5, "illuminance_lx": 250.0}


@pytest.mark.parametrize(
    ("file", "told", "values"),
    [
        ("in_temp_input", "-40000", {"temperature_c": -40.0}),
        ("in_temp_input", "127990000", {}),
        ("in_humidityrelative_input", "101200", {"humidity_pct": 100.0}),
        ("in_humidityrelative_input", "-900", {"humidity_pct": 0.0}),
        ("in_humidityrelative_input", "3310000", {}),
        ("in_humidityrelative_input", "", {}),
        ("in_pressure_input", "warm", {}),
    ],
)
def test_a_value_that_cannot_be_costs_only_itself(
    file: str, told: str, values: dict[str, float], pi4: Path
) -> None:
    """It never becomes a record; what a part says beyond what can be is cropped within its span."""
    room = opened(pi4, "iio", device="bme280")
    usual = room.read().values
    put(pi4 / "sys/bus/iio/devices/iio:device1" / file, told)
    found = room.read()
    (moved,) = [name for name in usual if found.values.get(name) != usual[name]]
    assert found.values == {name: usual[name] for name in usual if name != moved} | values
    assert found.missing.keys() == ({moved} if not values else set())


def test_a_scale_that_cannot_be_read_costs_only_its_channel(pi5: Path) -> None:
    """Neither at the opening nor later does it silence the others."""
    device = pi5 / "sys/bus/iio/devices/iio:device0"
    put(device / "in_voltage1_scale", "wide")
    battery = opened(pi5, "iio", device="ads1015")
    found = battery.read()
    assert found.values.keys() == {"voltage_0_1_v", "voltage_0_v"}
    assert "in_voltage1_scale has 'wide', which is no number" in found.missing["voltage_1_v"].text
    put(device / "in_voltage1_scale", "0.25")
    assert battery.read().values["voltage_1_v"] == -0.002


def test_a_hwmon_channel_at_fault_or_not_wired_costs_only_itself(pi5: Path) -> None:
    """The kernel says so in a file of its own, or by an error for ever."""
    disk = opened(pi5, "hwmon", device="nvme")
    directory = pi5 / "sys/class/hwmon/hwmon2"
    put(directory / "temp2_fault", "1\n")
    found = disk.read()
    assert found.values == {"temperature_composite_c": 36.85}
    fault = found.missing["temperature_sensor_1_c"]
    assert "temp2_fault says that the sensor is at fault" in fault.text
    assert isinstance(fault, NoDataError)
    put(directory / "temp2_fault", "0\n")
    assert len(disk.read().values) == 2
    (directory / "temp1_input").unlink()
    assert disk.read().values == {"temperature_sensor_1_c": 41.85}


def test_where_no_channel_has_a_value_all_are_named(pi5: Path) -> None:
    """It may pass if each of them may; three are named, and how many more there are."""
    disk = opened(pi5, "hwmon", device="nvme")
    directory = pi5 / "sys/class/hwmon/hwmon2"
    for number in (1, 2):
        put(directory / f"temp{number}_fault", "1\n")
    with pytest.raises(NoDataError, match=r"s: temperature_composite_c: .*; temperature_s"):
        disk.read()
    (directory / "temp1_fault").unlink()
    (directory / "temp1_input").unlink()
    with pytest.raises(SensorError, match="not there") as caught:
        disk.read()
    assert not isinstance(caught.value, NoDataError)
    converter = opened(pi5, "hwmon", device="rp1_adc")
    for path in (pi5 / "sys/class/hwmon").glob("hwmon*/*_input"):
        path.unlink()
    with pytest.raises(SensorError, match=r"voltage_1_v: .*; and 2 more$"):
        converter.read()


def test_hwmon_channels_of_one_label_are_told_apart(tmp_path: Path) -> None:
    """By their numbers."""
    for number in (1, 2):
        put(tmp_path / f"temp{number}_input", "1000")
        put(tmp_path / f"temp{number}_label", "Core")
    found = [quantity for quantity, _, _ in hwmon.channels(tmp_path)]
    assert found == ["temperature_core_c", "temperature_core_2_c"]


def test_hwmon_loses_no_channel_to_a_label(tmp_path: Path) -> None:
    """Even one that looks like another's number."""
    for number, label in enumerate(("Core", "core 3", "CORE", "4", ""), start=1):
        put(tmp_path / f"temp{number}_input", "1000")
        put(tmp_path / f"temp{number}_label", label)
    found = [quantity for quantity, _, _ in hwmon.channels(tmp_path)]
    parts = ["core", "core_3", "core_3_3", "4", "5"]
    assert found == [f"temperature_{part}_c" for part in parts]


def test_no_word_of_a_label_makes_a_value_that_cannot_be_one(pi5: Path) -> None:
    """The kind of the channel is known without it."""
    directory = pi5 / "sys/class/hwmon/hwmon2"
    put(directory / "temp2_label", "offset rate")
    for told in ("2000000", "-127000", "-95000"):
        put(directory / "temp2_input", told)
        found = opened(pi5, "hwmon", device="nvme").read()
        missing = found.missing["temperature_offset_rate_c"]
        assert isinstance(missing, NoDataError)
        assert f"temp2_input cannot be {int(told) / 1000:g} c" in missing.text


def test_a_thermometer_on_the_bus_is_the_onewire_drivers(pi4: Path) -> None:
    """The file there has the number alone, also the 85 degrees of one that lost its power."""
    with pytest.raises(SensorError, match="1-Wire") as caught:
        opened(pi4, "hwmon", device="w1_slave_temp")
    assert 'driver = "onewire"' in caught.value.hint


def test_the_processors_load_is_that_since_the_last_reading(pi4: Path) -> None:
    """The first reading tells of the time since boot."""
    board = opened(pi4, "system")
    assert board.read().values["cpu_load_pct"] == 10.0
    put(pi4 / "proc/stat", "cpu  575 0 500 9025 0 0 0 0 0 0\n")
    assert board.read().values["cpu_load_pct"] == 75.0
    assert "cpu_load_pct" not in board.read().values


def test_a_wait_for_the_disk_that_went_back_is_no_load_above_all(pi4: Path) -> None:
    """It may, says proc(5); more than all is all."""
    board = opened(pi4, "system")
    put(pi4 / "proc/stat", "cpu  500 0 500 9000 90 0 0 0 0 0\n")
    board.read()
    put(pi4 / "proc/stat", "cpu  600 0 500 9000 89 0 0 0 0 0\n")
    assert board.read().values["cpu_load_pct"] == 100.0


def test_a_board_tells_what_it_has(tmp_path: Path) -> None:
    """A machine that is no Raspberry Pi has no firmware to ask, and is no failure."""
    put(tmp_path / "proc/uptime", "12.5 3\n")
    put(tmp_path / "proc/net/wireless", "h\nh\n wlan0: 0000 54. 190. 0 0 0 0 0 0 0\n")
    put(tmp_path / "proc/meminfo", "MemTotal: 5 kB\n")
    put(tmp_path / "proc/stat", "nonsense\n")

    assert opened(tmp_path, "system").read().values == {
        "disk_used_pct": 28.8,
        "disk_free_bytes": 21_206_401_024,
        "uptime_s": 12.5,
        "wifi_signal_dbm": -66.0,
    }


def test_without_the_firmwares_file_the_hwmon_driver_tells_of_under_voltage(pi4: Path) -> None:
    """As on Debian's own kernel."""
    shutil.rmtree(pi4 / "sys/devices/platform/soc/soc:firmware")
    assert opened(pi4, "system").read().values["under_voltage"] == 0
    put(pi4 / "sys/class/hwmon/hwmon1/in0_lcrit_alarm", "1\n")
    values = opened(pi4, "system").read().values
    assert values["under_voltage"] == 1
    assert "throttled" not in values


@given(st.data())
def test_whatever_stands_in_proc_the_board_is_read(data: st.DataObject) -> None:
    """What cannot be understood is left out."""
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        (root / "proc/net").mkdir(parents=True)
        numbers = st.text("0123456789 .-:k\nB", max_size=30)
        for file, begin in {
            "stat": "cpu ",
            "meminfo": "MemTotal: 9 kB\nMemAvailable:",
            "uptime": "",
            "net/wireless": " wlan0: 0000",
        }.items():
            content = begin + data.draw(numbers)
            (root / "proc" / file).write_text(content)
        values = opened(root, "system").read().values
    assert {"disk_used_pct", "disk_free_bytes"} <= values.keys()


def test_a_level_that_cannot_be_silences_nothing_else(tmp_path: Path) -> None:
    """A Wi-Fi driver that means something of its own by the level: it is left out."""
    (tmp_path / "proc/net").mkdir(parents=True)
    (tmp_path / "proc/net/wireless").write_text(" wlan0: 0000 0 1 0")
    (tmp_path / "proc/uptime").write_text("12.5 3.0")
    values = opened(tmp_path, "system").read().values
    assert "wifi_signal_dbm" not in values
    assert values["uptime_s"] == 12.5


def test_a_disk_that_is_not_there_costs_only_what_is_told_of_it(tmp_path: Path) -> None:
    """Its key is named; without anything else it is a failure."""
    options = system.Options(disk=tmp_path / "gone")
    board = Sensor("board", system.open_driver(options, clock=FakeClock(), root=tmp_path))
    with pytest.raises(SensorError, match="No such file") as caught:
        board.read()
    assert "disk" in caught.value.hint
    put(tmp_path / "proc/uptime", "12.5 3.0\n")
    found = board.read()
    assert found.values == {"uptime_s": 12.5}
    assert found.missing.keys() == {"disk_used_pct", "disk_free_bytes"}


@pytest.mark.parametrize(
    ("level", "signal_dbm"),
    [("-256", None), ("0", None), ("-67.", -67.0), ("189", -67.0), ("1", None), ("-300", None)],
)
def test_wifi_that_is_not_associated_has_no_signal(
    level: str, signal_dbm: float | None, tmp_path: Path
) -> None:
    """It says -256 or 0, which is left out; the next interface may have one."""
    line = " {}: 0000 54. {} 0 0 0 0 0 0 0\n"
    put(tmp_path / "proc/net/wireless", f"h\nh\n{line.format('wlan0', level)}")
    found = opened(tmp_path, "system").read()
    assert (found.values.get("wifi_signal_dbm"), found.missing) == (signal_dbm, {})
    both = line.format("wlan0", level) + line.format("wlan1", "-50.")
    put(tmp_path / "proc/net/wireless", f"h\nh\n{both}")
    expected = -50.0 if signal_dbm is None else signal_dbm
    assert opened(tmp_path, "system").read().values["wifi_signal_dbm"] == expected


@pytest.mark.parametrize("interface", ["wlx-00c0ca", "wlan0.100", "wlan0:1"])
def test_wifi_has_a_signal_whatever_its_interface_is_called(interface: str, tmp_path: Path) -> None:
    """A name may have anything but a space and a slash."""
    put(tmp_path / "proc/net/wireless", f"h\nh\n {interface}: 0000 54. -67. 0 0 0 0 0 0 0\n")
    assert opened(tmp_path, "system").read().values["wifi_signal_dbm"] == -67.0


def test_this_machine_has_a_board_too() -> None:
    """Over the real files, whatever they are."""
    board = system.open_driver(system.Options(), clock=FakeClock())
    values = Sensor("board", board).read().values
    assert 0 <= float(values["memory_used_pct"]) <= 100
    assert float(values["uptime_s"]) > 0


def test_a_thermal_zone_that_sleeps_is_no_data(pi4: Path) -> None:
    """And one that is gone a failure."""
    zone = pi4 / "sys/class/thermal/thermal_zone0"
    processor = thermal.open_driver(thermal.Options(), clock=FakeClock(), root=pi4)
    put(zone / "temp", "")
    with pytest.raises(NoDataError):
        processor.read()
    shutil.rmtree(zone)
    with pytest.raises(SensorError, match="not there"):
        processor.read()
