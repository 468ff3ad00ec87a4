"""A device that has nothing but a claim, and what AWS and its disk have of it."""

from __future__ import annotations

import itertools
import sys
import threading
from typing import TYPE_CHECKING, Any

from agent import config as configuration
from agent.identity import Generations, load
from agent.provisioning import fleet
from agent.provisioning.retry import Retry
from tests.integration.provisioning.device import Commanded, CrashError, one_root

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from agent.config import Config
    from agent.health.progress import Progress
    from tests.tools.cloud import LocalAws

SERIALS = itertools.count(1)
TEMPLATE = "home"

#: What changes the disk, as Python tells its audit hooks (sys.audit, "Audit events table").
CHANGES = {"os.rename", "os.symlink", "os.mkdir", "os.remove", "os.rmdir"}


class Killer:
    """Stands for SIGKILL before the change of the disk number `at`, while it is armed."""

    def __init__(self) -> None:
        self.at = self.seen = 0
        self._armed = 0  # the thread that is to be killed
        sys.addaudithook(self._hook)  # there is no way to take one back

    def arm(self, at: int) -> None:
        """Count from now on, in this thread."""
        self.at, self.seen, self._armed = at, 0, threading.get_ident()

    def disarm(self) -> None:
        """Count no more."""
        self._armed = 0

    def _hook(self, event: str, _arguments: tuple[Any, ...]) -> None:
        if event in CHANGES and threading.get_ident() == self._armed:
            self.seen += 1
            if self.seen == self.at:
                self._armed = 0
                raise CrashError(event)


class FleetDevice(Commanded):
    """A device with a claim in a directory of its own; `settings` are those of [provisioning].

    `claim` is one that there is, as on the cards of a fleet.
    """

    def __init__(
        self,
        aws: LocalAws,
        directory: Path,
        *,
        temporary: bool = False,
        claim: tuple[Path, Path] | None = None,
        mqtt: dict[str, Any] | None = None,
        parameters: dict[str, str] | None = None,
        **settings: Any,  # noqa: ANN401
    ) -> None:
        self.aws = aws
        self.directory = directory
        directory.mkdir(exist_ok=True)
        self.serial = f"{next(SERIALS):016x}"
        self.name = f"host-{self.serial[-8:]}"
        certificate, key = self.claim = claim or aws.fleet.claim(
            directory / "claim", template=TEMPLATE, temporary=temporary
        )
        about = {
            "method": "claim",
            "template": TEMPLATE,
            "claim_cert_file": str(certificate),
            "claim_key_file": str(key),
            **settings,
        }
        more = {"provisioning.parameters": parameters} if parameters else {}
        self.toml = directory / "agent.toml"
        self.toml.write_text(
            aws.agent_toml(
                directory,
                name=self.name,
                sensors=[],
                provisioning=about,
                mqtt={"endpoint": aws.endpoint, "connect_timeout_s": 5, **(mqtt or {})},
                **more,
            )
        )
        self.reports: list[Progress] = []
        self.waited_s: list[float] = []

    @property
    def config(self) -> Config:
        """What the file says, with the name that the device has."""
        return configuration.load(self.toml, options_of=lambda _: dict, environment={})

    @property
    def certs(self) -> Path:
        """Where its generations are."""
        return self.directory / "certs"

    @property
    def thing(self) -> str:
        """The name that the template gives."""
        return f"device-{self.serial}"

    def edit(self, old: str, new: str) -> None:
        """Have the file say something else."""
        text = self.toml.read_text()
        assert old in text
        self.toml.write_text(text.replace(old, new))

    def retry(
        self, *, patience_s: float = 600.0, sleep: Callable[[float], None] = lambda _: None
    ) -> Retry:
        """Attempts that note their waits, wait only if `sleep` does, and take no other time."""

        def wait(seconds: float) -> None:
            self.waited_s.append(seconds)
            sleep(seconds)

        return Retry(
            self.reports.append,
            patience_s=patience_s,
            sleep=wait,
            clock=lambda: sum(self.waited_s),
        )

    def provision(
        self,
        *,
        patience_s: float = 600.0,
        sleep: Callable[[float], None] = lambda _: None,
        **more: Any,  # noqa: ANN401
    ) -> str:
        """Register as the daemon's child does; the name."""
        config = self.config
        with Generations(self.certs, config.thing.name).locked():
            return fleet.provision(
                config,
                self.retry(patience_s=patience_s, sleep=sleep),
                serial=self.serial,
                bundles=[one_root(self.directory)],
                **more,
            )

    def own(self) -> list[Any]:
        """Its certificates at AWS: those that are its thing's."""
        return [one for one in self.aws.certificates() if self.thing in one.things]

    def check_whole(self) -> None:
        """It is registered: one certificate, active; its files are whole, and nothing else is."""
        found = load(self.config)
        assert found.identity
        (one,) = self.own()
        assert one.status == "ACTIVE"
        assert len(one.policies) == 1
        assert one.certificate_id == found.identity.certificate_id
        assert (found.identity.thing, found.identity.method) == (self.thing, "claim")
        names = {path.name for path in self.certs.iterdir()} - {".lock", ".by-hand"}
        assert names == {self.thing, ".name", f".{self.thing}.{one.certificate_id[:12]}"}
        assert not list((self.certs / self.thing).glob(".*"))
