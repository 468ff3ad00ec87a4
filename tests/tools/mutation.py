"""Mutation of some rooms: small changes of the code, each of which a unit test ought to notice.

mutmut makes and tries them, in a copy of what is committed; here rooms, time and samples are kept.
"""

from __future__ import annotations

import argparse
import ast
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[2]
ROOMS = ("agent/store", "agent/uplink", "agent/sampling")

#: mutmut's own, for a copy. A mutant may take some times as long as the tests did without it.
SETTINGS = """
[mutmut]
source_paths = agent
only_mutate = {pattern}
pytest_add_cli_args_test_selection = {tests}
pytest_add_cli_args = -pno:cacheprovider
track_dependencies = false
use_git_change_detection = false
timeout_multiplier = 4
timeout_constant = 3
"""

#: By mutmut's exit code of a mutant; what is not here was killed.
VERDICTS = {
    0: "survived",
    5: "no test",
    33: "no test",
    **dict.fromkeys((24, -24, 36, 152, 255, -signal.SIGKILL), "timed out"),
}

#: What a mutant takes beside its tests.
OVERHEAD_S = 0.5


@dataclass
class Room:
    """A room, or one file of it, in a copy of its own where its mutants are tried."""

    name: str
    copy: Path
    jobs: int
    cost_s: dict[str, float] = field(default_factory=dict)
    start_s: float = 0.0
    verdicts: dict[str, str] = field(default_factory=dict)

    def prepare(self) -> None:
        """Make the mutants, and measure the tests; exits if these fail without any change."""
        self.copy.mkdir()
        command = f"git archive HEAD | tar -x -C {self.copy}"
        subprocess.run(["/bin/sh", "-c", command], cwd=ROOT, check=True)
        pattern = self.name if self.name.endswith(".py") else f"{self.name}/*"
        tests = f"tests/unit/{Path(self.name).parts[1]}"
        with (self.copy / "setup.cfg").open("a") as file:
            file.write(SETTINGS.format(pattern=pattern, tests=tests))
        output = self._mutmut("run", "none")  # no mutant has that name
        try:
            stats = json.loads((self.copy / "mutants/mutmut-stats.json").read_text())
        except FileNotFoundError:
            sys.exit(f"{tests} fails without any change:\n{output}")
        took_s, tests_of = stats["duration_by_test"], stats["tests_by_mangled_function_name"]
        self.start_s = 5 + 1.5 * sum(took_s.values())
        for mutant in sorted(self._exit_codes()):
            tests_s = [took_s[test] for test in tests_of.get(mutant.partition("__mutmut_")[0], ())]
            self.cost_s[mutant] = sum(tests_s) + OVERHEAD_S if tests_s else 0.0

    def try_for(self, seconds: float, chance: random.Random) -> None:
        """Try all mutants, or as many of them as there is time for, drawn at random.

        The cost of one is known as a limit alone: a test that notices ends it. So when some are
        done there may be time for more.
        """
        until_s = time.monotonic() + seconds
        waiting = sorted(self.cost_s)
        chance.shuffle(waiting)
        while waiting and (left_s := until_s - time.monotonic() - self.start_s) > 0:
            batch, busy_s = [], 0.0
            while waiting and busy_s <= left_s * self.jobs:
                batch.append(waiting.pop())
                busy_s += self.cost_s[batch[-1]]
            if wanted := [one for one in batch if self.cost_s[one]]:
                self._mutmut("run", *wanted, timeout_s=left_s + self.start_s)
            codes = {**self._exit_codes(), **{one: 33 for one in batch if not self.cost_s[one]}}
            for one in batch:
                if (code := codes[one]) is not None:
                    self.verdicts[one] = VERDICTS.get(code, "killed")

    def survivors(self) -> list[str]:
        """Place and difference of each mutant that no test noticed."""
        survived = (one for one, verdict in self.verdicts.items() if verdict == "survived")
        return [self._shown(one) for one in sorted(survived)]

    def untested(self) -> list[str]:
        """Functions that no test runs, as mutmut names them."""
        untested = (one for one, verdict in self.verdicts.items() if verdict == "no test")
        return sorted({one.partition("__mutmut_")[0] for one in untested})

    def _shown(self, mutant: str) -> str:
        path, _, hunks = self._mutmut("show", mutant).partition("+++ ")[2].partition("\n")
        changed = [line for line in hunks.splitlines() if line.startswith(("-", "+"))]
        return "\n".join([f"{path}:{self._line(path, mutant, changed[0][1:])}", *changed])

    def _line(self, path: str, mutant: str, changed: str) -> int:
        """Number in the file of the line that was changed; mutmut knows that of the function."""
        text = (self.copy / path).read_text()
        place: ast.AST = ast.parse(text)
        name = mutant.rpartition(".")[2].partition("__mutmut_")[0]  # xǁClassǁmethod or x_function
        for part in name.split("ǁ")[1:] if "ǁ" in name else [name.removeprefix("x_")]:
            place = next(
                node
                for node in ast.walk(place)
                if isinstance(node, ast.ClassDef | ast.FunctionDef) and node.name == part
            )
        assert isinstance(place, ast.FunctionDef)
        lines = enumerate(text.splitlines()[: place.end_lineno], 1)
        same = (n for n, line in lines if n >= place.lineno and line.strip() == changed.strip())
        return next(same, place.lineno)

    def _exit_codes(self) -> dict[str, int | None]:
        found: dict[str, int | None] = {}
        for path in (self.copy / "mutants").rglob("*.meta"):
            found |= json.loads(path.read_text())["exit_code_by_key"]
        return found

    def _mutmut(self, *arguments: str, timeout_s: float = 3600) -> str:
        """What mutmut says; it is stopped when the time is over."""
        jobs = ["--max-children", str(self.jobs)] if arguments[0] == "run" else []
        process = subprocess.Popen(
            [sys.executable, "-m", "mutmut", *arguments, *jobs],
            cwd=self.copy,
            env={**os.environ, "PYTHONPATH": os.environ["MUTMUT"], "TMPDIR": str(self.copy.parent)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        try:
            return process.communicate(timeout=timeout_s)[0]
        except subprocess.TimeoutExpired:
            return ""
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.communicate()


def report(rooms: list[Room], seed: int) -> str:
    """Survivors, functions without a test, and how many mutants of each room came to what."""
    columns = ("killed", "survived", "timed out", "no test")
    lines = [f"{text}\n" for room in rooms for text in room.survivors()]
    lines += [f"no test: {function}" for room in rooms for function in room.untested()]
    lines.append(f"| room | mutants | tried (seed {seed}) | {' | '.join(columns)} |")
    lines.append("|---" * (len(columns) + 3) + "|")
    for room in rooms:
        counted = Counter(room.verdicts.values())
        numbers = [len(room.cost_s), len(room.verdicts), *(counted[one] for one in columns)]
        lines.append(f"| `{room.name}` | {' | '.join(map(str, numbers))} |")
    return "\n".join(lines)


def main() -> None:
    """Try the rooms, one after the other, and print what survived."""
    parser = argparse.ArgumentParser(prog="scripts/mutate", description=__doc__)
    parser.add_argument("rooms", nargs="*", default=ROOMS, help="agent/ROOM or agent/ROOM/FILE.py")
    parser.add_argument("--minutes", type=float, default=60, help="for all; a sample if too few")
    parser.add_argument("--seed", type=int, default=1, help="of the sample")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="at a time")
    options = parser.parse_args()
    until_s = time.monotonic() + 60 * options.minutes
    with tempfile.TemporaryDirectory(prefix="mutation-") as place:
        rooms = [
            Room(name.rstrip("/"), Path(place, str(number)), options.jobs)
            for number, name in enumerate(options.rooms)
        ]
        for number, room in enumerate(rooms):
            share_until_s = time.monotonic() + (until_s - time.monotonic()) / (len(rooms) - number)
            room.prepare()
            room.try_for(share_until_s - time.monotonic(), random.Random(options.seed))
        print(report(rooms, options.seed))


if __name__ == "__main__":
    main()
