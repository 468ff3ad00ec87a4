"""Board that this runs on: its serial number, its header, and the default name of its thing."""

from __future__ import annotations

import os
import re
from contextlib import suppress
from pathlib import Path

ROOT = Path("/")

#: Settings of the firmware, where Raspberry Pi OS has them since bookworm.
CONFIG_TXT = "/boot/firmware/config.txt"

_PLACES = (
    "- - 2 - 3 - 4 14 - 15 17 18 27 - 22 23 - 24 10 - "
    "9 25 11 8 - 7 0 1 5 - 6 12 13 - 19 16 26 20 - 21"
)
#: GPIO numbers (BCM) by their places 1 to 40 of the header, the same on all boards that have it.
HEADER = {place: int(gpio) for place, gpio in enumerate(_PLACES.split(), 1) if gpio != "-"}

#: GPIO that the kernel's 1-Wire takes if it is told none (the firmware's overlays/README).
W1_PIN = 4

_NAME_LENGTH = 128
_TAIL = 8
_ILLEGAL = re.compile(r"[^a-zA-Z0-9:_-]")
_SERIAL = re.compile(r"[A-Za-z0-9]+")


def serial(root: Path = ROOT) -> str | None:
    """The board's serial number, else the system's machine-id; None if it has neither.

    Letters and digits only. `root` is the directory that holds `proc` and `etc`.
    """
    found = re.search(r"^Serial\s*:(.*)$", _content(root / "proc/cpuinfo"), re.MULTILINE)
    candidates = (
        _content(root / "proc/device-tree/serial-number"),
        found[1] if found else "",
        _content(root / "etc/machine-id").replace("uninitialized", ""),
    )
    for candidate in candidates:
        plain = candidate.strip("\0 \t\n")
        if _SERIAL.fullmatch(plain) and plain.strip("0"):
            return plain
    return None


def default_name(hostname: str = "", *, root: Path = ROOT) -> str:
    """A legal thing name: the host name without its domain, and the end of the serial number.

    An empty `hostname` stands for this system's.
    """
    host = (hostname or os.uname().nodename).partition(".")[0].lower() or "localhost"
    number = serial(root)
    end = f"-{number[-_TAIL:]}" if number else ""
    return _ILLEGAL.sub("-", host)[: _NAME_LENGTH - len(end)] + end


def _content(path: Path) -> str:
    with suppress(OSError):
        return path.read_text(encoding="ascii", errors="replace")
    return ""
