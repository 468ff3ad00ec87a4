"""An iot_prov_config of the older kind gives defaults; whatever is wrong in it is a warning."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from agent import sensors
from agent.config import load
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
