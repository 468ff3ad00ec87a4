"""A certificate that ends is told of, and replaced by one that has been let in, never otherwise."""

from __future__ import annotations

from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest

from agent import files
from agent.health.progress import Progress
from agent.identity import load
from agent.model import DAY_S
from agent.uplink.rotation import LOOK_EVERY_S, TRY_FOR_S
from agent.value import replace
from tests.unit.uplink.conftest import Device, Script
from tests.unit.uplink.rotating import NEW, OLD, Rotating

if TYPE_CHECKING:
    from collections.abc import Iterator

NO_KEY = Progress("provision", "there is no AWS key", "no-aws-credentials", "write one")
REFUSED = Progress("certificate", "AWS refuses it", "provisioning-refused", "grant it")
DONE = Progress("ready", "ready")


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


@pytest.mark.parametrize(("days", "text"), [(20, "in 20 days"), (-1, "ended on")])
def test_nothing_begins_by_itself_where_that_is_not_wanted(
    device: Device, days: int, text: str
) -> None:
    """The end is told all the same, thirty days before and after it, with what a person does."""
    rotating = Rotating(device, days=days, before_days=0)
    rotating.attempt()
    assert not device.children.started
    assert text in rotating.told()
    assert "run `sudo pi-iot-agent rotate`" in rotating.told()


def test_what_a_person_has_begun_is_not_finished_by_itself_where_that_is_not_wanted(
    device: Device,
) -> None:
    """It waits for the person."""
    rotating = Rotating(device, days=9000, before_days=0)
    rotating.make_ready()
    (rotating.generations.pending / "AmazonRootCA1.pem").unlink()
    rotating.attempt()
    assert not device.children.started


def test_a_new_one_that_ends_as_soon_is_used_for_half_of_its_life(device: Device) -> None:
    """An authority may make no others; the end is told all the same."""
    rotating = Rotating(device, days=20, before_days=30)
    make_short = partial(rotating.make_ready, days=24)
    device.children.scripts = [Script([DONE], 0, make_short), Script([REFUSED], 77)]
    rotating.attempt()
    rotating.attempt()
    assert rotating.used() == NEW
    assert "in 24 days" in rotating.told()
    rotating.pass_by(11 * DAY_S)
    rotating.attempt()
    assert len(device.children.started) == 1
    rotating.pass_by(2 * DAY_S)
    rotating.attempt()
    assert len(device.children.started) == 2


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


def test_a_switch_that_was_killed_is_no_rotation_that_waits(device: Device) -> None:
    """What is pending is in use already."""
    rotating = Rotating(device, days=9000)
    rotating.generations.pending.symlink_to(rotating.generations.current.readlink())
    rotating.attempt()
    rotating.attempt()
    assert not device.children.started
    assert rotating.tried == [OLD, OLD]


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


def test_a_link_that_flaps_has_children_ever_more_seldom(rotating: Rotating) -> None:
    """Each session ends before its child; the work is gone on with after a minute, two, four."""
    rotating.device.children.scripts = [Script([DONE] * 9, 0, rotating.make_ready)]
    begun_s: list[float] = []
    while rotating.ticks.now_s < 5 * LOOK_EVERY_S:
        rotating.attempt(steps=1)
        if len(rotating.device.children.started) > len(begun_s):
            begun_s.append(rotating.ticks.now_s)
        rotating.pass_by(60.0)
    gaps_s = [later - earlier for earlier, later in pairwise(begun_s)]
    assert gaps_s[:4] == [60, 120, 240, 480]
    rotating.pass_by(DAY_S)
    rotating.attempt(steps=12)
    rotating.attempt()
    assert rotating.used() == NEW


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


def test_the_end_of_ones_own_certificate_is_told_within_a_session(device: Device) -> None:
    """Which may last for months."""
    rotating = Rotating(device, days=59)
    used = rotating.rotation.credentials(replace(load(device.config), identity=None))
    rotating.rotation.connected(used)
    for _ in range(58):
        assert not rotating.rotation.tend(used, idle=True)
        rotating.pass_by(DAY_S)
    assert "in 2 days" in rotating.told()
    rotating.rotation.tend(used, idle=True)
    assert "within two days" in rotating.told()
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
