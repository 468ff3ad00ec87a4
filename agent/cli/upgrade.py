"""`upgrade`: makes ready for an upgrade of the package, and watches over the new version.

Used by the package's scripts and by pi-iot-agent-rollback.service, as root.
"""

from __future__ import annotations

import os
import subprocess
import sys
from functools import partial

from agent.cli.main import settings
from agent.cli.output import tell
from agent.cli.service import as_service
from agent.errors import (
    EXIT_OK,
    EXIT_TEMPORARY,
    AgentError,
    LinkLostError,
    NotPermittedError,
    explained,
)
from agent.identity import load
from agent.net import Ports
from agent.programs import public
from agent.updates import apt, pending_of
from agent.updates.machine import Machine
from agent.updates.upgrade import begin
from agent.updates.watch import WINDOW_S, Watch
from agent.uplink import connect
from agent.wakeup import Wakeup

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse

    from agent.cli.main import Subparsers
    from agent.config import Config

#: Longest try to connect: more than two ports with a proxy take.
REACH_S = 300.0


def add(subparsers: Subparsers) -> None:
    """Declare the command and its arguments."""
    parser = subparsers.add_parser("upgrade", description=__doc__)
    parser.add_argument(
        "step",
        choices=("prepare", "watch", "reach"),
        help="before the upgrade; after it; try the connection as the watch does",
    )
    parser.add_argument("--to", metavar="VERSION", help="prepare: the version that comes")
    parser.add_argument(
        "--for",
        type=float,
        default=WINDOW_S,
        dest="window_s",
        metavar="SECONDS",
        help="watch: how long (default: %(default)g)",
    )


def run(arguments: argparse.Namespace) -> int:
    """Do one step; the exit code. Raises AgentError."""
    if arguments.step == "reach":
        as_service(partial(_reach, arguments))
        return EXIT_OK
    if os.geteuid() != 0:
        raise NotPermittedError("only root makes ready for an upgrade", hint="run this with sudo")
    with explained():
        if arguments.step == "prepare":
            return _prepare(arguments)
        return _watch(arguments)


def _prepare(arguments: argparse.Namespace) -> int:
    if not arguments.to:
        raise AgentError("prepare needs the version that comes", hint="give --to VERSION")
    for lack in begin(_machine(arguments), arguments.to):
        tell(f"The old version is kept as it is: {lack}.")
    return EXIT_OK


def _watch(arguments: argparse.Namespace) -> int:
    if pending := pending_of():
        tell(f"Watching over the upgrade from {pending.old} to {pending.new}.")
    verdict = Watch(_machine(arguments), window_s=arguments.window_s).run()
    apt.refresh()  # what waits, or does no more
    tell(f"{verdict.went}: {verdict.reason or 'the new version has proven itself'}")
    return EXIT_OK


def _machine(arguments: argparse.Namespace) -> Machine:
    """The machine; in a process of its own, it is tried to connect, as the service's user."""
    reach = [sys.executable, *sys.orig_argv[1:]]
    program = reach[: reach.index("upgrade")]
    command = [*program, "upgrade", "reach", "--config", str(arguments.config)]

    def try_to_connect() -> int:
        try:
            done = subprocess.run(command, timeout=REACH_S, env=public(), check=False)
        except (OSError, subprocess.TimeoutExpired):
            return EXIT_TEMPORARY
        return done.returncode

    return Machine(reach=try_to_connect)


def _reach(arguments: argparse.Namespace) -> int:
    """Connect as far as TLS goes: a session would end the agent's. Raises AgentError."""
    config: Config = settings(arguments)
    found = load(config)
    ports = Ports(config.mqtt.port)
    with Wakeup() as wakeup:
        dialer = connect.dialer(
            config, found, ports=ports, wakeup=wakeup, interrupted=lambda: False
        )
        *first, last = ports.in_order()
        for port in first:
            try:
                dialer.secure(connect.endpoint(config, found), port).close()
            except LinkLostError:
                continue
            return EXIT_OK
        dialer.secure(connect.endpoint(config, found), last).close()
    return EXIT_OK
