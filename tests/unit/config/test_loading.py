"""The configuration is read whole or refused with every problem, each with its key."""

from __future__ import annotations

import dataclasses
import json
import re
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent import sensors
from agent.config import (
    Aws,
    Config,
    Count,
    Mqtt,
    Paths,
    Provisioning,
    StoreLimits,
    Thing,
    fields,
    load,
)
from agent.errors import EXIT_CONFIG, ConfigError
from agent.sensors import exec as exec_driver
from agent.sensors import gpio

SHIPPED = Path(__file__).parents[3] / "etc" / "agent.toml"

TABLES: dict[str, type] = {
    "thing": Thing,
    "aws": Aws,
    "provisioning": Provisioning,
    "mqtt": Mqtt,
    "store": StoreLimits,
    "count": Count,
    "paths": Paths,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Gpio:
    """The options of a driver with a required key and a rule of its own."""

    pin: int = fields.integer(..., 0, 999)
    active: str = fields.choice("high", "high", "low")
    debounce_ms: int = fields.integer(50, 0, 10_000)

    def __post_init__(self) -> None:
        if self.pin == 13:
            raise ValueError("pin: 13 brings bad luck")


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """The options of a driver that uses every other kind of field."""

    command: tuple[str, ...] = fields.words(("true",))
    wanted: bool = fields.boolean(default=False)
    scale: float = fields.number(1.0, -10, 10)


DRIVERS: dict[str, type] = {"gpio": Gpio, "probe": Probe, "simulated": dict}


def options_of(driver: str) -> type:
    """The drivers of these tests."""
    if driver not in DRIVERS:
        raise KeyError(driver, *DRIVERS)
    return DRIVERS[driver]


def write(directory: Path, content: str | bytes) -> Path:
    """An agent.toml with `content`."""
    path = directory / "agent.toml"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def read(
    path: Path, *, environment: dict[str, str] | None = None, hostname: str = "attic"
) -> Config:
    """The configuration at `path`, on a machine where nothing is set."""
    return load(
        path,
        options_of=options_of,
        environment=environment or {},
        hostname=hostname,
        root=path.parent,
    )


def problems(directory: Path, content: str | bytes) -> list[str]:
    """What is wrong with `content`, without the file's path, which each problem begins with."""
    path = write(directory, content)
    with pytest.raises(ConfigError) as caught:
        read(path)
    assert caught.value.exit_code == EXIT_CONFIG
    assert caught.value.hint
    assert all(one.startswith(f"{path}: ") for one in caught.value.problems)
    return [one.removeprefix(f"{path}: ") for one in caught.value.problems]


def test_an_empty_file_is_valid_and_gives_every_default(tmp_path: Path) -> None:
    """Nothing need be set."""
    config = read(write(tmp_path, ""))
    assert config.thing.name == "attic"
    assert config.mqtt == Mqtt()
    assert config.mqtt.port == 8883
    assert config.store.path == Path("/var/lib/pi-iot-agent/store.db")
    assert config.provisioning.credentials_file == Path("/etc/pi-iot-agent/aws/credentials")
    assert config.sensors == ()
    assert config.warnings == ()


def test_every_key_is_read(tmp_path: Path) -> None:
    """The tables hold what the file says, integers where decimals are allowed too."""
    config = read(
        write(
            tmp_path,
            """
            [thing]
            name = "living-room:1"
            [aws]
            region = "us-gov-west-1"
            endpoint_url = "http://127.0.0.1:5000"
            profile = "home"
            [mqtt]
            endpoint = "broker.local"
            port = 443
            cert_file = "c.pem"
            key_file = "/keys/k.pem"
            protocol = "3.1.1"
            connect_timeout_s = 2
            backoff_max_s = 1.5
            [count]
            sensor = "door"
            window_s = 5
            [paths]
            state = "state"
            [[sensors]]
            name = "door"
            driver = "gpio"
            pin = 4
            active = "low"
            [[sensors]]
            name = "room"
            driver = "simulated"
            interval_s = 0.05
            detections_per_s = 3
            """,
        )
    )
    assert config.thing.name == "living-room:1"
    assert config.aws == Aws(
        region="us-gov-west-1", endpoint_url="http://127.0.0.1:5000", profile="home"
    )
    assert config.mqtt.cert_file == tmp_path / "c.pem"
    assert config.mqtt.key_file == Path("/keys/k.pem")
    assert (config.mqtt.port, config.mqtt.protocol) == (443, "3.1.1")
    assert (config.mqtt.connect_timeout_s, config.mqtt.backoff_max_s) == (2.0, 1.5)
    assert config.count == Count(sensor=("door",), window_s=5)
    assert config.store.path == tmp_path / "state" / "store.db"
    door, room = config.sensors
    assert (door.name, door.interval_s, door.options) == ("door", None, Gpio(pin=4, active="low"))
    assert (room.interval_s, room.options) == (0.05, {"detections_per_s": 3})


SENSOR = '[[sensors]]\nname = "room"\ndriver = "probe"\n'
GPIO = '[[sensors]]\nname = "motion"\ndriver = "gpio"\n'


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("[thin]", "thin: unknown key; did you mean thing?"),
        ("region = 'x'", "region: unknown key"),
        ("'odd key\\n' = 1", '"odd key\\\\n": unknown key'),
        ("thing = 3", "thing: expected a table [thing], got 3"),
        ("[[mqtt]]", "mqtt: expected a table [mqtt], got a list"),
        ("[thing]\nname = 'living room'", "thing.name: expected 1 to 128 of"),
        (f"[thing]\nname = '{'x' * 129}'", "thing.name: expected 1 to 128 of"),
        ("[thing]\nname = 'a/b'", "thing.name: expected 1 to 128 of"),
        ('[thing]\nname = "a\\n"', "thing.name: has a character that cannot be printed"),
        ("[aws]\nregion = 'Tokyo'", 'aws.region: expected a region such as ap-northeast-1, got "T'),
        ("[aws]\nendpoint_url = 'localhost:5000'", "aws.endpoint_url: expected a URL such as"),
        ("[aws]\nendpoint_url = 'http://[::1'", "aws.endpoint_url: expected a URL such as"),
        ("[aws]\nendpoint_url = 'http://a:99999'", "aws.endpoint_url: expected a URL such as"),
        ("[provisioning]\nmethod = 'magic'", 'provisioning.method: expected "keys" or "csr" or'),
        ("[provisioning]\nmethod = 'csr'", 'provisioning.method: "csr" is not in this version'),
        ("[provisioning]\nmethod = 'claim'", 'provisioning.method: "claim" is not in this'),
        ("[mqtt]\nport = '8883'", 'mqtt.port: expected an integer, got "8883"'),
        ("[mqtt]\nport = true", "mqtt.port: expected an integer, got true"),
        ("[mqtt]\nport = 8883.0", "mqtt.port: expected an integer, got 8883.0"),
        ("[mqtt]\nport = 0", "mqtt.port: must be from 1 to 65535, got 0"),
        ("[mqtt]\nport = 65536", "mqtt.port: must be from 1 to 65535, got 65536"),
        ("[mqtt]\nport = ''", 'mqtt.port: expected an integer, got ""'),
        (f"[mqtt]\nport = 0x{'f' * 5000}", "mqtt.port: must be from 1 to 65535, got a huge"),
        ("[mqtt]\nkeepalive_s = 4", "mqtt.keepalive_s: must be from 5 to 1200, got 4"),
        ("[mqtt]\nkeepalive = 60", "mqtt.keepalive: unknown key; did you mean keepalive_s?"),
        ("[mqtt]\nprotocol = 5", 'mqtt.protocol: expected "5" or "3.1.1", got 5'),
        ("[mqtt]\nconnect_timeout_s = nan", "mqtt.connect_timeout_s: expected a number, got nan"),
        ("[mqtt]\nconnect_timeout_s = inf", "mqtt.connect_timeout_s: must be from 1 to 3600"),
        ("[mqtt]\nbackoff_min_s = false", "mqtt.backoff_min_s: expected a number, got false"),
        ("[mqtt]\nbackoff_min_s = 9\nbackoff_max_s = 2", "mqtt.backoff_min_s: 9 is above"),
        ("[mqtt]\nmax_inflight = 1001", "mqtt.max_inflight: must be from 1 to 1000"),
        ("[mqtt]\nmax_publish_per_s = 0", "mqtt.max_publish_per_s: must be from 1 to 100000"),
        ("[mqtt]\nca_file = 1979-05-27", "mqtt.ca_file: expected a string, got 1979-05-27"),
        ('[mqtt]\nca_file = "a\\u0000"', "mqtt.ca_file: has a character that cannot be printed"),
        ("[mqtt]\nendpoint='a'\ncert_file = 'c'", "mqtt.key_file: is missing; it goes with"),
        ("[mqtt]\nendpoint='a'\nkey_file = 'k'", "mqtt.cert_file: is missing; it goes with"),
        ("[mqtt]\ncert_file = 'c'\nkey_file = 'k'", "mqtt.endpoint: is missing; with cert_file"),
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
        ("[count]\nsensor = 'door'", 'count.sensor: no sensor has the name "door"'),
        ("[paths]\ncerts = ['a']", "paths.certs: expected a string, got a list"),
        ("sensors = 'none'", 'sensors: expected [[sensors]], got "none"'),
        ("[sensors]", "sensors: expected [[sensors]], got a table"),
        ("sensors = [1]", "sensors[0]: expected a table, got 1"),
        ("[[sensors]]", "sensors[0].name: is missing"),
        ("[[sensors]]\nname = 'a'", "sensors[0].driver: is missing"),
        ("[[sensors]]\nname = 'a'\ndriver = ''", "sensors[0].driver: is missing"),
        ("[[sensors]]\nname = 'a'\ndriver = 7", "sensors[0].driver: expected a string, got 7"),
        (
            "[[sensors]]\nname = 'a'\ndriver = 'gpoi'",
            'sensors[0].driver: no driver "gpoi"; known: gpio, probe, simulated',
        ),
        (SENSOR + GPIO + "pin = '4'", 'sensors[1].pin: expected an integer, got "4"'),
        (GPIO, "sensors[0].pin: is missing"),
        (GPIO + "pin = 4\npinn = 5", "sensors[0].pinn: unknown key; did you mean pin?"),
        (GPIO + "pin = 13", "sensors[0].pin: 13 brings bad luck"),
        (GPIO + "pin = 4\nactive = 'up'", 'sensors[0].active: expected "high" or "low", got "up"'),
        (SENSOR + "interval_s = 0.01", "sensors[0].interval_s: must be from 0.05 to"),
        (SENSOR + "wanted = 1", "sensors[0].wanted: expected true or false, got 1"),
        (SENSOR + "command = 'ls'", "sensors[0].command: expected a list of strings such as"),
        (SENSOR + "command = []", "sensors[0].command: expected a list of strings such as"),
        (SENSOR + "command = [1]", "sensors[0].command: expected a string, got 1"),
        (SENSOR + SENSOR, 'sensors[1].name: "room" is the name of sensors[0] too'),
        ("[[sensors]]\nname = 'a/b'\ndriver = 'probe'", "sensors[0].name: expected 1 to 64 of"),
        ("[[sensors]]\nname = 'é'\ndriver = 'probe'", "sensors[0].name: expected 1 to 64 of"),
        ("a = [\n", "line 2: "),
        ("\n[mqtt\n", "line 2: Expected ']'"),
        ("a = 1\na = 2\n", "line 2: Cannot overwrite a value"),
        ("a = " + "[" * 5000, "is nested too deeply"),
        (b"\n\nname = '\xe9'", "line 3: is not UTF-8 text (byte 0xe9)"),
        ("[thing]\n".encode("utf-16"), "line 1: is not UTF-8 text (byte 0xff)"),
        (b"#" * 1_100_000, "is longer than 1 MiB, no configuration file"),
    ],
)
def test_a_problem_is_told_with_its_key(tmp_path: Path, content: str | bytes, problem: str) -> None:
    """One mistake makes one line, which names the key or the line and what was found."""
    found = problems(tmp_path, content)
    assert len([one for one in found if one.startswith(problem)]) == 1, found
    assert all("\n" not in one and one.isascii() for one in found)


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


def test_a_key_is_told_with_its_line(tmp_path: Path) -> None:
    """Also in the second of two tables; for what is missing it is the line of its table."""
    content = "# mine\n[mqtt]\nport = 0\n\n" + SENSOR + "\n[[sensors]]\ndriver = 'simulated'\n"
    second = content.splitlines().index("driver = 'simulated'")
    found = problems(tmp_path, content)
    assert [problem.rpartition(" (")[2] for problem in found] == ["line 3)", f"line {second})"]


def test_a_missing_file_or_a_directory_or_a_locked_file_is_told(tmp_path: Path) -> None:
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


@pytest.mark.parametrize(
    "endpoint", ["a1b2-ats.iot.eu-west-1.amazonaws.com", "localhost", "10.0.0.7", "::1", "pi_4."]
)
def test_host_names_and_addresses_are_endpoints(tmp_path: Path, endpoint: str) -> None:
    """A broker at home is as good as AWS."""
    assert read(write(tmp_path, f"[mqtt]\nendpoint = '{endpoint}'")).mqtt.endpoint == endpoint


def test_systemds_directories_win_over_the_defaults(tmp_path: Path) -> None:
    """The first of each list is taken; the unit decides where things lie."""
    environment = {
        "STATE_DIRECTORY": "/s/one:/s/two",
        "RUNTIME_DIRECTORY": "/r",
        "CONFIGURATION_DIRECTORY": "/c",
        "CREDENTIALS_DIRECTORY": str(tmp_path),
    }
    path = write(tmp_path, "")
    config = read(path, environment=environment)
    assert config.paths == Paths(certs=Path("/c/certs"), state=Path("/s/one"), runtime=Path("/r"))
    assert config.store.path == Path("/s/one/store.db")
    assert config.provisioning.credentials_file == Path("/c/aws/credentials")
    (tmp_path / "aws").write_text("")
    assert read(path, environment=environment).provisioning.credentials_file == tmp_path / "aws"


def test_an_explicit_path_wins_over_systemds(tmp_path: Path) -> None:
    """Who writes a path means it."""
    content = "[paths]\ncerts = '/1'\nstate = '/2'\nruntime = '/3'\n[store]\npath = '/4'\n"
    content += "[provisioning]\ncredentials_file = '/5'"
    environment = dict.fromkeys(
        ("STATE_DIRECTORY", "RUNTIME_DIRECTORY", "CONFIGURATION_DIRECTORY"), "/systemd"
    )
    config = read(write(tmp_path, content), environment=environment)
    assert config.paths == Paths(certs=Path("/1"), state=Path("/2"), runtime=Path("/3"))
    assert (config.store.path, config.provisioning.credentials_file) == (Path("/4"), Path("/5"))


def test_a_byte_order_mark_and_dos_lines_do_no_harm(tmp_path: Path) -> None:
    """The file may have been written on Windows."""
    path = write(tmp_path, b"\xef\xbb\xbf[thing]\r\nname = 'cat'\r\n")
    assert read(path).thing.name == "cat"


LEGACY = """# written by the old installer
export THING_NAME="cats-bed"
AWS_AccountId=123456789012   # the account
TOPIC_DETECT=${THING_NAME}/count
SENSOR_NO=1
"""


def test_a_device_of_the_older_kind_migrates_by_copying_one_file(tmp_path: Path) -> None:
    """Its name and its sensor come from iot_prov_config."""
    (tmp_path / "iot_prov_config").write_text(LEGACY)
    config = read(write(tmp_path, ""))
    assert config.thing.name == "cats-bed"
    assert [(one.name, one.driver, one.options) for one in config.sensors] == [
        ("motion", "gpio", Gpio(pin=21, active="low"))
    ]
    assert config.warnings == ()
    (tmp_path / "iot_prov_config").write_text("SENSOR_NO=0")
    assert read(tmp_path / "agent.toml").sensors[0].options == Gpio(pin=21, active="high")


def test_the_sensor_of_an_older_device_is_one_of_this_version(tmp_path: Path) -> None:
    """Its pin, its polarity, and the pull that goes with it; it is what is counted."""
    (tmp_path / "iot_prov_config").write_text(LEGACY)
    config = load(write(tmp_path, ""), options_of=sensors.options_of, environment={}, root=tmp_path)
    (motion,) = config.sensors
    assert motion.options == gpio.Options(pin=21, active="low")
    assert config.count.sensor == (motion.name,)


def test_several_sensors_may_be_counted(tmp_path: Path) -> None:
    """One as a string, several as a list of different ones, each of which there must be."""
    both = SENSOR + SENSOR.replace("room", "hall")
    assert read(write(tmp_path, both + "[count]\nsensor = 'hall'")).count.sensor == ("hall",)
    counted = read(write(tmp_path, both + "[count]\nsensor = ['hall', 'room']")).count.sensor
    assert counted == ("hall", "room")
    for wrong, words in {
        "['hall', 'roof']": 'count.sensor: no sensor has the name "roof"',
        "['hall', 'hall']": "count.sensor: expected a string, or a list of different ones",
        "[]": "count.sensor: expected a string, or a list",
        "[7]": "count.sensor: expected a string, got 7",
        "7": "count.sensor: expected a string, got 7",
    }.items():
        (problem,) = problems(tmp_path, both + f"[count]\nsensor = {wrong}")
        assert problem.startswith(words)


def test_a_dead_band_is_one_number_or_one_for_each_quantity(tmp_path: Path) -> None:
    """Never below 0."""
    assert read(write(tmp_path, SENSOR)).sensors[0].dead_band is None
    assert read(write(tmp_path, SENSOR + "dead_band = 1")).sensors[0].dead_band == {"": 1.0}
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


def test_a_key_may_be_the_drivers_too(tmp_path: Path) -> None:
    """A program's time is the patience with its sensor."""
    table = "[[sensors]]\nname = 'x'\ndriver = 'exec'\ncommand = ['true']\ntimeout_s = 3"
    config = load(
        write(tmp_path, table), options_of=sensors.options_of, environment={}, root=tmp_path
    )
    assert config.sensors[0].timeout_s == 3
    assert config.sensors[0].options == exec_driver.Options(command=("true",), timeout_s=3)


def test_agent_toml_wins_over_the_older_file(tmp_path: Path) -> None:
    """The older file only gives defaults; another topic than before is worth a warning."""
    (tmp_path / "iot_prov_config").write_text(LEGACY)
    config = read(write(tmp_path, "[thing]\nname = 'new'\n" + SENSOR))
    assert config.thing.name == "new"
    assert [one.name for one in config.sensors] == ["room"]
    (warning,) = config.warnings
    assert warning.startswith(f"{tmp_path / 'iot_prov_config'}: TOPIC_DETECT: ")
    assert "new/count" in warning


@pytest.mark.parametrize(
    ("line", "warning"),
    [
        ("what is this", "line 1: "),
        ("THING_NAME='open", "line 1: "),
        ("THING_NAME='living room'", "THING_NAME: "),
        ("SENSOR_NO=maybe", "SENSOR_NO: "),
    ],
)
def test_a_bad_line_of_the_older_file_is_a_warning(tmp_path: Path, line: str, warning: str) -> None:
    """It says where, and the agent starts nevertheless."""
    old = tmp_path / "iot_prov_config"
    old.write_text(line)
    config = read(write(tmp_path, ""))
    assert config.thing.name == "attic"
    assert [one.startswith(f"{old}: {warning}") for one in config.warnings] == [True]


def test_an_unreadable_older_file_is_a_warning(tmp_path: Path) -> None:
    """A directory of that name is no reason to stop."""
    (tmp_path / "iot_prov_config").mkdir()
    (warning,) = read(write(tmp_path, "")).warnings
    assert warning.endswith("cannot be read: Is a directory")


def test_the_shipped_file_is_valid_and_shows_every_default(tmp_path: Path) -> None:
    """All is commented out; without the comment signs it still says the same."""
    shipped = SHIPPED.read_text()
    empty = read(write(tmp_path, ""))
    assert read(write(tmp_path, shipped)) == empty
    bare = re.sub(r"^# (?=\w+ = |\[\[)", "", shipped, flags=re.MULTILINE)
    config = load(
        write(tmp_path, bare),
        options_of=sensors.options_of,
        environment={},
        hostname="attic",
        root=tmp_path,
    )
    assert replace(config, sensors=()) == empty
    assert len(config.sensors) == bare.count("[[sensors]]\n")


@pytest.mark.parametrize("table", TABLES)
def test_the_shipped_file_has_every_key(table: str) -> None:
    """A key that is not in the file would be found by nobody."""
    section = SHIPPED.read_text().partition(f"\n[{table}]\n")[2].partition("\n[")[0]
    shown = set(re.findall(r"^# (\w+) = ", section.partition("\n# [[")[0], flags=re.MULTILINE))
    assert shown == {one.name for one in dataclasses.fields(TABLES[table])}


def loads_or_says_why(content: bytes) -> None:
    """Load `content`; anything but a configuration or a ConfigError fails the test."""
    with tempfile.TemporaryDirectory() as directory:
        path = write(Path(directory), content)
        (path.parent / "iot_prov_config").write_bytes(content)
        found: list[str] = []
        try:
            assert read(path).thing.name
        except ConfigError as error:
            found = error.problems
        assert all(problem.startswith(f"{path}: ") for problem in found)


@given(st.binary() | st.text().map(str.encode))
def test_arbitrary_bytes_raise_nothing_but_config_error(content: bytes) -> None:
    """No file, however spoiled, brings a traceback."""
    loads_or_says_why(content)


def toml(value: object) -> str:
    """The value as TOML."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{toml(key)} = {toml(one)}" for key, one in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(toml, value)) + "]"
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    return str(value).lower()


PLAIN = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
SCALARS = st.booleans() | st.integers() | st.floats() | PLAIN | st.dates() | st.times()
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(PLAIN, inner, max_size=3),
    max_leaves=5,
)
KEYS = st.sampled_from([one.name for table in TABLES.values() for one in dataclasses.fields(table)])
SENSOR_KEYS = st.sampled_from(["name", "driver", "interval_s", "pin", "active", "command"])
DOCUMENTS = st.dictionaries(
    st.sampled_from([*TABLES, "sensors"]) | PLAIN,
    VALUES
    | st.dictionaries(KEYS | PLAIN, VALUES, max_size=5)
    | st.lists(
        st.dictionaries(SENSOR_KEYS | PLAIN, VALUES | st.sampled_from([*DRIVERS]), max_size=5),
        max_size=3,
    ),
    max_size=4,
)


@given(DOCUMENTS)
def test_arbitrary_values_raise_nothing_but_config_error(document: dict[str, object]) -> None:
    """No value of any key, of whatever type, brings a traceback."""
    content = "\n".join(f"{toml(key)} = {toml(value)}" for key, value in document.items())
    loads_or_says_why(content.encode())
