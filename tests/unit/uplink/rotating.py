"""A registered device whose certificate ends, and a broker that lets in whom it is told."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

from agent import files
from agent.identity import Generations, load
from agent.uplink.rotation import Rotation
from agent.value import replace
from tests.fakes import Ticks
from tests.unit.uplink.conftest import NAME, Device, write_generation

if TYPE_CHECKING:
    from agent.identity import Credentials

CODE = "certificate-expiring"
OLD, NEW = "0123456789ab", "ba9876543210"


class Rotating:
    """A registered device whose certificate ends in `days`; the broker lets in whom it is told."""

    def __init__(self, device: Device, *, days: float = 20.0, before_days: float = 30.0) -> None:
        self.device = device
        self.ticks = Ticks()
        self.generations = Generations(device.certs, NAME)
        self.write(OLD, days)
        files.switch_link(self.generations.current, f".{NAME}.{OLD}")
        self.lets_in = {OLD, NEW}
        self.tried: list[str] = []
        self.ended: list[str] = []  # by the rotation: what they were of
        provisioning = replace(device.config.provisioning, rotate_before_days=before_days)
        self.rotation = Rotation(
            replace(device.config, provisioning=provisioning),
            health=device.health,
            waits=device.waits,
            clock=device.clock,
            start=device.children,
            monotonic_s=self.ticks,
        )

    def write(self, digits: str, days: float) -> None:
        """Have a generation whose certificate ends in so many days."""
        ends = dt.datetime.fromtimestamp(self.device.clock.wall_s(), dt.UTC)
        write_generation(self.device.certs, digits, not_after=ends + dt.timedelta(days=days))

    def make_ready(self, *, days: float = 9000.0) -> None:
        """Have a new certificate be pending, as the child does."""
        if not (self.device.certs / f".{NAME}.{NEW}").exists():
            self.write(NEW, days)
        files.switch_link(self.generations.pending, f".{NAME}.{NEW}")

    def used(self) -> str:
        """The digits of what is in use."""
        return self.generations.current.readlink().name.rpartition(".")[2]

    def attempt(self, *, steps: int = 5, idle: bool = True) -> Credentials | None:
        """Connect, and serve until the rotation ends it or some steps are over; None if refused."""
        found = self.rotation.credentials(load(self.device.config))
        digits = found.certificate.parent.name.rpartition(".")[2]
        self.tried.append(digits)
        if digits not in self.lets_in:
            return None
        self.rotation.connected(found)
        for _ in range(steps):
            if self.rotation.tend(found, idle=idle):
                self.ended.append(digits)
                break
        self.rotation.disconnected()
        return found

    def pass_by(self, seconds: float) -> None:
        """Let time pass."""
        self.ticks.now_s += seconds
        self.device.clock.pass_by(seconds)

    def told(self) -> str:
        """Text and hint of the condition; "" if there is none."""
        return self.device.conditions().get(CODE, "")
