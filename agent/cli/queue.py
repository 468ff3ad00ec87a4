"""`queue`: what waits in the store, oldest first; beside a running agent or without one.

What the broker will never take is set aside: --dead shows it, --replay has it wait again.
"""

from __future__ import annotations

import argparse
from contextlib import ExitStack
from datetime import datetime

from agent import files
from agent.cli.main import COMMANDS, settings
from agent.cli.status import UnreadableError, conditions_of, read_status
from agent.errors import EXIT_OK, StoreError, explained
from agent.health import conditions
from agent.store.inspection import Inspection, StoreMissingError, inspect, revive

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from agent.cli.main import Subparsers
    from agent.config import Config
    from agent.model import Json, Record

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
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--dead", action="store_true", help="show what was set aside, and why")
    which.add_argument(
        "--replay",
        action="store_true",
        help="have what was set aside sent once more; the agent must be stopped",
    )


def run(arguments: argparse.Namespace) -> int:
    """Print how many records wait, and the oldest. Raises StoreError, BusyError for --replay."""
    config = settings(arguments)
    path, thing = config.store.path, config.thing.name
    status = _status(config)
    try:
        if arguments.replay:
            print(_replay(config))
        elif arguments.dead:
            print(dead_listing(inspect(path, arguments.limit, dead=True), thing))
        else:
            print(listing(inspect(path, arguments.limit), thing, status))
    except StoreError as error:
        missing = isinstance(error, StoreMissingError)
        elsewhere = _in_memory(status) or (missing and status.get("queued"))
        if elsewhere and not (arguments.dead or arguments.replay):
            print(listing(Inspection(0, 0, ()), thing, status))
        elif missing:
            print(f"no record waits: there is no store yet at {path}")
        else:
            raise
    return EXIT_OK


def _replay(config: Config) -> str:
    with explained(), ExitStack() as stack:
        if config.paths.runtime.is_dir():  # else no agent has run since the machine started
            hint = "stop it first: sudo systemctl stop pi-iot-agent"
            stack.enter_context(files.lock(config.paths.lock_file, "the agent", hint=hint))
        count = revive(config.store.path)
    return f"{count} set aside before wait again; start the agent to send them"


def _status(config: Config) -> dict[str, Json]:
    """Report of the running agent; empty without one."""
    try:
        return read_status(config.paths) or {}
    except UnreadableError:
        return {}


def listing(found: Inspection, thing: str, status: Mapping[str, Json]) -> str:
    """The number of records, and for each record in the file its number, time, topic and payload.

    A running agent knows better than its file how many wait: `status` is what it reports.
    """
    queued = status.get("queued")
    queued = queued if isinstance(queued, int) else found.queued
    waiting = {0: "no record waits", 1: "1 record waits"}
    lines = [waiting.get(queued, f"{queued} records wait")]
    if _in_memory(status):
        holds = f", which holds {found.queued}" if found.queued else ""
        lines.append(f"the agent does without its file now{holds}")
    else:
        lines += _beside_file(found.queued, queued)
    if found.dropped:
        lines.append(f"{found.dropped} were dropped since the store was made")
    lines += [_line(record, thing) for record in found.records]
    if (more := found.queued - len(found.records)) > 0:
        lines.append(f"and {more} more")
    return "\n".join(lines)


def _in_memory(status: Mapping[str, Json]) -> bool:
    """True if a running agent does without its file."""
    code = conditions.STORE_MEMORY_ONLY.code
    return any(one.get("code") == code for one in conditions_of(status))


def _beside_file(in_file: int, queued: int) -> list[str]:
    """Reason why another number waits than the file holds."""
    if queued < in_file:
        arrived = (
            "1 has arrived and leaves"
            if in_file - queued == 1
            else (f"{in_file - queued} have arrived and leave")
        )
        return [f"of {in_file} in the file {arrived} it within a minute"]
    if queued > in_file:
        return [f"{queued - in_file} of them in the agent's memory only"]
    return []


def dead_listing(found: Inspection, thing: str) -> str:
    """Records that were set aside: for each the reason, its number, time, topic and payload."""
    if not found.queued:
        return "no record was set aside"
    lines = [
        f"set aside: {found.queued}; `sudo pi-iot-agent queue --replay` has them sent once more"
    ]
    for record, reason in zip(found.records, found.reasons, strict=True):
        lines += [f"{reason}:", _line(record, thing)]
    if (more := found.queued - len(found.records)) > 0:
        lines.append(f"and {more} more")
    return "\n".join(lines)


def _line(record: Record, thing: str) -> str:
    when = datetime.fromtimestamp(record.timestamp_s).astimezone()
    return (
        f"{record.seq:>8} {when:%Y-%m-%d %H:%M:%S} {record.topic(thing)} "
        f"{record.payload().decode()}"
    )


def _amount(word: str) -> int:
    """A count from the command line."""
    if not word.isdecimal() or len(word) > len("1000000"):
        raise argparse.ArgumentTypeError(f"expected a number from 0 on, got {word!r}")
    return int(word)
