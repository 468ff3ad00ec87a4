"""A Raspberry Pi's architecture changes nothing: the package installs, and the agent works.

scripts/test-arm runs this, which takes half an hour when the root file systems must be made.
"""

from __future__ import annotations

import shutil
import subprocess
import time
from typing import TYPE_CHECKING

import pytest

from tests.arm.emulated import EMULATORS, Emulated
from tests.system.device import CA_FILE, CONFIG, CREDENTIALS, SENSORS
from tests.system.package import current
from tests.system.roots import RootError
from tests.tools.cloud import LocalAws

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.timeout(3600)

AGENT = "pi-iot-agent"
RUN_S = 60


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalAws]:
    """A local AWS on this machine's loopback."""
    with LocalAws(tmp_path_factory.mktemp("cloud")) as running:
        yield running


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The .deb of what is committed, or the one that the environment's DEB names."""
    return current(tmp_path_factory.mktemp("package"))


@pytest.mark.parametrize("suite", ["bookworm", "trixie"])
@pytest.mark.parametrize("architecture", EMULATORS)
def test_it_is_installed_and_runs(
    architecture: str, suite: str, cloud: LocalAws, package: Path, tmp_path: Path
) -> None:
    """With apt; `check` and `read` work; `run` registers, and loses nothing in a minute."""
    if not EMULATORS[architecture].exists():
        pytest.skip(f"this kernel has no emulator for {architecture}: use scripts/test-arm")
    name = f"{suite}-{architecture}"
    root = tmp_path / "root"
    root.mkdir()
    try:
        pi = Emulated(root, suite, architecture)
    except RootError as error:
        pytest.skip(str(error))
    assert pi.output("dpkg", "--print-architecture").strip() == architecture
    shutil.copy(package, root / "root/pi-iot-agent.deb")
    pi.output("apt-get", "install", "-y", "/root/pi-iot-agent.deb")

    pi.write(CA_FILE, cloud.ca_file.read_text(), owner=AGENT)
    pi.write(CREDENTIALS, cloud.credentials, owner=AGENT)
    toml = cloud.agent_toml(
        tmp_path,
        name=name,
        sensors=SENSORS,
        provisioning={"credentials_file": None},
        mqtt={"ca_file": CA_FILE},
        count={"window_s": 5},
        paths={"certs": None, "state": None, "runtime": None},
    )
    pi.write(CONFIG, toml, owner=AGENT)
    # What systemd makes before it starts the service.
    for directory in ("/var/lib/pi-iot-agent", "/run/pi-iot-agent"):
        pi.output("install", "-d", "-m", "0700", "-o", AGENT, "-g", AGENT, directory)

    assert f"{CONFIG}: OK" in pi.output(AGENT, "check", user=AGENT)
    assert pi.output(AGENT, "read", "room", user=AGENT).startswith("room temperature_c ")

    log = tmp_path / "log"
    with log.open("wb") as stderr:
        running = subprocess.Popen(pi.command(AGENT, "run", user=AGENT), stderr=stderr)
    try:
        arrived = wait_for_readings(cloud, name, 1, running, log)
        time.sleep(RUN_S)
        assert wait_for_readings(cloud, name, arrived + RUN_S, running, log)
        assert " is online " in pi.output(AGENT, "status", user=AGENT)
        running.terminate()
        assert running.wait(60) == 0, log.read_text()
    finally:
        running.kill()
        running.wait()
    records = [
        message.json()
        for message in cloud.observer.messages(f"{name}/#")
        if b'"seq"' in message.payload
    ]
    numbers = sorted({record["seq"] for record in records})
    assert numbers == list(range(1, len(numbers) + 1))
    assert len({record["epoch"] for record in records}) == 1


def wait_for_readings(
    cloud: LocalAws, name: str, wanted: int, running: subprocess.Popen[bytes], log: Path
) -> int:
    """Wait until so many readings have arrived; how many have."""
    until_s = time.monotonic() + 300
    while True:
        arrived = len(cloud.observer.messages(f"{name}/sensors/room"))
        if arrived >= wanted:
            return arrived
        assert running.poll() is None, log.read_text()
        assert time.monotonic() < until_s, log.read_text()
        time.sleep(0.5)
