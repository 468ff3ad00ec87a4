"""`mode`: say that nobody is at home, that somebody visits, or that this is a test; until a time.

Each message then says so, and while away or with a visitor no rule on quiet alarms anybody.
"""

from __future__ import annotations

import math
import re
import time

from agent import files
from agent.cli.main import COMMANDS, settings
from agent.cli.status import span
from agent.errors import (
    EXIT_OK,
    EXIT_USAGE,
    AgentError,
    NotPermittedError,
    StorageError,
    explained,
)
from agent.facts import (
    CLOUD,
    HERE,
    MODE_FILE,
    OFF,
    Mode,
    ModeFile,
    day_of,
    of_local,
    parsed_time,
    wanted,
)
from agent.model import DAY_S, HOUR_S, MINUTE_S

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from pathlib import Path

    from agent.cli.main import Subparsers
    from agent.config import Paths

UNITS = {"m": MINUTE_S, "h": HOUR_S, "d": DAY_S, "w": 7 * DAY_S}

EFFECTS = {
    "away": "rules on quiet rest",
    "visitor": "rules on quiet rest",
    "test": "rules work as always",
}

HINT = "such as: pi-iot-agent mode away --until 18:00, or --for 3d; pi-iot-agent mode off"
SOON = "The agent takes it within a minute."
LATER = "The agent does not run; it takes it when it starts."


class ModeError(AgentError):
    """A mode, or an end of one, that cannot be."""

    exit_code = EXIT_USAGE


def add(subparsers: Subparsers) -> None:
    """Declare the command and its arguments."""
    parser = subparsers.add_parser("mode", help=COMMANDS["mode"], description=__doc__)
    names = "away, visitor or test; off ends it; without one it is shown"
    parser.add_argument("mode", nargs="?", metavar="MODE", help=names)
    end = parser.add_mutually_exclusive_group()
    times = '18:00 (the next), "2026-12-01 18:00", 2026-12-01 (its first minute), or epoch seconds'
    end.add_argument("--until", metavar="WHEN", help=times)
    end.add_argument("--for", metavar="TIME", dest="span", help="90m, 3h, 2d or 1w from now")


def run(arguments: argparse.Namespace) -> int:
    """Show or set the mode. Raises ModeError, NotPermittedError."""
    paths, now_s = settings(arguments).paths, time.time()
    path = paths.state / MODE_FILE
    modes = ModeFile(path, time.time)
    if arguments.mode is None:
        if arguments.until or arguments.span:
            raise ModeError("until then what? Name the mode", hint=HINT)
        print(shown(found(modes, path), now_s))
        return EXIT_OK
    if arguments.mode == OFF and (arguments.until or arguments.span):
        raise ModeError("off ends the mode now, and takes no time", hint=HINT)
    try:
        mode = wanted(arguments.mode, end(arguments, now_s), now_s=now_s, by=HERE)
    except ValueError as error:
        raise ModeError(str(error), hint=HINT) from None
    with explained():
        files.make_directory(paths.state)
        modes.set(mode)
    print(shown(mode, now_s))
    print(SOON if is_running(paths) else LATER)
    return EXIT_OK


def found(modes: ModeFile, path: Path) -> Mode:
    """The mode that is in the file. Raises AgentError."""
    hint = "`sudo pi-iot-agent mode off` removes it"
    try:
        with explained():
            return modes.read()
    except NotPermittedError:
        raise
    except StorageError as error:  # such as a link, or what is no file
        hint = "`sudo rmdir` removes it" if path.is_dir() and not path.is_symlink() else hint
        raise AgentError(f"{error.text}: is no mode", hint=hint) from None
    except ValueError as error:
        raise AgentError(f"{path}: is no mode: {error}", hint=hint) from None


def shown(mode: Mode, now_s: float) -> str:
    """The mode, when and by whom it was set, and what it does, for a person."""
    if not mode.name:
        return "no mode is set: rules work, and messages have no mark"
    if mode.until_s <= now_s:
        return f"no mode is set: it was {mode.text}"
    left = span(now_s, mode.until_s)
    lines = [f"{mode.text} (in {left}): {EFFECTS[mode.name]}; every message says so"]
    if mode.since_s < now_s:
        by = "by the cloud" if mode.by == CLOUD else "here"
        lines.append(f"set {by} {span(mode.since_s, now_s)} ago")
    return "\n".join(lines)


def end(arguments: argparse.Namespace, now_s: float) -> object:
    """The end that is asked for: epoch seconds, or text for `wanted`. Raises ValueError."""
    if arguments.span is not None:
        given = re.fullmatch(r"(\d{1,5})([mhdw])", arguments.span)
        if not given:
            raise ValueError(f"{arguments.span!r:.40} is no time such as 90m, 3h, 2d or 1w")
        lasts_s = int(given[1]) * UNITS[given[2]]
        return math.ceil(now_s + lasts_s) if lasts_s else now_s
    until = arguments.until
    if until is None or not re.fullmatch(r"\d{1,2}:\d\d|\d{9,11}", until):
        return until
    if ":" not in until:
        return int(until)
    minute = parsed_time(until)
    ends = (of_local(day_of(now_s, days=days), minute) for days in range(3))
    return next(end_s for end_s in ends if end_s > now_s)


def is_running(paths: Paths) -> bool:
    """True if an agent works in these directories."""
    try:
        return files.is_locked(paths.lock_file)
    except OSError:
        return False
