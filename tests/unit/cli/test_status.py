"""The command `status` says how the running agent does; its exit code says whether all is well."""

from __future__ import annotations

import argparse
import fcntl
import json
import re
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from agent.cli import status
from agent.cli.main import main
from agent.cli.status import ago, sentences, trial_of
from agent.health import conditions
from agent.health.health import Health
from agent.updates import Pending
from agent.updates.notes import write

if TYPE_CHECKING:
    from collections.abc import Iterator

    from agent.model import Json

NOW_S = 1_795_500_000.0


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


def test_status_says_that_the_agent_does_not_run(
    config: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """What it reported before it ended is of no interest: the lock decides."""
    Path(config).with_name("run").joinpath("status.json").write_text("{}")
    assert main(["status", "--config", config]) == 3
    captured = capsys.readouterr()
    assert "not running" in captured.err
    assert captured.out == ""


def test_a_version_on_trial_is_told_whether_an_agent_runs_or_not(
    config: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nobody is told to start what comes back by itself."""
    notes = tmp_path / "notes"
    notes.mkdir()
    write(Pending("0.0.9", "0.3.0", ready=True, online=True, began_s=NOW_S), notes)
    arguments = argparse.Namespace(config=Path(config), content=None, json=False)
    assert status.run(arguments, updates=notes) == 3
    told = capsys.readouterr().err
    assert "hint: version 0.3.0 is on trial since" in told
    assert "0.0.9 comes back by itself" in told
    assert "systemctl start" not in told
    with running(config, report(Health())):
        status.run(arguments, updates=notes)
    assert "Version 0.3.0 is on trial since" in capsys.readouterr().out
    assert trial_of(notes, "0.0.9").startswith("version 0.3.0 is installed, and starts soon")


def test_status_of_a_healthy_agent_ends_with_0(
    config: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Sentences for people; a condition that is only information is no trouble yet."""
    health = Health()
    health.update(thing="cat", state="online", endpoint="a.b", queued=3, published=9, total=118)
    health.sensor("motion", last_s=1.0, ok=True)
    health.report(conditions.OFFLINE, "no answer from a.b")
    written = report(health)
    with running(config, written):
        assert main(["status", "--config", config]) == 0
        text = capsys.readouterr().out
        assert main(["status", "--config", config, "--json"]) == 0
        assert json.loads(capsys.readouterr().out) == json.loads(written)
    assert "confirmed by their echo, as of 0 s ago." in text
    for fact in ("cat is online (a.b)", "3 queued", "9 published", "118", "Sensor motion works"):
        assert fact in text
    assert re.search(r"info: offline, for \d+ s: no answer from a\.b", text)


def test_an_old_status_is_not_told_as_the_present(
    config: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """The agent runs and cannot write it any more, as where its directory is full."""
    now_s = time.time()
    for health, code in (
        (Health(wall_s=lambda: now_s - 100.0), 0),
        (Health(wall_s=lambda: now_s - 400.0), 1),
    ):
        with running(config, report(health)):
            assert main(["status", "--config", config]) == code
            captured = capsys.readouterr()
            assert "is starting" in captured.out
            assert ("as of 6 min ago" in captured.err) == (code == 1)
            assert main(["status", "--json", "--config", config]) == code


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
    told = r"warning: sensor-failing, for \d+ s: room: no such device\n  hint: plug it in"
    assert re.search(told, text)


@pytest.mark.parametrize(
    ("status", "trouble"),
    [
        ("", "the agent runs and has not reported yet"),
        ("{", "cannot be read: "),
        ("\0", "cannot be read: "),
        ("[]", "is not a report of the agent"),
        ("[" * 200_000, "cannot be read: "),
        ('{"a":' + "[" * 980 + "]" * 980 + "}", "cannot be read: "),
        ('{"last_ack": NaN}', "cannot be read: "),
        ('{"last_ack": 1e999}', "cannot be read: "),
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


@pytest.mark.parametrize(
    ("facts", "told"),
    [
        ({"quiet_for_s": 7800, "last_detection": NOW_S - 7800}, "2 h 10 min; last detection 04:50"),
        ({"quiet_for_s": 59.9, "last_detection": NOW_S - 60}, "59 s; last detection 06:59"),
        (
            {"quiet_for_s": 200_000, "last_detection": NOW_S - 200_000, "quiet_observed_s": 600},
            "2 days 7 h, of which 10 min were observed; last detection Sat 21 Nov 23:26",
        ),
        ({"quiet_for_s": 600, "last_detection": None}, "10 min"),
        ({"quiet_for_s": 600, "last_detection": 1e17}, "10 min"),
    ],
)
def test_the_quiet_is_told_in_words(
    facts: dict[str, Json], told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the time of the last detection by the local clock, and its day unless it is near."""
    monkeypatch.setenv("TZ", "CET-1")
    time.tzset()
    lines = list(sentences(facts, NOW_S))
    monkeypatch.undo()
    time.tzset()
    assert f"Quiet for {told}." in lines


LOOKED_FOR = "Version 0.1.0 runs; updates were looked for"

#: What an agent tells of a look that has succeeded.
LOOKED: dict[str, Json] = {
    "version": "0.1.0",
    "updates_since": NOW_S - 86_400,
    "updates_looked": NOW_S - 10_800,
    "updates_tried": NOW_S - 10_800,
    "updates_trouble": None,
}


@pytest.mark.parametrize(
    ("facts", "told"),
    [
        (
            {**LOOKED, "version_waiting": "0.2.0"},
            "Version 0.1.0 runs; 0.2.0 is waiting; updates were last looked for 3 h ago.",
        ),
        (
            {**LOOKED, "updates_tried": NOW_S, "updates_trouble": "no answer"},
            f"{LOOKED_FOR} 0 s ago, in vain: no answer; the last success was 3 h ago.",
        ),
        (
            {**LOOKED, "updates_looked": None, "updates_trouble": "no answer"},
            f"{LOOKED_FOR} 3 h ago, in vain: no answer; no look has succeeded yet.",
        ),
        (
            {**LOOKED, "updates_looked": None, "updates_tried": None},
            "Version 0.1.0 runs; updates were not looked for yet.",
        ),
        (
            {"version": "0.1.0", "updates_since": None, "updates_looked": None},
            "Version 0.1.0 runs; no updates are set up.",
        ),
        ({"version": "0.1.0"}, "Version 0.1.0 runs."),
    ],
)
def test_the_version_is_told_with_what_is_known_of_updates(
    facts: dict[str, Json], told: str
) -> None:
    """The one that waits, and the last look; of an agent that knows of no updates nothing."""
    assert told in list(sentences(facts, NOW_S))


@pytest.mark.parametrize("quiet_s", [None, "600", True, [], 1e300])
def test_a_quiet_that_is_not_known_is_not_told(quiet_s: Json) -> None:
    """It is not zero."""
    facts: dict[str, Json] = {"quiet_for_s": quiet_s, "last_detection": 1.0}
    assert not any(line.startswith("Quiet") for line in sentences(facts, NOW_S))


def test_a_hostile_report_is_told_all_the_same(
    config: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whoever is the service's user may write whatever is JSON; a person reads a few lines."""
    huge = 10**400
    standing = [{"severity": "warning", "code": f"c{i}", "since": huge} for i in range(20_000)]
    for size in (True, huge, -1, 0.5):
        status = {"last_ack": huge, "card": {"bytes_per_day": size}, "conditions": standing}
        with running(config, json.dumps(status)):
            assert main(["status", "--config", config]) == 1
        told = capsys.readouterr()
        assert told.out.count("warning: ") == 20
        assert told.out.endswith("19980 more conditions: see `pi-iot-agent status --json`\n")
        assert told.err == ""
