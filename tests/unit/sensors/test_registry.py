"""Drivers are found by their names: those built in, and plug-ins by their entry point."""

from __future__ import annotations

import importlib
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from agent.config import SensorConfig
from agent.errors import SensorError
from agent.sensors import BUILT_IN, needs, open_sensor, options_of
from agent.sensors.plausibility import Limits
from agent.sensors.registry import Needs
from agent.sensors.simulated import Options
from agent.value import Value

if TYPE_CHECKING:
    from pathlib import Path

    from tests.fakes import FakeClock

PLUG_IN = """
class Well:
    def __init__(self, options):
        self.depth_m = options["depth_m"]

    def read(self):
        return {"depth_m": self.depth_m}

    def close(self):
        pass


def open_driver(options, *, clock):
    return Well(options)
"""


@pytest.fixture
def plug_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """An installed package with the driver `well`, and with `broken`, which cannot be imported."""
    (tmp_path / "wells_of_kim.py").write_text(PLUG_IN)
    metadata = tmp_path / "wells_of_kim-1.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: wells-of-kim\nVersion: 1\n")
    (metadata / "entry_points.txt").write_text(
        "[pi_iot_agent.sensors]\nwell = wells_of_kim:open_driver\nbroken = no_such_module:x\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    return "well"


def test_only_a_pin_needs_a_device() -> None:
    """The kernel's files need none, and what a plug-in needs is its owner's to say."""
    assert needs("gpio") == Needs(("char-gpiochip",), ("gpio",))
    assert {needs(driver) for driver in {*BUILT_IN, "well"} - {"gpio"}} == {Needs()}


@pytest.mark.parametrize("driver", BUILT_IN)
def test_every_built_in_driver_has_options(driver: str) -> None:
    """A value class that the configuration is checked against."""
    assert issubclass(options_of(driver), Value)


def test_a_driver_that_nobody_has_cannot_be_opened(clock: FakeClock) -> None:
    """A plug-in may have been removed since the configuration was read."""
    with pytest.raises(SensorError, match="x: there is no driver gone") as caught:
        open_sensor(SensorConfig(name="x", driver="gone", options={}), clock=clock)
    assert caught.value.hint


def test_an_unknown_driver_is_a_key_error_that_names_the_known_ones() -> None:
    """The configuration makes a problem of it."""
    with pytest.raises(KeyError) as caught:
        options_of("gpoi")
    assert caught.value.args[0] == "gpoi"
    assert {"gpio", "simulated"} <= set(caught.value.args[1:])


def test_a_plug_in_is_found_by_its_entry_point(plug_in: str, clock: FakeClock) -> None:
    """It imports nothing of ours and gets its options as they stand in the file."""
    config = SensorConfig(name="garden", driver=plug_in, options={"depth_m": 4})

    assert options_of(plug_in) is dict
    assert open_sensor(config, clock=clock).read().values == {"depth_m": 4}


@pytest.mark.usefixtures("plug_in")
@pytest.mark.parametrize(("driver", "reason"), [("broken", "no_such_module"), ("well", "depth_m")])
def test_a_plug_in_that_cannot_be_opened_is_a_sensor_error(
    driver: str, reason: str, clock: FakeClock
) -> None:
    """Whether it cannot be imported or does not like its options."""
    config = SensorConfig(name="garden", driver=driver, options={})

    with pytest.raises(SensorError, match=f"garden: .*{reason}"):
        open_sensor(config, clock=clock)


def test_only_a_built_in_driver_may_be_asked_without_a_thread(
    plug_in: str, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A plug-in may promise what it likes."""
    well = importlib.import_module("wells_of_kim").Well
    monkeypatch.setattr(well, "instant", True, raising=False)
    config = SensorConfig(name="garden", driver=plug_in, options={"depth_m": 4})
    assert not open_sensor(config, clock=clock).instant
    built_in = SensorConfig(name="room", driver="simulated", options=Options())
    assert open_sensor(built_in, clock=clock).instant


@pytest.mark.parametrize("limits", [7, {"active_max_s": 1}, Limits])
def test_limits_that_are_none_are_an_error(
    limits: object, plug_in: str, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A plug-in's, for one; what it had opened is closed."""
    well = importlib.import_module("wells_of_kim").Well
    closed: list[int] = []
    monkeypatch.setattr(well, "limits", limits, raising=False)
    monkeypatch.setattr(well, "drain", lambda _: (0, 0.0), raising=False)
    monkeypatch.setattr(well, "close", lambda _: closed.append(1))
    config = SensorConfig(name="garden", driver=plug_in, options={"depth_m": 4})
    with pytest.raises(SensorError, match="garden: "):
        open_sensor(config, clock=clock)
    assert closed == [1]


def test_entry_points_are_looked_for_only_when_needed() -> None:
    """importlib.metadata takes as long to load as the rest; built-in drivers do without."""
    program = (
        "import sys, agent.sensors; agent.sensors.options_of('simulated');"
        "sys.exit('importlib.metadata' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
