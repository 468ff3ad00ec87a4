"""Calls to AWS in each failing state of a registration, minute by minute, with the usual backoff.

`scripts/calls [--for SECONDS] [STATE...]`: a process for each state, side by side.
"""

from __future__ import annotations

import argparse
import contextlib
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from tests.integration.agent_process import AgentProcess
from tests.tools.cloud import LocalAws
from tests.tools.cloud.faults import (
    ACCESS_DENIED,
    EXPIRED_TOKEN,
    INTERNAL_FAILURE,
    SIGNATURE_EXPIRED,
)

if TYPE_CHECKING:
    from tests.tools.cloud.faults import Fault

#: What goes wrong, and at which call; without a fault each identity is spoiled once it is made.
STATES: dict[str, tuple[Fault | None, str]] = {
    "refused": (ACCESS_DENIED, "CreateThing"),
    "ended-key": (EXPIRED_TOKEN, ""),
    "failing": (INTERNAL_FAILURE, "CreatePolicy"),
    "wrong-time": (SIGNATURE_EXPIRED, ""),
    "never-sound": (None, ""),
}


def main() -> int:
    """Watch each state in a process of its own."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--for", type=float, default=600, dest="for_s", metavar="SECONDS")
    parser.add_argument("states", nargs="*", choices=[[], *STATES], metavar="STATE")
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.here:
        print(watched(arguments.states[0], arguments.for_s), flush=True)
        return 0
    again = [sys.executable, "-m", "tests.tools.calls", "--here", "--for", str(arguments.for_s)]
    running = [subprocess.Popen([*again, state]) for state in arguments.states or STATES]
    return max(process.wait() for process in running)


def watched(state: str, for_s: float) -> str:
    """A line with the number of calls in each minute, and what the agent says."""
    fault, operation = STATES[state]
    with tempfile.TemporaryDirectory() as name, LocalAws(Path(name) / "aws") as aws:
        directory = Path(name)
        if fault:
            aws.faults.inject(fault, operation)
        toml = aws.agent_toml(directory, name="device", sensors=[])
        with AgentProcess(aws, directory, toml=toml) as agent:
            agent.start()
            began_s, minutes = time.monotonic(), [0]
            while (passed_s := time.monotonic() - began_s) < for_s:
                if fault is None:
                    spoil(directory / "certs")
                minutes[len(minutes) - 1] = len(aws.faults.calls) - sum(minutes[:-1])
                minutes += [0] if passed_s > 60 * len(minutes) else []
                time.sleep(0.05)
            status = agent.status()
    codes = ", ".join(one["code"] for one in status["conditions"])
    return f"{state:<12} {sum(minutes):>4} calls, a minute each: {minutes} -- {codes}"


def spoil(certs: Path) -> None:
    """Take a file of each generation away."""
    for path in certs.glob(".device.*/*-public.pem.key"):
        with contextlib.suppress(OSError):
            path.unlink()


if __name__ == "__main__":
    sys.exit(main())
