"""`reach`: tries the way to the broker as far as TLS goes, or with `--session` until it lets us in.

Used by the watch over an upgrade, with the code of the version before: what that cannot reach
either is no fault of the new one. A session ends that of an agent which is connected.
"""

from __future__ import annotations

from contextlib import suppress

from agent.cli.main import settings
from agent.cli.proof import prove
from agent.errors import EXIT_OK, LinkLostError
from agent.identity import load
from agent.net import Ports
from agent.uplink import connect
from agent.wakeup import Wakeup

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse

    from agent.cli.main import Subparsers


def add(subparsers: Subparsers) -> None:
    """Declare the command."""
    parser = subparsers.add_parser("reach", description=__doc__)
    parser.add_argument("--session", action="store_true", help="connect wholly, as the agent does")


def run(arguments: argparse.Namespace) -> int:
    """Connect by the first port that leads there; the exit code.

    Raises ConfigError, CredentialsError, and LinkLostError where none does.
    """
    config = settings(arguments)
    if arguments.session:
        prove(config)
        return EXIT_OK
    found = load(config)
    host, ports = connect.endpoint(config, found), Ports(config.mqtt.port)
    with Wakeup() as wakeup:
        dialer = connect.dialer(
            config, found, ports=ports, wakeup=wakeup, interrupted=lambda: False
        )
        *first, last = ports.in_order()
        for port in first:
            with suppress(LinkLostError):
                dialer.secure(host, port).close()
                return EXIT_OK
        dialer.secure(host, last).close()
    return EXIT_OK
