"""`deprovision`: removes this device from AWS, and then its certificates from here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent import board
from agent.cli.main import COMMANDS, settings
from agent.cli.provision import BY_HAND_S, attempting, open_cloud, print_line
from agent.errors import EXIT_OK
from agent.provisioning.removal import deprovision

if TYPE_CHECKING:
    import argparse

    from agent.cli.main import Subparsers


def add(subparsers: Subparsers) -> None:
    """Declare the command."""
    subparsers.add_parser("deprovision", help=COMMANDS["deprovision"], description=__doc__)


def run(arguments: argparse.Namespace) -> int:
    """Remove certificates, policy, thing, then the files. Raises AgentError."""
    config = settings(arguments)
    with (
        attempting(print_line, patience_s=BY_HAND_S) as attempts,
        open_cloud(config, attempts) as cloud,
    ):
        deprovision(config, cloud, attempts, serial=board.serial())
    return EXIT_OK
