"""`report`: counts and readings of the last days, as charts in the terminal or as one HTML page.

The service's user reads the store, beside a running agent or without one; the page is written as
the caller.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import time
from pathlib import Path

from agent.cli import report_chart, report_page
from agent.cli.main import COMMANDS, settings
from agent.cli.new_file import STDOUT, check_free, pour, save
from agent.cli.output import Output
from agent.cli.report_days import report, since_s
from agent.cli.report_past import decoded, encoded
from agent.cli.report_words import ENGLISH, LANGUAGES, Words, language_of
from agent.cli.service import ask_service
from agent.cli.status import UnreadableError, read_status
from agent.errors import EXIT_OK, EXIT_TEMPORARY, AgentError
from agent.facts import day_of
from agent.model import MIB
from agent.store.inspection import Past, StoreMissingError, past

TYPE_CHECKING = False
if TYPE_CHECKING:
    from agent.cli.main import Subparsers
    from agent.config import Paths
    from agent.model import Json

DAYS = 7
DAYS_MAX = 3660

#: Most that is taken of the service's user, in characters.
LONGEST = 64 * MIB

#: Width where nobody's terminal tells one.
WIDTH = 80


class NothingError(AgentError):
    """There is nothing yet of which a page could be made."""

    exit_code = EXIT_TEMPORARY


def add(subparsers: Subparsers) -> None:
    """Declare the command and its arguments."""
    parser = subparsers.add_parser("report", help=COMMANDS["report"], description=__doc__)
    parser.add_argument(
        "--days",
        type=_days,
        default=DAYS,
        metavar="N",
        help="so many days, today among them (default: %(default)s)",
    )
    parser.add_argument(
        "--html", metavar="FILE", help="write a page for a browser to a new file; - for stdout"
    )
    parser.add_argument(
        "--language",
        choices=LANGUAGES,
        help="en for English, ja for Japanese (default: as the environment says)",
    )


def run(arguments: argparse.Namespace) -> int:
    """Show the last days. Raises AgentError if the store cannot be read or the page not written."""
    page = str(arguments.html) if arguments.html is not None else ""
    if page and page != STDOUT:
        check_free(page, "--html")
    now_s = time.time()
    told = ask_service(lambda: _told(arguments, now_s), longest=LONGEST)
    words = Words(arguments.language or _language(is_page=bool(page)))
    found = report(decoded(told), arguments.days, now_s)
    if found is None:
        if page:
            raise NothingError(words("nothing"))
        print(words("nothing"))
    elif page:
        data = report_page.page(found, words).encode()
        if page == STDOUT:
            pour(data, sys.stdout.fileno())
        else:
            save(Path(page), data)
    else:
        _show(report_chart.chart(found, words, _screen()))
    return EXIT_OK


def _told(arguments: argparse.Namespace, now_s: float) -> str:
    """The past, read as the service's user. Raises AgentError where none is kept."""
    config = settings(arguments)
    if not config.store.history_days:
        hint = "give it a number of days, such as 90, and restart the agent"
        raise AgentError("[store] history_days is 0: no history is kept", hint=hint)
    try:
        kept = past(config.store.path, since_s(arguments.days, now_s), now_s)
    except StoreMissingError:
        kept = Past((), (), (), 0, "")
    first_s = day_of(now_s, days=1 - arguments.days).start_s
    return encoded(config.thing.name, kept, _status(config.paths), since_s=first_s)


def _status(paths: Paths) -> dict[str, Json]:
    """Report of the running agent; empty without one."""
    try:
        return read_status(paths) or {}
    except UnreadableError:
        return {}


def _language(*, is_page: bool) -> str:
    """The user's language, unless the terminal cannot show it."""
    return language_of(os.environ) if is_page or _is_utf8() else ENGLISH


def _screen() -> report_chart.Screen:
    width = shutil.get_terminal_size((WIDTH, 0)).columns
    colour = (
        sys.stdout.isatty()
        and not os.environ.get("NO_COLOR")
        and "256" in os.environ.get("TERM", "")
    )
    return report_chart.Screen(width, colour=colour, utf8=_is_utf8())


def _is_utf8() -> bool:
    """True if stdout can show more than ASCII."""
    return not isinstance(sys.stdout, Output) or sys.stdout.has(report_chart.BLOCKS)


def _show(text: str) -> None:
    if isinstance(sys.stdout, Output):
        sys.stdout.paint(f"{text}\n")
    else:
        print(text)


def _days(word: str) -> int:
    """A number of days from the command line."""
    if not word.isdecimal() or len(word) > len(str(DAYS_MAX)) or not 0 < int(word) <= DAYS_MAX:
        raise argparse.ArgumentTypeError(f"expected a number from 1 to {DAYS_MAX}, got {word!r}")
    return int(word)
