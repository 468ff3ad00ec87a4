"""Discovery: what is wired to this board, as far as its kernel knows.

The kernel lists 1-Wire thermometers, IIO and hwmon devices below /sys, and who holds a pin
(Documentation/userspace-api/gpio/chardev.rst).
"""

from __future__ import annotations

import fcntl
import re
import threading
from collections import Counter

from agent import board
from agent.errors import SensorError
from agent.sensors import gpio_chips, gpio_line, hwmon, iio, onewire, sysfs, system
from agent.sensors.sensor import Sensor
from agent.value import Value, replace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path
    from typing import Any

    from agent.clock import Clock
    from agent.sensors.gpio_line import Ioctl, LineInfo

    Said = Callable[[dict[str, float | str]], str]

#: Those whose devices can be listed.
DRIVERS: dict[str, Any] = {"onewire": onewire, "iio": iio, "hwmon": hwmon, "system": system}

#: hwmon's own view of what another driver here reads better.
ELSEWHERE = {"w1_slave_temp"}

#: Longest wait for the values of all devices: a 1-Wire bus measures one thermometer a second.
PATIENCE_S = 5.0

#: Pins of the header, by their GPIO (BCM) numbers.
PINS = sorted(board.HEADER.values())

#: GPIO of a motion sensor, where nobody says another: the last of the header, beside ground.
USUAL_PIN = 21


class Device(Value):
    """One that a built-in driver reads: the driver's options, and what it says now, in words."""

    driver: str
    options: dict[str, str]
    says: str = ""


class Pin(Value):
    """A pin of the header: the number of its GPIO, and whether and by whom it is held."""

    number: int
    used: bool
    consumer: str

    @property
    def ours(self) -> bool:
        """True if an agent holds it."""
        return self.consumer == gpio_line.CONSUMER.decode()

    @property
    def holder(self) -> str:
        """Words for who holds it."""
        return gpio_chips.NAMELESS.get(self.consumer, self.consumer)

    @property
    def trouble(self) -> SensorError | None:
        """The reason why nobody but its holder can use it; None if it is free, or ours."""
        if not self.used or self.ours:
            return None
        is_w1_pin = self.number == board.W1_PIN
        return gpio_chips.busy(f"GPIO {self.number}", self.consumer, is_w1_pin=is_w1_pin)


def devices(clock: Clock, said: Said, *, root: Path = board.ROOT) -> list[Device]:
    """All that measures something, each read once at the same time, and the board itself last.

    `said` puts what was read into words.
    """
    jobs = [_Job(one, clock, said, root) for one in _listed(root)]
    for job in jobs:
        job.start()
    until_s = clock.boot_s() + PATIENCE_S
    for job in jobs:
        job.join(max(0.0, until_s - clock.boot_s()))
    return [job.found for job in jobs if job.found]


def pins(*, root: Path = board.ROOT, ioctl: Ioctl = fcntl.ioctl) -> list[Pin]:
    """Pins of the header; its chip is known by the label, else by the names of the lines.

    Raises SensorError where none is seen: this user may not ask, or the board has no header.
    """
    named: list[Pin] = []
    chips: list[gpio_chips.Chip] = []
    troubles: list[SensorError] = []
    for path in gpio_chips.chip_paths(root):
        try:
            with gpio_chips.Chip(path, ioctl) as chip:
                if chip.info.label in gpio_chips.HEADER:
                    return [_pin(number, chip.line(number)) for number in PINS]
                named = named or list(_named(chip))
                chips.append(chip)
        except SensorError as error:
            troubles.append(error)
    if not named:
        raise gpio_chips.nowhere(gpio_chips.Wanted(USUAL_PIN, "", None), chips, troubles, root)
    return sorted(named, key=lambda pin: pin.number)


def _named(chip: gpio_chips.Chip) -> Iterator[Pin]:
    """Pins by the names of their lines."""
    for offset in range(chip.info.lines):
        line = chip.line(offset)
        found = re.fullmatch(r"GPIO(\d{1,2})", line.name, re.ASCII)
        if found and int(found[1]) in PINS:
            yield _pin(int(found[1]), line)


def _pin(number: int, line: LineInfo) -> Pin:
    return Pin(number, line.used, line.consumer)


def _listed(root: Path) -> Iterator[Device]:
    """Devices that the kernel lists; two of one name are told apart by their place on the bus."""
    bus = root / "sys/bus/w1/devices"
    for path in sorted(bus.glob("*-*")):
        if re.fullmatch(onewire.ID, path.name):
            yield Device("onewire", {"id": path.name})
    for driver, directory, pattern in (
        ("iio", "sys/bus/iio/devices", "iio:device*"),
        ("hwmon", "sys/class/hwmon", "hwmon*"),
    ):
        found = list(sysfs.named(root / directory, pattern, "name"))
        several = Counter(name for name, _ in found)
        for name, path in found:
            if name not in ELSEWHERE:
                place = {"at": sysfs.place(path)} if several[name] > 1 else {}
                yield Device(driver, {"device": name, **place})
    yield Device("system", {})


class _Job(threading.Thread):
    """A look at one device, in a thread that is left behind if it hangs."""

    def __init__(self, device: Device, clock: Clock, said: Said, root: Path) -> None:
        super().__init__(daemon=True)
        self._device, self._clock, self._said, self._root = device, clock, said, root
        #: The device with what it says; None if there is nothing that could be read.
        self.found: Device | None = replace(device, says=f"no answer within {PATIENCE_S:g} s")

    def run(self) -> None:
        """Read it once."""
        driver, options = self._device.driver, self._device.options
        module = DRIVERS[driver]
        try:
            opened = module.open_driver(
                module.Options(**options), clock=self._clock, root=self._root
            )
        except SensorError:  # it has no channel, or is gone
            self.found = None
            return
        sensor = Sensor(driver, opened)
        try:
            says = self._said(sensor.read().values)
        except SensorError as error:
            says = error.text
        finally:
            sensor.close()
        self.found = replace(self._device, says=says)
