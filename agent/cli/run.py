"""`run`: the daemon, in the foreground."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent import daemon
from agent.cli.main import COMMANDS, settings

if TYPE_CHECKING:
    import argparse

    from agent.cli.main import Subparsers


def add(subparsers: Subparsers) -> None:
    """Declare the command."""
    subparsers.add_parser("run", help=COMMANDS["run"], description=__doc__)


def run(arguments: argparse.Namespace) -> int:
    """Run until SIGTERM or SIGINT; the exit code. Raises AgentError when it cannot start."""
    return daemon.run(settings(arguments))
