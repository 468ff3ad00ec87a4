"""Lines of a GPIO chip, seen and held by somebody else than the driver: linux/gpio.h, version 2.

`python3 -m tests.hardware.lines CHIP LINE CONSUMER` holds a line until its input ends.
"""

from __future__ import annotations

import fcntl
import os
import struct
import sys
from pathlib import Path
from typing import NamedTuple

LINE_INFO = 0xC100B405
GET_LINE = 0xC250B407
INPUT, RISING, FALLING = 1 << 2, 1 << 4, 1 << 5
ACTIVE_LOW = 1 << 1
PULL_UP, PULL_DOWN, BIAS_OFF = 1 << 8, 1 << 9, 1 << 10
EVENT_SIZE = 48


class Line(NamedTuple):
    """A line as the kernel describes it: the chip's name for it, its holder, flags."""

    name: str
    consumer: str
    flags: int


def look(chip: Path, offset: int) -> Line:
    """The line as it is now."""
    with chip.open("rb", buffering=0) as file:
        raw = fcntl.ioctl(file, LINE_INFO, struct.pack("=64xI188x", offset))
    name, consumer, flags = struct.unpack_from("=32s32s8xQ", raw)
    return Line(name.rstrip(b"\0").decode(), consumer.rstrip(b"\0").decode(), flags)


def hold(chip: Path, offset: int, consumer: str, flags: int = INPUT) -> int:
    """A descriptor that holds the line, and from which events can be read."""
    asked = struct.pack("=I252x32sQ264xII20xi", offset, consumer.encode(), flags, 1, 0, 0)
    with chip.open("rb", buffering=0) as file:
        return int(struct.unpack_from("=i", fcntl.ioctl(file, GET_LINE, asked), 588)[0])


if __name__ == "__main__":
    held = hold(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3])
    sys.stdout.write("held\n")
    sys.stdout.flush()
    sys.stdin.read()
    os.close(held)
