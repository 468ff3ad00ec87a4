"""An agent under faults every few seconds: `scripts/soak [--for SECONDS] [--seed N]`.

At the end every number that the agent has given out has arrived, or the agent has told of its loss.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.integration.agent_process import AgentProcess
from tests.tools.cloud import LocalAws

if TYPE_CHECKING:
    from collections.abc import Callable

THING = "soak"
SENSORS = [
    {"name": "motion", "driver": "simulated", "detections_per_s": 2},
    {"name": "room", "driver": "simulated", "interval_s": 0.2},
    {"name": "attic", "driver": "simulated", "interval_s": 0.5},
]

#: How long all that waits may take to arrive once nothing is wrong any more.
DRAIN_S = 120.0
DISK_MIB = 3


class Soak:
    """One agent, its cloud, and what can be done to them."""

    def __init__(self, cloud: LocalAws, directory: Path, chance: random.Random) -> None:
        self.cloud = cloud
        self.chance = chance
        self.directory = directory
        self.faults: Counter[str] = Counter()
        self.ballast = directory / "state" / "ballast"
        self.clock_file = directory / "clock"
        self.offset_s = 0
        toml = cloud.agent_toml(
            directory,
            name=THING,
            sensors=SENSORS,
            mqtt={"backoff_max_s": 2, "keepalive_s": 5},
            count={"window_s": 5},
        )
        self.agent = AgentProcess(cloud, directory, toml=toml)
        self.agent.command("provision")  # by the right clock
        if libraries := sorted(Path("/usr/lib").glob("*/faketime/libfaketime.so.1")):
            self.set_clock(0)
            self.agent.environment |= {
                "LD_PRELOAD": str(libraries[0]),
                "FAKETIME_TIMESTAMP_FILE": str(self.clock_file),
                "FAKETIME_CACHE_DURATION": "1",
                "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            }

    def set_clock(self, offset_s: int) -> None:
        """Have the agent's wall clock be off by this much."""
        self.offset_s = offset_s
        beside = self.clock_file.with_suffix(".new")
        beside.write_text(f"{offset_s:+d}\n")
        beside.rename(self.clock_file)

    def kill_broker(self) -> None:
        """The broker is gone for some seconds."""
        self.cloud.broker.kill()
        time.sleep(self.chance.uniform(0, 4))
        self.cloud.broker.start()

    def pause_broker(self) -> None:
        """The broker hangs, and nothing tells."""
        self.cloud.broker.pause()
        time.sleep(self.chance.uniform(1, 12))
        self.cloud.broker.resume()

    def kill_agent(self) -> None:
        """A crash; systemd starts it again."""
        if self.ballast.exists():
            return  # what is in memory would be lost, and told: another question
        self.agent.kill()
        time.sleep(self.chance.uniform(0, 2))
        self.agent.start()

    def restart_agent(self) -> None:
        """An upgrade."""
        if self.ballast.exists():
            return
        self.agent.stop()
        self.agent.start()

    def fill_disk(self) -> None:
        """No byte is free, until the next time."""
        if not os.path.ismount(self.ballast.parent):
            return
        if self.ballast.exists():
            self.ballast.unlink()
            time.sleep(6)
            return
        with suppress(OSError), self.ballast.open("wb", 0) as file:
            while True:
                file.write(bytes(512))

    def jump_clock(self) -> None:
        """Some hours forward or back, or home again."""
        if "LD_PRELOAD" in self.agent.environment:
            self.set_clock(self.chance.choice([0, 7200, 86_400, 3 * 86_400 + 123]))

    def command(self) -> None:
        """The cloud sets the total."""
        self.cloud.observer.command(THING, {"set": 5, "id": f"id {time.monotonic_ns()}"})

    def heal(self) -> None:
        """Nothing is wrong any more."""
        self.ballast.unlink(missing_ok=True)
        self.set_clock(0)

    def run(self, for_s: float) -> None:
        """Do something every few seconds."""
        faults: list[Callable[[], None]] = [
            self.kill_broker,
            self.pause_broker,
            self.kill_agent,
            self.restart_agent,
            self.fill_disk,
            self.jump_clock,
            self.command,
        ]
        until_s = time.monotonic() + for_s
        while time.monotonic() < until_s:
            fault = self.chance.choice(faults)
            fault()
            self.faults[fault.__name__] += 1
            tell(f"{fault.__name__}; {self._state()}")
            time.sleep(self.chance.uniform(0.5, 4))

    def _state(self) -> str:
        status = self.agent.status()
        codes = [one["code"] for one in status.get("conditions", [])]
        return f"{status.get('state')}, {status.get('queued')} queued, {', '.join(codes) or 'well'}"


def missing(soak: Soak) -> list[tuple[str, int]]:
    """The numbers below the highest of their epoch that never came and were not told as skipped."""
    arrived: dict[str, set[int]] = {}
    told: set[int] = set()
    for message in soak.cloud.observer.messages(f"{THING}/#"):
        body: dict[str, Any] = json.loads(message.payload)
        if "seq" in body:
            arrived.setdefault(body["epoch"], set()).add(body["seq"])
        first, last = body.get("skipped", (1, 0))
        told |= set(range(first, last + 1))
    return [
        (epoch, number)
        for epoch, numbers in arrived.items()
        for number in range(1, max(numbers))
        if number not in numbers and number not in told
    ]


def tell(text: str) -> None:
    """One line."""
    print(f"{time.strftime('%H:%M:%S')} {text}", flush=True)


def main(arguments: list[str]) -> int:
    """0 if nothing was lost."""
    parser = argparse.ArgumentParser(prog="scripts/soak", description=__doc__)
    parser.add_argument("--for", type=float, default=600.0, dest="for_s", metavar="SECONDS")
    parser.add_argument("--seed", type=int, default=int(time.time()))
    options = parser.parse_args(arguments)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="soak-")))
        (directory / "state").mkdir()
        if os.geteuid() == 0:
            mount = ["/bin/mount", "-t", "tmpfs", "-o", f"size={DISK_MIB}m", "none"]
            subprocess.run([*mount, str(directory / "state")], check=True)
            stack.callback(subprocess.run, ["/bin/umount", "-l", str(directory / "state")])
        cloud = stack.enter_context(LocalAws(directory / "aws"))
        soak = Soak(cloud, directory, random.Random(options.seed))
        stack.enter_context(soak.agent)
        soak.agent.start().wait_online()
        tell(f"seed {options.seed}, for {options.for_s:g} s")
        soak.run(options.for_s)
        soak.heal()
        status = soak.agent.wait_status(
            lambda status: status["state"] == "online" and status["queued"] < 5, timeout_s=DRAIN_S
        )
        code = soak.agent.stop()
        time.sleep(1)
        gaps = missing(soak)
        epochs = {
            json.loads(message.payload).get("epoch")
            for message in cloud.observer.messages(f"{THING}/status")
        } - {None}
        tell(f"faults: {dict(soak.faults)}")
        tell(
            f"{len(cloud.observer.messages(f'{THING}/#'))} messages, {len(epochs)} epoch(s), "
            f"{status['dropped']} dropped, {len(gaps)} missing, exit code {code}"
        )
        if gaps or code:
            tell(f"missing: {gaps[:20]}")
            tell(soak.agent.log[-3000:])
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
