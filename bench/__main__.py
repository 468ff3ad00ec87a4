"""The agent and its peers side by side: `scripts/bench [--quick] [--rows NAME,..]`."""

from __future__ import annotations

import argparse
import importlib
import json
import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, cast

from bench.contestants import Bench
from bench.environment import ROOT, MissingError, machine, versions
from bench.rounds import VoidError, tell
from bench.table import as_json, lines, target_lines

if TYPE_CHECKING:
    from collections.abc import Iterator

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


class RowModule(Protocol):
    """A row, or a kind of rows."""

    def rows(self, bench: Bench, *, quick: bool) -> Iterator[Row]:
        """Measure."""


def main(arguments: list[str]) -> int:
    """Measure and print; 0 if every row was measured, whatever its figures are."""
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
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that all that runs is ended
    head = [time.strftime("%Y-%m-%d %H:%M"), machine(), *versions()]
    print("\n".join(head), flush=True)
    try:
        found, missing = measure(chosen, quick=options.quick)
    except KeyboardInterrupt:
        return 130
    print("\n".join(target_lines(found)))
    for name, reason in missing.items():
        print(f"  left out     {name}: {reason}")
    options.json.parent.mkdir(parents=True, exist_ok=True)
    content = {"head": head, "quick": options.quick, "missing": missing, "rows": as_json(found)}
    options.json.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n")
    print(f"\nAll figures: {options.json}")
    return 1 if missing.keys() & set(chosen) else 0


def measure(chosen: list[str], *, quick: bool) -> tuple[list[Row], dict[str, str]]:
    """The rows, each printed as soon as it is there; the rows and contestants left out, and why."""
    found: list[Row] = []
    with (
        tempfile.TemporaryDirectory(prefix="bench-") as directory,
        Bench(Path(directory)) as bench,
    ):
        for name in chosen:
            began_s = time.monotonic()
            module = cast("RowModule", importlib.import_module(f"bench.{name}"))
            try:
                for row in module.rows(bench, quick=quick):
                    print("\n".join(lines(row, found[-1] if found else None)), flush=True)
                    found.append(row)
            except (MissingError, VoidError, TimeoutError) as error:
                bench.missing[name] = str(error)
                tell(f"the row {name} is left out: {error}")
            tell(f"{name} took {time.monotonic() - began_s:.0f} s")
        return found, bench.missing


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
