"""Measures who waits for edges at a pin, in the kernel whose GPIO chip is simulated.

`scripts/in-kernel PYTHON -m bench.at_pin WINDOW_S PULSES` prints a JSON object of figures by
contestant.
"""

from __future__ import annotations

import json
import signal
import sys
import tempfile
import time
from contextlib import ExitStack
from functools import partial
from os import kill
from pathlib import Path
from typing import TYPE_CHECKING

from bench.contestants import Bench
from bench.observer import Observer
from tests.hardware.chips import Chip
from tests.hardware.machine import loopback_up

if TYPE_CHECKING:
    from collections.abc import Callable

    from bench.contestants import Contestant

AGENT, WITHOUT = "agent", "agent without a sensor"

#: The peers at a pin, and what their script is told.
PEERS = {
    "tutorial, MotionSensor": "MotionSensor {} connected",
    "MotionSensor alone": "MotionSensor {}",
    "DigitalInputDevice alone": "DigitalInputDevice {}",
}

#: Those that do nothing but wait for the pin.
ALONE = [label for label, mode in PEERS.items() if "connected" not in mode]

PIN = 21
PULSE_S = 0.005

#: The thread at the pin gives a sign of life each minute; a window that begins after one and ends
#: before the next has nothing of it but its waiting for an edge.
QUIET_S, SETTLE_S = 50.0, 5.0

#: Pulses by which the thread that wakes is found out.
FIRST = 5
PATIENCE_S = 120.0


def main(window_s: float, pulses: int) -> None:
    """Measure and print."""
    loopback_up()
    with (
        tempfile.TemporaryDirectory() as directory,
        Bench(Path(directory)) as bench,
        Observer(bench.broker) as observer,
        Chip() as chip,
        ExitStack() as stack,
    ):
        assert chip.number == 0, "lgpio takes the first chip"
        door = {"name": "motion", "driver": "gpio", "pin": PIN, "debounce_ms": 0}
        home = bench.home(sensors=[door], count={"window_s": 86400})
        agent = stack.enter_context(bench.contestant("agent", home=home, steady=False))
        running = {AGENT: agent, WITHOUT: stack.enter_context(bench.contestant("agent"))}
        pins = {AGENT: PIN}
        for contestant in running.values():
            contestant.wait_connected(PATIENCE_S)
        for label in PEERS if bench.available("gpiozero") else ():
            pins[label] = PIN - len(pins)
            mode = PEERS[label].format(pins[label])
            running[label] = stack.enter_context(
                bench.contestant("gpiozero", mode=mode, steady=False)
            )
            _until(partial(_waits, running[label]), label)
        time.sleep(SETTLE_S)
        found = _waiting(running, chip, window_s)
        for _ in range(pulses):
            for pin in pins.values():
                chip.pulse(pin, for_s=PULSE_S)
        time.sleep(1)
        kill(agent.pid, signal.SIGTERM)
        for label in pins:
            seen = running[label].log.count("active\n")
            if label == AGENT:
                seen = _counted(observer, agent.name)
            sent = pulses + FIRST * (label == AGENT)
            found[label]["missed"] = 100 * (sent - seen) / sent
    print(json.dumps(found))


def _waiting(
    running: dict[str, Contestant], chip: Chip, window_s: float
) -> dict[str, dict[str, float]]:
    """Switches a second, CPU milliseconds a minute and MiB while no edge comes."""
    agent = running[AGENT]
    thread = _thread_at_pin(agent, chip)
    time.sleep(SETTLE_S)
    settled = agent.switches[thread]
    _until(lambda: agent.switches[thread] > settled, "a sign of life of the thread at the pin")
    time.sleep(SETTLE_S)
    before = {label: (one.switches, one.cpu_s) for label, one in running.items()}
    quiet_s = min(window_s, QUIET_S)
    time.sleep(quiet_s)
    waited = agent.switches[thread] - before[AGENT][0][thread]
    time.sleep(window_s - quiet_s)
    found = {}
    for label, one in running.items():
        switched, cpu_s = before[label]
        taken = one.memory
        found[label] = {
            "switches": (one.switches - switched).total() / window_s,
            "CPU": (one.cpu_s - cpu_s) * 1000 * 60 / window_s,
            "PSS": taken.pss_mib,
            "USS": taken.uss_mib,
        }
        if label in ALONE:
            found[label]["waiting"] = found[label]["switches"]
    found[AGENT]["waiting"] = waited / quiet_s
    return found


def _thread_at_pin(agent: Contestant, chip: Chip) -> str:
    """The number of the thread that wakes when there is an edge."""
    before = agent.switches
    for _ in range(FIRST):
        chip.pulse(PIN, for_s=0.2)
    return (agent.switches - before).most_common(1)[0][0]


def _counted(observer: Observer, name: str) -> int:
    """The detections that an agent which was told to stop has reported."""

    def counts() -> list[int]:
        own = [one.payload for one in observer.messages if one.topic == f"{name}/count"]
        return [json.loads(payload)["detect_count"] or 0 for payload in own]

    _until(counts, "the agent's count")
    return sum(counts())


def _waits(peer: Contestant) -> bool:
    """True once a peer has said that it waits for the pin."""
    return "waits\n" in peer.log


def _until(come: Callable[[], object], what: str) -> None:
    """Wait until it has come. Raises TimeoutError."""
    until_s = time.monotonic() + PATIENCE_S
    while not come():
        if time.monotonic() > until_s:
            raise TimeoutError(f"{what} does not come")
        time.sleep(0.2)


if __name__ == "__main__":
    main(float(sys.argv[1]), int(sys.argv[2]))
