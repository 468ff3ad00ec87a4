"""Row `start`: from nothing to the first reading acknowledged."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from bench.broker import Broker
from bench.contestants import thermometers
from bench.rounds import VoidError, rounds
from bench.table import Row

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bench.contestants import Bench, Contestant, Home

PEERS = ("tutorial", "bare", "awsiotsdk", "awsiotsdk 5", "AWSIoTPythonSDK", "mqtt-io")
AGENTS = {"agent": "deb", "agent, paho 2.2": "v2"}
KEPT = "agent, store kept"
CPU, WALL = "CPU", "wall"


def rows(bench: Bench, *, quick: bool) -> Iterator[Row]:
    """CPU and wall milliseconds, one contestant at a time, interleaved."""
    peers = bench.available(*PEERS)
    with Broker(bench.certificates, verbose=True) as broker:
        kept = bench.home(broker=broker, sensors=thermometers(1, 60.0))
        _start(bench, broker, "agent", "deb", kept)  # compiles the modules, makes the store

        def measure() -> dict[tuple[str, str], float]:
            found: dict[tuple[str, str], float] = {}
            for name in (*AGENTS, KEPT, *peers):
                home = kept
                if name != KEPT:
                    home = bench.home(broker=broker, sensors=thermometers(1, 60.0))
                real, paho = (name, "deb") if name in peers else ("agent", AGENTS.get(name, "deb"))
                cpu_ms, wall_ms = _start(bench, broker, real, paho, home)
                found |= {(name, CPU): cpu_ms, (name, WALL): wall_ms}
            return found

        found = rounds(3 if quick else 12, measure, name="start")
    condition = (
        "from exec to the PUBACK of the first reading or message, one at a time, a new store each"
        " time but for the one that is kept"
    )
    for figure, target in ((CPU, "≤ 70"), (WALL, "≤ 1.5 x tutorial")):
        values = {name: one for (name, of), one in found.items() if of == figure}
        yield Row(f"start, {figure}", condition, "ms", "tutorial", values, target)


def _start(bench: Bench, broker: Broker, name: str, paho: str, home: Home) -> tuple[float, float]:
    """CPU and wall milliseconds to the first PUBACK of a reading, or of a peer's message."""
    topic = "sensors/" if name == "agent" else ""
    with bench.contestant(name, paho=paho, home=home, broker=broker) as running:
        at_s = acknowledged(broker, running, topic)
        return running.cpu_s * 1000, (at_s - running.began_s) * 1000


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
