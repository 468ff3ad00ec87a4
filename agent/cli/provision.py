"""`provision`: registers this device with AWS, or mends what is wrong with its registration."""

from __future__ import annotations

import ctypes
import json
import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from agent import board
from agent.cli.main import COMMANDS, settings
from agent.cli.registration import open_cloud, register, retrying
from agent.errors import EXIT_OK, AgentError
from agent.health.progress import Progress, trouble
from agent.provisioning import removal
from agent.provisioning.cloud import Caller
from agent.provisioning.policy import policy_document, policy_name
from agent.provisioning.provisioner import provision

if TYPE_CHECKING:
    import argparse

    from agent.cli.main import Subparsers
    from agent.config import Config

BY_DAEMON_S = 600.0

PR_SET_PDEATHSIG = 1


def add(subparsers: Subparsers) -> None:
    """Declare the command; `--report`, `--parent` and `--retire` are the daemon's."""
    parser = subparsers.add_parser(
        "provision", help=COMMANDS["provision"], description=__doc__, allow_abbrev=False
    )
    parser.add_argument("--dry-run", action="store_true", help="print the plan and do nothing")
    parser.add_argument(
        "--take-over", action="store_true", help="take a name that another device has registered"
    )
    parser.add_argument(
        "--retire",
        action="store_true",
        help="only remove the certificates that were replaced; with --report",
    )
    parser.add_argument("--report", action="store_true", help="print JSON lines")
    parser.add_argument("--parent", type=int, metavar="PID", help="end when this process does")


def run(arguments: argparse.Namespace) -> int:
    """Provision, then remove what has been replaced; the daemon's child does one of the two.

    Raises AgentError, whose exit code says whether trying again may help.
    """
    if arguments.parent is not None:
        end_with_parent(arguments.parent)
    config = settings(arguments)
    if config.mqtt.cert_file:
        print("[mqtt] cert_file is set: there is nothing to provision")
        return EXIT_OK
    if arguments.dry_run:
        print(plan(config))
        return EXIT_OK
    if not arguments.report:
        register(config, take_over=arguments.take_over)
        return EXIT_OK
    try:
        with (
            retrying(print_json, patience_s=BY_DAEMON_S) as retry,
            open_cloud(config, retry) as cloud,
        ):
            if arguments.retire:
                removal.retire(config, cloud, retry, prove=None)
            else:
                provision(config, cloud, retry, serial=board.serial())
    except AgentError as error:
        print_json(trouble("provision", error))
        return error.exit_code
    return EXIT_OK


def print_json(progress: Progress) -> None:
    """Print a line of JSON for the daemon."""
    print(progress.encode(), flush=True)


def end_with_parent(parent: int) -> None:
    """Have the kernel end this process once the one that started it is gone (prctl(2))."""
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, int(signal.SIGTERM), 0, 0, 0)
    if os.getppid() != parent:  # it went before we could say so
        sys.exit(EXIT_OK)


def plan(config: Config) -> str:
    """The plan of provisioning, as far as it is known without asking AWS."""
    thing = config.thing.name
    region = config.aws.region or "<the AWS key's region>"
    document = policy_document(Caller("<account>", "aws", region, ""))
    rows = {
        "AWS key": config.provisioning.credentials_file,
        "region": region,
        "thing": f"{thing}, with the serial number {board.serial() or 'of no board'}",
        "policy": policy_name(thing),
        "certificate": "kept if it is sound and known to AWS, else made anew",
        "attach": "policy and thing to the certificate; then activate it",
        "files": Path(config.paths.certs) / thing,
        "afterwards": "connect, and remove the certificates that were replaced",
    }
    lines = [f"{name + ':':<14}{value}" for name, value in rows.items()]
    return "\n".join([*lines, f"{policy_name(thing)}:", json.dumps(document, indent=2)])
