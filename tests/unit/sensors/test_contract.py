"""The contract of every driver: those built in, and those of the example plug-in."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from agent.config import load
from agent.errors import ConfigError, SensorError
from agent.sensors import BUILT_IN, Sensor, gpio, open_sensor, options_of, quantities
from agent.value import Value, fields
from tests.fake_kernel import FakeKernel
from tests.fakes import FakeClock
from tests.tools import boards

if TYPE_CHECKING:
    from collections.abc import Iterator

    from agent.config import SensorConfig

ROOT = Path(__file__).parents[3]
EXAMPLE = ROOT / "examples/textfile"
PLUG_INS = ("textfile", "textlines")
DRIVERS = (*BUILT_IN, *PLUG_INS)

#: A table for each driver, but its name and driver; {} is a directory.
TABLES = {
    "exec": 'command = ["/bin/echo", "21.5"]',
    "gpio": "pin = 21",
    "hwmon": 'device = "cpu_thermal"',
    "iio": 'device = "bme280"',
    "onewire": 'id = "28-0119433bc5ff"',
    "simulated": "detections_per_s = 1",
    "system": "",
    "thermal": "",
    "textfile": 'file = "{}/values"',
    "textlines": 'file = "{}/values"',
}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory that the example plug-in is installed in, as pip does it."""
    site = tmp_path_factory.mktemp("site")
    work = tmp_path_factory.mktemp("textfile")
    for path in EXAMPLE.iterdir():  # the build leaves files beside its sources
        if path.is_file():
            (work / path.name).write_bytes(path.read_bytes())
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    offline = ["--no-index", "--no-deps", "--no-build-isolation", "--target", str(site), str(work)]
    subprocess.run([*pip, *offline], check=True, capture_output=True)
    return site


@dataclass
class Workshop:
    """A board, its kernel and a file; sensors can be opened on them."""

    root: Path
    clock: FakeClock
    kernel: FakeKernel

    def config(self, driver: str, more: str = "") -> SensorConfig:
        """The sensor of this driver, as a person writes it. Raises ConfigError."""
        path = self.root / "agent.toml"
        table = TABLES[driver].replace("{}", str(self.root))
        path.write_text(f'[[sensors]]\nname = "s"\ndriver = "{driver}"\n{table}\n{more}\n')
        return load(path, options_of=options_of).sensors[0]

    def opened(self, driver: str) -> Sensor:
        """The open sensor of this driver."""
        config = self.config(driver)
        if driver in {"hwmon", "iio", "onewire", "system", "thermal"}:
            return boards.open_on(self.root, config)
        if driver == "gpio":
            assert isinstance(config.options, gpio.Options)
            opened = gpio.open_driver(
                config.options,
                clock=self.clock,
                root=self.root,
                ioctl=self.kernel.ioctl,
                monotonic_s=self.clock.boot_s,
            )
            return Sensor(config.name, opened, built_in=True)
        return open_sensor(config, clock=self.clock)


@pytest.fixture
def workshop(tmp_path: Path, site: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Workshop]:
    """All that the drivers need, and nothing of this machine."""
    boards.unpack("pi-4", tmp_path)
    (tmp_path / "values").write_text("depth_m 4.25\n")
    monkeypatch.syspath_prepend(site)
    kernel = FakeKernel(tmp_path)
    kernel.add("pinctrl-bcm2711")
    yield Workshop(tmp_path, FakeClock((tmp_path / "values").stat().st_mtime), kernel)
    kernel.close()


def test_every_driver_is_looked_at() -> None:
    """A new one has its table here."""
    assert TABLES.keys() == set(DRIVERS)


@pytest.mark.parametrize("driver", DRIVERS)
def test_a_driver_says_what_its_keys_are(driver: str, workshop: Workshop) -> None:
    """A built-in one checks them when the configuration is read; a plug-in gets a plain dict."""
    kind = options_of(driver)
    if driver in PLUG_INS:
        assert kind is dict
        return
    assert issubclass(kind, Value)
    assert all("check" in one.metadata for one in fields(kind))
    with pytest.raises(ConfigError, match="unknown key"):
        workshop.config(driver, "no_such_key = 1")


@pytest.mark.parametrize("driver", DRIVERS)
def test_a_driver_reads_quantities_named_with_their_unit(driver: str, workshop: Workshop) -> None:
    """What comes out is what a record may hold, and the same names the next time."""
    sensor = workshop.opened(driver)
    first = sensor.read().values
    workshop.clock.pass_by(1.0)

    assert all(isinstance(value, int | float | str) for value in first.values())
    assert set(sensor.read().values) <= set(first)
    assert bool(first) == (driver != "textlines")
    assert tuple(first) == (quantities(driver) or tuple(first))
    sensor.close()


@pytest.mark.parametrize("driver", DRIVERS)
def test_what_was_drained_does_not_come_again(driver: str, workshop: Workshop) -> None:
    """Each detection is told once; a driver that measures detects nothing."""
    sensor = workshop.opened(driver)
    sensor.drain()
    workshop.clock.pass_by(1.0)
    with (workshop.root / "values").open("a") as file:
        file.write("ding\n")
    if driver == "gpio":
        workshop.kernel.chips[0].lines[21].tell(workshop.clock.boot_s(), active=True)
    workshop.clock.pass_by(1.0)

    first, second = sensor.drain(), sensor.drain()
    assert first.count == {"gpio": 1, "simulated": 2, "textlines": 1}.get(driver, 0)
    assert (second.count, sensor.detects) == (0, first.count > 0)
    sensor.close()


@pytest.mark.parametrize("driver", DRIVERS)
def test_a_driver_gives_everything_back(driver: str, workshop: Workshop) -> None:
    """It can be opened again and again; closing twice does no harm."""
    descriptors = Path("/proc/self/fd")
    workshop.opened(driver).close()
    before = len(list(descriptors.iterdir()))
    for _ in range(3):
        sensor = workshop.opened(driver)
        sensor.read()
        sensor.close()
        sensor.close()
    assert len(list(descriptors.iterdir())) == before


@pytest.mark.parametrize("driver", sorted(set(DRIVERS) - {"gpio", "simulated", "exec", "system"}))
def test_what_is_not_there_is_a_sensor_error(driver: str, workshop: Workshop) -> None:
    """With the sensor's name before it, and a hint."""
    config = workshop.config(driver)
    (workshop.root / "values").unlink()
    with pytest.raises(SensorError, match=r"^s: ") as caught:
        open_sensor(config, clock=workshop.clock).read()
    assert caught.value.hint


@pytest.mark.parametrize("driver", DRIVERS)
def test_the_command_reads_every_driver(driver: str, workshop: Workshop, site: Path) -> None:
    """As a person tries it by hand; what this machine does not have is told in one line."""
    config = workshop.config(driver)
    done = subprocess.run(
        [sys.executable, "-m", "agent", "read", "--config", str(workshop.root / "agent.toml")],
        cwd=ROOT,
        env={"PYTHONPATH": str(site), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert config.name == "s"
    assert "Traceback" not in done.stderr
    if driver in {"exec", "simulated", "system", "textfile"}:
        assert done.returncode == 0
        assert done.stdout.startswith("s ")
    elif driver == "textlines":
        assert "s: has no value at this moment (" in done.stderr
    else:
        assert done.stderr.startswith("pi-iot-agent: s: ") or done.stdout.startswith("s ")


def test_the_example_configuration_shows_every_driver(tmp_path: Path) -> None:
    """Its examples are right: without the comment signs they are read without a problem."""
    path = tmp_path / "agent.toml"
    shipped = (ROOT / "etc/agent.toml").read_text()
    path.write_text(re.sub(r"^# (?=\w+ = |\[\[)", "", shipped, flags=re.MULTILINE))
    assert {one.driver for one in load(path, options_of=options_of).sensors} == set(BUILT_IN)


def toml_blocks(document: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each heading's TOML blocks."""
    heading = ""
    for part in document.read_text().split("\n## ")[1:]:
        heading = part.partition("\n")[0]
        for block in part.split("```toml\n")[1:]:
            yield heading, tomllib.loads(block.partition("```")[0])


def test_the_documentation_has_a_section_for_every_driver(tmp_path: Path) -> None:
    """With an example that can be pasted."""
    shown = set()
    for heading, block in toml_blocks(ROOT / "docs/sensors.md"):
        for sensor in block.get("sensors", []):
            if sensor["driver"] in BUILT_IN:
                shown.add(sensor["driver"])
                assert heading
    assert shown == set(BUILT_IN)
    path = tmp_path / "agent.toml"
    for rest in (ROOT / "docs/sensors.md").read_text().split("```toml\n")[1:]:
        text = rest.partition("```")[0]
        if "driver = " in text and "textfile" not in text and "my_driver" not in text:
            path.write_text(text)
            load(path, options_of=options_of)
