"""A file is read whole or refused, with its path and the line that is wrong."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from agent.config import load, read_toml
from agent.errors import ConfigError
from tests.unit.config.conftest import (
    GPIO,
    SENSOR,
    check_told,
    options_of,
    problems,
    read,
    steps_of,
    write,
)


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("a = [\n", "line 2: "),
        ("\n[mqtt\n", "line 2: Expected ']'"),
        ("a = 1\na = 2\n", "line 2: Cannot overwrite a value"),
        ("[\"\xe9\"]\n['\xe9']\n", "line 2: Cannot declare ('\\xe9',) twice"),
        ("a = " + "[" * 5000, "is nested too deeply"),
        (b"\n\nname = '\xe9'", "line 3: is not UTF-8 text (byte 0xe9)"),
        ("[thing]\n".encode("utf-16"), "line 1: is not UTF-8 text (byte 0xff); save it as UTF-8"),
        (b"#" * 1_100_000, "is longer than 1 MiB, no configuration file"),
    ],
)
def test_what_is_no_toml_is_told_with_its_line(
    tmp_path: Path, content: str | bytes, problem: str
) -> None:
    """It makes one line, which names the line of the file wherever there is one."""
    check_told(tmp_path, content, problem)


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (
            "[thing]\nname = \u201cattic\u201d\n",
            'line 2: Invalid value: U+201C (LEFT DOUBLE QUOTATION MARK); type " instead',
        ),
        (
            '[thing]\r\nname = "attic\u201d\r\n',
            "line 2: Illegal character '\\n': U+201D (RIGHT DOUBLE QUOTATION MARK); type \"",
        ),
        (
            "[thing]\n\xa0 name = 'attic'\n",
            "line 2: Invalid statement: U+00A0 (NO-BREAK SPACE); type a plain space instead",
        ),
        ("[mqtt]\nport = \u20131\n", "line 2: Invalid value: U+2013 (EN DASH); type - instead"),
        ("[mqtt]\nport \uff1d 1\n", "line 2: Expected '=' after a key in a key/value pair: U+FF1D"),
        ("\u200b[thing]\n", "line 1: Invalid statement: U+200B (ZERO WIDTH SPACE)"),
        ("[thing]\nname = attic\n", 'line 2: Invalid value: a text needs quotes: "..."'),
        ("[x]\ntest = True\n", "line 2: Invalid value: write true or false in small letters"),
    ],
)
def test_what_was_pasted_is_told_by_the_character(
    tmp_path: Path, content: str, problem: str
) -> None:
    """Many of them cannot be seen, so the message says which it is and what to type."""
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


@pytest.mark.parametrize("kind", ["pipe", "socket"])
def test_what_is_no_file_is_refused_at_once(tmp_path: Path, kind: str) -> None:
    """Nobody may ever write into a pipe; the command ends all the same."""
    path = tmp_path / "agent.toml"
    if kind == "pipe":
        os.mkfifo(path)
    else:
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(path))
    with pytest.raises(ConfigError) as caught:
        read(path)
    assert caught.value.problems == [f"{path}: is not a regular file"]
    assert caught.value.hint


def test_the_null_device_is_an_empty_file() -> None:
    """It stands for a file without anything in it."""
    assert read_toml(Path("/dev/null")) == {}


def test_bytes_that_somebody_else_has_read_are_taken_in_place_of_the_file(tmp_path: Path) -> None:
    """Neither file need be there, and a problem's line is that in the bytes."""
    path = tmp_path / "agent.toml"
    content = {path: b"[count]\nwindow_s = 5\n", tmp_path / "iot_prov_config": b"THING_NAME=cat"}
    config = load(path, options_of=options_of, environment={}, root=tmp_path, content=content)
    assert (config.count.window_s, config.thing.name) == (5, "cat")
    path.write_text("\n\n\n[count]\nwindow_s = 6\n")
    with pytest.raises(ConfigError) as caught:
        load(path, options_of=options_of, content={path: b"[count]\nwindow_s = 1\n"})
    assert caught.value.problems[0].endswith(" (line 2)")


def many(count: int) -> dict[str, str]:
    """Documents of about `count` lines that have something wrong, by their kind."""
    tables = "".join(f"[[sensors]]\nname = 'n{one}'\ndriver = 'gpio'\n" for one in range(count))
    rows = '  [1, "two"], # a row\n' * count
    words = "a line\n" * count
    return {
        "a wrong key in each table": tables,
        "one wrong key in each of many lines": "".join(f"key{one} = 1\n" for one in range(count)),
        "a long list": f"{GPIO}pin = [\n{rows}]\n",
        "a long text": f'{GPIO}pin = """\n{words}"""\n',
    }


@pytest.mark.parametrize("kind", many(0))
def test_twice_the_mistakes_cost_twice_the_work(tmp_path: Path, kind: str) -> None:
    """However long the file, and however much is wrong in it."""
    few, more = (steps_of(problems, tmp_path, many(count)[kind]) for count in (100, 200))
    assert more < 2.2 * few
