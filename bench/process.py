"""Costs of a process as the kernel tells them: memory, switches between threads, CPU time."""

from __future__ import annotations

import time
from collections import Counter
from contextlib import suppress
from pathlib import Path

from agent.value import Value

KIB_A_MIB = 1024


class Memory(Value):
    """Memory in MiB: what it shares counted in parts (PSS), in full (RSS), and not (USS)."""

    pss_mib: float
    rss_mib: float
    uss_mib: float


def memory(pid: int) -> Memory:
    """The memory of a process. Raises OSError once it has ended."""
    return parse_smaps(Path(f"/proc/{pid}/smaps_rollup").read_text())


def parse_smaps(text: str) -> Memory:
    """The same from the text of `smaps_rollup` (proc(5))."""
    kib = {
        key: int(rest.split()[0])
        for key, _, rest in (line.partition(":") for line in text.splitlines())
        if rest.endswith(" kB")
    }
    unshared = kib["Private_Clean"] + kib["Private_Dirty"]
    return Memory(kib["Pss"] / KIB_A_MIB, kib["Rss"] / KIB_A_MIB, unshared / KIB_A_MIB)


def switches(pid: int) -> Counter[str]:
    """Context switches so far, voluntary or not, of each thread that lives, by its number.

    What a later count has more is `(later - earlier).total()`: a thread that ended takes nothing
    away.
    """
    found: Counter[str] = Counter()
    for task in Path(f"/proc/{pid}/task").iterdir():
        with suppress(OSError):  # a thread that has just ended
            found[task.name] = parse_switches((task / "status").read_text())
    return found


def parse_switches(text: str) -> int:
    """Both kinds from the text of a thread's `status` (proc(5))."""
    return sum(int(line.split()[1]) for line in text.splitlines() if "voluntary_ctxt_" in line)


def cpu_s(pid: int) -> float:
    """CPU seconds so far, user's and kernel's, of all threads that live or have lived.

    The process's own CPU clock, as clock_getcpuclockid(3) numbers it, which counts nanoseconds.
    Raises OSError once it has ended.
    """
    return time.clock_gettime_ns((~pid << 3) | 2) / 1e9
