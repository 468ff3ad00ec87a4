"""`run`: the daemon, in the foreground."""

from __future__ import annotations

import os
import sys

from agent import daemon
from agent.cli.main import COMMANDS, settings
from agent.errors import RenamedError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from agent.cli.main import Arguments, Subparsers


def add(subparsers: Subparsers) -> None:
    """Declare the command."""
    subparsers.add_parser("run", help=COMMANDS["run"], description=__doc__)


def run(arguments: Arguments) -> int:
    """Run until SIGTERM or SIGINT; the exit code. Raises AgentError when it cannot start.

    A device that gets another name starts anew in the same process, which is the same to systemd,
    with nothing left of what it had in memory.
    """
    environment = dict(os.environ)  # of which the daemon takes something away
    try:
        return daemon.run(settings(arguments))
    except RenamedError:
        if arguments.content:  # which root has lent once, and the next start cannot read
            raise
        os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], environment)  # noqa: S606
