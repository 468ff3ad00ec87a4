"""Versions that are held back: those that were taken back are not installed again by apt.

A later one comes as any does; the pins of all that are not later than it go when it is proven.
"""

from __future__ import annotations

import re
from pathlib import Path

from agent import files
from agent.errors import SERVICE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

#: Read by apt in the order of their names, of which the first that fits a version holds
#: (apt_preferences(5)): it comes before `pi-iot-agent-only`.
HELD = Path("/etc/apt/preferences.d/pi-iot-agent-held")

PIN = "Pin: version "
HEAD = f"""\
# Written by {SERVICE}-rollback.service: these versions were installed, failed, and were taken back.
# A later version comes as usual. To have one of these all the same, remove this file.
"""


def held(path: Path = HELD) -> list[str]:
    """The versions that are held back."""
    try:
        text = files.read(path).decode()
    except (OSError, UnicodeDecodeError):
        return []
    return re.findall(rf"^{PIN}(\S+)$", text, re.MULTILINE)


def hold(version: str, path: Path = HELD) -> None:
    """Have apt not install this version. Raises OSError."""
    if version not in held(path):
        _write([*held(path), version], path)


def forget(version: str, path: Path = HELD) -> None:
    """Hold this version back no more. Raises OSError."""
    release(version, lambda one, _: one != version, path)


def release(version: str, is_newer: Callable[[str, str], bool], path: Path = HELD) -> None:
    """Hold nothing back that is not newer than this one, which is proven. Raises OSError."""
    before = held(path)
    after = [one for one in before if is_newer(one, version)]
    if after != before:
        _write(after, path)


def _write(versions: Iterable[str], path: Path) -> None:
    pins = [f"\nPackage: {SERVICE}\n{PIN}{one}\nPin-Priority: -1\n" for one in versions]
    if pins:
        files.make_directory(path.parent, 0o755)
        files.replace(path, (HEAD + "".join(pins)).encode(), mode=files.PUBLIC_FILE)
    else:
        path.unlink(missing_ok=True)
        files.sync_directory(path.parent)
