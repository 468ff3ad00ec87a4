"""Row `idle`: wake-ups and CPU of a contestant while next to nothing happens."""

from __future__ import annotations

import time
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import TYPE_CHECKING

from bench.home import thermometers
from bench.rounds import windows
from bench.table import Row

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from bench.contestants import Bench

WINDOW_S = 60.0
SETTLE_S = 4.0
PEERS = ("bare", "tutorial", "awsiotsdk", "awsiotsdk 5", "AWSIoTPythonSDK", "mqtt-io")
AGENTS = {"agent": "deb", "agent, paho 2.2": "v2"}
SWITCHES, CPU = "switches", "CPU"


def rows(bench: Bench, *, quick: bool) -> Iterator[Row]:
    """Switches between threads and CPU milliseconds in windows of a minute, all side by side."""
    agents = [name for name, paho in AGENTS.items() if paho in bench.pahos()]
    names = [*agents, *bench.available(*PEERS)]
    found = windows(1 if quick else 8, partial(_side_by_side, bench, names), name="idle")
    condition = (
        "windows of 60 s, all threads, side by side; the agent reads, stores and sends one sensor"
        " once in 60 s and feeds systemd's watchdog, its peers only keep their connection"
    )
    for figure, unit, target in (
        (SWITCHES, "switches/min", "≤ 10, every round ≤ 14"),
        (CPU, "ms/min", "≤ 0.4 x tutorial"),
    ):
        values = {name: one for (name, of), one in found.items() if of == figure}
        yield Row(f"idle, {figure}", condition, unit, "tutorial", values, target)


@contextmanager
def _side_by_side(
    bench: Bench, names: list[str]
) -> Iterator[Callable[[], dict[tuple[str, str], float]]]:
    with ExitStack() as stack:
        running = {}
        for name in names:
            contestant = bench.contestant(
                "agent" if name in AGENTS else name,
                paho=AGENTS.get(name, "deb"),
                home=bench.home(sensors=thermometers(1, 60.0)),
                steady=False,  # each window looks
            )
            running[name] = stack.enter_context(contestant)
        for one in running.values():
            one.wait_connected()
        time.sleep(SETTLE_S)

        def window() -> dict[tuple[str, str], float]:
            before = {name: (one.switches, one.cpu_s) for name, one in running.items()}
            time.sleep(WINDOW_S)
            after = {name: (one.switches, one.cpu_s) for name, one in running.items()}
            for one in running.values():
                one.check()
            return {
                (name, figure): value
                for name in running
                for figure, value in (
                    (SWITCHES, (after[name][0] - before[name][0]).total()),
                    (CPU, (after[name][1] - before[name][1]) * 1000),
                )
            }

        yield window
