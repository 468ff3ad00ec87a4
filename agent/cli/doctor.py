"""`doctor`: checks the whole way, from the configuration to a live connection, and what to do.

While the agent runs, it is asked: a second connection with its name would throw it out.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING

from agent import __version__
from agent.cli.examination import examine
from agent.cli.main import COMMANDS, settings
from agent.cli.verdict import FAIL
from agent.errors import EXIT_FAILURE, EXIT_OK

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable

    from agent.cli.main import Subparsers
    from agent.cli.verdict import Finding
    from agent.model import Json


def add(subparsers: Subparsers) -> None:
    """Declare the command and its arguments."""
    parser = subparsers.add_parser("doctor", help=COMMANDS["doctor"], description=__doc__)
    parser.add_argument("--json", action="store_true", help="print one JSON document")


def run(arguments: argparse.Namespace) -> int:
    """Print each finding as it comes, or all as JSON; 1 if one is FAIL. Raises ConfigError."""
    config = settings(arguments)
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


def document(thing: str, findings: Iterable[Finding]) -> dict[str, Json]:
    """The findings as JSON has them."""
    found: list[Json] = [asdict(one) for one in findings]
    failed = any(isinstance(one, dict) and one["verdict"] == FAIL for one in found)
    return {"version": __version__, "thing": thing, "findings": found, "failed": failed}
