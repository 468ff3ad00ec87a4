"""`upgrade`: makes ready for an upgrade of the package, and watches over the new version.

Used by the package's scripts and by pi-iot-agent-rollback.service, as root. No more is loaded than
it takes: on the same day other packages may be half replaced.
"""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import ExitStack
from functools import partial

from agent import files
from agent.cli.output import tell
from agent.errors import EXIT_OK, EXIT_TEMPORARY, AgentError, NotPermittedError, explained
from agent.programs import public
from agent.updates import DIRECTORY, apt, pending_of
from agent.updates.machine import Machine
from agent.updates.upgrade import begin, mend
from agent.updates.watch import LONGEST_S, WINDOW_S, Watch

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from agent.cli.main import Subparsers

#: Longest try to connect: more than two ports with a proxy take.
REACH_S = 300.0

#: So long at least is watched.
SHORTEST_S = 5.0

#: So many lines tell what lacks.
LACKS_MOST = 5


def add(subparsers: Subparsers) -> None:
    """Declare the command and its arguments."""
    parser = subparsers.add_parser("upgrade", description=__doc__)
    parser.add_argument(
        "step", choices=("prepare", "watch"), help="what is done before the upgrade, or after it"
    )
    parser.add_argument("--to", metavar="VERSION", help="prepare: the version that comes")
    parser.add_argument(
        "--for",
        type=_seconds,
        default=WINDOW_S,
        dest="window_s",
        metavar="SECONDS",
        help="watch: how long (default: %(default)g)",
    )


def run(arguments: argparse.Namespace) -> int:
    """Do one step; the exit code. Raises AgentError."""
    if os.geteuid() != 0:
        raise NotPermittedError("only root makes ready for an upgrade", hint="run this with sudo")
    # the launcher that this is, which finds the modules beside itself; it writes none (-B)
    reach = [sys.executable, "-IB", sys.argv[0], "reach", "--config", str(arguments.config)]
    machine = Machine(reach=partial(_reach, reach))
    with explained():
        if arguments.step == "watch":
            return _watch(machine, arguments.window_s)
        if not arguments.to:
            raise AgentError("prepare needs the version that comes", hint="give --to VERSION")
        lacks = begin(machine, arguments.to)
        for lack in lacks[:LACKS_MOST]:
            tell(f"A way back is kept, and yet {lack}.")
        if len(lacks) > LACKS_MOST:  # as where documents are never installed
            tell(f"So it is with {len(lacks) - LACKS_MOST} more.")
    return EXIT_OK


def _seconds(text: str) -> float:
    """Seconds that are enough to be ready in. Raises ValueError."""
    if not SHORTEST_S <= (seconds := float(text)) <= LONGEST_S:
        raise ValueError
    return seconds


def _watch(machine: Machine, window_s: float) -> int:
    mend(machine)
    with ExitStack() as stack:
        if DIRECTORY.is_dir():
            stack.enter_context(files.lock(DIRECTORY / "watch.lock", "another watch"))
        return _watch_alone(machine, window_s)


def _watch_alone(machine: Machine, window_s: float) -> int:
    if pending := pending_of():
        tell(f"Watching over the upgrade from {pending.old} to {pending.new}.")
    verdict = Watch(machine, window_s=window_s).run()
    tell(f"{verdict.went}: {verdict.reason or 'the new version has proven itself'}")
    apt.refresh()  # what waits, or does no more
    return EXIT_OK


def _reach(command: Sequence[str], session: bool) -> int:  # noqa: FBT001 -- see Machine
    """The exit code of a program of ours, whose complaints go where ours do."""
    command = [*command, *(["--session"] if session else [])]
    try:
        return subprocess.run(command, timeout=REACH_S, env=public(), check=False).returncode
    except (OSError, subprocess.TimeoutExpired):
        return EXIT_TEMPORARY
