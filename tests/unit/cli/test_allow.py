"""The unit's drop-in follows the configured sensors, and nobody else's file is touched."""

from __future__ import annotations

import configparser
import stat
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

from agent import config, sensors
from agent.cli.allow import HEADER, allow
from agent.errors import AgentError, StorageError
from agent.value import replace

if TYPE_CHECKING:
    from pathlib import Path

PIN = '[[sensors]]\nname = "motion"\ndriver = "gpio"\npin = 21\n'
PLUG_IN = '[[sensors]]\nname = "motion"\ndriver = "gpiozero"\npin = 21\n'
BOARD = '[[sensors]]\nname = "board"\ndriver = "system"\n'


def options_of(driver: str) -> type:
    """The options of a driver, that of an installed plug-in too."""
    return dict if driver == "gpiozero" else sensors.options_of(driver)


@dataclass
class Machine:
    """One with the service installed, below `root`; no systemd runs on it."""

    root: Path
    groups: set[str] = field(default_factory=lambda: {"gpio"})
    reloads: int = 0

    @property
    def units(self) -> Path:
        """Where an administrator's units lie."""
        return self.root / "units"

    @property
    def drop_in(self) -> Path:
        """The one that is ours."""
        return self.units / "pi-iot-agent.service.d" / "10-sensors.conf"

    @property
    def settings(self) -> dict[str, str]:
        """Those of the drop-in's one section."""
        parser = configparser.ConfigParser()
        parser.optionxform = str  # type: ignore[assignment,method-assign]  # as its manual has it
        parser.read(self.drop_in)
        assert parser.sections() == ["Service"]
        return dict(parser["Service"])

    def reload(self) -> None:
        """Count how often systemd was to read its files."""
        self.reloads += 1

    def allow(self, text: str, *, name: str = "agent.toml", anew: bool = False) -> bool:
        """Do as `setup` does after it has written `text`."""
        path = self.root / name
        path.write_text(text)
        return allow(
            config.load(path, options_of=options_of),
            anew=anew,
            installed=self.root / "agent.toml",
            units=self.units,
            group_exists=self.groups.__contains__,
            reload_units=self.reload,
        )


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """A machine whose administrator has no drop-ins."""
    (tmp_path / "units").mkdir()
    return Machine(tmp_path.resolve())


def test_a_sensor_at_a_pin_is_allowed_the_chips(machine: Machine) -> None:
    """For all to read, by root alone to write; systemd reads it at once, and once."""
    assert machine.allow(PIN + BOARD)

    assert machine.settings == {
        "PrivateDevices": "no",
        "DeviceAllow": "char-gpiochip rw",
        "SupplementaryGroups": "gpio",
    }
    assert stat.S_IMODE(machine.drop_in.stat().st_mode) == 0o644
    assert stat.S_IMODE(machine.drop_in.parent.stat().st_mode) == 0o755
    assert not machine.allow(PIN + PIN.replace("motion", "door").replace("21", "20"))
    assert machine.reloads == 1


def test_without_such_a_sensor_it_goes_away(machine: Machine) -> None:
    """With its directory; systemd is told, and the next time there is nothing to do."""
    machine.allow(PIN)
    assert machine.allow(BOARD)

    assert list(machine.units.iterdir()) == []
    assert machine.reloads == 2
    assert not machine.allow(BOARD)
    assert machine.reloads == 2


def test_drop_ins_of_the_owners_stay(machine: Machine, capsys: pytest.CaptureFixture[str]) -> None:
    """One that he has copied from an example of an earlier version is told, with the way."""
    machine.allow(PIN)
    own, copied = machine.drop_in.with_name("proxy.conf"), machine.drop_in.with_name("gpio.conf")
    own.write_text("[Service]\nEnvironment=https_proxy=http://proxy:3128\n")
    copied.write_text("[Service]\nPrivateDevices=no\n")
    machine.allow(BOARD)

    assert sorted(machine.drop_in.parent.iterdir()) == [copied, own]
    assert f"sudo rm {copied}" in capsys.readouterr().out


def test_a_copied_drop_in_is_not_called_needless_beside_a_plug_in(
    machine: Machine, capsys: pytest.CaptureFixture[str]
) -> None:
    """Which may open the pins by a library of its own."""
    machine.allow(PIN)
    machine.drop_in.with_name("gpio.conf").write_text("[Service]\nPrivateDevices=no\n")
    machine.allow(PLUG_IN)

    assert "sudo rm" not in capsys.readouterr().out


def test_without_the_group_the_service_starts_all_the_same(
    machine: Machine, capsys: pytest.CaptureFixture[str]
) -> None:
    """A unit with a group that nobody knows would not; what makes it is told, and then it is in."""
    machine.groups.clear()
    machine.allow(PIN)
    assert "SupplementaryGroups" not in machine.settings
    assert "no group gpio" in (told := capsys.readouterr().out)
    assert "systemd-sysusers" in told

    machine.groups.add("gpio")
    assert machine.allow(PIN)
    assert machine.settings["SupplementaryGroups"] == "gpio"


@pytest.mark.parametrize("sensors_text", [PIN, BOARD])
def test_a_file_of_somebody_else_is_left_and_told(machine: Machine, sensors_text: str) -> None:
    """Whether one is to be written or taken away."""
    machine.drop_in.parent.mkdir()
    machine.drop_in.write_text("[Service]\nNice=5\n")
    with pytest.raises(AgentError, match="is not what `setup` writes") as told:
        machine.allow(sensors_text)

    assert "setup --allow" in told.value.hint
    assert machine.drop_in.read_text() == "[Service]\nNice=5\n"
    assert machine.reloads == 0


@pytest.mark.parametrize("what", ["drop_in", "directory"])
def test_a_link_is_not_followed(machine: Machine, what: str) -> None:
    """Neither in the place of the file nor of its directory; what it leads to stays."""
    aside = machine.root / "aside"
    aside.mkdir()
    if what == "directory":
        machine.drop_in.parent.symlink_to(aside)
    else:
        machine.drop_in.parent.mkdir()
        machine.drop_in.symlink_to(aside / "file")
    with pytest.raises(AgentError, match="and left as it is"):
        machine.allow(PIN)

    assert list(aside.iterdir()) == []


def test_a_directory_in_its_place_is_told(machine: Machine) -> None:
    """As is a file in the place of the directory."""
    machine.drop_in.mkdir(parents=True)
    with pytest.raises(AgentError, match="is no file"):
        machine.allow(PIN)
    machine.drop_in.rmdir()
    machine.drop_in.parent.rmdir()
    machine.drop_in.parent.write_text("")
    with pytest.raises(StorageError, match=r"service\.d"):
        machine.allow(PIN)


def test_another_configuration_than_the_services_changes_nothing(machine: Machine) -> None:
    """One that is tried with --config; nor does any where there is no systemd."""
    assert not machine.allow(PIN, name="try.toml")
    assert list(machine.units.iterdir()) == []
    machine.units.rmdir()
    assert not machine.allow(PIN)
    assert not machine.units.exists()


def test_nothing_of_the_configuration_gets_into_the_unit(machine: Machine) -> None:
    """Only what the drivers of ours say; a plug-in's are known to nobody."""
    path = machine.root / "agent.toml"
    path.write_text(PIN)
    loaded = config.load(path, options_of=sensors.options_of)
    (sensor,) = loaded.sensors
    evil = replace(sensor, name="x\n[Service]\nUser=root", driver="agent.sensors.gpio\nUser=root")
    for more in ((), (evil,)):
        allow(
            replace(loaded, sensors=(sensor, *more)),
            installed=path,
            units=machine.units,
            group_exists=lambda _: True,
            reload_units=machine.reload,
        )
        assert set(machine.settings) == {"PrivateDevices", "DeviceAllow", "SupplementaryGroups"}
        assert machine.drop_in.read_text().startswith(HEADER + "\n")
    assert machine.reloads == 1


def test_the_services_configuration_may_be_a_link(machine: Machine) -> None:
    """As where an owner keeps it in a repository."""
    elsewhere = machine.root / "repository.toml"
    elsewhere.touch()
    (machine.root / "agent.toml").symlink_to(elsewhere)
    assert machine.allow(PIN)
    assert machine.drop_in.exists()


def test_a_change_of_the_owners_own_is_read_too(machine: Machine) -> None:
    """On demand: `setup --allow` follows an `rm` of a drop-in."""
    assert machine.allow(PIN)
    assert not machine.allow(PIN)
    assert machine.reloads == 1
    assert not machine.allow(PIN, anew=True)
    assert machine.reloads == 2
