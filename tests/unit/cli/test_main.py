"""The commands as a person meets them: what they print and which exit code they end with."""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from agent import __version__, files
from agent.cli.main import COMMANDS, main
from agent.cli.status import ago
from agent.config import StoreLimits
from agent.health import conditions
from agent.health.health import Health
from agent.model import Moment, NewRecord
from agent.store import open_store

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[3]


@pytest.fixture
def config(tmp_path: Path) -> str:
    """An agent.toml whose directories lie beside it."""
    (tmp_path / "run").mkdir()
    path = tmp_path / "agent.toml"
    path.write_text('[thing]\nname = "cat"\n[paths]\nruntime = "run"\nstate = "state"\n')
    return str(path)


def add(config: str, more: str) -> None:
    """Write `more` at the end of the configuration."""
    with Path(config).open("a") as file:
        file.write(more)


def python(*arguments: str, environment: dict[str, str] | None = None) -> list[str]:
    """The command that runs this Python with `arguments` in the tree."""
    settings = [f"{name}={value}" for name, value in (environment or {}).items()]
    return ["env", "-C", str(ROOT), *settings, sys.executable, *arguments]


@contextmanager
def running(config: str, status: str) -> Iterator[None]:
    """Do as a running agent does: hold the lock and have written `status`."""
    runtime = Path(config).parent / "run"
    if status:
        (runtime / "status.json").write_text(status)
    with (runtime / "agent.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def report(health: Health) -> str:
    """The status.json that `health` makes."""
    return json.dumps(health.snapshot().as_json())


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


def test_check_sums_up_a_good_configuration(
    config: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """OK, and what it amounts to; warnings go to stderr."""
    add(config, '[aws]\nregion = "eu-west-1"\n[mqtt]\nendpoint = "broker.local"\n')
    Path(config).with_name("iot_prov_config").write_text("TOPIC_DETECT=old/topic\n")
    add(config, '[[sensors]]\nname = "room"\ndriver = "simulated"\n')
    assert main(["check", "--config", config]) == 0
    captured = capsys.readouterr()
    assert captured.out.startswith(f"{config}: OK\n")
    for fact in ("cat", "eu-west-1", "broker.local, port 8883", "room (simulated)", "store.db"):
        assert fact in captured.out
    assert captured.err.startswith("warning: ")
    assert "cat/count" in captured.err


def test_check_tells_every_problem(config: str, capsys: pytest.CaptureFixture[str]) -> None:
    """One line each, each with the path and the key, then a hint."""
    add(config, '[mqtt]\nport = "x"\n[[sensors]]\nname = "a"\ndriver = "gpoi"\n')
    assert main(["check", "--config", config]) == 78
    captured = capsys.readouterr()
    port, driver, hint = captured.err.splitlines()
    assert port == f'{config}: mqtt.port: expected an integer, got "x" (line 7)'
    assert driver.startswith(f'{config}: sensors[0].driver: no driver "gpoi"; known: ')
    assert "gpio" in driver
    assert hint.startswith("hint: ")
    assert captured.out == ""


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


def test_status_says_that_the_agent_does_not_run(
    config: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """What it reported before it ended is of no interest: the lock decides."""
    Path(config).with_name("run").joinpath("status.json").write_text("{}")
    assert main(["status", "--config", config]) == 3
    captured = capsys.readouterr()
    assert "not running" in captured.err
    assert captured.out == ""


def test_status_of_a_healthy_agent_ends_with_0(
    config: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Sentences for people; a condition that is only information is no trouble yet."""
    health = Health()
    health.update(thing="cat", state="online", endpoint="a.b", queued=3, published=9, total=118)
    health.sensor("motion", last_s=1.0, ok=True)
    health.report(conditions.OFFLINE, "no answer from a.b")
    with running(config, report(health)):
        assert main(["status", "--config", config]) == 0
        text = capsys.readouterr().out
        assert main(["status", "--config", config, "--json"]) == 0
        assert json.loads(capsys.readouterr().out) == json.loads(report(health))
    for fact in ("cat is online (a.b)", "3 queued", "9 published", "118", "Sensor motion works"):
        assert fact in text
    assert "info: offline, since 0 s ago: no answer from a.b" in text


def test_status_of_a_degraded_agent_ends_with_1(
    config: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each condition comes with its hint."""
    health = Health()
    health.sensor("room", last_s=None, ok=False, error="no such device")
    health.report(conditions.SENSOR_FAILING, "room: no such device", hint="plug it in")
    with running(config, report(health)):
        assert main(["status", "--config", config]) == 1
    text = capsys.readouterr().out
    assert "Sensor room fails: no such device; last value: never." in text
    assert (
        "warning: sensor-failing, since 0 s ago: room: no such device\n  hint: plug it in" in text
    )


@pytest.mark.parametrize(
    ("status", "trouble"),
    [
        ("", "the agent runs and has not reported yet"),
        ("{", "cannot be read: "),
        ("\0", "cannot be read: "),
        ("[]", "is not a report of the agent"),
    ],
)
def test_status_says_that_a_report_cannot_be_read(
    status: str, trouble: str, config: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """The agent runs, and yet something is wrong."""
    with running(config, status):
        assert main(["status", "--config", config]) == 1
    assert f"status.json: {trouble}" in capsys.readouterr().err


def test_a_time_is_told_in_a_fitting_unit() -> None:
    """Seconds, minutes, hours, days; null is never; a clock that went back is now."""
    times: list[float | None] = [1000.0, 910.0, 900.0 - 7200, 1000.0 - 3 * 86_400, None, 1001.0]
    assert [ago(time_s, 1000.0) for time_s in times] == [
        "0 s ago",
        "90 s ago",
        "2 h ago",
        "3 days ago",
        "never",
        "0 s ago",
    ]


def test_queue_without_a_store_says_so(config: str, capsys: pytest.CaptureFixture[str]) -> None:
    """An agent that has never run has nothing waiting; nothing is made either."""
    assert main(["queue", "--config", config]) == 0
    assert "no record waits: there is no store yet" in capsys.readouterr().out
    assert not Path(config).with_name("state").exists()


def test_queue_lists_what_waits_beside_a_running_agent(
    config: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """The number, then the oldest records with topic and payload."""
    state = Path(config).with_name("state")
    state.mkdir()
    with open_store(StoreLimits(path=state / "store.db")) as store:
        moment = Moment(1_795_500_600.0, 5.0, "boot")
        for number in range(3):
            store.append(NewRecord("sensors/room", 1_795_500_600 + number, moment, {"x": number}))
        assert main(["queue", "--config", config, "--limit", "2"]) == 0
    first, *records, more = capsys.readouterr().out.splitlines()
    assert first == "3 records wait"
    assert ["cat/sensors/room" in record for record in records] == [True, True]
    assert '"x":0' in records[0]
    assert more == "and 1 more"


def test_what_was_set_aside_is_shown_and_sent_once_more(
    config: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """With the reason; but not while an agent has the store open."""
    directory = Path(config).parent
    (directory / "state").mkdir()
    limits = StoreLimits(path=directory / "state" / "store.db")
    assert main(["queue", "--config", config, "--dead"]) == 0
    with open_store(limits) as store:
        moment = Moment(1_795_500_600.0, 5.0, "boot")
        for number in range(3):
            store.append(NewRecord("sensors/room", 1_795_500_600 + number, moment, {"x": number}))
            store.set_aside(number + 1, "payload format not valid")
    capsys.readouterr()
    assert main(["queue", "--config", config, "--dead", "--limit", "1"]) == 0
    first, reason, record, more = capsys.readouterr().out.splitlines()
    assert first.startswith("set aside: 3; ")
    assert reason == "payload format not valid:"
    assert '"x":0' in record
    assert more == "and 2 more"
    (directory / "run").mkdir(exist_ok=True)
    with files.lock(directory / "run" / "agent.lock", "a test"):
        assert main(["queue", "--config", config, "--replay"]) == 75
    assert main(["queue", "--config", config, "--replay"]) == 0
    assert "3 set aside before wait again" in capsys.readouterr().out
    with open_store(limits) as store:
        assert [record.seq for record in store.waiting(0, 9)] == [1, 2, 3]
    assert main(["queue", "--config", config, "--dead"]) == 0
    assert capsys.readouterr().out == "no record was set aside\n"


def test_queue_tells_a_spoiled_store(config: str, capsys: pytest.CaptureFixture[str]) -> None:
    """No traceback, and the file stays as it is."""
    path = Path(config).with_name("state") / "store.db"
    path.parent.mkdir()
    path.write_text("no database at all " * 100)
    assert main(["queue", "--config", config]) == 1
    assert str(path) in capsys.readouterr().err
    assert path.read_text().startswith("no database")


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


def test_read_prints_a_line_for_each_quantity(
    config: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Name, quantity and value."""
    add(config, '[[sensors]]\nname = "room"\ndriver = "simulated"\n')
    assert main(["read", "--config", config]) == 0
    name, quantity, value = capsys.readouterr().out.split()
    assert (name, quantity) == ("room", "temperature_c")
    assert -50 < float(value) < 100


def test_read_of_an_unknown_sensor_names_the_known_ones(
    config: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A usage error."""
    add(config, '[[sensors]]\nname = "room"\ndriver = "simulated"\n')
    assert main(["read", "roof", "--config", config]) == 2
    assert "no sensor 'roof'" in (text := capsys.readouterr().err)
    assert "known: room" in text


@pytest.mark.parametrize("command", ["check", "status", "queue", "read"])
def test_a_small_command_loads_nothing_big(command: str) -> None:
    """Neither paho nor boto3 is loaded to look at a file."""
    program = (
        "import sys; from agent.cli.main import main; "
        f"main([{command!r}, '--config', '/none']); print(*sys.modules)"
    )
    done = subprocess.run(python("-c", program), capture_output=True, text=True, check=True)
    assert not {"paho", "boto3", "botocore", "tenacity"}.intersection(done.stdout.split())


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
