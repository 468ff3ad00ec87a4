"""Row `recovery`: from a broker that listens again to the first reading that it has acknowledged.

Everybody waits as by default: the agent 1 to 120 s with full jitter, paho 1 to 120 s and
AWSIoTPythonSDK 1 to 32 s doubling, awsiotsdk 5 to 60 s (3.1.1) and 1 to 120 s with jitter (5),
mqtt-io 2 s each time.
"""

from __future__ import annotations

import time
from contextlib import ExitStack
from typing import TYPE_CHECKING

from bench.broker import Broker
from bench.comeback import comebacks
from bench.home import thermometers
from bench.observer import Observer
from bench.rounds import rounds, tell
from bench.table import Row

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from bench.contestants import Bench

PEERS = ("tutorial", "awsiotsdk", "awsiotsdk 5", "AWSIoTPythonSDK", "mqtt-io")
AGENTS: Mapping[str, Mapping[str, float]] = {
    "agent": {},
    "agent, backoff_max_s = 2": {"backoff_max_s": 2},
}

#: Its readings have no number.
UNCOUNTED = "mqtt-io"

BEFORE_S, DOWN_S, QUICK_DOWN_S = 5.0, 10.0, 2.0
BACK_WITHIN_S = 90.0

#: What waited has this long to arrive behind the first.
REST_S = 30.0

FIGURES = {
    "whole": ("recovery", "s"),
    "waiting": ("recovery, of it until the next attempt", "s"),
    "connecting": ("recovery, of it TCP, TLS and CONNECT", "ms"),
    "publishing": ("recovery, of it CONNECT to the reading's PUBACK", "ms"),
    "lost": ("recovery, readings lost", "readings"),
    "repeated": ("recovery, readings that came twice", "readings"),
}


def rows(bench: Bench, *, quick: bool) -> Iterator[Row]:
    """Each part of the way back, and what became of the readings made meanwhile."""
    peers = bench.available(*PEERS)
    down_s = QUICK_DOWN_S if quick else DOWN_S
    found = rounds(1 if quick else 6, lambda: _measure(bench, peers, down_s), name="recovery")
    condition = (
        f"the broker is ended, and started again {down_s:g} s later; everybody has a reading a"
        " second and default waits; all side by side, new processes each round"
    )
    for figure, (name, unit) in FIGURES.items():
        values = {contestant: one for (contestant, of), one in found.items() if of == figure}
        target = "≤ 0" if figure == "lost" else ""
        of = "tutorial" if unit == "s" else ""  # the log's lines come some together
        yield Row(name, condition, unit, of, values, target)


def _measure(bench: Bench, peers: list[str], down_s: float) -> dict[tuple[str, str], float]:
    with ExitStack() as stack:
        broker = stack.enter_context(Broker(bench.certificates, verbose=True, lasting=True))
        observer = stack.enter_context(Observer(broker))
        running = {}
        for name in [*AGENTS, *peers]:
            mqtt = AGENTS.get(name, {})
            home = bench.home(broker=broker, sensors=thermometers(1, 1.0), mqtt=mqtt)
            running[name] = stack.enter_context(
                bench.contestant(
                    name.partition(",")[0], home=home, broker=broker, mode="each 1", steady=False
                )
            )
        for contestant in running.values():
            contestant.wait_connected()
        time.sleep(BEFORE_S)
        broker.stop()
        behind = len(broker.log)
        time.sleep(down_s)
        listening_s = broker.start()
        names = {contestant.name: label for label, contestant in running.items()}
        until_s = listening_s + BACK_WITHIN_S
        while not (back := comebacks(broker.log[behind:])).keys() >= names.keys():
            if time.monotonic() > until_s:
                break
            time.sleep(0.2)
        found: dict[tuple[str, str], float] = {}
        for name, label in names.items():
            if one := back.get(name):
                found[label, "whole"] = one.taken_s - listening_s
                found[label, "waiting"] = one.dialled_s - listening_s
                found[label, "connecting"] = (one.connected_s - one.dialled_s) * 1000
                found[label, "publishing"] = (one.taken_s - one.connected_s) * 1000
            else:
                tell(f"{label} is not back in {BACK_WITHIN_S:g} s: {running[label].log[-400:]}")
        tallies = observer.settle(
            [name for name, label in names.items() if label != UNCOUNTED], REST_S
        )
        for name, tally in tallies.items():
            found[names[name], "lost"] = tally.lost
            found[names[name], "repeated"] = tally.repeated
    return found
