"""A file is read whole or refused, with its path and the line that is wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent.errors import ConfigError
from tests.unit.config.conftest import SENSOR, check_told, problems, read, write


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("a = [\n", "line 2: "),
        ("\n[mqtt\n", "line 2: Expected ']'"),
        ("a = 1\na = 2\n", "line 2: Cannot overwrite a value"),
        ("a = " + "[" * 5000, "is nested too deeply"),
        (b"\n\nname = '\xe9'", "line 3: is not UTF-8 text (byte 0xe9)"),
        ("[thing]\n".encode("utf-16"), "line 1: is not UTF-8 text (byte 0xff)"),
        (b"#" * 1_100_000, "is longer than 1 MiB, no configuration file"),
    ],
)
def test_what_is_no_toml_is_told_with_its_line(
    tmp_path: Path, content: str | bytes, problem: str
) -> None:
    """It makes one line, which names the line of the file wherever there is one."""
    check_told(tmp_path, content, problem)


def test_a_key_is_told_with_its_line(tmp_path: Path) -> None:
    """Also in the second of two tables; for what is missing it is the line of its table."""
    content = "# mine\n[mqtt]\nport = 0\n\n" + SENSOR + "\n[[sensors]]\ndriver = 'simulated'\n"
    second = content.splitlines().index("driver = 'simulated'")
    found = problems(tmp_path, content)
    assert [problem.rpartition(" (")[2] for problem in found] == ["line 3)", f"line {second})"]


def test_a_path_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    """The message begins with the path, whatever keeps the file from being read."""
    names = {
        tmp_path / "none.toml": "there is no such file",
        tmp_path: "is a directory, not a file",
        tmp_path / ("x" * 300): "cannot be read: File name too long",
        Path(f"{tmp_path}/\0"): "cannot be read: embedded null byte",
    }
    for path, problem in names.items():
        with pytest.raises(ConfigError) as caught:
            read(path)
        assert caught.value.problems == [f"{path}: {problem}"]
        assert caught.value.hint


def test_a_byte_order_mark_and_dos_lines_do_no_harm(tmp_path: Path) -> None:
    """The file may have been written on Windows."""
    path = write(tmp_path, b"\xef\xbb\xbf[thing]\r\nname = 'cat'\r\n")
    assert read(path).thing.name == "cat"
