"""The commands have in common how they are chosen, how they fail, and with which exit code."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
from pathlib import Path

import pytest

from agent import __version__
from agent.cli.main import COMMANDS, main
from tests.unit.cli.conftest import add

ROOT = Path(__file__).parents[3]


def python(*arguments: str, environment: dict[str, str] | None = None) -> list[str]:
    """The command that runs this Python with `arguments` in the tree."""
    settings = [f"{name}={value}" for name, value in (environment or {}).items()]
    return ["env", "-C", str(ROOT), *settings, sys.executable, *arguments]


def test_version_and_help_are_told(capsys: pytest.CaptureFixture[str]) -> None:
    """Both end well."""
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"pi-iot-agent {__version__}\n"
    assert main(["--help"]) == 0
    text = capsys.readouterr().out
    assert [name for name in COMMANDS if f"    {name}" not in text] == []


@pytest.mark.parametrize(
    "arguments",
    [[], ["dance"], ["check", "--bogus"], ["check", "--config"], ["queue", "--limit=x"]],
)
def test_a_usage_error_ends_with_2(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """What is wrong goes to stderr."""
    assert main(arguments) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "usage: pi-iot-agent" in captured.err


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_refuses_a_missing_configuration(command: str, tmp_path: Path) -> None:
    """Exit code 78, a message that begins with the path, a hint and no traceback."""
    path = tmp_path / "none.toml"
    done = subprocess.run(
        python("-m", "agent", command, "--config", str(path)),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 78
    assert done.stdout == ""
    first, hint = done.stderr.splitlines()
    assert first == f"{path}: there is no such file"
    assert hint.startswith("hint: ")


def test_in_the_journal_every_line_of_an_error_has_its_level(config: str, tmp_path: Path) -> None:
    """Where systemd says that stderr is the journal, and only there."""
    add(config, '[mqtt]\nport = "x"\n')
    log = tmp_path / "log"
    for redirected, expected in ((True, "<3>"), (False, "")):
        with log.open("wb") as stderr:
            status = os.fstat(stderr.fileno())
            stream = f"{status.st_dev}:{status.st_ino if redirected else 1}"
            command = python(
                *("-m", "agent", "check", "--config", config),
                environment={"JOURNAL_STREAM": stream},
            )
            subprocess.run(command, stderr=stderr, check=False)
        problem, hint = log.read_text().splitlines()
        assert problem.startswith(f"{expected}{config}: mqtt.port: ")
        assert hint.startswith(f"{expected}hint: ")


def test_a_reader_that_has_seen_enough_causes_no_noise(config: str) -> None:
    """`pi-iot-agent queue | head -0` prints no error."""
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        python("-m", "agent", "queue", "--config", config, environment={"PYTHONUNBUFFERED": ""}),
        stdout=writer,
        stderr=subprocess.PIPE,
        check=False,
    )
    os.close(writer)
    assert (done.returncode, done.stderr) == (1, b"")


@pytest.mark.parametrize(
    ("redirection", "code", "told"),
    [
        (">/dev/full", 1, "pi-iot-agent: the output cannot be written: No space left on device"),
        (">&-", 0, ""),
        (">&- 2>&- <&-", 0, ""),
    ],
)
def test_an_output_that_goes_nowhere_is_told_as_that(
    config: str, redirection: str, code: int, told: str
) -> None:
    """Neither is a defect, and no file that is opened is taken for the output."""
    command = " ".join(python("-m", "agent", "check", "--config", config))
    done = subprocess.run(
        ["/bin/sh", "-c", f"{command} {redirection}"], capture_output=True, text=True, check=False
    )
    assert done.returncode == code
    assert done.stderr.partition("\n")[0] == told


def test_what_a_terminal_would_obey_is_shown_as_text(
    config: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A status, a payload or a name may come from anywhere."""
    runtime = Path(config).parent / "run"
    (runtime / "status.json").write_text('{"thing": "\\u001b[2J", "state": "\\u202e\\u009b2J"}')
    with (runtime / "agent.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        main(["status", "--config", config])
    assert "\\x1b[2J is \\u202e\\x9b2J" in capsys.readouterr().out


@pytest.mark.parametrize("command", ["check", "status", "queue", "read"])
def test_a_small_command_loads_nothing_big(command: str) -> None:
    """Neither paho nor boto3 is loaded to look at a file."""
    program = (
        "import sys; from agent.cli.main import main; "
        f"main([{command!r}, '--config', '/none']); print(*sys.modules)"
    )
    done = subprocess.run(python("-c", program), capture_output=True, text=True, check=True)
    assert not {"paho", "boto3", "botocore", "tenacity"}.intersection(done.stdout.split())


@pytest.mark.parametrize(
    ("arguments", "loaded"),
    [
        (["run", "--config", "/none"], False),
        (["run", "--config=/none"], False),
        (["run", "--conf", "/none"], True),
        (["run", "--config", "/some", "--config", "/none"], True),
        (["check", "--config", "/none"], True),
    ],
)
def test_the_daemon_is_started_without_argparse(arguments: list[str], *, loaded: bool) -> None:
    """What is written in another way means the same, and takes more memory."""
    program = (
        "import sys; from agent.cli.main import main; "
        f"code = main({arguments}); print(code, {{'argparse', 'gettext'}} <= sys.modules.keys())"
    )
    done = subprocess.run(python("-c", program), capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["78", str(loaded)]
    assert done.stderr.startswith("/none: there is no such file\n")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--config"], "argument --config: expected one argument"),
        (["--config", "--debug"], "argument --config: expected one argument"),
        (["--debug"], "unrecognized arguments: --debug"),
        (["fast"], "unrecognized arguments: fast"),
    ],
)
def test_what_is_wrong_with_run_is_told_as_with_every_command(
    arguments: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """And its help is there."""
    assert main(["run", *arguments]) == 2
    assert capsys.readouterr().err.endswith(f"error: {told}\n")
    assert main(["run", "--help"]) == 0
    assert capsys.readouterr().out.startswith("usage: pi-iot-agent run [-h] [--config FILE]\n")


def test_a_defect_is_one_line_unless_asked_for_more() -> None:
    """An error that nobody foresaw shows its traceback only with PI_IOT_AGENT_DEBUG."""
    program = (
        "import sys; from agent.cli import check, main; "
        "del check.run; sys.exit(main.main(['check', '--config', 'x']))"
    )
    done = subprocess.run(python("-c", program), capture_output=True, text=True, check=False)
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith("pi-iot-agent: internal error: AttributeError(")
    done = subprocess.run(
        python("-c", program, environment={"PI_IOT_AGENT_DEBUG": "1"}),
        capture_output=True,
        text=True,
        check=False,
    )
    assert "Traceback" in done.stderr


def test_a_package_that_is_not_installed_is_named(tmp_path: Path) -> None:
    """A checkout without its requirements says what to do."""
    (tmp_path / "sitecustomize.py").write_text("import sys; sys.modules['sdnotify'] = None")
    done = subprocess.run(
        python("-m", "agent", "run", environment={"PYTHONPATH": str(tmp_path)}),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    text, hint = done.stderr.splitlines()
    assert "sdnotify" in text
    assert hint.startswith("hint: install")


def test_garbage_is_looked_for_once_the_command_is_loaded(tmp_path: Path) -> None:
    """While modules are loaded it is not: there is next to none, and the search takes its time.

    It never looks through what was loaded.
    """
    program = (
        "import gc, agent.__main__; print(gc.isenabled())\n"
        f"agent.__main__.main(['status', '--config', '{tmp_path / 'none.toml'}'])\n"
        "print(gc.isenabled(), gc.get_freeze_count() > 10000)"
    )
    done = subprocess.run(python("-c", program), capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "True", "True"]
