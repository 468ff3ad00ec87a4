"""The command `read` reads the sensors once, or watches one detect."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from agent.cli.main import main
from agent.cli.units import plain, sign
from agent.cli.walk import Walk, show, trial
from agent.config import SensorConfig
from agent.sensors import Sensor, simulated
from tests.fakes import FakeClock, FakeDetector, FakeDriver
from tests.unit.cli.conftest import add

ROOT = Path(__file__).parents[3]


def test_read_prints_a_line_for_each_quantity(
    config: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """It has the name, the quantity, the value and its unit; the first how long it took."""
    add(config, '[[sensors]]\nname = "room"\ndriver = "simulated"\n')
    assert main(["read", "--config", config]) == 0
    line = r"room temperature_c (?P<value>\S+) °C \(\d+\.\d\d s\)\n"
    found = re.fullmatch(line, capsys.readouterr().out)
    assert found
    assert -50 < float(found["value"]) < 100


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
    first, *lines = capsys.readouterr().out.splitlines()
    assert first.startswith("room model BME280 (")
    assert lines == ["room serial 10000000a1b2c3d4", "room pressure_pa 100712.87 Pa"]


def test_read_says_what_is_missing_and_prints_the_rest(
    config: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """That is no failure; where nothing is left it is one."""
    printed = """'{"humidity_pct": 3310, "disk_free_bytes": 23900000000, "level_m": null}'"""
    command = f'["/bin/echo", {printed}]'
    add(config, f'[[sensors]]\nname = "room"\ndriver = "exec"\ncommand = {command}\n')
    assert main(["read", "--config", config]) == 0
    out, err = capsys.readouterr()
    assert out.startswith("room disk_free_bytes 23900000000 bytes (")
    first, second, hint = err.splitlines()
    assert first == "pi-iot-agent: room: humidity_pct cannot be 3310"
    assert second.startswith("pi-iot-agent: room: level_m has no value")
    assert hint.startswith("hint: ")


def test_read_of_a_program_that_prints_no_quantity_is_a_failure(
    config: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """It says at once what the service takes three times, and how long it took."""
    add(config, '[[sensors]]\nname = "room"\ndriver = "exec"\ncommand = ["/bin/echo", "{}"]\n')
    assert main(["read", "--config", config]) == 1
    out, err = capsys.readouterr()
    assert not out
    assert re.match(r"pi-iot-agent: room: it printed no quantity \(0\.\d\d s\)\nhint: ", err)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (21206401024, "21206401024"),
        (2.39e10, "23900000000"),
        (1e300, f"1{'0' * 300}"),
        (20.0, "20"),
        (-0.0, "0"),
        (21.4, "21.4"),
        (343.333196, "343.333"),
        (98113.28125, "98113.281"),
        (-0.0005, "-0.0005"),
        (0.000123456, "0.0001235"),
        (2.5e-9, "0.0000000025"),
    ],
)
def test_a_number_is_printed_as_people_write_it(value: float, text: str) -> None:
    """With sensible digits and never an exponent."""
    assert plain(value) == text


@pytest.mark.parametrize(
    ("quantity", "unit"),
    [
        ("temperature_c", "°C"),
        ("humidity_1_pct", "%"),
        ("pm2p5_concentration_ug_per_m3", "µg/m³"),
        ("acceleration_x_m_per_s2", "m/s²"),
        ("active", ""),
        ("c", ""),
        ("uptime_s", "s"),
        ("temperature_c_1", "°C"),
        ("humidity_pct_12", "%"),
        ("drops_per_s", ""),
        ("temperature_c_per_min", ""),
        ("flow_l_per_s", ""),
        ("speed_m_per_s", "m/s"),
        ("particles_per_l", ""),
    ],
)
def test_a_quantity_has_the_unit_that_its_name_ends_with(quantity: str, unit: str) -> None:
    """The longest that is known."""
    assert sign(quantity) == unit


def test_units_are_printed_whatever_the_terminal_can_show(config: str) -> None:
    """One that knows ASCII alone gets what stands for the sign."""
    add(config, '[[sensors]]\nname = "room"\ndriver = "simulated"\n')
    done = subprocess.run(
        [sys.executable, "-m", "agent", "read", "--config", config],
        cwd=ROOT,
        env={"PYTHONIOENCODING": "ascii"},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("room temperature_c ")


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
    assert walk.sum() == "motion: 1 detection in 3 s, active for 3.0 s"


class Chattering(FakeDriver):
    """A detector at a line that changes too fast."""

    def drain(self) -> tuple[int, float, int, int]:
        """Changes that are no detection, and some that nobody could look at."""
        return 1, 0.0, 6, 3


class Moving(FakeDetector):
    """Something moves while it is asked for the level."""

    def read(self) -> dict[str, float]:
        """The level, after which there is a detection."""
        self.seen += 1
        return {"active": 1.0}


def test_a_walk_test_shows_no_level_before_the_detection_that_it_is_of() -> None:
    """Whatever happens between the two questions to the driver."""
    walk = Walk(Sensor("motion", Moving()), FakeClock())
    first = [line.partition(": ")[2] for line in walk.step()]
    assert first == ["detected, 1 so far", "active"]


def test_a_walk_test_tells_what_it_did_not_count() -> None:
    """So that a loose contact is seen as one."""
    walk = Walk(Sensor("motion", Chattering()), FakeClock())
    list(walk.step())
    assert walk.sum() == (
        "motion: 1 detection in 0 s, active for 0.0 s; 4 changes of the line were too short to "
        "count; 3 changes of the line were lost"
    )


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


def test_a_walk_test_that_sees_nothing_ends_by_itself(capsys: pytest.CaptureFixture[str]) -> None:
    """A minute after the last change; any change begins it anew."""
    clock, driver = FakeClock(), FakeDetector()

    def ended(_seconds: float) -> bool:
        clock.pass_by(1.0)
        driver.seen = int(clock.boot_s() - began_s == 30.0)
        return False

    began_s = clock.boot_s()
    assert show(Sensor("motion", driver), clock, "Walk.", ended=ended, patience_s=60.0).count == 1
    assert clock.boot_s() - began_s == 90.0
    out = capsys.readouterr().out
    assert "No change for 60 s: the test ends.\nmotion: 1 detection in 90 s" in out


def test_a_trial_that_sees_nothing_ends_after_a_minute(capsys: pytest.CaptureFixture[str]) -> None:
    """It says that at the beginning, and then what to look at; the exit code is a failure's."""
    clock = FakeClock()
    began_s = clock.boot_s()

    def ended(_seconds: float) -> bool:
        clock.pass_by(1.0)
        return clock.boot_s() - began_s > 600.0

    motion = SensorConfig(
        name="motion", driver="simulated", options=simulated.Options(detections_per_s=1e-9)
    )
    assert trial(motion, "GPIO 21", clock, ended) == 1
    assert clock.boot_s() - began_s == 60.0
    out = capsys.readouterr().out
    assert "now; Enter ends the test, as do 60 s without a change.\n" in out
    assert "Nothing yet: is it wired to GPIO 21, to 5 V" in out
