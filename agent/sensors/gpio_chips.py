"""Chips of GPIO lines: where a pin of the header is, and in words what keeps us from a line.

Chips are looked for anew at each opening: their numbers change from kernel to kernel, and when one
is plugged in again.
"""

from __future__ import annotations

import errno
import os
import re
from contextlib import ExitStack

from agent.board import CONFIG_TXT, W1_PIN
from agent.errors import SensorError
from agent.sensors import gpio_line
from agent.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path
    from typing import Self

    from agent.sensors.gpio_line import ChipInfo, Ioctl, Line, LineInfo

#: Labels of the chips that the 40 pins of a Raspberry Pi are at: up to the 3, the 4, the 5
#: (drivers/pinctrl/bcm/pinctrl-bcm2835.c, drivers/pinctrl/pinctrl-rp1.c). Their offsets are the
#: numbers of the pins.
HEADER = ("pinctrl-bcm2835", "pinctrl-bcm2711", "pinctrl-rp1")

#: What opening something else, or asking it for its lines, ends with.
NO_CHIP = {errno.ENOTTY, errno.EINVAL, errno.EISDIR, errno.ENOTDIR, errno.ENXIO}

#: Words for holders that the kernel has no name for.
NAMELESS = {"": "the kernel", "?": "something without a name"}

ALLOW = "sudo pi-iot-agent setup --allow"
BY_HAND = f"{ALLOW} (the service); for a try by hand: sudo, or the group gpio"
LIST = "gpioinfo of the package gpiod lists chips and lines"


class Wanted(Value):
    """A line as a person names it: `line` of `chip` ("": of any), or a pin of the header."""

    pin: int | None
    chip: str
    line: int | str | None

    def __str__(self) -> str:
        """Words for it."""
        if self.pin is not None:
            return f"GPIO {self.pin}"
        return f"{self.chip} line {self.line}".lstrip()


class Requested(Value):
    """A line that is ours, and where it is, in words; `instant` says that asking never blocks.

    A chip on a bus, such as an I2C expander, is asked over that bus, which may hang.
    """

    line: Line
    where: str
    instant: bool


class Chip:
    """An open chip. Raises SensorError, with its path, where it cannot be opened or is none."""

    def __init__(self, path: Path, ioctl: Ioctl) -> None:
        self.path = path
        self._ioctl = ioctl
        self._descriptor = -1
        try:
            self._descriptor = gpio_line.open_chip(path)
            self.info: ChipInfo = gpio_line.chip_info(self._descriptor, ioctl)
        except OSError as error:
            self.close()
            if error.errno in NO_CHIP:
                raise SensorError(f"{path}: this is no GPIO chip", hint=LIST) from error
            raise told(str(path), error) from error

    def __enter__(self) -> Self:
        """Itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close."""
        self.close()

    def __str__(self) -> str:
        """Path and label."""
        return f"{self.path} ({self.info.label})" if self.info.label else str(self.path)

    def line(self, offset: int) -> LineInfo:
        """Facts of a line. Raises SensorError."""
        where = f"{self.path} line {offset}"
        if offset >= self.info.lines:
            text = f"{where}: the chip has {self.info.lines} lines, 0 to {self.info.lines - 1}"
            raise SensorError(text, hint=LIST)
        try:
            return gpio_line.line_info(self._descriptor, offset, self._ioctl)
        except OSError as error:
            if error.errno in {errno.EINVAL, errno.ENOTTY}:
                text = f"{where}: this kernel is older than Linux 5.10, which it takes"
                raise SensorError(text, hint="sudo apt full-upgrade, then restart") from error
            raise told(where, error) from error

    def offset_of(self, name: str) -> int | None:
        """Offset of the first line of that name. Raises SensorError."""
        return next((at for at in range(self.info.lines) if self.line(at).name == name), None)

    def request(self, offset: int, flags: int, *, debounce_us: int) -> Requested:
        """The line. Raises SensorError."""
        name = self.line(offset).name
        where = f"{self.path} line {offset}" + (f" ({name})" if name else "")
        try:
            line = gpio_line.request(
                self._descriptor, offset, flags, debounce_us=debounce_us, ioctl=self._ioctl
            )
        except OSError as error:
            if error.errno != errno.EBUSY:
                raise told(where, error) from error
            is_w1_pin = name == f"GPIO{W1_PIN}" or (self.info.label in HEADER and offset == W1_PIN)
            raise busy(where, self.line(offset).consumer, is_w1_pin=is_w1_pin) from error
        return Requested(line, where, instant=self.info.label in HEADER)

    def close(self) -> None:
        """Close it; a line that was requested stays ours."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)


def request(wanted: Wanted, flags: int, *, debounce_us: int, root: Path, ioctl: Ioctl) -> Requested:
    """The wanted line of the chips below `root`.

    Raises SensorError that says what is there instead.
    """
    with ExitStack() as stack:
        chips: list[Chip] = []
        troubles: list[SensorError] = []
        for path in chip_paths(root, wanted.chip):
            try:
                chips.append(stack.enter_context(Chip(path, ioctl)))
            except SensorError as error:
                troubles.append(error)
        if found := _found(wanted, chips):
            chip, offset = found
            return chip.request(offset, flags, debounce_us=debounce_us)
        raise nowhere(wanted, chips, troubles, root)


def nowhere(
    wanted: Wanted, chips: Sequence[Chip], troubles: Sequence[SensorError], root: Path
) -> SensorError:
    """The reason why the wanted line is not found: of `chips`, others had `troubles`."""
    if troubles:
        return SensorError(f"{wanted}: {troubles[0].text}", hint=troubles[0].hint)
    if chips:
        hint = f'name it: chip = "{chips[0].path.name}", line = 0; {LIST}'
        if wanted.chip:
            hint = f"plug it in again, or give the name or label of another; {LIST}"
        return SensorError(f"{wanted} is at none of the chips: {_named(chips)}", hint=hint)
    if any(root.glob("sys/bus/gpio/devices/gpiochip*")):  # which a sandbox shows too
        return SensorError(f"{wanted}: no GPIO chip is at {root / 'dev'}", hint=ALLOW)
    hint = "a pin needs a board that has some, or a chip by USB"
    return SensorError(f"{wanted}: this machine has no GPIO chip", hint=hint)


def chip_paths(root: Path, chip: str = "") -> list[Path]:
    """Paths of the chips below `root` that may be `chip`: a path, a name of the kernel's, a label.

    A symbolic link, as Raspberry Pi OS has for the chip's number of earlier kernels, is left out.
    """
    if "/" in chip:
        return [root / chip.lstrip("/")]
    if re.fullmatch(r"gpiochip\d+", chip):
        return [root / "dev" / chip]
    found = [path for path in root.glob("dev/gpiochip*") if not path.is_symlink()]
    return sorted(found, key=lambda path: (len(path.name), path.name))


def _found(wanted: Wanted, chips: list[Chip]) -> tuple[Chip, int] | None:
    """The chip and the offset of the wanted line. Raises SensorError, also if there are several."""
    name = wanted.line
    if wanted.pin is not None:
        for chip in chips:
            if chip.info.label in HEADER:
                return chip, wanted.pin
        name = f"GPIO{wanted.pin}"
    elif not re.search(r"/|^gpiochip\d+$", wanted.chip):
        chips = [chip for chip in chips if wanted.chip in {"", chip.info.label}]
    offsets = [(chip, chip.offset_of(name) if isinstance(name, str) else name) for chip in chips]
    found = [(chip, offset) for chip, offset in offsets if offset is not None]
    if len(found) > 1:  # the one might be taken for the other that is unplugged
        text = f"{wanted} is at several chips: {_named(chip for chip, _ in found)}"
        raise SensorError(text, hint=f"give the path of one as its chip; {LIST}")
    return found[0] if found else None


def _named(chips: Iterable[Chip]) -> str:
    return ", ".join(map(str, chips))


def told(where: str, error: OSError) -> SensorError:
    """Whatever the kernel said of a chip or a line, in words."""
    number = error.errno
    if number in {errno.EACCES, errno.EPERM}:
        return SensorError(f"{where}: this user may not open it", hint=BY_HAND)
    if number == errno.ENOENT:
        return SensorError(f"{where}: there is no such chip", hint=f"{ALLOW}; {LIST}")
    if number == errno.ENODEV:
        return SensorError(f"{where}: the chip is gone", hint="plug it in again")
    if number == errno.ENXIO:
        text = "it has no interrupt, so it cannot tell of changes"
        return SensorError(f"{where}: {text}", hint="use another line")
    return SensorError(
        f"{where}: {error.strerror or error}", hint="restart the agent; dmesg says more"
    )


def busy(where: str, consumer: str, *, is_w1_pin: bool) -> SensorError:
    """A line that somebody holds, whom the kernel names `consumer`."""
    holder = consumer.lower()
    name = NAMELESS.get(consumer, consumer)
    hint = f"use another pin, or end what holds it ({name})"
    if consumer == gpio_line.CONSUMER.decode():
        hint = (
            "a running agent holds it: sudo systemctl stop pi-iot-agent, "
            "or another sensor has this pin"
        )
    elif "dht11" in holder:
        hint = f"dtoverlay=dht11 in {CONFIG_TXT} has it: use another pin, or remove that line"
    elif "w1" in holder or "onewire" in holder or (is_w1_pin and holder in {"", "?"}):
        hint = f"dtoverlay=w1-gpio in {CONFIG_TXT} has it: use another pin, or remove that line"
    elif "spi" in holder or "i2c" in holder:
        bus = "spi" if "spi" in holder else "i2c_arm"
        hint = f"dtparam={bus}=on in {CONFIG_TXT} has it: use another pin, or remove that line"
    return SensorError(f"{where} is in use by {name}", hint=hint)
