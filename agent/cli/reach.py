"""`reach`: tries the way to the broker as far as TLS goes, without a session.

Used by the watch over an upgrade, with the code of the version before: what that cannot reach
either is no fault of the new one. A session would end the agent's own.
"""

from __future__ import annotations

from contextlib import suppress

from agent.cli.main import settings
from agent.errors import EXIT_OK, LinkLostError
from agent.identity import load
from agent.net import Ports
from agent.uplink import connect
from agent.wakeup import Wakeup

TYPE_CHECKING = False
if TYPE_CHECKING:
    from agent.cli.main import Arguments, Subparsers


def add(subparsers: Subparsers) -> None:
    """Declare the command."""
    subparsers.add_parser("reach", description=__doc__)


def run(arguments: Arguments) -> int:
    """Connect by the first port that leads there; the exit code.

    Raises ConfigError, CredentialsError, and LinkLostError where none does.
    """
    config = settings(arguments)
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
