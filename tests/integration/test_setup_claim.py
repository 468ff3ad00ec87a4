"""`setup --claim` against the local AWS: a device without an AWS key."""

from __future__ import annotations

import stat
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from agent.config import load
from agent.identity import Generations
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
    assert f"{device.toml}: is written" in done.stdout  # for the template gives the name
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
        (["--claim", "/nonexistent"], "/nonexistent: No such file"),
        (["--claim", "/dev/null"], "has no claim"),
        (["--claim", ""], "the path is empty"),
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
    assert done.returncode == 2
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


def test_a_claim_renews_a_device_that_a_claim_has_registered(device: Unclaimed) -> None:
    """One that is not let in changes nothing; one of minutes is erased, another is kept."""
    device.aws.fleet.claim(device.directory / "claim")
    flags = ("--template", TEMPLATE, "--endpoint", device.aws.endpoint)
    assert device.setup("--claim", str(device.directory / "claim"), *flags).returncode == 0
    certs = device.config.paths.certs
    generations = Generations(certs, "hall")

    def state() -> tuple[str, str, str]:
        key = (certs / ".claim" / "private.pem.key").read_text()
        return generations.fingerprint(generations.current), key, device.toml.read_text()

    first = state()
    device.aws.fleet.claim(device.directory / "refused")
    newest = device.aws.certificates()[-1]
    device.aws.iot.update_certificate(certificateId=newest.certificate_id, newStatus="INACTIVE")
    refused = device.setup("--claim", str(device.directory / "refused"), "--name", "den")
    assert refused.returncode == 77
    assert "does not let the claim certificate connect" in refused.stderr
    assert state() == first
    (device.directory / "minutes").mkdir()
    printed = device.aws.fleet.provisioning_claim(device.directory / "made")
    (device.directory / "minutes" / "claim.json").write_text(printed)
    done = device.setup("--claim", str(device.directory / "minutes"))
    assert (done.returncode, done.stderr) == (0, "")
    assert "the claim is erased" in done.stdout
    second = state()
    assert second[0] != first[0]
    assert second[1:] == first[1:]
    device.aws.fleet.claim(device.directory / "kept")
    assert device.setup("--claim", str(device.directory / "kept")).returncode == 0
    third = state()
    assert third[0] not in {first[0], second[0]}
    assert third[1] != first[1]
    assert not (certs / ".claim.new").exists()
    other = device.setup("--claim", str(device.directory / "kept"), "--endpoint", "elsewhere")
    assert (other.returncode, state()) == (2, third)
    assert "is registered at" in other.stderr


def test_a_claim_for_a_device_with_an_aws_keys_identity_is_refused(device: Unclaimed) -> None:
    """It would change nothing, and the template may well name the device otherwise."""
    key = device.directory / "key"
    key.write_text("SECRET")
    flags = ("--name", "attic", "--region", device.aws.region, "--access-key-id", "AKIA" + "A" * 16)
    assert device.setup(*flags, "--secret-file", str(key)).returncode == 0
    before = device.toml.read_text()
    device.aws.fleet.claim(device.directory / "claim")
    claim = ("--claim", str(device.directory / "claim"), "--template", TEMPLATE)
    done = device.setup(*claim, "--endpoint", device.aws.endpoint)
    assert done.returncode == 2
    assert "registered already, with an AWS key" in done.stderr
    assert device.toml.read_text() == before
    assert not (device.config.paths.certs / ".claim").exists()
