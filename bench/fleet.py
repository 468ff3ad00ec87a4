"""Row `fleet`: many devices on one broker after its restart, and how they spread their comeback.

Real processes, on this machine's processors: their number is bounded by memory, their speed is
that of the machine, the times at which they come are their own.
"""

from __future__ import annotations

import time
from contextlib import ExitStack
from functools import partial
from typing import TYPE_CHECKING

from bench.broker import Broker
from bench.comeback import busiest, comebacks, reached_s
from bench.home import thermometers
from bench.observer import Observer
from bench.rounds import VoidError, rounds, tell
from bench.table import Row

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from bench.contestants import Bench

#: The tutorial's paho doubles its waits without jitter.
PEER = "tutorial"
DEVICES, QUICK_DEVICES = 200, 16
PEERS, QUICK_PEERS = 50, 8

#: So many are started at once; each takes a processor for some 100 ms.
BATCH = 10
INTERVAL_S = 5.0
SETTLE_S = 5.0
DOWN_S, QUICK_DOWN_S = 10.0, 2.0
BACK_WITHIN_S = 300.0
REST_S = 30.0

#: Reading the broker's log takes the processor from the devices.
POLL_S = 2.0

Key = tuple[str, str]

FIGURES = {
    "busiest": ("fleet, busiest second", "% of the devices"),
    "half": ("fleet, half are back after", "s"),
    "most": ("fleet, 90 % are back after", "s"),
    "all": ("fleet, all are back after", "s"),
    "lost": ("fleet, readings lost", "readings"),
    "repeated": ("fleet, readings that came twice", "readings"),
}


def rows(bench: Bench, *, quick: bool) -> Iterator[Row]:
    """Connections a second at the broker and the time until all are back; losses."""
    devices = QUICK_DEVICES if quick else DEVICES
    peers = QUICK_PEERS if quick else PEERS
    counts = {"agent": devices} | dict.fromkeys(bench.available(PEER), peers)
    for down_s in (QUICK_DOWN_S,) if quick else (DOWN_S, 0.0):
        found = rounds(1, partial(_restart, bench, counts, down_s), name=f"fleet {down_s:g} s")
        shown = ", ".join(f"{count} x {name}" for name, count in counts.items())
        condition = (
            f"{shown}, each a process, default waits, a reading each {INTERVAL_S:g} s; the broker"
            f" is ended and started again {down_s:g} s later"
        )
        for figure, (name, unit) in FIGURES.items():
            values = {contestant: one for (contestant, of), one in found.items() if of == figure}
            target = "≤ 0" if figure == "lost" else ""
            yield Row(f"{name} (down {down_s:g} s)", condition, unit, PEER, values, target)


def _restart(bench: Bench, counts: Mapping[str, int], down_s: float) -> dict[Key, float]:
    with ExitStack() as stack:
        broker = stack.enter_context(Broker(bench.certificates, verbose=True, lasting=True))
        observer = stack.enter_context(Observer(broker))
        wanted = [name for name, count in counts.items() for _ in range(count)]
        names: dict[str, str] = {}
        for first in range(0, len(wanted), BATCH):
            batch = {}
            for name in wanted[first : first + BATCH]:
                home = bench.home(broker=broker, sensors=thermometers(1, INTERVAL_S))
                mode = f"each {INTERVAL_S:g}"
                one = bench.contestant(name, home=home, broker=broker, mode=mode, steady=False)
                batch[stack.enter_context(one)] = name
            for contestant, name in batch.items():
                contestant.wait_connected()
                names[contestant.name] = name
        tell(f"{len(names)} are connected")
        time.sleep(SETTLE_S)
        broker.stop()
        behind = len(broker.log)
        time.sleep(down_s)
        listening_s = broker.start()
        until_s = listening_s + BACK_WITHIN_S
        while not (back := comebacks(broker.log[behind:])).keys() >= names.keys():
            if time.monotonic() > until_s:
                raise VoidError(f"{len(names) - len(back)} are not back in {BACK_WITHIN_S:g} s")
            time.sleep(POLL_S)
        tallies = observer.settle(names, REST_S)
    found: dict[Key, float] = {}
    for label, count in counts.items():
        own = [name for name, of in names.items() if of == label]
        times_s = [back[name].connected_s - listening_s for name in own]
        found |= {
            (label, "busiest"): busiest(times_s) * 100 / count,
            (label, "half"): reached_s(times_s, 0.5),
            (label, "most"): reached_s(times_s, 0.9),
            (label, "all"): reached_s(times_s, 1.0),
            (label, "lost"): sum(tallies[name].lost for name in own),
            (label, "repeated"): sum(tallies[name].repeated for name in own),
        }
    return found
