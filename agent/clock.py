"""The two clocks: wall time, which may be wrong and may jump, and boot time, which cannot."""

from __future__ import annotations

import time
from pathlib import Path

from agent import BUILT_S
from agent.model import Moment

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


class Clock:
    """Reads both clocks; any thread may call it.

    Boot time is CLOCK_BOOTTIME (clock_gettime(2)): it never jumps and goes on in suspend. A wall
    clock earlier than `built_s`, the day this version was made, is certainly wrong: a Raspberry Pi
    has no clock battery and may start years in the past.
    """

    def __init__(self, *, built_s: float = BUILT_S, boot_id_file: Path = BOOT_ID) -> None:
        self._built_s = built_s
        self._boot_id = boot_id_file.read_text().strip()

    def wall_s(self) -> float:
        """Seconds since the epoch, as far as the machine knows."""
        return time.time()

    def boot_s(self) -> float:
        """Seconds since the machine started."""
        return time.clock_gettime(time.CLOCK_BOOTTIME)

    def now(self) -> Moment:
        """This instant on both clocks."""
        return Moment(self.wall_s(), self.boot_s(), self._boot_id)

    def plausible(self) -> bool:
        """Whether wall time is good enough to check a server's certificate with."""
        return self.wall_s() >= self._built_s
