"""`queue`: what waits in the store, oldest first; beside a running agent or without one."""

from __future__ import annotations

import argparse
from datetime import datetime
from typing import TYPE_CHECKING

from agent.cli import COMMANDS, settings
from agent.errors import EXIT_OK
from agent.peek import StoreMissingError, peek

if TYPE_CHECKING:
    from agent.cli import Subparsers
    from agent.peek import Peek

LIMIT = 10


def add(subparsers: Subparsers) -> None:
    """Declare the command and its arguments."""
    parser = subparsers.add_parser("queue", help=COMMANDS["queue"], description=__doc__)
    parser.add_argument(
        "--limit",
        type=_amount,
        default=LIMIT,
        metavar="N",
        help="show at most this many records (default: %(default)s)",
    )


def run(arguments: argparse.Namespace) -> int:
    """Print how many records wait, and the oldest. Raises StoreError if they cannot be read."""
    config = settings(arguments)
    try:
        print(listing(peek(config.store.path, arguments.limit), config.thing.name))
    except StoreMissingError:
        print(f"no record waits: there is no store yet at {config.store.path}")
    return EXIT_OK


def listing(peeked: Peek, thing: str) -> str:
    """The number of records, and for each record its number, time, topic and payload."""
    waiting = {0: "no record waits", 1: "1 record waits"}
    lines = [waiting.get(peeked.queued, f"{peeked.queued} records wait")]
    if peeked.dropped:
        lines.append(f"{peeked.dropped} were dropped since the store was made")
    for record in peeked.records:
        when = datetime.fromtimestamp(record.timestamp_s).astimezone()
        lines.append(
            f"{record.seq:>8} {when:%Y-%m-%d %H:%M:%S} {record.topic(thing)} "
            f"{record.payload().decode()}"
        )
    if (more := peeked.queued - len(peeked.records)) > 0:
        lines.append(f"and {more} more")
    return "\n".join(lines)


def _amount(word: str) -> int:
    """A count from the command line."""
    if not word.isdecimal() or len(word) > len("1000000"):
        raise argparse.ArgumentTypeError(f"expected a number from 0 on, got {word!r}")
    return int(word)
