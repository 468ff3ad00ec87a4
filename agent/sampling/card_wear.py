"""Wear of the card: what is written to it, measured, and by whom."""

from __future__ import annotations

import os
import re
from collections import Counter
from contextlib import suppress
from pathlib import Path

from agent.model import DAY_S, HOUR_S

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

#: The kernel's account of the bytes that a thread, or the process, has had written (proc(5)). It
#: knows nothing of the file system's own journal, which writes about as much again.
THREAD = Path("/proc/thread-self/io")
PROCESS = Path("/proc/self/io")

#: More than an account has.
ACCOUNT_MAX = 4096

#: Before that a figure for a whole day is a guess; once told, it stands for so long.
KNOWN_AFTER_S = 60.0
TOLD_FOR_S = 600.0


class CardWear:
    """The bytes of the last day, by what caused them; used in the sampler's thread."""

    def __init__(
        self, boot_s: Callable[[], float], *, thread: Path = THREAD, process: Path = PROCESS
    ) -> None:
        self._boot_s = boot_s
        self._thread = thread
        self._process = process
        self._since_s = boot_s()
        self._hours: dict[int, Counter[str]] = {}
        self._total, self._charged = _written(process), _written(thread)
        self._told: tuple[int | None, str] = (None, "")
        self._told_boot_s = self._since_s + KNOWN_AFTER_S - TOLD_FOR_S

    def charge(self, kind: str) -> None:
        """Lay what this thread has written since the last time to the charge of `kind`."""
        before, self._charged = self._charged, _written(self._thread)
        self._hour()[kind] += max(0, self._charged - before)  # less: it is another thread

    def per_day(self) -> tuple[int | None, str]:
        """Bytes a day by the last day's measure (None: not known yet), and who causes most.

        It has two digits, and changes every ten minutes at most: nobody needs to know it better.
        """
        now_s = self._boot_s()
        if now_s >= self._told_boot_s + TOLD_FOR_S:
            self._told, self._told_boot_s = self._measured(now_s), now_s
        return self._told

    def _measured(self, now_s: float) -> tuple[int | None, str]:
        total = _written(self._process)
        self._hour()[""] += max(0, total - self._total)
        self._total = total
        if not total:
            return None, ""
        sums: Counter[str] = sum(self._hours.values(), Counter())
        per_day = sums.pop("", 0) * DAY_S / min(now_s - self._since_s, DAY_S)
        most = max(sums, key=sums.__getitem__, default="")
        return int(float(f"{per_day:.2g}")), most

    def _hour(self) -> Counter[str]:
        """The counter of this hour; those that are older than a day go."""
        now = int(self._boot_s() // HOUR_S)
        self._hours = {hour: sums for hour, sums in self._hours.items() if hour > now - 24}
        return self._hours.setdefault(now, Counter())


def _written(account: Path) -> int:
    """The bytes in an account; 0 where the kernel keeps none."""
    with suppress(OSError, ValueError):
        descriptor = os.open(account, os.O_RDONLY | os.O_CLOEXEC)
        try:
            told = os.read(descriptor, ACCOUNT_MAX)
        finally:
            os.close(descriptor)
        if found := re.search(rb"^write_bytes: (\d+)$", told, re.MULTILINE):
            return int(found[1])
    return 0
