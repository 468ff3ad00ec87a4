"""The program: what it is told is checked first, and nothing ends it by surprise."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from bench.__main__ import measured
from bench.contestants import Bench
from bench.environment import ROOT
from bench.report import Report
from bench.table import Row

if TYPE_CHECKING:
    from collections.abc import Iterator


def start(directory: Path, *arguments: str) -> subprocess.Popen[str]:
    """The program, which makes all its files below `directory`."""
    return subprocess.Popen(
        [sys.executable, "-m", "bench", "--quick", "--rows", "card", *arguments],
        cwd=ROOT,
        env={**os.environ, "TMPDIR": str(directory)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.parametrize("place", ["/proc/no/such.json", "."])
def test_place_of_the_figures_is_tried_before_any_is_taken(place: str, tmp_path: Path) -> None:
    """A usage error says what is wrong with it."""
    with start(tmp_path, "--json", place) as program:
        shown, said = program.communicate()
    assert (program.returncode, shown) == (2, "")
    assert f"'{place}'" in said.replace("/proc/no'", "/proc/no/such.json'")
    assert "Traceback" not in said


def test_reader_who_goes_ends_it_in_silence(tmp_path: Path) -> None:
    """As with any program before `| head`."""
    with start(tmp_path, "--json", str(tmp_path / "figures")) as program:
        assert program.stdout
        program.stdout.close()
        assert program.stderr
        said = program.stderr.read()
    assert (program.returncode, said) == (141, "")


@pytest.mark.parametrize("ending", [signal.SIGHUP, signal.SIGTERM])
def test_signal_takes_away_all_that_was_made(ending: signal.Signals, tmp_path: Path) -> None:
    """A closed terminal too, while the broker starts."""
    with start(tmp_path, "--json", str(tmp_path / "figures")) as program:
        while not list(tmp_path.glob("bench-*/pki/mosquitto*")) and program.poll() is None:
            time.sleep(0.001)
        program.send_signal(ending)
        program.communicate()
    assert program.returncode == 128 + ending
    assert [one.name for one in tmp_path.iterdir()] == ["figures"]
    assert list(commands_with(str(tmp_path))) == []


def test_row_that_fails_is_missing(tmp_path: Path) -> None:
    """Whatever it raises: the next one can be measured all the same."""
    with Bench(tmp_path) as bench:
        assert list(measured("no_such_row", bench, quick=True)) == []
    assert list(bench.missing) == ["no_such_row"]


def test_figures_are_in_the_file_after_each_row(tmp_path: Path) -> None:
    """However the benchmark ends."""
    file = tmp_path / "new" / "figures.json"
    report = Report(file, ["a machine"], quick=True)
    report.missing["peer"] = "cannot be installed"
    report.add(Row("idle", "nothing happens", "ms", "", {"agent": [1.0, 3.0]}))
    found: dict[str, Any] = json.loads(file.read_text())
    assert [row["values"] for row in found["rows"]] == [{"agent": [1.0, 3.0]}]
    assert found["missing"] == {"peer": "cannot be installed"}


def commands_with(text: str) -> Iterator[str]:
    """Command lines that have this in them, of all processes."""
    for process in Path("/proc").glob("[0-9]*"):
        try:
            line = (process / "cmdline").read_text()
        except OSError:  # it has ended
            continue
        if text in line:
            yield line
