"""A value is taken if it fits its field, else refused with its key and what was found."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from tests.unit.config.conftest import GPIO, SENSOR, Probe, check_told, problems, read, write

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("[thing]\nname = 'living room'", "thing.name: expected 1 to 128 of"),
        (f"[thing]\nname = '{'x' * 129}'", "thing.name: expected 1 to 128 of"),
        ("[thing]\nname = 'a/b'", "thing.name: expected 1 to 128 of"),
        ('[thing]\nname = "a\\n"', "thing.name: has a character that cannot be printed"),
        ("[aws]\nregion = 'Tokyo'", 'aws.region: expected a region such as ap-northeast-1, got "T'),
        ("[aws]\nendpoint_url = 'localhost:5000'", "aws.endpoint_url: expected a URL such as"),
        ("[aws]\nendpoint_url = 'http://[::1'", "aws.endpoint_url: expected a URL such as"),
        ("[aws]\nendpoint_url = 'http://a:99999'", "aws.endpoint_url: expected a URL such as"),
        ("[aws]\nendpoint_url = 'ftp://a:80'", "aws.endpoint_url: expected a URL such as"),
        ("[aws]\nendpoint_url = 'http://aws.home:5000'", "aws.endpoint_url: expected https, or"),
        ("[aws]\nendpoint_url = 'http://127.0.0.1.home'", "aws.endpoint_url: expected https"),
        ("[aws]\nendpoint_url = 'HTTP://128.0.0.1'", "aws.endpoint_url: expected https"),
        ("[aws]\nendpoint_url = 'http://a\\@127.0.0.1'", "aws.endpoint_url: expected a URL such"),
        (
            "[provisioning]\nmethod = 'magic'",
            'provisioning.method: expected "csr" or "keys" or "claim"',
        ),
        ("[mqtt]\nport = '8883'", 'mqtt.port: expected an integer, got "8883"'),
        ("[mqtt]\nport = true", "mqtt.port: expected an integer, got true"),
        ("[mqtt]\nport = 8883.0", "mqtt.port: expected an integer, got 8883.0"),
        ("[mqtt]\nport = 0", "mqtt.port: must be from 1 to 65535, got 0"),
        ("[mqtt]\nport = 65536", "mqtt.port: must be from 1 to 65535, got 65536"),
        ("[mqtt]\nport = ''", 'mqtt.port: expected an integer, got ""'),
        (f"[mqtt]\nport = 0x{'f' * 5000}", "mqtt.port: must be from 1 to 65535, got a huge"),
        ("[mqtt]\nkeepalive_s = 4", "mqtt.keepalive_s: must be from 5 to 1200, got 4"),
        ("[mqtt]\nprotocol = 5", 'mqtt.protocol: expected "5" or "3.1.1", got 5'),
        ("[mqtt]\nconnect_timeout_s = nan", "mqtt.connect_timeout_s: must be from 1 to 3600"),
        (f"[mqtt]\nconnect_timeout_s = 1{'0' * 400}", "mqtt.connect_timeout_s: must be from 1 to"),
        ("[mqtt]\nconnect_timeout_s = inf", "mqtt.connect_timeout_s: must be from 1 to 3600"),
        ("[mqtt]\nbackoff_min_s = false", "mqtt.backoff_min_s: expected a number, got false"),
        ("[mqtt]\nmax_inflight = 1001", "mqtt.max_inflight: must be from 1 to 1000"),
        ("[mqtt]\nmax_publish_per_s = 0", "mqtt.max_publish_per_s: must be from 1 to 100000"),
        ("[mqtt]\nca_file = 1979-05-27", "mqtt.ca_file: expected a string, got 1979-05-27"),
        ('[mqtt]\nca_file = "a\\u0000"', "mqtt.ca_file: has a character that cannot be printed"),
        ("[mqtt]\nendpoint = 'mqtts://a.b'", "mqtt.endpoint: expected a host name without scheme"),
        ("[mqtt]\nendpoint = 'a.b/c'", "mqtt.endpoint: expected a host name without scheme"),
        ("[mqtt]\nendpoint = 'a.b:8883'", "mqtt.endpoint: expected a host name without a port"),
        ("[mqtt]\nendpoint = 'a b'", "mqtt.endpoint: expected a host name, got"),
        ("[mqtt]\nendpoint = '1.2.3.456'", "mqtt.endpoint: expected a host name, got"),
        (
            "[mqtt]\nendpoint = 'https://eu-west-1.console.aws.amazon.com/iot/home#/settings'",
            "mqtt.endpoint: expected a host name such as abc123-ats.iot.us-east-1.amazonaws.com",
        ),
        ("[store]\nmax_rows = 0", "store.max_rows: must be from 1 to"),
        ("[store]\ncommit_after_s = -1", "store.commit_after_s: must be from 0 to"),
        ("[count]\nwindow_s = 600.5", "count.window_s: expected an integer, got 600.5"),
        ("[paths]\ncerts = ['a']", "paths.certs: expected a string, got a list"),
        ("[[sensors]]\nname = 'a'\ndriver = 7", "sensors[0].driver: expected a string, got 7"),
        (SENSOR + GPIO + "pin = '4'", 'sensors[1].pin: expected an integer, got "4"'),
        (GPIO + "pin = 4\nactive = 'up'", 'sensors[0].active: expected "high" or "low", got "up"'),
        (SENSOR + "interval_s = 0.01", "sensors[0].interval_s: must be from 0.05 to"),
        (SENSOR + "wanted = 1", "sensors[0].wanted: expected true or false, got 1"),
        (SENSOR + "command = 'ls'", "sensors[0].command: expected a list of strings such as"),
        (SENSOR + "command = []", "sensors[0].command: expected a list of strings such as"),
        (SENSOR + "command = [1]", "sensors[0].command: expected a string, got 1"),
        ("[[sensors]]\nname = 'a/b'\ndriver = 'probe'", "sensors[0].name: expected 1 to 64 of"),
        ("[[sensors]]\nname = 'é'\ndriver = 'probe'", "sensors[0].name: expected 1 to 64 of"),
    ],
)
def test_a_value_that_does_not_fit_is_told_with_its_key(
    tmp_path: Path, content: str, problem: str
) -> None:
    """One mistake makes one line, which names the key and what was found."""
    check_told(tmp_path, content, problem)


@pytest.mark.parametrize(
    "endpoint", ["a1b2-ats.iot.eu-west-1.amazonaws.com", "localhost", "10.0.0.7", "::1", "pi_4."]
)
def test_host_names_and_addresses_are_endpoints(tmp_path: Path, endpoint: str) -> None:
    """A broker at home is as good as AWS."""
    assert read(write(tmp_path, f"[mqtt]\nendpoint = '{endpoint}'")).mqtt.endpoint == endpoint


@pytest.mark.parametrize(
    "url",
    [
        "http://localhost:5000",
        "http://LOCALHOST",
        "http://127.0.0.1:5000",
        "http://127.3.2.1/aws",
        "http://[::1]:5000",
        "https://aws.home:5000",
        "https://10.0.0.7",
    ],
)
def test_a_local_aws_is_on_this_machine_or_behind_tls(tmp_path: Path, url: str) -> None:
    """The new private key comes from it."""
    assert read(write(tmp_path, f"[aws]\nendpoint_url = '{url}'")).aws.endpoint_url == url


def test_a_password_in_a_url_is_not_told(tmp_path: Path) -> None:
    """Whatever else is wrong with it."""
    for scheme in ("http", "https", "htps"):
        (problem,) = problems(tmp_path, f"[aws]\nendpoint_url = '{scheme}://me:secret@aws.home'")
        assert "secret" not in problem


def test_an_unsafe_url_is_told_with_the_reason(tmp_path: Path) -> None:
    """It is not a matter of taste."""
    (problem,) = problems(tmp_path, "[aws]\nendpoint_url = 'http://aws.home'")
    assert "the new private key would travel in clear" in problem


def test_a_command_may_be_a_script(tmp_path: Path) -> None:
    """Lines, tabs and empty arguments are its own; TOML reads them from \"\"\"...\"\"\"."""
    text = 'command = ["sh", "-c", """\n\techo 1\n\techo 2 \\u001b[0m""", ""]'
    path = write(tmp_path, f"{SENSOR}{text}")
    options = read(path).sensors[0].options
    assert isinstance(options, Probe)
    assert options.command == ("sh", "-c", "\techo 1\n\techo 2 \x1b[0m", "")


def test_several_sensors_may_be_counted(tmp_path: Path) -> None:
    """One as a string, several as a list of different ones, each of which there must be."""
    room, hall = (f"{GPIO.replace('motion', name)}pin = 4\n" for name in ("room", "hall"))
    both = room + hall
    assert read(write(tmp_path, both + "[count]\nsensor = 'hall'")).count.sensor == ("hall",)
    counted = read(write(tmp_path, both + "[count]\nsensor = ['hall', 'room']")).count.sensor
    assert counted == ("hall", "room")
    for wrong, words in {
        "['hall', 'roof']": 'count.sensor: no sensor has the name "roof"; known: "room", "hall"',
        "['hall', 'hall']": "count.sensor: expected a string, or a list of different ones",
        "[7]": "count.sensor: expected a string, got 7",
        "7": "count.sensor: expected a string, got 7",
    }.items():
        (problem,) = problems(tmp_path, both + f"[count]\nsensor = {wrong}")
        assert problem.startswith(words)


def test_a_dead_band_is_one_number_or_one_for_each_quantity(tmp_path: Path) -> None:
    """Never below 0."""
    assert read(write(tmp_path, SENSOR)).sensors[0].dead_band is None
    assert read(write(tmp_path, SENSOR + "dead_band = 1")).sensors[0].dead_band == {"": 1.0}
    huge = f"dead_band = 1{'0' * 400}"
    assert read(write(tmp_path, SENSOR + huge)).sensors[0].dead_band == {"": sys.float_info.max}
    bands = "dead_band = { temperature_c = 0.2, pressure_pa = 50 }"
    assert read(write(tmp_path, SENSOR + bands)).sensors[0].dead_band == {
        "temperature_c": 0.2,
        "pressure_pa": 50.0,
    }
    for wrong, words in {
        "-1": "expected a number from 0, got -1",
        "nan": "expected a number from 0, got nan",
        "{ temperature_c = '1' }": 'temperature_c: expected a number from 0, got "1"',
        "true": "expected a number from 0, got true",
    }.items():
        (problem,) = problems(tmp_path, SENSOR + f"dead_band = {wrong}")
        assert problem.startswith(f"sensors[0].dead_band: {words}")
