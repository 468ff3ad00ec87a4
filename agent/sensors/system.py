"""Driver `system`: state of the board itself: processor, memory, card, Wi-Fi, power.

Files: proc(5), and those of `power.py`. What a board does not have is left out.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from agent import board
from agent.config.fields import file
from agent.errors import SensorError
from agent.model import KIB
from agent.sensors import sysfs
from agent.sensors.power import power
from agent.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from agent.clock import Clock


#: Drivers that tell a level above 0 mean it as an unsigned byte (iw_quality of old).
LEVEL_SPAN = 256.0

#: Lowest level of a connection, and its end: one that is not associated says -256 or 0.
LEVELS_DBM = (-120.0, 0.0)

_TICKS = r"(?a)cpu((?: +\d{1,18}){5,})"
_UPTIME = r"(?a)(\d{1,12}(?:\.\d+)?) "
_MEMORY = r"(?am)^(MemTotal|MemAvailable):\s+(\d{1,18}) kB$"
_WIRELESS = r"(?am)^\s*\S+:\s+[0-9a-f]+\s+\S+\s+(-?\d{1,4})\.?\s"


class Options(Value, kw_only=True):
    """Keys of its `[[sensors]]` table: a directory on the disk that is measured."""

    disk: Path = file(Path("/"))


class System:
    """The board; the load of its processor is that since the last reading, at first since boot."""

    def __init__(
        self, disk: Path, root: Path, statvfs: Callable[[Path], os.statvfs_result]
    ) -> None:
        self._disk = disk
        self._root = root
        self._statvfs = statvfs
        self._busy, self._all = 0, 0

    def read(self) -> dict[str, float | str | SensorError]:
        """All quantities that this board tells, and why it tells nothing of the disk."""
        return {
            **self._processor(),
            **self._memory(),
            **self._space(),
            **self._uptime(),
            **self._wifi(),
            **power(self._root),
            **self._board(),
        }

    def close(self) -> None:
        """Do nothing: no file is open between two reads."""

    def _processor(self) -> dict[str, float]:
        found = re.match(_TICKS, self._proc("stat"))
        if not found:
            return {}
        # user nice system idle iowait irq softirq steal; what guests take is in user already
        ticks = [int(one) for one in found[1].split()[:8]]
        total = sum(ticks)
        busy = total - ticks[3] - ticks[4]
        spent, passed = busy - self._busy, total - self._all
        self._busy, self._all = busy, total
        if passed <= 0:
            return {}
        # proc(5): the time that it waits for a disk may decrease
        return {"cpu_load_pct": min(max(_percent(spent, passed), 0.0), 100.0)}

    def _memory(self) -> dict[str, float]:
        found = {name: int(size) for name, size in re.findall(_MEMORY, self._proc("meminfo"))}
        if found.keys() != {"MemTotal", "MemAvailable"}:
            return {}
        total, available = found["MemTotal"], found["MemAvailable"]
        return {
            "memory_used_pct": _percent(total - available, total),
            "memory_available_bytes": available * KIB,
        }

    def _space(self) -> dict[str, float | SensorError]:
        try:
            disk = self._statvfs(self._disk)
        except OSError as error:
            text = f"{self._disk} cannot be looked at: {error.strerror}"
            unknown = SensorError(text, hint="check its key `disk`")
            return {"disk_used_pct": unknown, "disk_free_bytes": unknown}
        used = disk.f_blocks - disk.f_bfree
        return {  # as df(1) has it: what only root may fill is not free
            "disk_used_pct": _percent(used, used + disk.f_bavail),
            "disk_free_bytes": disk.f_bavail * disk.f_frsize,
        }

    def _uptime(self) -> dict[str, float]:
        found = re.match(_UPTIME, self._proc("uptime"))
        return {"uptime_s": float(found[1])} if found else {}

    def _wifi(self) -> dict[str, float]:
        told = map(float, re.findall(_WIRELESS, self._proc("net/wireless")))
        levels = (level - LEVEL_SPAN if level > 0 else level for level in told)
        low, end = LEVELS_DBM
        connected = [level for level in levels if low <= level < end]
        return {"wifi_signal_dbm": connected[0]} if connected else {}

    def _board(self) -> dict[str, str]:
        model = sysfs.optional_text(self._root / "proc/device-tree/model")
        serial = board.serial(self._root)
        found = {"model": model, "serial": serial or ""}
        return {name: value for name, value in found.items() if value}

    def _proc(self, name: str) -> str:
        return sysfs.optional_text(self._root / "proc" / name)


def _percent(part: float, whole: float) -> float:
    return round(100.0 * part / whole, 1) if whole else 0.0


def open_driver(
    options: Options,
    *,
    clock: Clock,
    root: Path = board.ROOT,
    statvfs: Callable[[Path], os.statvfs_result] = os.statvfs,
) -> System:
    """The board whose files are below `root`; `statvfs` measures the disk."""
    del clock
    return System(options.disk, root, statvfs)
