"""One box for each suite, the size of a Raspberry Pi Zero 2 W; one package; one local AWS."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from tests.system.box import Box, copy_all, obstacle
from tests.system.device import UNIT, Device
from tests.system.package import current
from tests.system.repository import Repository
from tests.system.roots import RootError
from tests.system.updated import UPGRADER, Updated
from tests.tools.cloud import LocalAws

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SUITES = ["bookworm", "trixie"]
MEMORY_MIB = 512
WATCH_S = 8  # of an upgrade, in place of ten minutes

#: The package's dependencies, so that a test needs no network to install it.
DEPENDENCIES = (
    "ca-certificates",
    "openssl",
    "python3-boto3",
    "python3-paho-mqtt",
    "python3-sdnotify",
    "python3-tenacity",
    "python3-tomlkit",
)

#: What keys in hardware need of each release; nothing where it has no such thing.
HARDWARE: dict[str, tuple[str, ...]] = {"bookworm": (), "trixie": ("pkcs11-provider", "softhsm2")}


@pytest.fixture(scope="session")
def _able() -> None:
    """Skips what needs a box where there can be none."""
    reason = obstacle()
    if reason:
        pytest.skip(f"no box can be booted here: {reason}")


@pytest.fixture(scope="session")
def package(_able: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The .deb of what is committed, or the one that the environment's DEB names."""
    return current(tmp_path_factory.mktemp("package"))


@pytest.fixture(scope="session")
def cloud(_able: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalAws]:
    """A local AWS on this machine's loopback, which a box shares."""
    with LocalAws(tmp_path_factory.mktemp("cloud")) as running:
        yield running


@pytest.fixture(scope="session", params=SUITES)
def suite(request: pytest.FixtureRequest) -> str:
    """A Debian release."""
    return str(request.param)


@pytest.fixture(scope="session")
def box(_able: None, suite: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Box]:
    """A box that has what the package depends on, but not the package."""
    directory = tmp_path_factory.mktemp("boxes") / suite
    try:
        made = Box(directory, suite, packages=DEPENDENCIES + HARDWARE[suite], memory_mib=MEMORY_MIB)
        with made as running:
            yield running
    except RootError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def bare(box: Box, cloud: LocalAws, package: Path) -> Device:
    """The box of the suite, with the package or without it, as the last test left it."""
    return Device(box, cloud, package, name=f"device-{box.suite}")


@pytest.fixture
def fresh(bare: Device) -> Device:
    """An agent that was just installed on a machine that never had one: nothing is configured."""
    if bare.installed:
        bare.purge()
    bare.install()
    return bare


@pytest.fixture
def device(bare: Device) -> Device:
    """An agent that is installed, registered and connected."""
    if not bare.installed:
        bare.install()
    if bare.box.run("cat", "/etc/pi-iot-agent/agent.toml").stdout != bare.toml:
        bare.configure()
        bare.restart()
    elif bare.main_pid == "0":
        bare.restart()
    bare.wait_online()
    return bare


@pytest.fixture(scope="session")
def updatable(
    cloud: LocalAws, suite: str, package: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Path]:
    """The disk of a device that is installed and registered, and lacks only its updates."""
    directory = tmp_path_factory.mktemp("updatable")
    disk = directory / "disk"
    try:
        made = Box(directory / suite, suite, packages=DEPENDENCIES + UPGRADER)
        with made as box:
            device = Updated(box, cloud, package, name=f"updated-{suite}")
            device.prepare(watch_s=WATCH_S)
            device.systemctl("stop", UNIT)
            with box.frozen():
                box.copy(disk)
    except RootError as error:
        pytest.skip(str(error))
    yield disk
    shutil.rmtree(disk)


@pytest.fixture
def updated(
    cloud: LocalAws, suite: str, package: Path, updatable: Path, tmp_path: Path
) -> Iterator[Updated]:
    """A device that was just booted, is online, and has taken up no updates yet."""
    disk = tmp_path / "disk"
    copy_all(updatable, disk)
    cloud.observer.clear()
    with Box(tmp_path / "box", suite, memory_mib=MEMORY_MIB, snapshot=disk) as box:
        device = Updated(box, cloud, package, name=f"updated-{suite}")
        device.alone()
        device.wait_online()
        yield device


@pytest.fixture
def repository(package: Path, tmp_path: Path) -> Iterator[Repository]:
    """A repository that has the package of the device."""
    with Repository(tmp_path / "repository") as served:
        served.publish(package)
        yield served
