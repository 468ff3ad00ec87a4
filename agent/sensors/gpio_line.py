"""One line of a GPIO chip by ioctl(2): the kernel's uAPI v2, of Linux 5.10 and later.

Layouts and numbers are those of linux/gpio.h, what they mean is in
Documentation/userspace-api/gpio/chardev.rst. Everything here raises the kernel's bare OSError.
"""

from __future__ import annotations

import fcntl
import os
import struct

from agent.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from typing import Self

    #: fcntl.ioctl, of a descriptor, a number and the bytes of a struct; the struct it filled in.
    Ioctl = Callable[[int, int, bytes], bytes]

# Numbers: _IOR or _IOWR of type 0xB4, with the size of the struct.
_CHIP_INFO = 0x8044B401  # GPIO_GET_CHIPINFO_IOCTL
_LINE_INFO = 0xC100B405  # GPIO_V2_GET_LINEINFO_IOCTL
_GET_LINE = 0xC250B407  # GPIO_V2_GET_LINE_IOCTL
_GET_VALUES = 0xC010B40E  # GPIO_V2_LINE_GET_VALUES_IOCTL
_SET_VALUES = 0xC010B40F  # GPIO_V2_LINE_SET_VALUES_IOCTL

# Flags: enum gpio_v2_line_flag.
USED = 1 << 0
ACTIVE_LOW = 1 << 1
INPUT = 1 << 2
OUTPUT = 1 << 3
BOTH_EDGES = 1 << 4 | 1 << 5
PULL_UP = 1 << 8
PULL_DOWN = 1 << 9
BIAS_OFF = 1 << 10

_DEBOUNCE = 3  # GPIO_V2_LINE_ATTR_ID_DEBOUNCE
_RISING = 1  # GPIO_V2_LINE_EVENT_RISING_EDGE: to active, whichever level that is

# struct gpiochip_info: name, label, lines.
_CHIP = struct.Struct("=32s32sI")
# struct gpio_v2_line_info: name, consumer, offset, num_attrs, flags; attributes and padding.
_INFO = struct.Struct("=32s32sIIQ176x")
# struct gpio_v2_line_request: offsets[64], consumer; its config: flags, num_attrs, padding,
# attrs[10] (the first: id, padding, value, mask of lines); num_lines, event_buffer_size, padding,
# fd. What is not used has to be zero.
_REQUEST = struct.Struct("=I252x32sQI20xI4xQQ216xII20xi")
# struct gpio_v2_line_values: bits, mask.
_VALUES = struct.Struct("=QQ")
# struct gpio_v2_line_event: timestamp_ns, id, offset, seqno, line_seqno, padding.
_EVENT = struct.Struct("=QIIII24x")

#: The most that the kernel keeps for one request of a line (GPIO_V2_LINES_MAX * 16); 48 KiB.
BUFFER_EVENTS = 1024

CONSUMER = b"pi-iot-agent"


class ChipInfo(Value):
    """A chip: its name in the kernel, what its driver calls it, and the number of its lines."""

    name: str
    label: str
    lines: int


class LineInfo(Value):
    """A line: its name, who holds it (both may be empty), and whether anybody does."""

    name: str
    consumer: str
    used: bool


class Event(Value):
    """A change of the line: its time on CLOCK_MONOTONIC, and its number, which goes up by one."""

    at_s: float
    active: bool
    number: int


class Line:
    """A line that is requested: its level, and the events of an input. Nothing here blocks."""

    def __init__(self, descriptor: int, ioctl: Ioctl) -> None:
        self._descriptor = descriptor
        self._ioctl = ioctl

    def __enter__(self) -> Self:
        """Itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close."""
        self.close()

    def fileno(self) -> int:
        """Descriptor that is readable while events wait; -1 once closed."""
        return self._descriptor

    def active(self) -> bool:
        """Level at this moment, after debouncing. Raises ENODEV once the chip is gone."""
        return bool(
            _VALUES.unpack(self._ioctl(self._descriptor, _GET_VALUES, _VALUES.pack(0, 1)))[0] & 1
        )

    def put(self, *, active: bool) -> None:
        """Give an output its level. Raises ENODEV once the chip is gone."""
        self._ioctl(self._descriptor, _SET_VALUES, _VALUES.pack(active, 1))

    def events(self) -> list[Event]:
        """Events that wait, oldest first; the kernel lets the oldest go when they are too many."""
        try:
            raw = os.read(self._descriptor, BUFFER_EVENTS * _EVENT.size)
        except BlockingIOError:
            return []
        return [
            Event(at_ns / 1e9, kind == _RISING, number)
            for at_ns, kind, _offset, _of_request, number in _EVENT.iter_unpack(raw)
        ]

    def close(self) -> None:
        """Give the line back; more than once does no harm."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)


def open_chip(path: Path) -> int:
    """Descriptor of the chip at `path`; what else is there, such as a modem, is not waited for."""
    return os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NONBLOCK)


def chip_info(chip: int, ioctl: Ioctl = fcntl.ioctl) -> ChipInfo:
    """Facts of an open chip. Raises ENOTTY or EINVAL for what is none."""
    name, label, lines = _CHIP.unpack(ioctl(chip, _CHIP_INFO, bytes(_CHIP.size)))
    return ChipInfo(_text(name), _text(label), lines)


def line_info(chip: int, offset: int, ioctl: Ioctl = fcntl.ioctl) -> LineInfo:
    """Facts of a line. Raises EINVAL if the chip has none, or for a kernel before 5.10."""
    asked = _INFO.pack(b"", b"", offset, 0, 0)
    name, consumer, _offset, _attributes, flags = _INFO.unpack(ioctl(chip, _LINE_INFO, asked))
    return LineInfo(_text(name), _text(consumer), bool(flags & USED))


def request(
    chip: int, offset: int, flags: int, *, debounce_us: int = 0, ioctl: Ioctl = fcntl.ioctl
) -> Line:
    """Request a line with `flags`, an input for its events of both kinds; an OUTPUT is inactive.

    The chip may be closed then. Raises EBUSY if somebody holds the line.
    """
    flags |= 0 if flags & OUTPUT else INPUT | BOTH_EDGES
    attribute = (1, _DEBOUNCE, debounce_us, 1) if debounce_us else (0, 0, 0, 0)
    events = 0 if flags & OUTPUT else BUFFER_EVENTS
    asked = _REQUEST.pack(offset, CONSUMER, flags, *attribute, 1, events, 0)
    descriptor = _REQUEST.unpack(ioctl(chip, _GET_LINE, asked))[-1]  # closed on exec
    os.set_blocking(descriptor, False)
    return Line(descriptor, ioctl)


def _text(raw: bytes) -> str:
    return raw.partition(b"\0")[0].decode("ascii", "replace")
