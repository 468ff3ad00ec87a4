"""`provision`: registers this device with AWS, or mends what is wrong with its registration."""

from __future__ import annotations

import ctypes
import json
import os
import signal
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from agent import board
from agent.cli.main import COMMANDS, settings
from agent.errors import EXIT_OK, AgentError, CredentialsError
from agent.health.progress import Report, trouble
from agent.provisioning import removal
from agent.provisioning.cloud import Caller, Cloud, readable_by_others
from agent.provisioning.policy import policy_document, policy_name
from agent.provisioning.provisioner import provision
from agent.provisioning.retry import Attempts
from agent.uplink.proof import prove
from agent.wakeup import Wakeup

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterator

    from agent.cli.main import Subparsers
    from agent.config.settings import Config

#: How long a step is tried again: a person waits, the daemon starts another child anyway.
BY_HAND_S = 120.0
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
            attempting(print_json, patience_s=BY_DAEMON_S) as attempts,
            open_cloud(config, attempts) as cloud,
        ):
            if arguments.retire:
                removal.retire(config, cloud, attempts, prove=None)
            else:
                provision(config, cloud, attempts, serial=board.serial())
    except AgentError as error:
        print_json(trouble("provision", error))
        return error.exit_code
    return EXIT_OK


def register(config: Config, *, take_over: bool = False) -> None:
    """Provision and remove what has been replaced, telling a person each step; AgentError."""
    with (
        attempting(print_line, patience_s=BY_HAND_S) as attempts,
        open_cloud(config, attempts) as cloud,
    ):
        provision(config, cloud, attempts, serial=board.serial(), take_over=take_over)
        removal.retire(config, cloud, attempts, prove=lambda: prove(config))


@contextmanager
def attempting(say: Callable[[Report], None], *, patience_s: float) -> Iterator[Attempts]:
    """Attempts whose waits end on SIGHUP; what the disk refuses becomes a CredentialsError."""

    def sleep(seconds: float) -> None:
        wakeup.wait(seconds)

    with Wakeup() as wakeup:
        before = signal.signal(signal.SIGHUP, lambda _number, _frame: wakeup.set())
        try:
            yield Attempts(say, patience_s=patience_s, sleep=sleep)
        except OSError as error:
            if isinstance(error, AgentError):
                raise
            raise CredentialsError(
                f"{error.filename or 'the certificates'}: {error.strerror or error}",
                hint="check who owns it, and that the card is neither full nor read-only",
            ) from error
        finally:
            signal.signal(signal.SIGHUP, before)


def open_cloud(config: Config, attempts: Attempts) -> Cloud:
    """The session with AWS; warns of a key that is open to all."""
    file = config.provisioning.credentials_file
    if readable_by_others(file):
        text = f"{file}: every user of this machine can read the AWS key (chmod 600 mends it)"
        attempts.say(Report("account", text))
    return Cloud(config)


def print_line(report: Report) -> None:
    """Progress for a person."""
    print(report.line(), flush=True)


def print_json(report: Report) -> None:
    """Progress for the daemon."""
    print(report.encode(), flush=True)


def end_with_parent(parent: int) -> None:
    """Have the kernel end this process once the one that started it is gone (prctl(2))."""
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, int(signal.SIGTERM), 0, 0, 0)
    if os.getppid() != parent:  # it went before we could say so
        sys.exit(EXIT_OK)


def plan(config: Config) -> str:
    """What provisioning would do, as far as that is known without asking AWS."""
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
