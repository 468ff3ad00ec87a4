"""Row `backlog`: what waited through an outage goes up, in order, and takes no memory.

A stored row has 200 bytes of JSON; AWS IoT's 512 KiB a second bound the speed.
"""

from __future__ import annotations

import json
import shutil
import time
from typing import TYPE_CHECKING

from agent.value import Value
from bench import stored
from bench.rounds import VoidError, rounds
from bench.subscriber import Subscriber
from bench.table import Row

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from bench.contestants import Bench, Contestant
    from bench.process import Memory
    from bench.subscriber import Message

#: Contestants and their environments.
AGENTS = {"agent": "deb", "agent, paho 2.2": "v2"}

#: The window is AWS IoT's; its messages a second are left out, or this would take an hour.
MQTT = {"max_inflight": 100, "max_publish_per_s": 100_000}
WINDOW_S = 5
SAMPLE_S, IDLE_S, PATIENCE_S = 0.2, 2.0, 600.0

#: The figures in words, with their units and targets.
FIGURES = {
    "USS above idle at most": ("MiB", "≤ 2"),
    "USS above idle at the end": ("MiB", "≤ 2"),
    "RSS above idle at most": ("MiB", ""),
    "CPU": ("us/message", ""),
    "newest count after CONNACK": ("s", "≤ 1"),
    "count of a new window": ("s", ""),
    "missing or out of order": ("messages", "≤ 0"),
    "speed": ("messages/s", ""),
}


def rows(bench: Bench, *, quick: bool) -> Iterator[Row]:
    """Memory, CPU, order and speed while a backlog drains, one agent after the other."""
    count = 10_000 if quick else 100_000
    agents = {name: paho for name, paho in AGENTS.items() if paho in bench.pahos()}
    filled = bench.directory / "backlog" / "store.db"
    stored.fill(filled, count, counts_every=10)

    def measure() -> dict[tuple[str, str], float]:
        return {
            (name, figure): value
            for name, paho in list(agents.items())[: 1 if quick else None]
            for figure, value in _drain(bench, paho, filled, count)
        }

    found = rounds(1 if quick else 2, measure, name="backlog")
    condition = (
        f"{count:,} records of 200 bytes wait, one in ten a count, at most 100 unacknowledged,"
        f" 512 KiB/s; a count is made every {WINDOW_S} s meanwhile; idle: an agent beside it whose"
        " store is empty; the newest count's time is from the birth message, sent at CONNACK"
    )
    for figure, (unit, target) in FIGURES.items():
        values = {name: one for (name, of), one in found.items() if of == figure}
        if values:
            yield Row(f"backlog, {figure}", condition, unit, "", values, target)


def _drain(bench: Bench, paho: str, filled: Path, count: int) -> Iterator[tuple[str, float]]:
    """The figures of one agent; an idle one is there as long. Raises VoidError."""
    detector = {"name": "motion", "driver": "simulated", "detections_per_s": 1}
    home, other = (
        bench.home(sensors=[detector], mqtt=MQTT, count={"window_s": WINDOW_S}) for _ in range(2)
    )
    shutil.copytree(filled.parent, home.store.parent)
    with (
        Subscriber(bench.broker, f"{home.name}/#", home.directory / "heard") as heard,
        bench.contestant("agent", paho=paho, home=other) as idle,
        bench.contestant("agent", paho=paho, home=home) as running,
    ):
        idle.wait_connected()
        running.wait_connected()
        before = _sample(running, heard)
        samples = [before]
        while heard.count() <= count:  # the birth message is one, too
            time.sleep(SAMPLE_S)
            samples.append(_sample(running, heard))
            if samples[-1].at_s - before.at_s > PATIENCE_S:
                raise VoidError(f"{heard.count()} of {count} in {PATIENCE_S:g} s")
        after = samples[-1]
        time.sleep(IDLE_S)
        end, still = running.memory, idle.memory
    arrived = arrival(heard.messages(), count)
    messages = after.heard - before.heard
    yield "USS above idle at most", max(one.memory.uss_mib for one in samples) - still.uss_mib
    yield "USS above idle at the end", end.uss_mib - still.uss_mib
    yield "RSS above idle at most", max(one.memory.rss_mib for one in samples) - still.rss_mib
    yield "CPU", (after.cpu_s - before.cpu_s) * 1e6 / messages
    yield "newest count after CONNACK", arrived.count_s
    if arrived.fresh_s:  # a short drain may see none
        yield "count of a new window", arrived.fresh_s
    yield "missing or out of order", arrived.missing + arrived.twice + arrived.misplaced
    yield "speed", messages / (after.at_s - before.at_s)


class Sample(Value):
    """State of an agent that drains at `at_s` (time.monotonic): messages heard of it, costs."""

    at_s: float
    heard: int
    cpu_s: float
    memory: Memory


def _sample(running: Contestant, heard: Subscriber) -> Sample:
    return Sample(time.monotonic(), heard.count(), running.cpu_s, running.memory)


class Arrival(Value):
    """Arrival of a backlog: what is wrong with it, and how long who was waited for took.

    `count_s` is from the birth message, which follows CONNACK at once, to the newest count that
    waited; `fresh_s` the longest from the end of a window, while the backlog drained, to its count.
    """

    missing: int
    twice: int
    misplaced: int
    count_s: float
    fresh_s: float


def arrival(messages: Sequence[Message], rows: int) -> Arrival:
    """The arrival of the records 1 to `rows`, and of those that were made meanwhile.

    The newest count that waited and each new count may overtake; nothing else.
    """
    records = [(message, seq) for message in messages if (seq := message.seq)]
    counts = [(message, seq) for message, seq in records if message.topic.endswith("/count")]
    birth_s = next(one.wall_s for one in messages if one.topic.endswith("/status"))
    newest = max((seq for _, seq in counts if seq <= rows), default=0)
    newest_s = next((one.wall_s for one, seq in counts if seq == newest), birth_s)
    arrived = [seq for _, seq in records if seq <= rows]
    over_s = max((one.wall_s for one, seq in records if seq <= rows), default=birth_s)
    overtaking = {newest, *(seq for _, seq in counts if seq > rows)}
    highest = misplaced = 0
    for _, seq in records:
        if seq not in overtaking:
            misplaced += seq < highest
            highest = max(highest, seq)
    return Arrival(
        missing=rows - len(set(arrived)),
        twice=len(arrived) - len(set(arrived)),
        misplaced=misplaced,
        count_s=newest_s - birth_s,
        fresh_s=max(
            (
                one.wall_s - json.loads(one.payload)["Timestamp"]
                for one, seq in counts
                if seq > rows and one.wall_s <= over_s
            ),
            default=0.0,
        ),
    )
