"""The command `read` reads the sensors once, or watches one detect."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from agent.cli.main import main
from agent.cli.walk import Walk
from agent.sensors import Sensor
from tests.fakes import FakeClock, FakeDetector
from tests.unit.cli.conftest import add

ROOT = Path(__file__).parents[3]


def test_read_prints_a_line_for_each_quantity(
    config: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """It has the name, the quantity and the value."""
    add(config, '[[sensors]]\nname = "room"\ndriver = "simulated"\n')
    assert main(["read", "--config", config]) == 0
    name, quantity, value = capsys.readouterr().out.split()
    assert (name, quantity) == ("room", "temperature_c")
    assert -50 < float(value) < 100


def test_read_of_an_unknown_sensor_names_the_known_ones(
    config: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is a usage error."""
    add(config, '[[sensors]]\nname = "room"\ndriver = "simulated"\n')
    assert main(["read", "roof", "--config", config]) == 2
    assert "no sensor 'roof'" in (text := capsys.readouterr().err)
    assert "known: room" in text


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--watch"], "--watch needs the name of a sensor"),
        (["room", "--watch"], "room does not detect, it measures"),
    ],
)
def test_only_a_detector_can_be_watched(
    arguments: list[str], words: str, config: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """And only one at a time."""
    add(config, '[[sensors]]\nname = "room"\ndriver = "simulated"\n')
    assert main(["read", *arguments, "--config", config]) == 2
    assert words in capsys.readouterr().err


def test_read_prints_words_and_long_numbers_whole(
    config: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A serial number is no number, and pascals have six digits before the point."""
    printed = """'{"model": "BME280", "serial": "10000000a1b2c3d4", "pressure_pa": 100712.87}'"""
    command = f'["/bin/echo", {printed}]'
    add(config, f'[[sensors]]\nname = "room"\ndriver = "exec"\ncommand = {command}\n')
    assert main(["read", "--config", config]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "room model BME280",
        "room serial 10000000a1b2c3d4",
        "room pressure_pa 100712.87",
    ]


def test_read_does_not_wait_for_a_sensor_that_hangs(
    config: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Neither does the next sensor."""
    add(
        config,
        """
        [[sensors]]
        name = "stuck"
        driver = "exec"
        command = ["/bin/sleep", "60"]
        timeout_s = 0.1

        [[sensors]]
        name = "room"
        driver = "simulated"
        """,
    )
    assert main(["read", "--config", config]) == 1
    out, err = capsys.readouterr()
    assert "stuck: it takes too much time" in err
    assert out.startswith("room temperature_c ")


def test_a_walk_test_shows_each_change() -> None:
    """When it was, how often by then, how long it lasted; and the sum at the end."""
    clock, driver = FakeClock(1_795_500_000.25), FakeDetector()
    driver.values, driver.seen = {"active": 0.0}, 5
    walk = Walk(Sensor("motion", driver), clock)
    assert list(walk.step()) == []
    driver.seen, driver.values = 1, {"active": 1.0}
    first = list(walk.step())
    clock.pass_by(3.0)
    driver.values, driver.active_s = {"active": 0.0}, 3.0
    second = list(walk.step())

    assert [line.partition(" ")[2] for line in first + second] == [
        "motion: detected, 1 so far",
        "motion: active",
        "motion: still again, after 3.0 s",
    ]
    assert first[0].partition(" ")[0].endswith(":00.2")
    assert walk.sum() == "motion: 1 detections in 3 s, active for 3.0 s"


def test_a_walk_test_runs_until_it_is_interrupted(config: str) -> None:
    """As a person does it, with Ctrl-C."""
    add(
        config,
        '[[sensors]]\nname = "motion"\ndriver = "simulated"\ndetections_per_s = 100\n',
    )
    command = [sys.executable, "-m", "agent", "read", "motion", "--watch", "--config", config]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        lines = [process.stdout.readline() for _ in range(4)]
        process.send_signal(signal.SIGINT)
        rest = process.stdout.read()
    assert process.returncode == 0
    assert lines[0] == "motion: walk past it; Ctrl-C ends\n"
    assert all("motion: detected, " in line for line in lines[1:])
    assert re.search(r"motion: \d+ detections in \d+ s, active for", rest)
