"""A device on disk, and a child process that does what a test tells it to."""

from __future__ import annotations

import datetime as dt
import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from agent import config as configuration
from agent.health.health import UPLINK, Health
from agent.identity import ROOT_CA_1, Identity, amazon_roots
from agent.identity.credentials import Files
from agent.uplink.child import Child, ending
from agent.uplink.waits import Waits
from agent.wakeup import Wakeup
from tests.fakes import START_S, FakeClock
from tests.tools.cloud.authority import NOT_AFTER, Authority

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from agent.config import Config
    from agent.health.progress import Progress

NAME = "living-room"
AUTHORITY = Authority("A root", now=dt.datetime.fromtimestamp(START_S, dt.UTC))


def write_identity(certs: Path, name: str = NAME, *, serial: str = "") -> None:
    """Register a device, as far as the disk is concerned."""
    write_files(Files(certs / name, name), serial=serial)


def write_generation(certs: Path, digits: str, *, not_after: dt.datetime) -> None:
    """Have a generation of the device, whose certificate ends then, beside what is in use."""
    write_files(Files(certs / f".{NAME}.{digits}", NAME), not_after=not_after)


def write_files(files: Files, *, serial: str = "", not_after: dt.datetime = NOT_AFTER) -> None:
    """Write what a generation has."""
    files.directory.mkdir(parents=True)
    key = ec.generate_private_key(ec.SECP256R1())
    pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    files.key.touch(0o600)
    files.key.write_bytes(pem)
    files.certificate.write_text(AUTHORITY.issue_device(key.public_key(), not_after=not_after))
    files.public_key.write_text("a public key")
    files.root.write_text(amazon_roots()[ROOT_CA_1])
    arn = "arn:aws:iot:eu-west-1:123456789012:cert/00"
    names = (files.thing, "123456789012", "eu-west-1", "localhost", arn, "00", "policy")
    files.identity.write_bytes(Identity(*names, 1795500600, serial).encode())


@dataclass
class Script:
    """What one child does: its reports, one a poll, then its effect, then its end.

    `told` is called with each report.
    """

    reports: list[Progress] = field(default_factory=list)
    code: int = 0
    effect: Callable[[], None] = lambda: None
    told: Callable[[], None] = lambda: None


class ScriptedChild(Child):
    """A child without a process."""

    def __init__(self, script: Script) -> None:
        self._script = script
        self._reports = list(script.reports)
        self._told = None
        self._ended = False
        self.retries = 0

    @property
    def exit_code(self) -> int | None:
        """As the script says, once all is told."""
        return self._script.code if self._ended else None

    def ending(self) -> tuple[str, str]:
        """As a process without a word on stderr."""
        return ending(self._script.code, b"")

    def poll(self, timeout_s: float) -> list[Progress]:
        """Tell the next report; without one, end."""
        assert timeout_s >= 0
        if self._reports:
            self._told = self._reports.pop(0)
            self._script.told()
            return [self._told]
        if not self._ended:
            self._script.effect()
            self._ended = True
        return []

    def retry(self) -> None:
        """Count."""
        self.retries += 1

    def close(self) -> None:
        """End."""
        self._ended = True


class Children:
    """Starts children by their scripts; the last script is played again and again."""

    def __init__(self) -> None:
        self.scripts: list[Script] = []
        self.started: list[ScriptedChild] = []
        self.retiring: list[bool] = []
        self.rotating: list[bool] = []

    def __call__(
        self, config: Config, *, wakeup: Wakeup, retire: bool = False, rotate: bool = False
    ) -> Child:
        """Start one. The surroundings are not looked at."""
        assert config.thing.name == NAME
        assert wakeup.fileno() >= 0
        script = self.scripts.pop(0) if len(self.scripts) > 1 else self.scripts[0]
        self.started.append(ScriptedChild(script))
        self.retiring.append(retire)
        self.rotating.append(rotate)
        return self.started[-1]


class NotedWaits(Waits):
    """Waits in which only the fake clock goes on; a test may have something happen in one."""

    def __init__(self, clock: FakeClock, *, health: Health, wakeup: Wakeup) -> None:
        super().__init__(UPLINK, health=health, wakeup=wakeup)
        self._clock = clock
        self.noted_s: list[float] = []
        #: A wish to try again comes so often, and ends the wait.
        self.wished_every_s = math.inf
        #: Called in each wait, with the seconds waited so far, this one included.
        self.meanwhile: Callable[[float], None] = lambda _: None

    def wait(self, wait_s: float) -> bool:
        """Pass the time."""
        wished = wait_s > self.wished_every_s
        wait_s = min(wait_s, self.wished_every_s)
        self._clock.pass_by(wait_s)
        self.noted_s.append(wait_s)
        self.meanwhile(sum(self.noted_s))
        return self.retry_wanted() or wished


class Device:
    """A device's directory, and what the uplink's parts share."""

    def __init__(self, directory: Path, wakeup: Wakeup) -> None:
        self.certs = directory / "certs"
        self.key = directory / "key"
        toml = directory / "agent.toml"
        toml.write_text(
            f'thing.name = "{NAME}"\npaths.certs = "certs"\nprovisioning.credentials_file = "key"\n'
        )
        self.config = configuration.load(toml, options_of=lambda _: dict, environment={})
        self.clock = FakeClock()
        self.health = Health()
        self.waits = NotedWaits(self.clock, health=self.health, wakeup=wakeup)
        self.children = Children()

    def conditions(self) -> dict[str, str]:
        """Code and text with hint of what stands."""
        return {one.code: f"{one.text} ({one.hint})" for one in self.health.snapshot().conditions}


@pytest.fixture
def device(tmp_path: Path) -> Iterator[Device]:
    """One that is not registered."""
    with Wakeup() as wakeup:
        yield Device(tmp_path, wakeup)
