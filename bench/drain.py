"""Row `drain`: CPU of a message while a backlog is sent, at each of AWS's limits."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from agent.config import StoreLimits
from agent.model import Moment, NewRecord
from agent.store import open_store
from bench.broker import Arrivals
from bench.rounds import VoidError, rounds
from bench.table import Row

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bench.contestants import Bench, Home

#: AWS IoT Core's limits of a connection: bytes and messages a second.
BYTES_PER_S, MESSAGES_PER_S, WINDOW = 512 * 1024, 100, 100
MOMENT = Moment(1.8e9, 100.0, "boot")

#: A topic, and a body with which a payload has 200 bytes.
KIND, BODY = "sensors/room", {"text": "x" * 100}
PACKET_BYTES = 250


class Case(NamedTuple):
    """A contestant: its environment, and a peer's bytes a second, 0 without a limit."""

    name: str
    paho: str = "deb"
    bytes_per_s: int = 0


AGENTS = {"agent": Case("agent"), "agent, paho 2.2": Case("agent", "v2")}
BARE = {"bare": Case("bare"), "bare, paho 2.2": Case("bare", "v2")}
PEERS = ("awsiotsdk", "awsiotsdk 5", "AWSIoTPythonSDK", "mosquitto_pub")
CPU, SPEED = "CPU", "speed"


class Drained(NamedTuple):
    """Figures of one run, without its first tenth."""

    cpu_us: float
    per_s: float
    payload_bytes: float


def rows(bench: Bench, *, quick: bool) -> Iterator[Row]:
    """CPU microseconds a message and messages a second, one contestant at a time, interleaved."""
    count = 5_000 if quick else 20_000
    peers = {name: Case(name) for name in bench.available(*PEERS)}
    paced = {"bare, 512 KiB/s": Case("bare", bytes_per_s=BYTES_PER_S)}
    yield from _limit(
        bench,
        BARE | paced | AGENTS | peers,
        count,
        rounds_of=1 if quick else 5,
        limit="512 KiB/s",
        per_s=100_000,
        target="≤ 2.6 x bare",
    )
    if quick:
        return
    slow = {"bare, 100/s": Case("bare", bytes_per_s=MESSAGES_PER_S * PACKET_BYTES)}
    yield from _limit(
        bench,
        {"bare": BARE["bare"]} | slow | AGENTS,
        1_500,
        rounds_of=3,
        limit="100 messages/s",
        per_s=MESSAGES_PER_S,
        target="",
    )


def fill(home: Home, count: int) -> None:
    """Have `count` readings wait in the store of an agent that is yet to start."""
    home.store.parent.mkdir(exist_ok=True)
    with open_store(StoreLimits(path=home.store, commit_after_s=3600.0)) as store:
        for _ in range(count):
            store.append(NewRecord(KIND, 1.8e9, MOMENT, BODY))


def _limit(
    bench: Bench,
    cases: dict[str, Case],
    count: int,
    *,
    rounds_of: int,
    limit: str,
    per_s: int,
    target: str,
) -> Iterator[Row]:
    """Both figures at one of AWS's limits, which is `per_s` in the agent's configuration."""
    lengths: dict[str, float] = {}

    def measure() -> dict[tuple[str, str], float]:
        found: dict[tuple[str, str], float] = {}
        for label, case in cases.items():
            drained = _drain(bench, case, count, per_s)
            lengths[label] = drained.payload_bytes
            found |= {(label, CPU): drained.cpu_us, (label, SPEED): drained.per_s}
        return found

    found = rounds(rounds_of, measure, name=f"drain at {limit}")
    condition = (
        f"{count:,} messages, of {lengths.get('agent', 0):.0f} bytes from a full store by the agent"
        f" at most at AWS's {limit}, of 200 bytes from memory by its peers, as fast as they can"
        f" where none is said; at most {WINDOW} unacknowledged; without the first tenth"
    )
    for figure, unit, bound in ((CPU, "us/message", target), (SPEED, "messages/s", "")):
        values = {label: one for (label, of), one in found.items() if of == figure}
        yield Row(f"drain at {limit}, {figure}", condition, unit, "bare", values, bound)


def _drain(bench: Bench, case: Case, count: int, per_s: int) -> Drained:
    home = bench.home(mqtt={"max_inflight": WINDOW, "max_publish_per_s": per_s})
    if case.name == "agent":
        fill(home, count)
    begun, topic = count // 10, f"{home.name}/{KIND}"
    arrivals = partial(Arrivals, bench.broker, topic)
    mode = f"drain {count} {case.bytes_per_s}"
    try:
        with (
            arrivals(begun) as first,
            arrivals(count) as last,
            bench.contestant(case.name, paho=case.paho, home=home, mode=mode) as running,
        ):
            began_s, began_cpu_s = first.wait(60), running.cpu_s
            ended_s, ended_cpu_s = last.wait(180), running.cpu_s
    except TimeoutError as error:
        raise VoidError(f"{case.name}: {error}") from None
    counted = count - begun
    cpu_us = (ended_cpu_s - began_cpu_s) * 1e6 / counted
    return Drained(cpu_us, counted / (ended_s - began_s), last.mean_bytes)
