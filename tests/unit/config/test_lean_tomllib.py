"""tomllib without typing is the same parser."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
TOML = r"""
name = "Küche \"\u0001"
numbers = [0x10, -0.0, 1e300, inf, true, 12345678901234567890]
times = [2026-11-26, 07:32:00, 1979-05-27T07:32:00.5Z, 1979-05-27T00:32:00-07:00]
text = '''
two lines'''
[mqtt]
port = 8883
[[sensors]]
[[sensors]]
dead_band = { temperature_c = 0.1, a.b = 1 }
"""
PARSES = """
import sys
from agent.config.lean_tomllib import tomllib
print("typing" in sys.modules)
print(ascii(tomllib.loads(sys.argv[1])))
try:
    tomllib.loads("a = 1\\na = 2\\n")
except tomllib.TOMLDecodeError as error:
    print(error)
import typing
print(typing.Any is not object)
"""


def test_it_is_the_same_parser() -> None:
    """It makes the same of every kind of value; typing itself comes when somebody wants it."""
    command = [sys.executable, "-c", PARSES, TOML]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == [
        "False",
        ascii(tomllib.loads(TOML)),
        "Cannot overwrite a value (at line 2, column 6)",
        "True",
    ]


@pytest.mark.parametrize(
    "wants",
    [
        "from typing import Final, TYPE_CHECKING",
        "import typing; typing.Final",
        "from typing import NamedTuple; NamedTuple('A', [('x', int)])",
    ],
)
def test_it_is_loaded_where_it_wants_more_of_typing(tmp_path: Path, wants: str) -> None:
    """A later tomllib that does more with it gets the real typing."""
    (tmp_path / "tomllib.py").write_text(f"{wants}\nloads = dict\n")
    program = "from agent.config.lean_tomllib import tomllib; print(tomllib.loads())"
    command = [sys.executable, "-c", program]
    paths = {"PYTHONPATH": f"{tmp_path}:{ROOT}"}
    done = subprocess.run(command, env=paths, capture_output=True, text=True, check=True)
    assert done.stdout == "{}\n"
