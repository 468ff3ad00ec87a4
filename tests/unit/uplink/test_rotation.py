"""A certificate that ends is told of, and replaced by one that has been let in, never otherwise."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest

from agent import files
from agent.health.progress import Progress
from agent.identity import Generations, load
from agent.uplink.rotation import DAY_S, LOOK_EVERY_S, TRY_FOR_S, Rotation
from tests.fakes import Ticks
from tests.unit.uplink.conftest import NAME, Device, Script, write_generation

if TYPE_CHECKING:
    from collections.abc import Iterator

    from agent.identity import Credentials

CODE = "certificate-expiring"
OLD, NEW = "0123456789ab", "ba9876543210"
NO_KEY = Progress("provision", "there is no AWS key", "no-aws-credentials", "write one")
REFUSED = Progress("certificate", "AWS refuses it", "provisioning-refused", "grant it")
DONE = Progress("ready", "ready")


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


@pytest.fixture
def rotating(device: Device) -> Iterator[Rotating]:
    """One that ends in twenty days; its child makes the new one ready."""
    found = Rotating(device)
    device.children.scripts = [Script([DONE], 0, found.make_ready)]
    yield found
    assert found.used() in found.lets_in


def test_one_that_ends_soon_is_replaced_once_the_new_one_is_let_in(rotating: Rotating) -> None:
    """By one child, and the next attempt; the condition ends with it."""
    rotating.attempt()
    assert rotating.used() == OLD
    assert "ends on" in rotating.told()
    assert "in 20 days" in rotating.told()
    assert "by itself" in rotating.told()
    rotating.attempt()
    assert rotating.tried == [OLD, NEW]
    assert rotating.used() == NEW
    assert not rotating.generations.pending.is_symlink()
    assert rotating.told() == ""
    assert rotating.device.children.rotating == [True]


def test_nothing_begins_before_its_time(device: Device) -> None:
    """Nor is anything said."""
    rotating = Rotating(device, days=31)
    rotating.attempt()
    assert not device.children.started
    assert rotating.told() == ""


def test_nothing_begins_by_itself_where_that_is_not_wanted(device: Device) -> None:
    """The end is told all the same, thirty days before, with what a person does."""
    rotating = Rotating(device, before_days=0)
    rotating.attempt()
    assert not device.children.started
    assert "run `sudo pi-iot-agent rotate`" in rotating.told()


def test_a_longer_time_before_the_end_counts_for_the_warning_too(device: Device) -> None:
    """What is to be replaced is told of."""
    rotating = Rotating(device, days=80, before_days=90)
    device.children.scripts = [Script([REFUSED], 77)]
    rotating.attempt()
    assert "in 80 days: AWS refuses it (grant it)" in rotating.told()


def test_the_end_is_told_while_offline_too(rotating: Rotating) -> None:
    """But nothing begins."""
    rotating.lets_in = set()
    rotating.attempt()
    assert "in 20 days" in rotating.told()
    rotating.pass_by(21 * DAY_S)
    rotating.attempt()
    assert "the certificate ended on" in rotating.told()
    assert not rotating.device.children.started
    rotating.lets_in = {OLD}


def test_a_new_one_that_is_not_let_in_leaves_the_old_one(rotating: Rotating) -> None:
    """It is tried again with a growing distance, for hours; then a child looks at it again."""
    rotating.lets_in = {OLD}
    tried_s: list[float] = []
    rotating.attempt()
    while rotating.ticks.now_s < TRY_FOR_S * 3:
        rotating.attempt(steps=1)
        if rotating.tried[-1] == NEW:
            tried_s.append(rotating.ticks.now_s)
        rotating.pass_by(60.0)
    gaps_s = [later - earlier for earlier, later in pairwise(tried_s)]
    assert gaps_s[0] < 200
    assert all(later >= earlier for earlier, later in pairwise(gaps_s))
    assert 5 < len(tried_s) < 20
    assert tried_s[-1] - tried_s[0] < TRY_FOR_S
    assert len(rotating.device.children.started) == 1
    rotating.pass_by(DAY_S)
    rotating.lets_in.add(NEW)
    rotating.attempt()
    rotating.attempt()
    assert len(rotating.device.children.started) == 2
    assert rotating.used() == NEW


def test_what_a_killed_run_has_made_ready_is_tried_without_a_child(device: Device) -> None:
    """Though the one in use does not end."""
    rotating = Rotating(device, days=9000)
    rotating.make_ready()
    rotating.attempt()
    rotating.attempt()
    assert rotating.used() == NEW
    assert not device.children.started


def test_what_a_killed_run_has_begun_is_finished_by_a_child(device: Device) -> None:
    """Without its roots it is not ready."""
    rotating = Rotating(device, days=9000)
    rotating.make_ready()
    root = rotating.generations.pending / "AmazonRootCA1.pem"
    aside = root.rename(device.certs / "root")

    def restore() -> None:
        aside.rename(root)

    device.children.scripts = [Script([DONE], 0, restore)]
    rotating.attempt()
    rotating.attempt()
    assert len(device.children.started) == 1
    assert rotating.used() == NEW


@pytest.mark.parametrize(
    ("script", "text"),
    [
        (Script([NO_KEY], 77), "in 20 days: there is no AWS key to make a new one with (run `sudo"),
        (Script([REFUSED], 77), "in 20 days: AWS refuses it (grant it)"),
        (Script([], -9), "in 20 days: it was ended by SIGKILL (memory"),
        (Script([DONE], 0), "in 20 days: it ended with exit code 0"),
    ],
)
def test_a_child_that_fails_is_told_and_tried_again_ever_more_seldom(
    rotating: Rotating, script: Script, text: str
) -> None:
    """After one hour, two, four, until the next day."""
    rotating.device.children.scripts = [script]
    begun_s: list[float] = []
    while rotating.ticks.now_s < 5 * DAY_S:
        rotating.attempt()
        if len(rotating.device.children.started) > len(begun_s):
            begun_s.append(rotating.ticks.now_s)
        rotating.pass_by(1800.0)
    gaps_s = [later - earlier for earlier, later in pairwise(begun_s)]
    assert gaps_s[:3] == [LOOK_EVERY_S, 2 * LOOK_EVERY_S, 4 * LOOK_EVERY_S]
    assert gaps_s[-1] == DAY_S
    assert text.replace("20", "15") in rotating.told()
    assert rotating.tried == [OLD] * len(rotating.tried)


def test_a_wish_to_try_again_has_it_look_at_once(rotating: Rotating) -> None:
    """Such as once there is an AWS key."""
    rotating.device.children.scripts = [
        Script([NO_KEY], 77),
        Script([DONE], 0, lambda: rotating.make_ready(days=10)),
    ]
    rotating.attempt()
    rotating.attempt()
    assert len(rotating.device.children.started) == 1
    assert "no AWS key" in rotating.told()
    rotating.rotation.retry()
    rotating.attempt()
    rotating.attempt()
    assert rotating.used() == NEW
    assert "in 10 days (it is replaced by itself" in rotating.told()


def test_what_is_ready_is_tried_though_the_child_fails(rotating: Rotating) -> None:
    """As what a person has made ready, with an AWS key that is not here; no trouble is left."""
    rotating.device.children.scripts = [Script([NO_KEY], 77, lambda: rotating.make_ready(days=10))]
    rotating.attempt()
    assert "no AWS key" in rotating.told()
    rotating.attempt()
    assert rotating.used() == NEW
    assert "in 10 days (it is replaced by itself" in rotating.told()


def test_a_child_that_hangs_is_ended(rotating: Rotating) -> None:
    """After an hour, and told as any that fails."""
    rotating.device.children.scripts = [Script([DONE] * 9, 1)]
    used = rotating.rotation.credentials(load(rotating.device.config))
    rotating.rotation.tend(used, idle=True)
    assert not rotating.rotation.tend(used, idle=True)
    rotating.pass_by(LOOK_EVERY_S + 1)
    assert not rotating.rotation.tend(used, idle=True)
    assert "ended with exit code 1" in rotating.told()


def test_a_persons_command_goes_first(rotating: Rotating) -> None:
    """No child, no attempt with the new one, and a child that runs is ended."""
    with files.lock(rotating.device.certs / ".by-hand", "a person"):
        rotating.attempt()
    assert not rotating.device.children.started
    rotating.rotation.retry()
    rotating.attempt()
    with files.lock(rotating.device.certs / ".by-hand", "a person"):
        rotating.attempt()
    assert rotating.tried == [OLD, OLD, OLD]
    rotating.rotation.retry()
    rotating.attempt()
    rotating.attempt()
    assert rotating.used() == NEW


def test_no_child_begins_while_another_may_hold_the_lock(rotating: Rotating) -> None:
    """It waits for that one's end."""
    rotating.attempt(idle=False)
    assert not rotating.device.children.started
    rotating.attempt()
    assert len(rotating.device.children.started) == 1


def test_a_switch_that_fails_leaves_the_old_one_in_use(rotating: Rotating) -> None:
    """The session with the new one is ended, and both are tried again."""
    rotating.attempt()
    with files.lock(rotating.device.certs / ".lock", "another"):
        rotating.attempt()
    assert rotating.ended == [OLD, NEW]
    assert rotating.used() == OLD
    rotating.attempt()
    rotating.pass_by(LOOK_EVERY_S)
    rotating.attempt()
    rotating.attempt()
    assert rotating.tried == [OLD, NEW, OLD, OLD, NEW]
    assert rotating.used() == NEW


def test_a_new_one_that_ends_as_soon_is_not_replaced_at_once(rotating: Rotating) -> None:
    """An authority may give none that last: one a day is enough."""
    rotating.device.children.scripts = [
        Script([DONE], 0, lambda: rotating.make_ready(days=10)),
        Script([NO_KEY], 77),
    ]
    rotating.attempt()
    rotating.attempt()
    rotating.pass_by(DAY_S - LOOK_EVERY_S)
    rotating.attempt()
    assert len(rotating.device.children.started) == 1
    rotating.pass_by(LOOK_EVERY_S)
    rotating.attempt()
    assert len(rotating.device.children.started) == 2


def test_one_that_was_made_ready_on_another_board_is_not_tried(device: Device) -> None:
    """A card may have been copied in between."""
    rotating = Rotating(device, days=9000)
    rotating.make_ready()
    identity = rotating.generations.pending / "identity.json"
    identity.write_text(identity.read_text().replace('"serial": ""', '"serial": "other"'))
    device.children.scripts = [Script([NO_KEY], 77)]
    rotating.attempt()
    rotating.attempt()
    assert rotating.tried == [OLD, OLD]


def test_the_owners_own_certificate_is_told_of_and_left_alone(device: Device) -> None:
    """The hint says what replaces it."""
    rotating = Rotating(device)
    own = load(device.config)
    used = rotating.rotation.credentials(replace(own, identity=None))
    rotating.rotation.connected(used)
    assert not rotating.rotation.tend(used, idle=True)
    assert "put a new one at cert_file" in rotating.told()
    assert not device.children.started


def test_a_certificate_that_cannot_be_read_says_nothing(rotating: Rotating) -> None:
    """OpenSSL may know it all the same."""
    used = load(rotating.device.config)
    used.certificate.write_text("-----BEGIN TRUSTED CERTIFICATE-----")
    assert rotating.rotation.credentials(used) == used
    assert rotating.told() == ""


def test_a_child_is_looked_at_soon(rotating: Rotating) -> None:
    """And without one nothing is waited for."""
    used = rotating.rotation.credentials(load(rotating.device.config))
    assert rotating.rotation.look_s > LOOK_EVERY_S
    rotating.rotation.tend(used, idle=True)
    assert rotating.rotation.look_s < 10
    rotating.rotation.disconnected()
