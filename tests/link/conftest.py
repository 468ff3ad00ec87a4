"""Runs the cases on both pahos at once, beside the other tests here, and prints the table."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, Self

import pytest

from tests.link.bench import CASES, PASS, PROTOCOLS
from tests.link.network import remove_all

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]

#: Each paho with the directory that hides the environment's own (scripts/lib.sh makes it).
OLDEST = Path(sys.prefix) / "paho-1.6"
PAHOS = {"2.x": "", "1.6.1": str(OLDEST)}

COLUMNS = [(protocol, paho) for protocol in PROTOCOLS for paho in PAHOS]


class Runs:
    """Both runs; their verdicts as they come."""

    def __init__(self, names: list[str]) -> None:
        self._names = names
        self._changed = threading.Condition()
        self._processes: list[subprocess.Popen[str]] = []
        self._readers: dict[str, threading.Thread] = {}
        self.verdicts: dict[tuple[str, str, str], str] = {}

    def __enter__(self) -> Self:
        for paho, path in PAHOS.items():
            environment = {**os.environ, "PYTHONPATH": path}
            process = subprocess.Popen(
                [sys.executable, "-m", "tests.link", *self._names],
                cwd=ROOT,
                env=environment,
                stdout=subprocess.PIPE,
                text=True,
            )
            self._processes.append(process)
            self._readers[paho] = threading.Thread(target=self._read, args=(paho, process))
            self._readers[paho].start()
        return self

    def __exit__(self, *_: object) -> None:
        for process in self._processes:
            process.terminate()
            process.wait()
            remove_all(process.pid)
        for reader in self._readers.values():
            reader.join()

    def _read(self, paho: str, process: subprocess.Popen[str]) -> None:
        with process:
            for line in process.stdout or ():
                told = json.loads(line)
                assert told["paho"].startswith(paho.rstrip("x")), "another paho than was meant"
                with self._changed:
                    self.verdicts[told["case"], told["protocol"], paho] = told["verdict"]
                    self._changed.notify_all()
        with self._changed:
            self._changed.notify_all()

    def verdict(self, name: str, protocol: str, paho: str) -> str:
        """The verdict, once it is there."""
        key = (name, protocol, paho)
        with self._changed:
            self._changed.wait_for(
                lambda: key in self.verdicts or not self._readers[paho].is_alive(), 240
            )
            return self.verdicts.get(key, "FAIL\nthe run ended before that")


TABLE = pytest.StashKey[dict[tuple[str, str, str], str]]()


@pytest.fixture(scope="session", autouse=True)
def runs(request: pytest.FixtureRequest) -> Iterator[Runs]:
    """Both runs of the cases that were chosen."""
    chosen = {
        str(item.callspec.params["name"])
        for item in request.session.items
        if isinstance(item, pytest.Function)
        and hasattr(item, "callspec")
        and "paho" in item.callspec.params
    }
    if not OLDEST.is_dir():
        PAHOS.pop("1.6.1", None)
    if not chosen:
        PAHOS.clear()
    with Runs([] if len(chosen) == len({one.name for one in CASES}) else sorted(chosen)) as both:
        request.config.stash[TABLE] = both.verdicts
        yield both


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the table of case, protocol and paho with the verdicts."""
    verdicts = terminalreporter.config.stash.get(TABLE, {})
    if verdicts:
        terminalreporter.section("link: case, protocol, paho")
        for line in table(verdicts):
            terminalreporter.write_line(line)


def table(verdicts: dict[tuple[str, str, str], str]) -> list[str]:
    """The table, as it stands in docs/testing.md."""
    heads = [f"{protocol}, paho {paho}" for protocol, paho in COLUMNS]
    lines = [f"| {' | '.join(['case', 'Device Advisor', *heads])} |", "|" + "---|" * 6]
    mirrored: dict[str, list[str]] = defaultdict(list)
    for one in CASES:
        mirrored[one.name].append(f"`{one.mirrors}`" if one.mirrors else "")
    for name, mirrors in mirrored.items():
        cells = [_cell(verdicts.get((name, *column))) for column in COLUMNS]
        if any(cells):
            lines.append(f"| {' | '.join([name, ' '.join(mirrors), *cells])} |")
    return lines


def _cell(verdict: str | None) -> str:
    if verdict is None or verdict == PASS:
        return verdict or ""
    return verdict.splitlines()[0].partition(":")[0]
