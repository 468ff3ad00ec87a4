"""`preseed`: takes over a configuration that lies on the boot partition, and wipes it there.

Used by pi-iot-agent-preseed.service, as root, before the agent starts.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from agent import files, sensors
from agent.cli.main import complain
from agent.cli.preseeding import Preseed
from agent.errors import EXIT_OK, AgentError

if TYPE_CHECKING:
    import argparse

    from agent.cli.main import Subparsers

#: Where Raspberry Pi OS has the boot partition: until Debian 11, and since Debian 12.
FILES = [Path("/boot/pi-iot-agent.toml"), Path("/boot/firmware/pi-iot-agent.toml")]


def add(subparsers: Subparsers) -> None:
    """Declare the command and its arguments."""
    parser = subparsers.add_parser("preseed", description=__doc__)
    parser.add_argument(
        "--file",
        action="append",
        type=Path,
        dest="files",
        metavar="FILE",
        help="a file to take over; the last of several wins (default: those in /boot)",
    )


def run(arguments: argparse.Namespace) -> int:
    """Take over each file that is there; the exit code of the last trouble."""
    code = EXIT_OK
    for path in arguments.files or FILES:
        preseed = Preseed(path, arguments.config, options_of=sensors.options_of)
        try:
            with files.explained():
                if preseed.take():
                    print(f"{path}: taken over to {arguments.config}, and wiped")
        except AgentError as error:
            complain(error)
            code = error.exit_code
    return code
