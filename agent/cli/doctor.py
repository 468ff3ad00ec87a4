"""`doctor`: checks the whole way, from the configuration to a live connection, and what to do.

While the agent runs, it is asked: a second connection with its name would throw it out.
"""

from __future__ import annotations

import json

from agent.cli.examination import examine
from agent.cli.main import COMMANDS, settings
from agent.cli.questions import UsageError
from agent.cli.service import as_service
from agent.cli.verdict import FAIL, Finding, document
from agent.errors import EXIT_FAILURE, EXIT_OK, ConfigError

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse

    from agent.cli.main import Subparsers


def add(subparsers: Subparsers) -> None:
    """Declare the command and its arguments."""
    parser = subparsers.add_parser(
        "doctor", help=COMMANDS["doctor"], description=__doc__, allow_abbrev=False
    )
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="print one JSON document")
    form.add_argument(
        "--bundle",
        metavar="FILE",
        help="write a support archive without keys and secrets; - is standard output",
    )
    parser.add_argument(
        "--with-serial", action="store_true", help="leave the board's serial number in the archive"
    )


def run(arguments: argparse.Namespace) -> int:
    """Print the findings, 1 if one is FAIL; or write the archive, 0 if it is. Raises AgentError."""
    if arguments.with_serial and arguments.bundle is None:
        raise UsageError("--with-serial is for --bundle", hint="see `pi-iot-agent doctor --help`")
    if arguments.bundle is not None:
        from agent.cli import support_bundle  # noqa: PLC0415 -- which loads a compressor

        return support_bundle.write(arguments)
    as_service(lambda: tell(arguments))
    return EXIT_OK


def tell(arguments: argparse.Namespace) -> int:
    """Print each finding as it comes, or all as JSON; 1 if one is FAIL.

    Raises ConfigError, which JSON has as findings first.
    """
    try:
        config = settings(arguments)
    except ConfigError as error:
        if arguments.json:
            wrong = [Finding(FAIL, "configuration", one, error.hint) for one in error.problems]
            print(json.dumps(document("", wrong), indent=2))
        raise
    if arguments.json:
        told = document(config.thing.name, examine(config))
        print(json.dumps(told, indent=2))
        return EXIT_FAILURE if told["failed"] else EXIT_OK
    failed = False
    for finding in examine(config):
        show(finding)
        failed = failed or finding.verdict == FAIL
    return EXIT_FAILURE if failed else EXIT_OK


def show(finding: Finding) -> None:
    """Print it, at once: the next one may take its time."""
    print(f"{finding.verdict:<5} {finding.what}: {finding.text}", flush=True)
    if finding.hint:
        print(f"      hint: {finding.hint}", flush=True)
