"""Row `pin`: what waiting for an edge at a pin costs, and whether none is missed.

In a kernel of its own, whose GPIO chip is simulated (docs/testing.md); there the agent's driver,
lgpio and gpiozero are the real ones. `--quick` leaves it out.
"""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

from bench.environment import ROOT, MissingError, leashed
from bench.rounds import VoidError, rounds
from bench.table import Row

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bench.contestants import Bench

WINDOW_S, PULSES = 60.0, 200

#: The exit status of scripts/in-kernel where there can be no such kernel.
NO_KERNEL = 69

OF = "tutorial, MotionSensor"
FIGURES = {
    "waiting": ("pin, switches by waiting for an edge", "switches/s"),
    "switches": ("pin, switches of the whole", "switches/s"),
    "CPU": ("pin, CPU", "ms/min"),
    "PSS": ("pin, PSS", "MiB"),
    "USS": ("pin, USS", "MiB"),
    "missed": ("pin, pulses missed", "%"),
}
TARGETS = {"waiting": "≤ 0", "missed": "≤ 0"}


def rows(bench: Bench, *, quick: bool) -> Iterator[Row]:
    """Switches, CPU and memory while no edge comes, then pulses."""
    assert not quick, "it takes minutes"
    bench.available("agent", "gpiozero")  # which that kernel could not install
    found = rounds(2, _measure, name="pin")
    condition = (
        f"user-mode Linux with gpio-sim, one processor: compare, do not quote; {WINDOW_S:g} s"
        f" without an edge, then {PULSES} pulses of 5 ms, without debouncing; all side by side; the"
        " agent is connected and fed as by systemd; what its waiting costs is seen at its thread at"
        " the pin, between the signs of life that this gives each minute with a pin or without"
    )
    for figure, (name, unit) in FIGURES.items():
        values = {contestant: one for (contestant, of), one in found.items() if of == figure}
        if values:
            yield Row(name, condition, unit, OF, values, TARGETS.get(figure, ""))


def _measure() -> dict[tuple[str, str], float]:
    command = [sys.executable, "-m", "bench.at_pin", str(WINDOW_S), str(PULSES)]
    with subprocess.Popen(
        leashed(str(ROOT / "scripts" / "in-kernel"), *command, end="TERM"),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as kernel:
        try:
            console, said = kernel.communicate()
        finally:
            kernel.terminate()  # it ends its kernel then
    if kernel.returncode == NO_KERNEL:
        raise MissingError(said.strip().rpartition("\n")[2])
    if kernel.returncode:
        raise VoidError(f"{console[-400:]} {said[-400:]}")
    return parse(console)


def parse(console: str) -> dict[tuple[str, str], float]:
    """The figures by contestant, which are the last line that the kernel's console has shown."""
    figures = json.loads(console.strip().rpartition("\n")[2])
    return {
        (contestant, figure): value
        for contestant, own in figures.items()
        for figure, value in own.items()
    }
