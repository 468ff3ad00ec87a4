"""The configuration is read whole or refused with every problem, whatever the file holds."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from agent.config import Aws, Count, Mqtt, Paths
from agent.errors import ConfigError
from agent.value import fields
from tests.unit.config.conftest import DRIVERS, TABLES, Gpio, read, write


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


def loads_or_says_why(content: bytes) -> None:
    """Load `content`; anything but a configuration or a ConfigError fails the test."""
    with tempfile.TemporaryDirectory() as directory:
        path = write(Path(directory), content)
        old = path.with_name("iot_prov_config")
        old.write_bytes(content)
        found: list[str] = []
        try:
            assert read(path).thing.name
        except ConfigError as error:
            found = error.problems
        assert all(problem.startswith((f"{path}: ", f"{old}: ")) for problem in found)


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
KEYS = st.sampled_from([one.name for table in TABLES.values() for one in fields(table)])
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
