"""`upgrade`: what the package's scripts and the watch's unit call is what there is."""

from __future__ import annotations

import argparse
import os
import re
import subprocess
from pathlib import Path

import pytest

from agent.cli.main import main
from agent.cli.upgrade import run
from agent.errors import EXIT_FAILURE, EXIT_USAGE, NotPermittedError
from agent.updates.dpkg import TAKING_BACK
from agent.updates.forerunner import PROGRAM
from agent.updates.held import HELD
from agent.updates.machine import RESTART_UNIT, STATUS, UNIT
from agent.updates.notes import DIRECTORY, NAMES, Pending
from agent.updates.upgrade import WATCH_UNIT

ROOT = Path(__file__).parents[3]
WATCH = (ROOT / "systemd" / WATCH_UNIT).read_text()
SCRIPTS = {
    name: (ROOT / f"packaging/debian/pi-iot-agent.{name}").read_text()
    for name in ("postinst", "prerm", "postrm")
}
GENTLE = (ROOT / "packaging/debian/launcher/gentle-restart").read_text()


@pytest.mark.skipif(os.geteuid() != 0, reason="asks root")
def test_prepare_needs_the_version_that_comes(
    config: str, capfd: pytest.CaptureFixture[str]
) -> None:
    """It is told what to give."""
    assert main(["upgrade", "prepare", "--config", config]) == EXIT_FAILURE
    assert "give --to VERSION" in capfd.readouterr().err


@pytest.mark.parametrize(
    "words",
    [[], ["back"], ["watch", "--for", "ever"], ["watch", "--for", "1"], ["watch", "--for", "nan"]],
)
def test_another_step_is_wrong_use(words: list[str]) -> None:
    """As argparse has it."""
    assert main(["upgrade", *words]) == EXIT_USAGE


def test_only_root_does_it() -> None:
    """Whoever else runs it is told to use sudo."""
    user = os.geteuid()
    if user == 0:
        os.seteuid(65534)
    try:
        with pytest.raises(NotPermittedError) as refused:
            run(argparse.Namespace(step="watch"))
    finally:
        os.seteuid(user)
    assert "with sudo" in refused.value.hint


def test_the_unit_runs_the_forerunner_where_a_note_is() -> None:
    """Under the names by which it was kept."""
    directory, program = PROGRAM.split("/", 1)
    assert f"ConditionPathExists=|{DIRECTORY / NAMES[Pending]}\n" in WATCH
    assert f"for at in {DIRECTORY / directory} " in WATCH
    assert f"program=$$at/{program};" in WATCH
    assert "$$program upgrade watch" in WATCH


def test_the_scripts_call_what_there_is() -> None:
    """By the names that the code has."""
    prerm, postinst = SCRIPTS["prerm"], SCRIPTS["postinst"]
    assert '/usr/bin/pi-iot-agent upgrade prepare --to "$2"' in prerm
    assert f"rm -f {DIRECTORY / NAMES[Pending]}\n" in prerm
    for unit in (WATCH_UNIT, RESTART_UNIT, UNIT):
        assert re.search(rf"for unit in .*\b{unit.removesuffix('.service')}\b", prerm)
    assert all(f"${{{TAKING_BACK}:-}}" in one for one in (prerm, postinst))
    assert f"--unit={RESTART_UNIT}" in postinst
    assert f"status={STATUS}\n" in GENTLE
    assert f"unit={UNIT}\n" in GENTLE
    assert f"{HELD}" in SCRIPTS["postrm"]
    assert f"rm -rf {DIRECTORY}\n" in SCRIPTS["postrm"]


def test_systemd_understands_the_unit() -> None:
    """What it would pass over, or take for something else, is told by systemd-analyze."""
    path = ROOT / "systemd" / WATCH_UNIT
    done = subprocess.run(
        ["/usr/bin/systemd-analyze", "verify", "--man=no", str(path)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
