"""Programs as sensors: what they print, and every way in which they can go wrong."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.config import SensorConfig
from agent.errors import SensorError
from agent.sensors import exec as exec_driver
from agent.sensors import open_sensor
from agent.sensors.exec import Options
from tests.fakes import FakeClock

if TYPE_CHECKING:
    from agent.sensors import Sensor


def running(*command: str, timeout_s: float = 30.0, quantity: str = "value") -> Sensor:
    """A sensor that runs this command."""
    options = Options(command=command, timeout_s=timeout_s, quantity=quantity)
    config = SensorConfig(name="probe", driver="exec", options=options)
    return open_sensor(config, clock=FakeClock())


def shell(script: str, timeout_s: float = 30.0) -> Sensor:
    """A sensor that runs this with sh, since a test wants to write one line."""
    return running("/bin/sh", "-c", script, timeout_s=timeout_s)


def failure(sensor: Sensor) -> str:
    """How reading it fails, in words."""
    with pytest.raises(SensorError) as caught:
        sensor.read()
    assert caught.value.hint
    return caught.value.text


@pytest.mark.parametrize(
    ("printed", "values"),
    [
        ("21.5", {"value": 21.5}),
        ("-3\\n", {"value": -3}),
        ("1e3", {"value": 1000.0}),
        (".5", {"value": 0.5}),  # as bc prints it
        ("+21.5", {"value": 21.5}),
        ("007", {"value": 7}),
        ("\\0357\\0273\\027721.5\\r\\n\\r\\n", {"value": 21.5}),
        ('{"level_m": null, "temperature_c": 20}\\r\\n', {"temperature_c": 20}),
        ('{"at": "noon", "temperature_c": 20, "x_c": NaN}', {"temperature_c": 20}),
        (
            '{"temperature_c": 20.5, "humidity_pct": 40}',
            {"temperature_c": 20.5, "humidity_pct": 40},
        ),
        ('{"model": "SDS011", "pm2p5_ug_per_m3": 4}', {"model": "SDS011", "pm2p5_ug_per_m3": 4}),
    ],
)
def test_what_it_prints_is_the_reading(printed: str, values: dict[str, float]) -> None:
    """One number, or a JSON object of numbers."""
    assert shell(f"printf '%b' '{printed}'").read().values == values


def test_a_number_of_too_many_digits_loses_only_itself() -> None:
    """More than int() takes."""
    found = shell(f"""echo '{{"a": {"9" * 5000}, "b": -{"9" * 5000}, "c": 5}}'""").read()
    assert found.values == {"c": 5}
    assert {one.text for one in found.missing.values()} == {"a cannot be inf", "b cannot be -inf"}
    assert "value cannot be inf" in failure(shell(f"echo {'9' * 5000}"))


def test_a_single_number_may_be_given_a_name() -> None:
    """With its unit, as every quantity."""
    probe = running("/bin/echo", "21.5", quantity="temperature_c")
    assert probe.read().values == {"temperature_c": 21.5}


def test_arguments_are_words_and_no_shell_looks_at_them() -> None:
    """Neither are they split, nor is anything in them run."""
    script = "import sys; assert sys.argv[1:] == ['a b', '$(id)', '*']; print(1)"
    assert running(sys.executable, "-c", script, "a b", "$(id)", "*").read().values == {"value": 1}


@pytest.mark.parametrize(
    ("printed", "words"),
    [
        ("", "it printed nothing"),
        ("warm", "it printed 'warm'; a number or a JSON object is expected"),
        ("1 2", "it printed '1 2'"),
        ("21,5", "it printed '21,5'; a decimal point is expected, not a comma"),
        ('{"t_c": 21,5}', "a decimal point is expected, not a comma"),
        ("21.5 C", "it printed '21.5 C'; the number alone is expected, without its unit"),
        ("45%%", "the number alone is expected, without its unit"),
        ("21.5\\n22", "it printed '21.5\\n22'; one number or one JSON object is expected"),
        ("{'t_c': 21.5}", "JSON has double quotes, as json.dumps() writes them"),
        ("nan", "value cannot be nan"),
        ("-inf", "value cannot be -inf"),
        ("[1]", "it printed '[1]'"),
        ("true", "it printed 'true'"),
        ("null", "it printed 'null'"),
        ('"1"', "it printed"),
        ("NaN", "value cannot be nan"),
        ("1e999", "value cannot be inf"),
        ('{"a": null}', "a has no value"),
        ("{}", "it printed no quantity"),
        ('{"model": "SDS011", "a": null}', "a has no value"),
        ('{"a": "b"}', "a is 'b', not a number"),
        ('{"a": {}}', "a is {}, not a number"),
        ('{"seq": 1}', "'seq' is no name for a quantity"),
        ("\\377\\376", "a number or a JSON object is expected"),
        ('{"temperature_c": 9999}', "temperature_c cannot be 9999"),
    ],
)
def test_what_is_no_reading_is_shown(printed: str, words: str) -> None:
    """The person who wrote the program sees what it printed."""
    assert words in failure(running("/usr/bin/printf", "%b", printed))


@given(st.binary() | st.text().map(str.encode))
def test_whatever_is_printed_it_is_a_reading_or_an_error(printed: bytes) -> None:
    """Nothing but SensorError comes out, in one line."""
    try:
        values = exec_driver._values(printed, "value")
    except SensorError as error:
        told = error.text
        assert told.isprintable()
    else:
        assert all(isinstance(name, str) for name in values)


def test_a_failing_program_is_told_with_its_last_complaint() -> None:
    """The last line of stderr, fit to be printed."""
    text = failure(shell("echo first >&2; printf 'no such \\033[1mport\\n\\n' >&2; exit 3"))
    assert text == "probe: /bin/sh: exit code 3: no such  [1mport"
    assert "was ended: Killed" in failure(shell("kill -9 $$"))


def script(path: Path, content: bytes, mode: int = 0o755) -> str:
    """A file as a person writes it."""
    path.write_bytes(content)
    path.chmod(mode)
    return str(path)


@pytest.mark.parametrize(
    ("content", "mode", "words", "remedy"),
    [
        (
            b"#!/bin/sh\r\necho 1.5\r\n",
            0o755,
            "its first line names a program that is not there: /bin/sh\\r (Windows line ends)",
            "sed -i 's/\\r$//' ",
        ),
        (
            b"#!/usr/bin/env sh\r\necho 1.5\r\n",
            0o755,
            "a program that is not there: /usr/bin/env sh\\r (Windows line ends)",
            "sed -i",
        ),
        (
            b"#! /usr/bin/pythonn -u\nprint(1)\n",
            0o755,
            "its first line names a program that is not there: /usr/bin/pythonn -u",
            "install the program",
        ),
        (b"#!/tmp\n", 0o755, "its first line names a program that cannot be run: /tmp", "mend"),
        (b"\xef\xbb\xbf#!/bin/sh\necho 1\n", 0o755, "a byte order mark stands before #!", "sed -i"),
        (b"echo 1.5\n", 0o755, "its first line names no program to run it", '["/bin/sh", "'),
        (b"", 0o755, "its first line names no program to run it", "add that line"),
        (
            b"\x7fELF\x02\x01\x01" + bytes(60),
            0o755,
            "was built for another system",
            "on this machine",
        ),
        (b"#!/bin/sh\necho 1\n", 0o644, "may not be executed: Permission denied", "chmod a+rx "),
    ],
    ids=[
        *["Windows", "env", "interpreter", "directory", "mark", "no line", "empty", "processor"],
        "mode",
    ],
)
def test_a_script_that_does_not_start_is_told_with_the_remedy(
    content: bytes, mode: int, words: str, remedy: str, tmp_path: Path
) -> None:
    """The system's own words would hide what is wrong."""
    path = script(tmp_path / "script.sh", content, mode)
    with pytest.raises(SensorError) as caught:
        running(path).read()
    assert words in caught.value.text
    assert path in caught.value.text
    assert remedy in caught.value.hint


def test_a_program_that_is_not_there_is_a_failure(tmp_path: Path) -> None:
    """Nor is one that is elsewhere than its name says, or a directory."""
    assert failure(running("/nowhere/program")).endswith("No such file or directory")
    assert failure(running(str(tmp_path))).endswith("is a directory, not a program")
    told = failure(running("tank-level-of-nobody"))
    assert told.endswith("tank-level-of-nobody: No such file or directory in PATH")
    with pytest.raises(SensorError, match="there is no program '/bin/echo 21'") as caught:
        running("/bin/echo 21").read()
    assert caught.value.hint.endswith('command = ["/bin/echo", "21"]')
    told = failure(running("./tank-level"))
    assert told.endswith("./tank-level: No such file or directory below /")


def test_a_script_with_an_unspoiled_line_fails_in_its_own_words(tmp_path: Path) -> None:
    """Even one whose other lines have Windows ends."""
    path = script(tmp_path / "script.sh", b"#!/bin/sh\necho bad >&2; exit 3\n")
    assert failure(running(path)).endswith("exit code 3: bad")
    path = script(tmp_path / "script.sh", b"#!/bin/sh\necho bad >&2; exit 3 # \r\n")
    assert f"exit code 3: bad; {path} has Windows line ends" in failure(running(path))


@pytest.mark.parametrize("before", [["/bin/sh"], ["/usr/bin/env", "sh"], ["/usr/bin/nice"]])
@pytest.mark.parametrize("first", [b"#!/bin/sh\r\n", b"", b"# a comment\r\n"])
def test_windows_line_ends_are_told_behind_an_interpreter(
    before: list[str], first: bytes, tmp_path: Path
) -> None:
    """Which fails of them in its own words."""
    path = script(tmp_path / "my script.sh", first + b"if true; then\r\necho 1\r\nfi\r\n")
    with pytest.raises(SensorError, match=r"exit code \d+: .*; .*my script.sh.*Windows") as caught:
        running(*before, path).read()
    assert caught.value.hint == f"sed -i 's/\\r$//' '{path}'"


def test_what_is_no_script_has_no_line_ends(tmp_path: Path) -> None:
    """A program that was built, a directory, and what is not there."""
    built = script(tmp_path / "built", b"\x7fELF\r\n\0")
    sensor = running("/bin/sh", "-c", "exit 3", built, str(tmp_path), "/nowhere\r\n")
    assert failure(sensor) == "probe: /bin/sh: exit code 3"


def alive(pid: int) -> bool:
    """Whether the process runs, soon; one that nobody has waited for does not."""
    deadline_s = time.monotonic() + 10.0
    while time.monotonic() < deadline_s:
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
            if state in "ZX":
                return False
        except OSError:
            return False
        time.sleep(0.01)
    return True


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        ("trap '' TERM; sleep 900 & echo $! $$ >pids; echo it waits >&2; wait", "too much time"),
        ("sleep 900 & echo $! $$ >pids; echo it waits >&2", "too much time"),
        ("echo $$ >pids; exec >/dev/null 2>&1; sleep 900", "though it closed its output"),
    ],
    ids=["ignores TERM", "leaves a child behind", "closes its output"],
)
def test_when_its_time_is_over_the_whole_group_is_killed(
    script: str, expected: str, tmp_path: Path
) -> None:
    """Whatever it started goes with it, even when itself it is gone already."""
    if expected == "too much time":
        expected = "it takes too much time: it waits"
    for timeout_s in (0.3, 3.0, 30.0):  # until even a busy machine lets it come so far
        text = failure(shell(f"cd {tmp_path}; {script}", timeout_s=timeout_s))
        if text.endswith(expected):
            break

    assert text.endswith(expected)
    pids = [int(pid) for pid in (tmp_path / "pids").read_text().split()]
    assert not [pid for pid in pids if alive(pid)]


def test_a_program_that_prints_without_end_is_stopped() -> None:
    """Its output does not fill the memory; complaints without end do no harm."""
    assert "prints more than 65536 bytes" in failure(shell("yes"))
    assert shell("yes no | head -c 3000000 >&2; echo 1").read().values == {"value": 1}


def test_it_gets_neither_input_nor_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    """The service's sockets and keys are none of its business."""
    for name in ("NOTIFY_SOCKET", "WATCHDOG_PID", "AWS_SECRET_ACCESS_KEY", "CREDENTIALS_DIRECTORY"):
        monkeypatch.setenv(name, "private")
    monkeypatch.setenv("PROBE", "7")
    probe = shell("cat; env | grep -c private >&2; echo $PROBE; exit $(env | grep -c private)")
    assert probe.read().values == {"value": 7}


def descriptors() -> int:
    """How many files this process has open."""
    return len(list(Path("/proc/self/fd").iterdir()))


def test_it_leaves_no_descriptors_and_no_zombies() -> None:
    """A thousand readings a day, for years."""
    probe, stuck = shell("echo 1"), shell("sleep 60", timeout_s=0.1)
    probe.read()
    before = descriptors()
    for _ in range(5):
        probe.read()
        failure(stuck)

    assert descriptors() == before
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)
