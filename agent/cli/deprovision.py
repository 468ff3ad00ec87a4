"""`deprovision`: removes this device from AWS, and then its certificates from here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent import board
from agent.cli.main import COMMANDS, settings
from agent.cli.registration import BY_HAND_S, open_cloud, print_line, retrying
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
        retrying(print_line, patience_s=BY_HAND_S) as retry,
        open_cloud(config, retry) as cloud,
    ):
        deprovision(config, cloud, retry, serial=board.serial())
    return EXIT_OK
