"""`provision-child`: registers this device, as the daemon's child.

The configuration comes from the daemon, as JSON on stdin, and no file of it is read. Progress goes
to stdout, a line of JSON each. Ends when the daemon does.
"""

from __future__ import annotations

import json
import signal
import sys

from agent import board
from agent import config as configuration
from agent.account import end_with_parent
from agent.cli import renewal
from agent.cli.cloud_session import open_cloud
from agent.cli.registration import retrying
from agent.errors import EXIT_OK, AgentError
from agent.health.progress import Progress, trouble
from agent.identity import CLAIM, Generations
from agent.provisioning import fleet

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse

    from agent.cli.main import Subparsers
    from agent.config import Config
    from agent.provisioning.retry import Retry

#: Longest time that a step is tried again: the daemon waits better than this process.
BY_DAEMON_S = 600.0


def add(subparsers: Subparsers) -> None:
    """Declare the command and its arguments."""
    parser = subparsers.add_parser("provision-child", description=__doc__, allow_abbrev=False)
    parser.add_argument("--parent", type=int, required=True, metavar="PID", help="the daemon")
    only = parser.add_mutually_exclusive_group()
    only.add_argument(
        "--retire", action="store_true", help="only remove the certificates that were replaced"
    )
    only.add_argument(
        "--rotate",
        action="store_true",
        help="only make a new certificate ready, beside the one in use",
    )


def run(arguments: argparse.Namespace) -> int:
    """Provision, rotate up to the proof, or remove what has been replaced.

    The exit code says whether to try again. `--config` says where the configuration came from; it
    is not read.
    """
    end_with_parent(arguments.parent)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # where there is no wait to end
    try:
        config = configuration.interpret(
            json.load(sys.stdin), arguments.config, options_of=lambda _: dict, environment={}
        )
        with (
            retrying(print_json, patience_s=BY_DAEMON_S) as retry,
            Generations(config.paths.certs, config.thing.name).locked(),
        ):
            if arguments.retire:
                renewal.retire(config, retry, serial=board.serial())
            elif arguments.rotate:
                renewal.make_ready(config, retry, serial=board.serial())
            elif config.provisioning.method == CLAIM:
                fleet.provision(config, retry, serial=board.serial())
            else:
                _by_key(config, retry)
    except AgentError as error:
        print_json(trouble("provision", error))
        return error.exit_code
    return EXIT_OK


def _by_key(config: Config, retry: Retry) -> None:
    from agent.provisioning.provisioner import provision  # noqa: PLC0415 -- a claim needs no boto3

    with open_cloud(config, retry) as cloud:
        provision(config, cloud, retry, serial=board.serial())
    fleet.give_up(Generations(config.paths.certs, config.thing.name))


def print_json(progress: Progress) -> None:
    """Print a line of JSON for the daemon."""
    print(progress.encode(), flush=True)
