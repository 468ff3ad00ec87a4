"""Runs of all cases on both pahos at once, and the table of what came of them.

`scripts/link` has this write `docs/link-results.md` anew.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, Self

from tests.link.bench import CASES, NOT_APPLICABLE, PASS, PROTOCOLS
from tests.link.network import remove_all

if TYPE_CHECKING:
    from collections.abc import Iterable

ROOT = Path(__file__).parents[2]
DOCUMENT = ROOT / "docs/link-results.md"

#: Each paho with the directory that hides the environment's own (scripts/lib.sh makes it).
PAHOS = {"2.x": "", "1.6.1": str(Path(sys.prefix) / "paho-1.6")}

#: Those that this machine has.
HERE = [paho for paho, path in PAHOS.items() if not path or Path(path).is_dir()]

COLUMNS = [(protocol, paho) for protocol in PROTOCOLS for paho in PAHOS]

HEAD = """# What the link was tried with

Written by `scripts/link`, not by hand; [Testing](testing.md#the-link) says what the cases are.
`n/a`: the case has no meaning with this protocol, or for this agent.
"""

Verdicts = dict[tuple[str, str, str], str]


class Runs:
    """A run with each of `pahos` of the cases `names`, or all; their verdicts as they come."""

    def __init__(self, pahos: Iterable[str], names: list[str]) -> None:
        self._pahos = pahos
        self._names = names
        self._changed = threading.Condition()
        self._processes: list[subprocess.Popen[str]] = []
        self._readers: dict[str, threading.Thread] = {}
        self.verdicts: Verdicts = {}

    @property
    def whole(self) -> bool:
        """True if it is all cases on both pahos."""
        return not self._names and list(self._pahos) == list(PAHOS)

    def __enter__(self) -> Self:
        for paho in self._pahos:
            environment = {**os.environ, "PYTHONPATH": PAHOS[paho]}
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
                lambda: key in self.verdicts or not self._readers[paho].is_alive(), 400
            )
            return self.verdicts.get(key, "FAIL\nthe run ended before that")


def table(verdicts: Verdicts) -> list[str]:
    """The lines of a table of case, protocol and paho with the verdicts."""
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


def document(verdicts: Verdicts) -> str:
    """The text of docs/link-results.md."""
    return "\n".join([HEAD, *table(verdicts), ""])


def main() -> int:
    """Run all cases and write what came of them; 1, and nothing written, where not all pass."""
    import tests.link.__main__  # noqa: F401, PLC0415 -- it registers the cases

    with Runs(HERE, []) as runs:
        verdicts = {
            (one.name, protocol, paho): runs.verdict(one.name, protocol, paho)
            for one in CASES
            for protocol, paho in COLUMNS
        }
    if failed := [key for key, verdict in verdicts.items() if not passes(verdict)]:
        print(*(f"{key}: {verdicts[key]}" for key in failed), sep="\n")
        return 1
    DOCUMENT.write_text(document(verdicts))
    print(f"{DOCUMENT.relative_to(ROOT)}: {len({name for name, *_ in verdicts})} cases")
    return 0


def passes(verdict: str) -> bool:
    """True for a case that passes, or that has no meaning here."""
    return verdict == PASS or verdict.startswith(NOT_APPLICABLE)


if __name__ == "__main__":
    sys.exit(main())
