"""An iot_prov_config of the older kind gives defaults; a wrong name in it stops the agent."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from agent import sensors
from agent.config import load
from agent.errors import ConfigError
from agent.sensors import gpio
from tests.unit.config.conftest import SENSOR, Gpio, read, write

if TYPE_CHECKING:
    from pathlib import Path

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


@pytest.mark.parametrize(
    ("sensor", "told"),
    [
        ('driver = "system"', True),
        ('driver = "simulated"', True),
        ('driver = "simulated"\ndetections_per_s = 1', False),
        ('driver = "gpio"\npin = 20', False),
        ('driver = "plug-in"', False),
    ],
)
def test_a_motion_sensor_that_others_take_the_place_of_is_told(
    tmp_path: Path, sensor: str, *, told: bool
) -> None:
    """It is the only one that would detect, so nobody has moved it on purpose."""
    old = tmp_path / "iot_prov_config"
    old.write_text("THING_NAME=cat\nSENSOR_NO=1\n")
    path = write(tmp_path, f'[[sensors]]\nname = "a"\n{sensor}\n')

    def options_of(driver: str) -> type:
        return dict if driver == "plug-in" else sensors.options_of(driver)

    found = load(path, options_of=options_of, environment={}, root=tmp_path).warnings
    text = (
        f"sensors: the motion sensor of {old} at GPIO 21 is not used: [[sensors]] takes its place; "
        'add it to them: name = "motion", driver = "gpio", pin = 21, active = "low"'
    )
    assert found == ((text,) if told else ())


def test_a_motion_sensor_that_is_to_be_counted_and_is_not_used_is_told(tmp_path: Path) -> None:
    """Nobody looks for it in vain."""
    (tmp_path / "iot_prov_config").write_text(LEGACY)
    path = write(tmp_path, f"[count]\nsensor = 'motion'\n{SENSOR}")
    told = r'"motion"; known: "room"; that of iot_prov_config is not used beside \[\[sensors\]\]'
    with pytest.raises(ConfigError, match=told):
        read(path)
    with pytest.raises(ConfigError, match=r'"hall"; known: "room" \(line'):
        read(write(tmp_path, f"[count]\nsensor = 'hall'\n{SENSOR}"))


def test_agent_toml_wins_over_the_older_file(tmp_path: Path) -> None:
    """The older file only gives defaults; what is no more as before is worth a warning."""
    (tmp_path / "iot_prov_config").write_text(LEGACY)
    config = read(write(tmp_path, "[thing]\nname = 'new'\n" + SENSOR))
    assert config.thing.name == "new"
    assert [one.name for one in config.sensors] == ["room"]
    warning, sensor = config.warnings
    assert sensor.startswith("sensors: the motion sensor of ")
    assert warning.startswith(f"{tmp_path / 'iot_prov_config'}: TOPIC_DETECT: ")
    assert "new/count" in warning


MARKED = "\ufeffTHING_NAME=cats-bed\r\nSENSOR_NO=1\r\n"


@pytest.mark.parametrize(
    "content",
    [
        MARKED.encode(),
        MARKED.encode("utf-16-le"),
        MARKED.encode("utf-16-be"),
        b"# mine\nTHING_NAME = cats-bed\nSENSOR_NO= 1\n",
        b"THING_NAME ='cats-bed'\nexport\tSENSOR_NO =1",
        b'export THING_NAME="cats-bed" SENSOR_NO=1',
        b"THING_NAME=cats-bed SENSOR_NO = '1' # it's mine",
        b"#it's mine\nTHING_NAME=cats-bed\nSENSOR_NO=1\nexport THING_NAME SENSOR_NO",
        b"TOPIC_DETECT= THING_NAME=cats-bed SENSOR_NO=1",
        b"THING_NAME=wrong! \nTHING_NAME=cats-bed\rSENSOR_NO=1",
    ],
)
def test_the_older_file_is_read_however_it_was_saved(tmp_path: Path, content: bytes) -> None:
    """As Notepad writes it, with blanks round the sign, with several on a line."""
    (tmp_path / "iot_prov_config").write_bytes(content)
    config = read(write(tmp_path, ""))
    assert config.thing.name == "cats-bed"
    assert config.sensors[0].options == Gpio(pin=21, active="low")
    assert config.warnings == ()


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("THING_NAME='open", "line 1: THING_NAME"),
        ("\nTHING_NAME = living room", "line 2: THING_NAME"),
        ("THING_NAME: attic", "line 1: THING_NAME"),
        ("set THING_NAME=attic", "line 1: THING_NAME"),
        ("\xa0THING_NAME=attic", "line 1: THING_NAME"),
        ("THING_NAME=attic\\", "line 1: THING_NAME"),
        ("T\0H\0I\0N\0G\0_\0N\0A\0M\0E\0=\0x\0", "line 1: THING_NAME"),
        ("THING_NAME='living room'", "THING_NAME: "),
        ("THING_NAME=attic#1", "THING_NAME: "),
        ("THING_NAME=at\ftic", "THING_NAME: "),
        ("THING_NAME=at\0tic", "THING_NAME: "),
        ("THING_NAME=\udce9", "THING_NAME: "),
        ("THING_NAME=\u201cattic\u201d", "THING_NAME: "),
        ("THING_NAME=$HOSTNAME", "THING_NAME: "),
        (f"THING_NAME={'x' * 129}", "THING_NAME: "),
        ("THING_NAME=", "THING_NAME: "),
        ("THING_NAME=''", "THING_NAME: "),
        ("A=xxxxxxxxxxxxxxxx\n" + "A=$A$A\n" * 50 + "THING_NAME=$A", "THING_NAME: "),
    ],
)
def test_a_name_that_cannot_be_used_stops_the_agent(
    tmp_path: Path, content: str, problem: str
) -> None:
    """It never goes by another name than the one it was given, unless agent.toml has one."""
    old = tmp_path / "iot_prov_config"
    old.write_bytes(content.encode(errors="surrogateescape"))
    with pytest.raises(ConfigError) as caught:
        read(write(tmp_path, "[thing]\nname = ''"))
    (told,) = caught.value.problems
    assert told.startswith(f"{old}: {problem}")
    assert told.endswith("; correct it, or set [thing] name in agent.toml")
    assert "attic" not in told
    config = read(write(tmp_path, "[thing]\nname = 'shed'"))
    assert config.thing.name == "shed"
    assert told in config.warnings


def test_a_file_in_which_nothing_is_known_is_told(tmp_path: Path) -> None:
    """Its writer has misspelt what matters, and would wonder at the name."""
    (tmp_path / "iot_prov_config").write_text("THINGNAME=old\n")
    (warning,) = read(write(tmp_path, "")).warnings
    assert "sets no THING_NAME" in warning


@pytest.mark.parametrize(
    ("line", "warning"),
    [
        ("what is this", "line 1: is not NAME=value and is left out"),
        ("TOPIC_DETECT='open", "line 1: "),
        ("TOPIC_DETECT=${THING_NAME}/count what", "line 1: "),
        ("SENSOR_NO=maybe", "SENSOR_NO: "),
    ],
)
def test_another_bad_line_of_the_older_file_is_a_warning(
    tmp_path: Path, line: str, warning: str
) -> None:
    """It says where, and the agent starts nevertheless."""
    old = tmp_path / "iot_prov_config"
    old.write_text(line)
    config = read(write(tmp_path, ""))
    assert config.thing.name == "attic"
    assert [one.startswith(f"{old}: {warning}") for one in config.warnings] == [True]


@pytest.mark.parametrize("kind", ["directory", "pipe", "huge", "dangling"])
def test_an_older_file_that_cannot_be_read_stops_the_agent(tmp_path: Path, kind: str) -> None:
    """At once, unless agent.toml has the name; the problem is told beside those of agent.toml."""
    old = tmp_path / "iot_prov_config"
    if kind == "directory":
        old.mkdir()
    elif kind == "pipe":
        os.mkfifo(old)
    elif kind == "huge":
        old.write_bytes(b"#" * 1_100_000)
    else:
        old.symlink_to(tmp_path / "nothing")
    with pytest.raises(ConfigError) as caught:
        read(write(tmp_path, "[mqtt]\nport = 0"))
    port, told = caught.value.problems
    assert port.startswith(f"{tmp_path / 'agent.toml'}: mqtt.port: ")
    assert told.startswith(f"{old}: ")
    (warning,) = read(write(tmp_path, "[thing]\nname = 'shed'")).warnings
    assert warning == told
