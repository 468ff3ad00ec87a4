"""A document that another process has read is the one in the file, and costs no parser here."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from agent.config import read_apart, read_toml
from agent.errors import ConfigError

ROOT = Path(__file__).parents[3]
PATH = Path("agent.toml")
DESCRIPTORS = Path("/proc/self/fd")
TOML = """
name = "Küche \\"\\u0001"
big = 12345678901234567890
numbers = [0x10, -0.0, 1e300, inf, true]
[mqtt]
port = 8883
[[sensors]]
[[sensors]]
dead_band = { temperature_c = 0.1 }
"""


@pytest.mark.parametrize("text", ["", TOML, "day = 2026-11-26\n"])
def test_it_is_what_the_parser_makes_of_it(text: str) -> None:
    """Value by value and kind by kind; a date too, which JSON has not."""
    found = read_apart(PATH, text.encode())
    assert repr(found) == repr(read_toml(PATH, text.encode()))


def test_what_is_no_toml_is_told_as_ever(capfd: pytest.CaptureFixture[str]) -> None:
    """With its line, and once: the other process says nothing."""
    with pytest.raises(ConfigError) as told:
        read_apart(PATH, b"[thing]\nname = attic\n")
    assert told.value.problems == ['agent.toml: line 2: Invalid value: a text needs quotes: "..."']
    assert capfd.readouterr() == ("", "")


def test_without_room_for_another_process_it_is_read_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """TasksMax= may be reached; that is no reason not to start."""

    def fork() -> int:
        raise BlockingIOError("no more processes")

    descriptors = len([*DESCRIPTORS.iterdir()])
    monkeypatch.setattr(os, "fork", fork)
    assert read_apart(PATH, b"a = 1\n") == {"a": 1}
    assert len([*DESCRIPTORS.iterdir()]) == descriptors


def test_the_parser_does_not_stay() -> None:
    """Neither tomllib nor, in this room, typing is loaded afterwards, and no child is left."""
    program = (
        "import os, sys; from pathlib import Path; from agent.config import read_apart\n"
        "assert read_apart(Path('x'), b'a = 1') == {'a': 1}\n"
        "try:\n    os.wait()\n"
        "except ChildProcessError:\n    print(*sys.modules)"
    )
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    loaded = {*done.stdout.split()}
    assert "agent.config.apart" in loaded
    assert not {"tomllib", "typing"} & loaded
