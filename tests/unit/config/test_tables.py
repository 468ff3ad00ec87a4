"""The tables of a document become settings, and every problem is noted with its key."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from agent import sensors
from agent.config import load
from agent.sensors import exec as exec_driver
from tests.unit.config.conftest import GPIO, SENSOR, check_told, problems, read, write

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("[thin]", "thin: unknown key; did you mean thing?"),
        ("region = 'x'", "region: unknown key"),
        ("'odd key\\n' = 1", '"odd key\\\\n": unknown key'),
        ("thing = 3", "thing: expected a table [thing], got 3"),
        ("[[mqtt]]", "mqtt: expected a table [mqtt], got a list"),
        ("[mqtt]\nkeepalive = 60", "mqtt.keepalive: unknown key; did you mean keepalive_s?"),
        ("[count]\nsensor = 'door'", 'count.sensor: no sensor has the name "door"'),
        ("sensors = 'none'", 'sensors: expected [[sensors]], got "none"'),
        ("[sensors]", "sensors: expected [[sensors]], got a table"),
        ("sensors = [1]", "sensors[0]: expected a table, got 1"),
        ("[[sensors]]", "sensors[0].name: is missing"),
        ("[[sensors]]\nname = 'a'", "sensors[0].driver: is missing"),
        ("[[sensors]]\nname = 'a'\ndriver = ''", "sensors[0].driver: is missing"),
        (
            "[[sensors]]\nname = 'a'\ndriver = 'gpoi'",
            'sensors[0].driver: no driver "gpoi"; known: gpio, probe, simulated',
        ),
        (
            "[[sensors]]\nname = 'a'\ndriver = 'DHT22'",
            'sensors[0].driver: no driver "DHT22"; it is read by driver = "iio", device',
        ),
        (
            "[[sensors]]\nname = 'a'\ndriver = 'ds18b20'",
            'sensors[0].driver: no driver "ds18b20"; it is read by driver = "onewire", with dtov',
        ),
        (GPIO, "sensors[0].pin: is missing"),
        (GPIO + "pin = 4\npinn = 5", "sensors[0].pinn: unknown key; did you mean pin?"),
        (GPIO + "pin = 13", "sensors[0].pin: 13 brings bad luck"),
        (SENSOR + SENSOR, 'sensors[1].name: "room" is the name of sensors[0] too'),
    ],
)
def test_a_table_that_does_not_fit_is_told_with_its_key(
    tmp_path: Path, content: str, problem: str
) -> None:
    """A key that is unknown or missing makes one line, and so does what is no table."""
    check_told(tmp_path, content, problem)


def test_sensors_in_a_table_that_is_no_array_are_one_problem(tmp_path: Path) -> None:
    """What is then missing elsewhere, such as the counted sensor, follows from it."""
    content = '[sensors]\nname = "motion"\n[count]\nsensor = "motion"\n'
    assert problems(tmp_path, content) == ["sensors: expected [[sensors]], got a table (line 1)"]


def test_every_problem_is_told_at_once(tmp_path: Path) -> None:
    """Nobody mends a file one error at a time."""
    content = (
        "[mqtt]\nport = 'x'\nkeepalive_s = 1\n[aws]\nregion = 'here'\n[extra]\n"
        + SENSOR
        + "scale = 11\n"
        + GPIO
    )
    keys = [problem.partition(": ")[0] for problem in problems(tmp_path, content)]
    assert sorted(keys) == [
        "aws.region",
        "extra",
        "mqtt.keepalive_s",
        "mqtt.port",
        "sensors[0].scale",
        "sensors[1].pin",
    ]


def test_an_empty_string_means_not_given(tmp_path: Path) -> None:
    """A key may stay in the file without a value."""
    content = """
        [thing]
        name = ""
        [aws]
        region = ""
        endpoint_url = ""
        [provisioning]
        credentials_file = ""
        [mqtt]
        endpoint = ""
        ca_file = ""
        cert_file = ""
        key_file = ""
        [store]
        path = ""
        [count]
        sensor = ""
    """
    assert read(write(tmp_path, content)) == read(write(tmp_path, ""))


def test_a_key_may_be_the_drivers_too(tmp_path: Path) -> None:
    """A program's time is the patience with its sensor."""
    table = "[[sensors]]\nname = 'x'\ndriver = 'exec'\ncommand = ['true']\ntimeout_s = 3"
    config = load(
        write(tmp_path, table), options_of=sensors.options_of, environment={}, root=tmp_path
    )
    assert config.sensors[0].timeout_s == 3
    assert config.sensors[0].options == exec_driver.Options(command=("true",), timeout_s=3)
