"""Row `drain`: CPU of a message while a backlog is sent, at each of AWS's limits."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from bench import stored
from bench.broker import Arrivals
from bench.rounds import VoidError, rounds
from bench.table import Row

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bench.contestants import Bench

#: AWS IoT Core's limit of a connection, beside 512 KiB a second, which the agent always keeps.
MESSAGES_PER_S = 100
WINDOW = 100


class Case(NamedTuple):
    """A contestant: its environment, and whether it is `held` to the speed the agent has had."""

    name: str
    paho: str = "deb"
    held: bool = False

    @property
    def label(self) -> str:
        """Its name in a row, which is of one paho."""
        return f"{self.name} at that rate" if self.held else self.name


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
    peers = [Case(name) for name in bench.available(*PEERS)]
    yield from _limit(
        bench,
        [*_ours(bench), *peers],
        count,
        rounds_of=1 if quick else 5,
        limit="512 KiB/s",
        per_s=100_000,
        target="≤ 2.6 x bare, ≤ 2.6 x bare at that rate",
    )
    if quick:
        return
    yield from _limit(
        bench,
        _ours(bench),
        1_500,
        rounds_of=3,
        limit="100 messages/s",
        per_s=MESSAGES_PER_S,
        target="≤ 2.6 x bare at that rate",
    )


def _ours(bench: Bench) -> list[Case]:
    """The agent, then bare paho, as fast as it can and held, each with both pahos."""
    return [
        case
        for paho in bench.pahos()
        for case in (Case("agent", paho), Case("bare", paho), Case("bare", paho, held=True))
    ]


def _limit(
    bench: Bench,
    cases: list[Case],
    count: int,
    *,
    rounds_of: int,
    limit: str,
    per_s: int,
    target: str,
) -> Iterator[Row]:
    """Both figures at one of AWS's limits, which is `per_s` in the agent's configuration."""
    lengths: dict[str, float] = {}

    def measure() -> dict[tuple[Case, str], float]:
        found: dict[tuple[Case, str], float] = {}
        for case in cases:
            held_per_s = round(found[Case("agent", case.paho), SPEED]) if case.held else 0
            drained = _drain(bench, case, count, per_s, held_per_s)
            lengths[case.name] = drained.payload_bytes
            found |= {(case, CPU): drained.cpu_us, (case, SPEED): drained.per_s}
        return found

    found = rounds(rounds_of, measure, name=f"drain at {limit}")
    condition = (
        f"{count:,} messages, of {lengths.get('agent', 0):.0f} bytes from a full store by the agent"
        f" at most at AWS's {limit}, of 200 bytes from memory by its peers, as fast as they can"
        f" but for what is at that rate; at most {WINDOW} unacknowledged; without the first tenth"
    )
    for figure, unit, of, bound in (
        (CPU, "us/message", "bare", target),
        (SPEED, "messages/s", "", ""),
    ):
        for paho, version in bench.pahos().items():
            values = {
                case.label: one
                for (case, what), one in found.items()
                if what == figure and (case.paho == paho or case.name in PEERS)
            }
            name = f"drain at {limit}, {figure}, {version}"
            yield Row(name, condition, unit, of, values, bound)


def _drain(bench: Bench, case: Case, count: int, per_s: int, held_per_s: int) -> Drained:
    home = bench.home(mqtt={"max_inflight": WINDOW, "max_publish_per_s": per_s})
    if case.name == "agent":
        home.store.parent.mkdir()
        stored.fill(home.store, count + 1)  # the first is a count
    begun, topic = count // 10, f"{home.name}/sensors/room"
    arrivals = partial(Arrivals, bench.broker, topic)
    mode = f"drain {count} {held_per_s}"
    try:
        with (
            arrivals(begun) as first,
            arrivals(count) as last,
            bench.contestant(case.name, paho=case.paho, home=home, mode=mode) as running,
        ):
            began_s, began_cpu_s = first.wait(30), running.cpu_s
            ended_s, ended_cpu_s = last.wait(60), running.cpu_s
    except TimeoutError as error:
        raise VoidError(f"{case.name}: {error}") from None
    counted = count - begun
    cpu_us = (ended_cpu_s - began_cpu_s) * 1e6 / counted
    return Drained(cpu_us, counted / (ended_s - began_s), last.mean_bytes)
