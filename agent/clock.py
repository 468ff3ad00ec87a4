"""Clocks: wall time, which may be wrong and may jump, and boot time, which cannot."""

from __future__ import annotations

import math
import time
from pathlib import Path

from agent import BUILT_S
from agent.model import Moment
from agent.programs import public

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")

#: Directory of systemd-timesyncd while it runs, and its flag once it has set the clock (man page).
TIMESYNCD = "run/systemd/timesync"
TIMESYNCD_FLAG = "run/systemd/timesync/synchronized"

#: Files of the other time services of Debian while they run; they have no flag of their own.
OTHERS = ("run/chrony", "run/ntpd.pid", "run/ntpsec", "run/openntpd.pid")

#: What systemd starts, if one of these is there, within this time after the machine.
ENABLED = "etc/systemd/system/*.wants"
SERVICES = ("systemd-timesyncd", "chrony", "chronyd", "ntp", "ntpd", "ntpsec", "openntpd")
STARTED_S = 120.0

#: Time between two looks at a flag, and between two questions for the kernel's.
LOOK_S = 5.0
ASK_S = 60.0


def kernel_synchronized() -> bool:
    """True if a time service has told the kernel that the clock is right (adjtimex(2)).

    systemd is asked, since the service's sandbox keeps it from the system call. Takes a tenth of a
    second, at most five.
    """
    import subprocess  # noqa: PLC0415 -- 0.3 MiB that few machines need

    ask = ["/usr/bin/timedatectl", "show", "--property=NTPSynchronized", "--value"]
    try:
        told = subprocess.run(
            ask, capture_output=True, text=True, timeout=5, check=False, env=public()
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return told.stdout.strip() == "yes"


class Clock:
    """Reads both clocks; any thread may call it, but one alone asks `is_set`.

    Boot time is CLOCK_BOOTTIME (clock_gettime(2)): it never jumps and goes on in suspend. A wall
    clock earlier than `built_s`, the day this version was made, is certainly wrong: a Raspberry Pi
    has no clock battery and may start years in the past. After a power cut it goes on from the time
    of its last shutdown: plausible, and wrong. `root` is where /run is.
    """

    def __init__(
        self,
        *,
        built_s: float = BUILT_S,
        boot_id_file: Path = BOOT_ID,
        root: Path = Path("/"),
        synchronized: Callable[[], bool] = kernel_synchronized,
    ) -> None:
        self._built_s = built_s
        self._boot_id = boot_id_file.read_text().strip()
        self._root = root
        self._services = [root / name for name in (TIMESYNCD, *OTHERS)]
        self._synchronized = synchronized
        self._set = self._alone = False
        self._look_boot_s = self._ask_boot_s = -math.inf

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
        """Plausibility of wall time: good enough to check a server's certificate with."""
        return self.wall_s() >= self._built_s

    def is_set(self) -> bool:
        """True if wall time is good enough to stamp readings with: a time service has set it.

        Where there is no time service, the clock is taken as a person has set it, for as long as
        there is none. Looked at once in five seconds at most; once a time service has set it, it
        stays so, but for a wall clock that is certainly wrong.
        """
        if not self._set and self.plausible() and self.boot_s() >= self._look_boot_s:
            self._look_boot_s = self.boot_s() + LOOK_S
            self._alone = not self._service()
            self._set = not self._alone and self._find_out()
        return (self._set or self._alone) and self.plausible()

    def _service(self) -> bool:
        """True if a time service runs, or will once the machine has started."""
        if any(service.exists() for service in self._services):
            return True
        names = {f"{service}.service" for service in SERVICES}
        return self.boot_s() < STARTED_S and any(
            link.name in names for link in self._root.glob(f"{ENABLED}/*")
        )

    def _find_out(self) -> bool:
        if (self._root / TIMESYNCD).is_dir():
            return (self._root / TIMESYNCD_FLAG).exists()
        if not any((self._root / name).exists() for name in OTHERS):
            return False
        if self.boot_s() < self._ask_boot_s:
            return False
        self._ask_boot_s = self.boot_s() + ASK_S
        return self._synchronized()
