"""GPIO chips of a kernel below a temporary root, by the structs of linux/gpio.h as they stand."""

from __future__ import annotations

import ctypes
import errno
import os
import select
from dataclasses import dataclass
from pathlib import Path

NAME = ctypes.c_char * 32


class ChipInfo(ctypes.Structure):
    """struct gpiochip_info."""

    _fields_ = (("name", NAME), ("label", NAME), ("lines", ctypes.c_uint32))


class Attribute(ctypes.Structure):
    """struct gpio_v2_line_attribute."""

    _fields_ = (
        ("id", ctypes.c_uint32),
        ("padding", ctypes.c_uint32),
        ("value", ctypes.c_uint64),
    )


class LineInfo(ctypes.Structure):
    """struct gpio_v2_line_info."""

    _fields_ = (
        ("name", NAME),
        ("consumer", NAME),
        ("offset", ctypes.c_uint32),
        ("num_attrs", ctypes.c_uint32),
        ("flags", ctypes.c_uint64),
        ("attrs", Attribute * 10),
        ("padding", ctypes.c_uint32 * 4),
    )


class ConfigAttribute(ctypes.Structure):
    """struct gpio_v2_line_config_attribute."""

    _fields_ = (("attr", Attribute), ("mask", ctypes.c_uint64))


class LineRequest(ctypes.Structure):
    """struct gpio_v2_line_request, with its struct gpio_v2_line_config unfolded."""

    _fields_ = (
        ("offsets", ctypes.c_uint32 * 64),
        ("consumer", NAME),
        ("flags", ctypes.c_uint64),
        ("num_attrs", ctypes.c_uint32),
        ("config_padding", ctypes.c_uint32 * 5),
        ("attrs", ConfigAttribute * 10),
        ("num_lines", ctypes.c_uint32),
        ("event_buffer_size", ctypes.c_uint32),
        ("padding", ctypes.c_uint32 * 5),
        ("fd", ctypes.c_int32),
    )


class LineValues(ctypes.Structure):
    """struct gpio_v2_line_values."""

    _fields_ = (("bits", ctypes.c_uint64), ("mask", ctypes.c_uint64))


class LineEvent(ctypes.Structure):
    """struct gpio_v2_line_event."""

    _fields_ = (
        ("timestamp_ns", ctypes.c_uint64),
        ("id", ctypes.c_uint32),
        ("offset", ctypes.c_uint32),
        ("seqno", ctypes.c_uint32),
        ("line_seqno", ctypes.c_uint32),
        ("padding", ctypes.c_uint32 * 6),
    )


USED, ACTIVE_LOW, RISING, FALLING = 1, 2, 1, 2


def number(direction: int, code: int, struct: type[ctypes.Structure]) -> int:
    """The number of an ioctl: _IOR is direction 2, _IOWR is 3."""
    return direction << 30 | ctypes.sizeof(struct) << 16 | 0xB4 << 8 | code


CHIP_INFO = number(2, 0x01, ChipInfo)
LINE_INFO = number(3, 0x05, LineInfo)
GET_LINE = number(3, 0x07, LineRequest)
GET_VALUES = number(3, 0x0E, LineValues)
SET_VALUES = number(3, 0x0F, LineValues)
OUTPUT = 1 << 3


@dataclass
class FakeLine:
    """A line: name, holder, how it was requested, level; the events stand in a pipe."""

    name: str = ""
    consumer: str = ""
    flags: int = 0
    debounce_us: int = 0
    buffer: int = 0
    high: bool = False
    numbered: int = 0
    pipe: int = -1  # its end to write to, of the last request

    @property
    def active(self) -> bool:
        """Whether the level is the active one."""
        return self.high != bool(self.flags & ACTIVE_LOW)

    @property
    def holder(self) -> str:
        """Who holds it: a request of our own ends when its descriptor is closed."""
        if self.pipe >= 0 and self.consumer:
            poll = select.poll()
            poll.register(self.pipe, 0)
            if poll.poll(0):  # POLLERR: nobody reads
                self.consumer = ""
                os.close(self.pipe)
                self.pipe = -1
        return self.consumer

    def tell(self, at_s: float, *, active: bool, lost: int = 0) -> None:
        """Have the kernel tell of an edge at that time of CLOCK_MONOTONIC, after `lost` others."""
        self.high = active != bool(self.flags & ACTIVE_LOW)
        self.numbered += 1 + lost
        kind = RISING if active else FALLING
        event = LineEvent(round(at_s * 1e9), kind, 0, self.numbered, self.numbered)
        os.write(self.pipe, bytes(event))


@dataclass
class FakeChip:
    """A chip of lines; one that is gone stays so for who had it open."""

    path: Path
    label: str
    lines: list[FakeLine]
    gone: bool = False


class FakeKernel:
    """Chips that a test adds, and takes away; `ioctl` is what the driver is given for fcntl's.

    An `old` one is before 5.10, and knows nothing of uAPI v2. `troubles` are errors by the ioctl.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.old = False
        self.troubles: dict[int, int] = {}
        self.chips: list[FakeChip] = []
        (root / "dev").mkdir(exist_ok=True)

    def add(self, label: str, lines: int = 54, *, at: int = 0, names: str = "GPIO{}") -> FakeChip:
        """A chip /dev/gpiochip<at>, each line with its name."""
        path = self.root / f"dev/gpiochip{at}"
        path.touch()
        chip = FakeChip(path, label, [FakeLine(names.format(one)) for one in range(lines)])
        self.chips.append(chip)
        return chip

    def remove(self, chip: FakeChip) -> None:
        """Unplug it: requested lines end, as Linux 6.1 has it."""
        chip.path.unlink()
        chip.gone = True

    def ioctl(self, descriptor: int, code: int, argument: bytes) -> bytes:
        """As fcntl.ioctl."""
        if code in self.troubles:
            raise _error(self.troubles[code])
        if code in {GET_VALUES, SET_VALUES}:
            return self._values(descriptor, argument if code == SET_VALUES else b"")
        chip = self._chip(descriptor)
        if code == CHIP_INFO:
            return bytes(ChipInfo(chip.path.name.encode(), chip.label.encode(), len(chip.lines)))
        if self.old:
            raise _error(errno.EINVAL)
        if code == LINE_INFO:
            info = LineInfo.from_buffer_copy(argument)
            line = chip.lines[info.offset]
            info.name, info.consumer = line.name.encode(), line.holder.encode()
            info.flags = line.flags | (USED if line.holder else 0)
            return bytes(info)
        assert code == GET_LINE
        return self._request(chip, LineRequest.from_buffer_copy(argument))

    def close(self) -> None:
        """Give back all pipes."""
        for line in self._lines():
            if line.pipe >= 0:
                os.close(line.pipe)
                line.pipe = -1

    @staticmethod
    def _request(chip: FakeChip, asked: LineRequest) -> bytes:
        line = chip.lines[asked.offsets[0]]
        if line.holder:
            raise _error(errno.EBUSY)
        unused = bytes(asked.attrs)[ctypes.sizeof(ConfigAttribute) * asked.num_attrs :]
        assert asked.num_lines == 1
        assert not any((*unused, *asked.padding, *asked.config_padding))
        line.consumer, line.flags = asked.consumer.decode(), asked.flags
        one = asked.attrs[0]
        assert (one.attr.id, one.mask, asked.num_attrs) in {(3, 1, 1), (0, 0, 0)}
        line.debounce_us, line.buffer = one.attr.value, asked.event_buffer_size
        if line.flags & OUTPUT:  # inactive, unless an attribute says more
            line.high = bool(line.flags & ACTIVE_LOW)
        asked.fd, line.pipe = os.pipe2(os.O_CLOEXEC)
        line.numbered = 0
        return bytes(asked)

    def _values(self, descriptor: int, put: bytes) -> bytes:
        pipe = os.fstat(descriptor).st_ino
        for chip in self.chips:
            for line in chip.lines:
                if line.pipe >= 0 and os.fstat(line.pipe).st_ino == pipe:
                    if chip.gone:
                        raise _error(errno.ENODEV)
                    if put:
                        values = LineValues.from_buffer_copy(put)
                        assert (line.flags & OUTPUT, values.mask) == (OUTPUT, 1)
                        line.high = bool(values.bits) != bool(line.flags & ACTIVE_LOW)
                    return bytes(LineValues(line.active, 1))
        raise _error(errno.ENOTTY)

    def _chip(self, descriptor: int) -> FakeChip:
        path = str(Path(f"/proc/self/fd/{descriptor}").readlink()).removesuffix(" (deleted)")
        for chip in self.chips:
            if str(chip.path) == path:
                if chip.gone:
                    raise _error(errno.ENODEV)
                return chip
        raise _error(errno.ENOTTY)

    def _lines(self) -> list[FakeLine]:
        return [line for chip in self.chips for line in chip.lines]


def _error(code: int) -> OSError:
    return OSError(code, os.strerror(code))
