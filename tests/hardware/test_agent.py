"""The whole agent counts what happens at a pin, from the kernel's interrupt to the broker."""

from __future__ import annotations

import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.integration.agent_process import AgentProcess
from tests.tools.cloud import LocalAws

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.hardware.chips import Chip

PIN = 21
PULSE_S = 0.005
PULSES = 1500  # the kernel's buffer has place for a third of the edges
IDLE_S = 30
#: An agent without any sensor wakes five times a minute; one that polls, dozens of times a second.
SWITCHES_MAX = 15


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalAws]:
    """A local AWS on loopback."""
    with LocalAws(tmp_path_factory.mktemp("cloud")) as running:
        yield running


@contextmanager
def online(
    cloud: LocalAws, directory: Path, *, window_s: int, **door: object
) -> Iterator[AgentProcess]:
    """An agent with a door at a pin, which calls itself what its directory is called."""
    toml = cloud.agent_toml(
        directory,
        name=directory.name,
        sensors=[{"name": "door", "driver": "gpio", "pin": PIN, "debounce_ms": 0, **door}],
        count={"window_s": window_s},
    )
    with AgentProcess(cloud, directory, toml=toml) as agent:
        agent.start().wait_online()
        yield agent


def switches(pid: int) -> int:
    """How often the threads of a process have gone to sleep (proc(5))."""
    return sum(
        int(line.split()[1])
        for status in Path(f"/proc/{pid}/task").glob("*/status")
        for line in status.read_text().splitlines()
        if line.startswith("voluntary_ctxt_switches:")
    )


def test_it_waits_for_an_edge_and_loses_none(cloud: LocalAws, chip: Chip, tmp_path: Path) -> None:
    """Nothing runs while nothing happens; a burst is drained while it lasts, not at the end."""
    with online(cloud, tmp_path, window_s=86400) as agent:
        before = switches(agent.pid)
        time.sleep(IDLE_S)
        assert switches(agent.pid) - before <= SWITCHES_MAX
        began_s = time.monotonic()
        for _ in range(PULSES):
            chip.pulse(PIN, for_s=PULSE_S)
        ended_s = time.monotonic()
        assert agent.stop() == 0
    topic = f"{tmp_path.name}/count"
    cloud.observer.wait(topic, matching=lambda one: one.json()["total"] == PULSES)
    counts = [one.json() for one in cloud.observer.messages(topic)]  # two around midnight
    assert sum(one["detect_count"] for one in counts) == PULSES
    assert not any("lost_edges" in one for one in counts)
    active_s = sum(one["active_ms"] for one in counts) / 1000
    assert 0.99 * PULSES * PULSE_S <= active_s <= ended_s - began_s


def test_a_chip_that_goes_is_a_fault_until_it_is_back(
    cloud: LocalAws, chip: Chip, tmp_path: Path
) -> None:
    """Each window says whether it was observed; afterwards counting goes on."""

    def counts() -> list[dict[str, Any]]:
        return [one.json() for one in cloud.observer.messages(f"{tmp_path.name}/count")]

    def pulse(times: int) -> None:
        """Have so many detections, and wait until the cloud knows their sum."""
        total = sum(one["detect_count"] or 0 for one in counts()) + times
        for _ in range(times):
            chip.pulse(PIN, for_s=PULSE_S)
        cloud.observer.wait(
            f"{tmp_path.name}/count", matching=lambda one: one.json()["total"] == total
        )
        assert sum(one["detect_count"] or 0 for one in counts()) == total

    with online(cloud, tmp_path, window_s=5, interval_s=1) as agent:
        cloud.observer.wait(
            f"{tmp_path.name}/count", matching=lambda one: one.json()["quality"] == "ok"
        )
        begun = len(counts())
        pulse(7)
        assert {one["quality"] for one in counts()[begun:]} == {"ok"}

        chip.unplug()
        assert "the chip is gone" in agent.wait_condition("sensor-failing")["text"]
        unknown, *_ = cloud.observer.wait(
            f"{tmp_path.name}/count", matching=lambda one: one.json()["detect_count"] is None
        )
        assert unknown.json()["quality"] == "sensor_fault"
        assert unknown.json()["observed_ms"] == 0

        chip.plug()
        agent.wait_status(lambda status: not status["conditions"])
        pulse(3)
        assert counts()[-1]["total"] == 10
