"""After weeks without a network: the newest count at once, then everything in order.

BACKLOG says how many records wait; the default is a fifth of what a release is tried with.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from agent.config import StoreLimits
from agent.model import Moment, NewRecord
from agent.store import open_store
from tests.timing import allowed_s

if TYPE_CHECKING:
    from tests.integration.conftest import MakeAgent
    from tests.tools.cloud import LocalAws

BACKLOG = int(os.environ.get("BACKLOG", "20000"))
BOOT_ID = Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def rss_kib(pid: int) -> int:
    """The memory of a process."""
    status = Path(f"/proc/{pid}/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS"))


@pytest.mark.timeout(600)
def test_a_backlog_drains_in_order_with_flat_memory(cloud: LocalAws, make_agent: MakeAgent) -> None:
    """The newest count is out within a second of the birth; memory stays within 2 MiB."""
    agent = make_agent(
        name="backlog",
        sensors=[{"name": "motion", "driver": "simulated", "detections_per_s": 1}],
        mqtt={"max_publish_per_s": 100_000, "max_inflight": 100},
        count={"window_s": 3600},
        provisioning={},
    )
    assert agent.command("provision").returncode == 0
    limits = StoreLimits(path=agent.directory / "state" / "store.db", commit_after_s=3600)
    with open_store(limits) as store:
        for number in range(BACKLOG):
            moment = Moment(1.79e9 + number, 1.0, "an earlier boot")
            kind = "sensors/room" if number % 10 else "count"
            store.append(NewRecord(kind, moment.wall_s, moment, {"n": number}))
        newest_count = store.newest("count")
        assert newest_count
    agent.start()
    birth = cloud.observer.wait("backlog/status", timeout_s=60)[0]
    peak_kib = 0
    while agent.status().get("queued") != 0:
        peak_kib = max(peak_kib, rss_kib(agent.pid))
    agent.wait_status(lambda status: status["queued"] == 0 and status["state"] == "online")
    idle_kib = rss_kib(agent.pid)
    # The observer reads what was acknowledged a moment ago; the birth comes on top.
    arrived = cloud.observer.wait("backlog/#", count=BACKLOG + 1, timeout_s=60)
    records = [message for message in arrived if message != birth]
    first, *others = [message for message in records if b'"seq"' in message.payload]

    assert (first.topic, first.json()["seq"]) == ("backlog/count", newest_count.seq)
    assert first.time_s - birth.time_s < allowed_s(1.0)
    numbers = [message.json()["seq"] for message in others]
    assert len(numbers) >= BACKLOG - 1
    assert numbers == sorted(numbers)
    assert peak_kib - idle_kib <= 2048
