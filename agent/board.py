"""Board that this runs on: its serial number, and the default name of its thing."""

from __future__ import annotations

import os
import re
from contextlib import suppress
from pathlib import Path

ROOT = Path("/")

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
