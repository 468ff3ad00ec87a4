"""The command `mode` sets what the agent reads, and refuses an end that cannot be."""

from __future__ import annotations

import fcntl
import json
import os
import time
from argparse import Namespace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from agent.cli.main import main
from agent.cli.mode import end, shown
from agent.facts import MODE_FILE, Mode, ModeFile
from tests.fakes import START_S, bound_by_modes

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture
def berlin(zone: Callable[[str], None]) -> None:
    """The local clock of Berlin."""
    zone("CET-1CEST,M3.5.0,M10.5.0/3")


def mode_of(config: str) -> Mode:
    """The mode that an agent would find."""
    return ModeFile(Path(config).with_name("state") / MODE_FILE, time.time).now()


def test_a_mode_is_set_shown_and_ended(config: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Each prints what holds from now on; the state directory is made if there is none."""
    assert main(["mode", "--config", config]) == 0
    assert capsys.readouterr().out == "no mode is set: rules work, and messages have no mark\n"

    assert main(["mode", "away", "--for", "3d", "--config", config]) == 0
    first, second = capsys.readouterr().out.splitlines()
    assert first.startswith("away until ")
    assert first.endswith("(in 3 days): rules on quiet rest; every message says so")
    assert second == "The agent does not run; it takes it when it starts."
    assert mode_of(config).name == "away"

    assert main(["mode", "--config", config]) == 0
    assert "set here 0 s ago" in capsys.readouterr().out
    assert main(["mode", "off", "--config", config]) == 0
    assert capsys.readouterr().out.startswith("no mode is set")
    assert mode_of(config) == Mode()


def test_a_running_agent_is_told_to_take_it_soon(
    config: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """It looks at the file each minute."""
    with Path(config).with_name("run").joinpath("agent.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert main(["mode", "test", "--for", "90m", "--config", config]) == 0
    told = capsys.readouterr().out
    assert "rules work as always" in told
    assert "The agent takes it within a minute." in told


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["dance"], "'dance' is no mode: away, visitor, test or off"),
        (["away"], "away until when? It needs an end"),
        (["--for", "3h"], "Name the mode"),
        (["away", "--for", "3"], "'3' is no time such as 90m, 3h, 2d or 1w"),
        (["away", "--for", "0m"], "the end is over already"),
        (["away", "--for", "-1h"], "expected one argument"),
        (["away", "--for", "400d"], "more than 366 days away"),
        (["away", "--until", "2020-01-01"], "the end is over already"),
        (["away", "--until", "25:00"], "expected a time from 00:00 to 24:00"),
        (["off", "--until", "18:00"], "off ends the mode now, and takes no time"),
        (["off", "--for", "3h"], "off ends the mode now, and takes no time"),
        (["away", "--until", "2126-W50"], "'2126-W50' is no time such as"),
        (["away", "--until", "2126-12-01T18"], "'2126-12-01T18' is no time such as"),
        (["away", "--until", "2126-12-01x18:00"], "'2126-12-01x18:00' is no time such as"),
        (["away", "--until", "soon"], "'soon' is no time such as 2026-12-01T18:00"),
        (["away", "--until", "18:00", "--for", "3h"], "not allowed with argument"),
    ],
)
def test_what_cannot_be_changes_nothing(
    config: str, capsys: pytest.CaptureFixture[str], arguments: list[str], words: str
) -> None:
    """Exit code 2, and words."""
    assert main(["mode", *arguments, "--config", config]) == 2
    assert words in capsys.readouterr().err
    assert not Path(config).with_name("state").exists()


@pytest.mark.usefixtures("berlin")
@pytest.mark.parametrize(
    ("until", "span", "end_s"),
    [
        ("08:00", None, START_S + 3600),  # it is 07:00 in Berlin
        ("7:00", None, START_S + 86_400),
        ("00:00", None, START_S + 17 * 3600),
        ("24:00", None, START_S + 17 * 3600),
        ("1795503600", None, START_S + 3600),
        (None, "90m", START_S + 5400),
        (None, "1w", START_S + 7 * 86_400),
    ],
)
def test_an_end_is_understood_by_the_local_clock(
    until: str | None, span: str | None, end_s: float
) -> None:
    """A time is the next such time."""
    assert time.localtime(START_S).tm_hour == 7
    assert end(Namespace(until=until, span=span), START_S) == end_s


def test_an_end_is_in_whole_seconds() -> None:
    """And not sooner than was asked for."""
    assert end(Namespace(until=None, span="1h"), START_S + 0.25) == START_S + 3601


@pytest.mark.parametrize("what", ["link", "directory", "pipe", "long"])
def test_what_is_no_file_is_no_mode(
    config: str, capsys: pytest.CaptureFixture[str], what: str
) -> None:
    """It is told with what removes it, which does."""
    path = Path(config).with_name("state") / MODE_FILE
    path.parent.mkdir()
    if what == "link":
        path.symlink_to("/etc/hostname")
    elif what == "directory":
        path.mkdir()
    elif what == "pipe":
        os.mkfifo(path)
    else:
        path.write_bytes(b" " * 5000)
    assert main(["mode", "--config", config]) == 1
    told = capsys.readouterr().err
    assert f"{path}: " in told
    assert "is no mode" in told
    if what == "directory":
        assert "`sudo rmdir` removes it" in told
    else:
        assert "`sudo pi-iot-agent mode off` removes it" in told
        assert main(["mode", "off", "--config", config]) == 0
        assert not path.is_symlink()
        assert not path.exists()


@pytest.mark.usefixtures("berlin")
def test_a_person_reads_until_when_and_who_has_set_it() -> None:
    """A mode that is over is told as that."""
    mode = Mode("visitor", START_S + 7200, START_S - 600, "cloud")
    assert shown(mode, START_S) == (
        "visitor until Tue 24 Nov 2026 09:00 (in 2 h): rules on quiet rest; every message says so\n"
        "set by the cloud 10 min ago"
    )
    over = shown(mode, START_S + 7200)
    assert over == "no mode is set: it was visitor until Tue 24 Nov 2026 09:00"


def test_a_spoiled_file_is_told_and_mended(config: str, capsys: pytest.CaptureFixture[str]) -> None:
    """It is no mode; setting one puts a sound file in its place."""
    state = Path(config).with_name("state")
    state.mkdir()
    (state / MODE_FILE).write_text("{")
    assert main(["mode", "--config", config]) == 1
    assert "mode.json: is no mode: " in capsys.readouterr().err
    assert main(["mode", "away", "--for", "1h", "--config", config]) == 0
    assert json.loads((state / MODE_FILE).read_text())["by"] == "command"


def test_who_may_not_is_told_how_to(config: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 77, whether it is to be read or set."""
    state = Path(config).with_name("state")
    assert main(["mode", "away", "--for", "1h", "--config", config]) == 0
    state.chmod(0o000)
    with bound_by_modes():
        assert main(["mode", "--config", config]) == 77
        assert main(["mode", "off", "--config", config]) == 77
        assert main(["mode", "test", "--for", "1h", "--config", config]) == 77
    state.chmod(0o700)
    assert capsys.readouterr().err.count("with sudo") == 3
    assert mode_of(config).name == "away"
