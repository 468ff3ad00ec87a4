"""Row `wire`: what a reading, a sign of life and a connect cost on the wire.

A relay of the bench stands between each contestant and the broker; see `relay`.
"""

from __future__ import annotations

import time
from contextlib import ExitStack, contextmanager
from functools import partial
from statistics import mean
from typing import TYPE_CHECKING, Any, NamedTuple

from bench.home import thermometers
from bench.relay import Relay
from bench.rounds import VoidError, rounds, windows
from bench.subscriber import Subscriber
from bench.table import Row

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from bench.contestants import Bench, Contestant

#: The agents and the protocol that each speaks.
AGENTS = {"agent": "5", "agent, MQTT 3.1.1": "3.1.1"}
PEERS = ("tutorial", "awsiotsdk", "awsiotsdk 5", "AWSIoTPythonSDK")

SETTLE_S = 3.0
READING, BEYOND, PINGS = "a reading", "beyond topic and payload", "pings"


class Pace(NamedTuple):
    """Seconds from one reading to the next, 0 if there is none, and until a sign of life."""

    interval_s: float
    keepalive_s: int

    @property
    def mode(self) -> str:
        """A peer's mode."""
        return f"each {self.interval_s:g} {self.keepalive_s}" if self.interval_s else "drain 0 0"

    @property
    def sensors(self) -> list[dict[str, Any]]:
        """An agent's sensors; a thermometer would be read at the start in any case."""
        if self.interval_s:
            return thermometers(1, self.interval_s)
        return [{"name": "motion", "driver": "simulated", "detections_per_s": 0}]


NOTHING, EACH_SECOND, EACH_MINUTE = Pace(0.0, 60), Pace(1.0, 60), Pace(60.0, 60)
#: The same, twelve times as fast.
EACH_MINUTE_QUICK = Pace(5.0, 5)


class Line(NamedTuple):
    """A contestant, the relay that it speaks through, and what arrives of it."""

    contestant: Contestant
    relay: Relay
    arrivals: Subscriber


def rows(bench: Bench, *, quick: bool) -> Iterator[Row]:
    """Bytes with TLS, TCP and IP: of a connect, of a reading a second and a minute; pings."""
    names = [*AGENTS, *bench.available(*PEERS)]
    connects = rounds(1 if quick else 3, lambda: _connects(bench, names), name="connect")
    condition = (
        "TCP payload both ways, and 52 bytes for each segment; the agent's birth message and"
        " SUBSCRIBE are in it, its peers do nothing but connect"
    )
    yield Row("wire, connect", condition, "bytes", "tutorial", connects)
    slow = EACH_MINUTE_QUICK if quick else EACH_MINUTE
    paces = {"1/s": EACH_SECOND, "1/min": slow}
    window_s = slow.interval_s * (2 if quick else 4)
    begin = partial(_side_by_side, bench, names, paces, window_s)
    found = windows(1 if quick else 2, begin, name="wire")
    yield from _rows(found, paces, window_s)


def _connects(bench: Bench, names: list[str]) -> dict[str, float]:
    with ExitStack() as stack:
        running = {name: stack.enter_context(_line(bench, name, NOTHING)) for name in names}
        time.sleep(SETTLE_S)
        return {name: line.relay.traffic.wire for name, line in running.items()}


@contextmanager
def _side_by_side(
    bench: Bench, names: list[str], paces: Mapping[str, Pace], window_s: float
) -> Iterator[Callable[[], dict[tuple[str, str, str], float]]]:
    with ExitStack() as stack:
        running = {
            (name, label): stack.enter_context(_line(bench, name, pace))
            for label, pace in paces.items()
            for name in names
        }
        time.sleep(SETTLE_S)
        yield partial(_window, running, window_s)


def _window(
    running: Mapping[tuple[str, str], Line], window_s: float
) -> dict[tuple[str, str, str], float]:
    before = {key: (line.relay.traffic, line.arrivals.count()) for key, line in running.items()}
    time.sleep(window_s)
    found = {}
    for (name, label), line in running.items():
        line.contestant.check()
        traffic, count = before[name, label]
        spent, heard = line.relay.traffic.since(traffic), line.arrivals.messages()[count:]
        if not heard:
            raise VoidError(f"{name} has published nothing in {window_s:g} s")
        each = spent.wire / len(heard)
        found[name, label, READING] = each
        found[name, label, BEYOND] = each - mean(message.bytes for message in heard)
        found[name, label, PINGS] = spent.pings / len(heard) * 60
    return found


def _rows(
    found: Mapping[tuple[str, str, str], list[float]],
    paces: Mapping[str, Pace],
    window_s: float,
) -> Iterator[Row]:
    for label, pace in paces.items():
        condition = (
            f"TLS, TCP and IP, both ways; QoS 1; a reading of one quantity, in all as long, every"
            f" {pace.interval_s:g} s, keep-alive {pace.keepalive_s} s, windows of {window_s:g} s"
        )
        for figure, unit in ((READING, "bytes"), (BEYOND, "bytes"), (PINGS, "pings/hour")):
            if figure == PINGS and label == "1/s":
                continue
            values = {
                name: one for (name, at, of), one in found.items() if (at, of) == (label, figure)
            }
            yield Row(f"wire {label}, {figure}", condition, unit, "tutorial", values)


@contextmanager
def _line(bench: Bench, name: str, pace: Pace) -> Iterator[Line]:
    with Relay(bench.broker.port) as relay:
        through = bench.broker.reached_by(relay.port)
        home = bench.home(
            broker=through,
            sensors=pace.sensors,
            mqtt={"protocol": AGENTS.get(name, "5"), "keepalive_s": pace.keepalive_s},
            count={"window_s": 86_400},
        )
        with (
            Subscriber(bench.broker, f"{home.name}/#", home.directory / "heard") as arrivals,
            bench.contestant(
                "agent" if name in AGENTS else name,
                home=home,
                broker=through,
                steady=False,  # each window looks
                mode=pace.mode,
            ) as contestant,
        ):
            contestant.wait_connected()
            yield Line(contestant, relay, arrivals)
