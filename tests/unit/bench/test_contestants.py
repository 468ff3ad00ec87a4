"""Contestants: real processes that end with their block, and with the benchmark."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from bench.broker import Broker, make_certificates
from bench.commands import Command
from bench.contestants import Contestant
from bench.environment import ROOT
from bench.home import Home
from bench.rounds import VoidError
from tests.unit.bench.processes import running, wait_ended

if TYPE_CHECKING:
    from pathlib import Path

#: A benchmark that waits: who runs in it.
WAITING = """\
import sys, time
from pathlib import Path
from bench.broker import Broker, make_certificates
from bench.commands import Command
from bench.contestants import Contestant
from bench.home import Home

directory = Path(sys.argv[1])
with Broker(make_certificates(directory)) as broker:
    with Contestant(Home(directory), broker, Command(["/bin/sleep", "600"], {})) as contestant:
        print(broker.pid, contestant.pid, flush=True)
        time.sleep(600)
"""


def contestant(directory: Path, *arguments: str) -> Contestant:
    """One whose broker does not run."""
    broker = Broker(make_certificates(directory))
    return Contestant(Home(directory), broker, Command([*arguments], {}))


def test_nobody_outlives_a_benchmark_that_is_killed(tmp_path: Path) -> None:
    """SIGKILL leaves it no time to end them."""
    command = [sys.executable, "-c", WAITING, str(tmp_path)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as bench:
        assert bench.stdout
        pids = [int(pid) for pid in bench.stdout.readline().split()]
        began = [running(pid) for pid in pids]
        bench.kill()
    assert began == [True, True]
    for pid in pids:
        wait_ended(pid)


def test_figure_of_one_that_has_ended_makes_the_round_void(tmp_path: Path) -> None:
    """It says who that was and how it ended."""
    with contestant(tmp_path, "/bin/sh", "-c", "echo oh; exit 3") as ended:
        wait_ended(ended.pid)
        for look in (lambda: ended.memory, lambda: ended.switches, lambda: ended.cpu_s):
            with pytest.raises(VoidError, match=f"{ended.name} ended with 3: oh"):
                look()


def test_a_home_is_for_one_contestant(tmp_path: Path) -> None:
    """A second under its name would have the first one's end counted as its own."""
    with contestant(tmp_path, "/bin/true"):
        pass
    with pytest.raises(FileExistsError):
        contestant(tmp_path, "/bin/true")
