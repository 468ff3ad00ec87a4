"""`setup --claim` against the local AWS: a device without an AWS key."""

from __future__ import annotations

import stat
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from agent.config import load
from agent.sensors import options_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from agent.config import Config
    from tests.tools.cloud import LocalAws

ROOT = Path(__file__).parents[2]
TEMPLATE = "home"


class Unclaimed:
    """A device with a configuration that says nothing of its registration."""

    def __init__(self, aws: LocalAws, directory: Path) -> None:
        self.aws = aws
        self.directory = directory
        self.toml = directory / "agent.toml"
        self.toml.write_text(
            aws.agent_toml(
                directory,
                thing={"name": None},
                aws={"region": None},
                provisioning={"credentials_file": str(directory / "none")},
            )
        )

    @property
    def config(self) -> Config:
        """What its file says."""
        return load(self.toml, options_of=options_of, environment={})

    def setup(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run `setup` without a terminal."""
        return subprocess.run(
            [sys.executable, "-m", "agent", "setup", "--config", str(self.toml), *arguments],
            cwd=ROOT,
            env=self.aws.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
        )


@pytest.fixture
def device(cloud: LocalAws, tmp_path: Path) -> Iterator[Unclaimed]:
    """A device, and a template that names all devices alike."""
    cloud.fleet.create_template(TEMPLATE, ThingName="hall")
    yield Unclaimed(cloud, tmp_path)
    cloud.faults.clear()
    cloud.fleet.clear()


def test_a_directory_with_a_claim_sets_a_device_up(device: Unclaimed) -> None:
    """The claim goes to where the service has it, and stays; a second run needs no flag."""
    device.aws.fleet.claim(device.directory / "claim")
    flags = ("--claim", str(device.directory / "claim"), "--template", TEMPLATE)
    done = device.setup(*flags, "--endpoint", device.aws.endpoint)
    assert (done.returncode, done.stderr) == (0, "")
    config = device.config
    assert (config.thing.name, config.warnings) == ("hall", ())
    assert config.provisioning.claim_key_file
    assert config.provisioning.claim_key_file.parent == config.paths.certs / ".claim"
    for path in (config.provisioning.claim_key_file, config.provisioning.claim_cert_file):
        assert path
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert "registered as hall by the template home" in done.stdout
    again = device.setup()
    assert (again.returncode, again.stderr) == (0, "")
    assert "there already" in again.stdout


def test_what_aws_printed_sets_a_device_up_and_is_erased(device: Unclaimed) -> None:
    """A claim that lives for minutes is of no use later; the file that was given stays."""
    (device.directory / "claim").mkdir()
    printed = device.aws.fleet.provisioning_claim(device.directory / "made")
    (device.directory / "claim" / "claim.json").write_text(printed)
    flags = ("--claim", str(device.directory / "claim"), "--template", TEMPLATE)
    done = device.setup(*flags, "--endpoint", device.aws.endpoint)
    assert (done.returncode, done.stderr) == (0, "")
    assert "the claim is erased" in done.stdout
    assert not (device.config.paths.certs / ".claim").exists()
    assert "PRIVATE" not in done.stdout


@pytest.mark.parametrize(
    ("flags", "told"),
    [
        (["--template", "home"], "--template goes with --claim"),
        (["--claim", "."], "has no claim"),
        (["--claim", "/nonexistent"], "/nonexistent"),
        (["--claim", "CLAIM"], "this is missing: --template, --endpoint"),
        (["--claim", "CLAIM", "--template", "a b", "--endpoint", "x"], "--template: expected"),
        (["--claim", "CLAIM", "--template", "a", "--endpoint", "a b"], "--endpoint: "),
        (["--claim", "CLAIM", "--secret-stdin"], "no AWS key is needed"),
    ],
)
def test_what_is_wrong_changes_nothing(device: Unclaimed, flags: list[str], told: str) -> None:
    """And is told with its flag."""
    device.aws.fleet.claim(device.directory / "claim")
    before = device.toml.read_text()
    where = str(device.directory / "claim")
    done = device.setup(*[where if flag == "CLAIM" else flag for flag in flags])
    assert done.returncode in {2, 75, 78}
    assert told in done.stderr
    assert "Traceback" not in done.stderr
    assert device.toml.read_text() == before


def test_a_claim_that_is_refused_is_told_and_kept_for_the_agent(device: Unclaimed) -> None:
    """Which goes on trying with it."""
    device.aws.fleet.claim(device.directory / "claim")
    device.aws.fleet.hook = lambda _: False
    flags = ("--claim", str(device.directory / "claim"), "--template", TEMPLATE)
    done = device.setup(*flags, "--endpoint", device.aws.endpoint)
    assert done.returncode == 77
    assert "refuses this device" in done.stderr
    assert (device.config.paths.certs / ".claim" / "private.pem.key").exists()
