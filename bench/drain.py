"""Row `drain`: CPU of a message while a backlog is sent."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from agent.config import StoreLimits
from agent.model import Moment, NewRecord
from agent.store import open_store
from bench.broker import Arrivals
from bench.rounds import VoidError, rounds
from bench.table import Row

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from bench.contestants import Bench, Home

#: AWS IoT Core's limits of a connection: bytes and messages a second.
BYTES_PER_S, MESSAGES_PER_S, WINDOW = 512 * 1024, 100, 100
MOMENT = Moment(1.8e9, 100.0, "boot")

#: A topic and a body like a reading's, so that a payload has about 200 bytes.
KIND, BODY = "sensors/room", {"text": "x" * 78}

AGENTS = {"agent": "deb", "agent, paho 2.2": "v2"}
PEERS = ("awsiotsdk", "awsiotsdk 5", "AWSIoTPythonSDK", "mosquitto_pub")
PACED = "bare, 512 KiB/s"
CPU, SPEED = "CPU", "speed"


def rows(bench: Bench, *, quick: bool) -> Iterator[Row]:
    """CPU microseconds a message and messages a second, one contestant at a time, interleaved."""
    count = 6_000 if quick else 20_000
    peers = bench.available(*PEERS)
    lengths: dict[str, float] = {}

    def measure() -> dict[tuple[str, str], float]:
        found: dict[tuple[str, str], float] = {}
        for name in ("bare", PACED, *AGENTS, "bare, paho 2.2", *peers):
            cpu_us, per_s, lengths[name] = _drain(bench, name, count)
            found |= {(name, CPU): cpu_us, (name, SPEED): per_s}
        return found

    found = rounds(1 if quick else 5, measure, name="drain")
    condition = (
        f"{count} messages of {lengths.get('agent', 0):.0f} bytes (peers 200), at most {WINDOW}"
        f" unacknowledged; the agent from a full store at most {BYTES_PER_S // 1024} KiB/s, as AWS"
        " allows; peers as fast as they can, from memory"
    )
    for figure, unit, target in ((CPU, "us/message", "≤ 2.6 x bare"), (SPEED, "messages/s", "")):
        values = {name: one for (name, of), one in found.items() if of == figure}
        yield Row(f"drain, {figure}", condition, unit, "bare", values, target)


def fill(home: Home, count: int, body: Mapping[str, Any] = BODY) -> None:
    """Have `count` readings wait in the store of an agent that is yet to start."""
    home.store.parent.mkdir(exist_ok=True)
    with open_store(StoreLimits(path=home.store, commit_after_s=3600.0)) as store:
        for _ in range(count):
            store.append(NewRecord(KIND, 1.8e9, MOMENT, body))


def _drain(bench: Bench, name: str, count: int) -> tuple[float, float, float]:
    """CPU microseconds a message, messages a second, bytes a payload; without the first tenth."""
    real, _, rest = name.partition(", ")
    paho = "v2" if rest == "paho 2.2" else "deb"
    mode = f"drain {count} {BYTES_PER_S if name == PACED else 0}"
    home = bench.home(mqtt={"max_inflight": WINDOW, "max_publish_per_s": 100_000})
    if real == "agent":
        fill(home, count)
    begun, topic = count // 10, f"{home.name}/sensors/room"
    try:
        with (
            Arrivals(bench.broker, topic, begun) as first,
            Arrivals(bench.broker, topic, count) as last,
            bench.contestant(real, paho=paho, home=home, mode=mode) as running,
        ):
            began_s, began_cpu_s = first.wait(60), running.cpu_s
            ended_s, ended_cpu_s = last.wait(180), running.cpu_s
            counted = count - begun
            return (
                (ended_cpu_s - began_cpu_s) * 1e6 / counted,
                counted / (ended_s - began_s),
                last.mean_bytes,
            )
    except TimeoutError as error:
        raise VoidError(f"{name}: {error}") from None
