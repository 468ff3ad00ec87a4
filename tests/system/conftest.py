"""One box for each suite, the size of a Raspberry Pi Zero 2 W; one package; one local AWS."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.cloud import LocalAws
from tests.system.box import Box, obstacle
from tests.system.device import Device
from tests.system.roots import RootError

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
SUITES = ["bookworm", "trixie"]
MEMORY_MIB = 512

#: The package's dependencies, so that a test needs no network to install it.
DEPENDENCIES = (
    "ca-certificates",
    "python3-boto3",
    "python3-paho-mqtt",
    "python3-sdnotify",
    "python3-tenacity",
)


@pytest.fixture(scope="session")
def _able() -> None:
    """Skips what needs a box where there can be none."""
    reason = obstacle()
    if reason:
        pytest.skip(f"no box can be booted here: {reason}")


@pytest.fixture(scope="session")
def package(_able: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The .deb of what is committed, or the one that the environment's DEB names."""
    if given := os.environ.get("DEB"):
        return Path(given).resolve()
    built = subprocess.run(
        [str(ROOT / "scripts/deb")], capture_output=True, text=True, timeout=600, check=False
    )
    assert built.returncode == 0, built.stderr[-4000:]
    kept = tmp_path_factory.mktemp("package") / "pi-iot-agent.deb"
    shutil.copy(ROOT / "dist/pi-iot-agent.deb", kept)
    return kept


@pytest.fixture(scope="module")
def cloud(_able: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalAws]:
    """A local AWS on this machine's loopback, which a box shares."""
    with LocalAws(tmp_path_factory.mktemp("cloud")) as running:
        yield running


@pytest.fixture(scope="module", params=SUITES)
def suite(request: pytest.FixtureRequest) -> str:
    """A Debian release."""
    return str(request.param)


@pytest.fixture(scope="module")
def box(_able: None, suite: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Box]:
    """A box that has what the package depends on, but not the package."""
    directory = tmp_path_factory.mktemp("boxes") / suite
    try:
        made = Box(directory, suite, packages=DEPENDENCIES, memory_mib=MEMORY_MIB)
        with made as running:
            yield running
    except RootError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def bare(box: Box, cloud: LocalAws, package: Path) -> Device:
    """The box of the suite, with the package or without it, as the last test left it."""
    return Device(box, cloud, package, name=f"device-{box.suite}")


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
