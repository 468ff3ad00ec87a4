"""What is wired to a board is found, with what it says now and who holds which pin."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from agent.errors import SensorError
from agent.sensors import discovery
from agent.sensors.discovery import Device, Pin
from tests.fake_kernel import FakeKernel
from tests.tools import boards

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.fakes import FakeClock


@pytest.fixture
def kernel(tmp_path: Path) -> Iterator[FakeKernel]:
    """A kernel without chips."""
    kernel = FakeKernel(tmp_path)
    yield kernel
    kernel.close()


def names(values: dict[str, float | str]) -> str:
    """The quantities."""
    return " ".join(sorted(values))


def found(root: Path, clock: FakeClock) -> list[Device]:
    """What is there, but for the board itself."""
    *devices, board = discovery.devices(clock, names, root=root)
    assert (board.driver, board.options) == ("system", {})
    return devices


def test_thermometers_and_chips_are_found_with_what_they_say(
    tmp_path: Path, clock: FakeClock
) -> None:
    """A device that measures nothing known, as the Pi's `rpi_volt`, is none."""
    boards.unpack("pi-4", tmp_path)
    assert found(tmp_path, clock) == [
        Device("onewire", {"id": "28-0119433bc5ff"}, "temperature_c"),
        Device("onewire", {"id": "28-0119451f6c11"}, "temperature_c"),
        Device("iio", {"device": "bh1750"}, "illuminance_lx"),
        Device("iio", {"device": "bme280"}, "humidity_pct pressure_pa temperature_c"),
        Device("hwmon", {"device": "cpu_thermal"}, "temperature_c"),
    ]


def test_two_of_one_name_are_told_apart_by_their_place(tmp_path: Path, clock: FakeClock) -> None:
    """As `at` wants it."""
    boards.unpack("pi-5", tmp_path)
    both = [one.options for one in found(tmp_path, clock) if one.options["device"] == "bme280"]
    assert both == [{"device": "bme280", "at": place} for place in ("1-0076", "1-0077")]


def test_a_device_that_fails_is_found_and_says_why(tmp_path: Path, clock: FakeClock) -> None:
    """It is wired, if badly."""
    boards.unpack("pi-4", tmp_path)
    slave = tmp_path / "sys/bus/w1/devices/28-0119433bc5ff/w1_slave"
    slave.unlink()
    slave.write_text("nonsense")
    assert "not a measurement" in found(tmp_path, clock)[0].says


def test_what_a_thermometer_says_is_not_told_twice(tmp_path: Path, clock: FakeClock) -> None:
    """The kernel lists it below hwmon too."""
    (tmp_path / "sys/class/hwmon/hwmon0").mkdir(parents=True)
    (tmp_path / "sys/class/hwmon/hwmon0/name").write_text("w1_slave_temp\n")
    (tmp_path / "sys/class/hwmon/hwmon0/temp1_input").write_text("20000\n")
    assert found(tmp_path, clock) == []


def test_the_headers_pins_are_those_of_its_chip(kernel: FakeKernel) -> None:
    """By the chip's label whatever its number, each with its holder; higher lines are no pins."""
    kernel.add("raspberrypi-exp-gpio", 8)
    kernel.add("pinctrl-rp1", at=4).lines[4].consumer = "onewire@0"
    pins = discovery.pins(root=kernel.root, ioctl=kernel.ioctl)
    assert [pin.number for pin in pins] == list(range(28))
    assert [pin for pin in pins if pin.used] == [Pin(4, used=True, consumer="onewire@0")]


def test_pins_may_go_by_their_names(kernel: FakeKernel) -> None:
    """As on other boards with the same header."""
    chip = kernel.add("some-chip", 8, names="-")
    for offset, name in ((1, "GPIO21"), (2, "GPIO4"), (3, "GPIO99"), (4, "GPIO4_5")):
        chip.lines[offset].name = name
    assert discovery.pins(root=kernel.root, ioctl=kernel.ioctl) == [
        Pin(4, used=False, consumer=""),
        Pin(21, used=False, consumer=""),
    ]


def test_a_chip_without_the_header_has_no_pins(kernel: FakeKernel) -> None:
    """The reason is the driver's; that another chip cannot be opened goes first."""
    kernel.add("ftdi-cbus", 4, names="-")
    with pytest.raises(SensorError) as told:
        discovery.pins(root=kernel.root, ioctl=kernel.ioctl)
    assert told.value.text.startswith(f"GPIO 21 is at none of the chips: {kernel.root}/dev/gpio")
    (kernel.root / "dev/gpiochip7").mkdir()
    with pytest.raises(SensorError, match=r"^GPIO 21: \S+/dev/gpiochip7: this is no GPIO chip"):
        discovery.pins(root=kernel.root, ioctl=kernel.ioctl)


def test_without_a_chip_there_are_no_pins(kernel: FakeKernel) -> None:
    """Nor with one that is none."""
    with pytest.raises(SensorError, match="GPIO 21: this machine has no GPIO chip"):
        discovery.pins(root=kernel.root)
    (kernel.root / "dev/gpiochip0").write_text("")
    with pytest.raises(SensorError, match="this is no GPIO chip"):
        discovery.pins(root=kernel.root)
