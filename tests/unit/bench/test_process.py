"""The costs of a process, as /proc tells them."""

from __future__ import annotations

import os
import time
from collections import Counter
from threading import Thread

from bench.process import cpu_s, memory, parse_smaps, parse_switches, switches

SMAPS = """\
55d0c0a00000-7ffd3a1f2000 ---p 00000000 00:00 0                          [rollup]
Rss:               22528 kB
Pss:               17920 kB
Pss_Dirty:         10240 kB
Shared_Clean:       7168 kB
Private_Clean:      2048 kB
Private_Dirty:     13312 kB
Swap:                  0 kB
"""

STATUS = """\
Name:\tpython3
Threads:\t4
voluntary_ctxt_switches:\t15
nonvoluntary_ctxt_switches:\t3
"""


def test_memory_is_read_in_mib() -> None:
    """Of USS is what no other process maps, written or not."""
    found = parse_smaps(SMAPS)
    assert (found.pss_mib, found.rss_mib, found.uss_mib) == (17.5, 22.0, 15.0)


def test_switches_are_of_both_kinds() -> None:
    """Those for which a thread waited, and those that the kernel took."""
    assert parse_switches(STATUS) == 18


def test_a_process_sees_its_own_costs() -> None:
    """The kernel's own text is understood."""
    mine = os.getpid()
    assert 0 < memory(mine).uss_mib <= memory(mine).pss_mib <= memory(mine).rss_mib
    before = switches(mine)
    time.sleep(0.001)
    assert (switches(mine) - before).total() >= 1


def test_a_thread_that_ended_takes_no_switches_away() -> None:
    """What is counted between two looks is never less than nothing."""
    before, after = Counter({"1": 10, "2": 500}), Counter({"1": 13, "3": 2})
    assert (after - before).total() == 5


def test_cpu_time_is_of_threads_that_ended_too() -> None:
    """What a thread has used stays with the process."""
    mine, used_s = os.getpid(), 0.02

    def work() -> None:
        until_s = time.thread_time() + used_s
        while time.thread_time() < until_s:
            pass

    before_s = cpu_s(mine)
    thread = Thread(target=work)
    thread.start()
    thread.join()
    assert cpu_s(mine) - before_s >= used_s
