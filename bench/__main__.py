"""The agent and its peers side by side: `scripts/bench [--quick] [--rows NAME,..]`."""

from __future__ import annotations

import argparse
import importlib
import os
import signal
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, cast

from agent import account
from bench.contestants import Bench
from bench.environment import ROOT, MissingError, compile_ours, machine, versions
from bench.report import Report
from bench.rounds import VoidError, tell

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    from bench.table import Row

#: Each row's name is its module's.
ROWS = (
    "memory",
    "idle",
    "start",
    "drain",
    "backlog",
    "card",
    "wire",
    "growth",
    "recovery",
    "fleet",
    "pin",
)

#: Rows that --quick leaves out.
LONG = {"pin"}

#: Signals by which one is ended, by a closed terminal too.
ENDINGS = (signal.SIGTERM, signal.SIGHUP)


class RowModule(Protocol):
    """A row, or a kind of rows."""

    def rows(self, bench: Bench, *, quick: bool) -> Iterator[Row]:
        """Measure."""


def main(arguments: list[str]) -> int:
    """Measure and print; 0 if every row was measured, whatever its figures are."""
    for ending in ENDINGS:
        if signal.getsignal(ending) != signal.SIG_IGN:  # as nohup has it
            signal.signal(ending, _end)
    parser = argparse.ArgumentParser(prog="scripts/bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer rounds, under three minutes")
    parser.add_argument("--rows", default=",".join(ROWS), help="of %(default)s", metavar="NAME,..")
    parser.add_argument(
        "--json",
        type=Path,
        default=ROOT / ".cache" / "bench.json",
        help="where all figures are written (default: %(default)s)",
        metavar="FILE",
    )
    options = parser.parse_args(arguments)
    chosen = options.rows.split(",")
    if unknown := [name for name in chosen if name not in ROWS]:
        parser.error(f"--rows: no {', '.join(unknown)}; there are {', '.join(ROWS)}")
    if service := account.of_service():
        parser.error(
            f"an agent of root's becomes the installed package's user ({service.uid}), who can"
            " read nothing here: run this as another user"
        )
    head = [time.strftime("%Y-%m-%d %H:%M"), machine(), *versions()]
    try:
        report = Report(options.json, head, quick=options.quick)
    except OSError as error:
        parser.error(f"--json: {error}; name a file that can be written")
    print("\n".join(head), flush=True)
    compile_ours()
    left_out = LONG.intersection(chosen) if options.quick else set[str]()
    report.missing |= dict.fromkeys(left_out, "takes minutes, which --quick has not")
    with (
        tempfile.TemporaryDirectory(prefix="bench-") as directory,
        Bench(Path(directory), report.missing) as bench,
    ):
        for name in (one for one in chosen if one not in left_out):
            began_s = time.monotonic()
            with closing(measured(name, bench, quick=options.quick)) as rows:
                for row in rows:
                    report.add(row)
            tell(f"{name} took {time.monotonic() - began_s:.0f} s")
    report.end()
    return 1 if report.missing.keys() & set(chosen) - left_out else 0


def measured(name: str, bench: Bench, *, quick: bool) -> Generator[Row, None, None]:
    """The rows of that name; whatever it is that fails is told, and goes to what is missing."""
    try:
        module = cast("RowModule", importlib.import_module(f"bench.{name}"))
        yield from module.rows(bench, quick=quick)
    except Exception as error:  # noqa: BLE001, the other rows are worth having all the same
        expected = isinstance(error, MissingError | VoidError | TimeoutError)
        bench.missing[name] = str(error) if expected else repr(error)
        tell(f"the row {name} is left out: {bench.missing[name]}")


def _end(number: int, _: object) -> None:
    """End all that runs, and then this; once."""
    for ending in ENDINGS:
        signal.signal(ending, signal.SIG_IGN)
    sys.exit(128 + number)


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:  # who read the table has gone
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(141)
