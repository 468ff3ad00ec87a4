"""Row `start`: from nothing to the first reading taken, and to its acknowledgement."""

from __future__ import annotations

import re
import sqlite3
import time
from contextlib import closing
from functools import partial
from typing import TYPE_CHECKING

from bench.broker import Broker
from bench.home import thermometers
from bench.rounds import VoidError, rounds
from bench.table import Row

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bench.contestants import Bench, Contestant
    from bench.home import Home

PEERS = ("tutorial", "bare", "awsiotsdk", "awsiotsdk 5", "AWSIoTPythonSDK", "mqtt-io")
AGENTS = {"agent": "deb", "agent, paho 2.2": "v2"}
KEPT = "agent, store kept"

READY = "READY=1"
NEWEST = "SELECT coalesce(max(seq), 0) FROM records WHERE kind LIKE 'sensors/%'"
LOOK_S, PATIENCE_S = 0.0005, 30.0


TAKEN, CPU, WALL = (
    "CPU to the first reading",
    "CPU to the first PUBACK",
    "wall time to the first PUBACK",
)


def rows(bench: Bench, *, quick: bool) -> Iterator[Row]:
    """CPU and wall milliseconds, one contestant at a time, interleaved."""
    peers, sensors = bench.available(*PEERS), thermometers(1, 60.0)
    with Broker(bench.certificates, verbose=True) as broker:
        kept = bench.home(broker=broker, sensors=sensors)
        _start(bench, broker, "agent", "deb", kept)  # compiles the modules, makes the store

        def measure() -> dict[tuple[str, str], float]:
            found: dict[tuple[str, str], float] = {}
            for label in (*AGENTS, KEPT, *peers):
                home = kept
                if label != KEPT:
                    home = bench.home(broker=broker, sensors=sensors)
                agent = label not in peers
                start = partial(
                    _start, bench, broker, "agent" if agent else label, AGENTS.get(label, "deb")
                )
                cpu_ms, wall_ms = start(home)
                found |= {(label, CPU): cpu_ms, (label, WALL): wall_ms}
                again = kept if label == KEPT else bench.home(broker=broker, sensors=sensors)
                found[label, TAKEN] = start(again, watched=True)[0] if agent else cpu_ms
            return found

        found = rounds(3 if quick else 12, measure, name="start")
    from_exec = (
        "from exec; one at a time; a new store each time but for the one that is kept, whose last"
        " owner was killed"
    )
    taken = "the agent's first reading is on the card; of a peer, its first PUBACK"
    puback = "the PUBACK of the agent's first reading, or of a peer's first message"
    for figure, condition, target in (
        (TAKEN, taken, "≤ 70"),
        (CPU, puback, ""),
        (WALL, puback, "≤ 1.5 x tutorial"),
    ):
        values = {label: one for (label, of), one in found.items() if of == figure}
        yield Row(f"start, {figure}", f"{condition}; {from_exec}", "ms", "tutorial", values, target)


def _start(
    bench: Bench, broker: Broker, name: str, paho: str, home: Home, *, watched: bool = False
) -> tuple[float, float]:
    """CPU and wall milliseconds to the first PUBACK; of an agent that is `watched`, to a reading.

    Looking for that takes some of the processor, and so wall time of the agent's.
    """
    newest, ready = newest_reading(home), bench.systemd.count(READY)
    with bench.contestant(name, paho=paho, home=home, broker=broker) as running:
        if not watched:
            at_s = acknowledged(broker, running, "sensors/" if name == "agent" else "")
            return running.cpu_s * 1000, (at_s - running.began_s) * 1000
        while bench.systemd.count(READY) == ready or newest_reading(home) == newest:
            if time.monotonic() > running.began_s + PATIENCE_S:
                raise VoidError(f"no reading in {PATIENCE_S:g} s: {running.log[-400:]}")
            time.sleep(LOOK_S)
        return running.cpu_s * 1000, (time.monotonic() - running.began_s) * 1000


def newest_reading(home: Home) -> int:
    """The number of the newest reading in an agent's store; 0 if there is none."""
    if not home.store.exists():
        return 0
    with closing(sqlite3.connect(f"file:{home.store}?mode=ro", uri=True)) as db:
        number: int = db.execute(NEWEST).fetchone()[0]
    return number


def acknowledged(broker: Broker, running: Contestant, topic: str) -> float:
    """When a contestant's first message on a topic with `topic` in it had its PUBACK.

    Needs a verbose broker. Raises VoidError.
    """
    name = re.escape(running.name)
    sent = rf"Received PUBLISH from {name} \(d\d, q1, r\d, m\d+, '[^']*{topic}"
    try:
        received = broker.wait(sent, behind=running.behind).text
        number = received.partition(", m")[2].partition(",")[0]
        return broker.wait(rf"Sending PUBACK to {name} \(m{number},", behind=running.behind).at_s
    except TimeoutError as error:
        raise VoidError(f"{error}; {running.log[-400:]}") from None
