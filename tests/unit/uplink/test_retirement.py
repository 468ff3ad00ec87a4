"""What a new certificate replaced is removed at AWS, or the device says that it may still live."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import pytest

from agent import files
from agent.health.progress import Progress
from agent.identity import Generations, load
from agent.uplink.retirement import LOOK_EVERY_S, TRY_EVERY_S, Retirement
from tests.fakes import Ticks
from tests.unit.uplink.conftest import NAME, Device, Script, write_identity

if TYPE_CHECKING:
    from pathlib import Path

CODE = "leftover-certificate"
REFUSED = Progress("certificate", "AWS refuses it", "provisioning-refused", "grant it")
NO_KEY = Progress("provision", "there is no AWS key", "no-aws-credentials", "write one")
DONE = Progress("certificate", "certificate 00, deleted")
LEFT = Progress("leftover", "certificate 00 is left: a policy", "leftover-certificate", "look")


class Retiring:
    """A device that is connected with a new certificate, beside the one that it replaced."""

    def __init__(self, device: Device) -> None:
        self.device = device
        write_identity(device.certs)
        self.stale = device.certs / f".{NAME}.0123456789ab"
        self.stale.mkdir()
        self.monotonic_s = Ticks()
        self.retirement = Retirement(
            device.config,
            health=device.health,
            waits=device.waits,
            start=device.children,
            monotonic_s=self.monotonic_s,
        )

    def session(self, *, steps: int = 5) -> dict[str, str]:
        """Connect, stay for a while, and be thrown out; the conditions after it."""
        self.retirement.connected(load(self.device.config))
        for _ in range(steps):
            self.retirement.tend()
        self.retirement.disconnected()
        return self.device.conditions()


@pytest.fixture
def retiring(device: Device) -> Retiring:
    """Such a device."""
    return Retiring(device)


def test_a_removal_that_succeeds_leaves_no_condition(retiring: Retiring) -> None:
    """It is one child, told to remove and do nothing else."""
    retiring.device.children.scripts = [Script([DONE], 0, retiring.stale.rmdir)]
    assert retiring.session() == {}
    assert retiring.session() == {}
    assert retiring.device.children.retiring == [True]


@pytest.mark.parametrize(
    ("script", "text"),
    [
        (Script([REFUSED], 77), "may still live at AWS: AWS refuses it (grant it)"),
        (Script([NO_KEY], 77), "may still live at AWS: there is no AWS key to remove it with"),
        (Script([], -9), "may still live at AWS: it was ended by SIGKILL (memory"),
        (Script([DONE], 1), "may still live at AWS: it ended with exit code 1"),
    ],
)
def test_a_removal_that_fails_is_told_until_one_succeeds(
    retiring: Retiring, script: Script, text: str
) -> None:
    """It is tried again, but not more often than once an hour."""
    retiring.device.children.scripts = [script, Script([DONE], 0, retiring.stale.rmdir)]
    assert text in retiring.session()[CODE]
    assert text in retiring.session()[CODE]
    assert len(retiring.device.children.started) == 1
    retiring.monotonic_s.now_s += TRY_EVERY_S
    assert retiring.session() == {}


def test_what_a_new_certificate_has_replaced_is_removed_at_once(
    retiring: Retiring, tmp_path: Path
) -> None:
    """Though the one before was looked after a moment ago."""
    retiring.device.children.scripts = [Script([REFUSED], 77), Script([DONE], 0)]
    retiring.session()
    (retiring.device.certs / NAME).rename(tmp_path / "older")
    write_identity(retiring.device.certs, serial="its identity tells them apart")
    retiring.session()
    assert len(retiring.device.children.started) == 2


def test_a_removal_is_tried_again_within_a_session(retiring: Retiring) -> None:
    """A good link lasts for months."""
    retiring.device.children.scripts = [
        Script([REFUSED], 77),
        Script([DONE], 0, retiring.stale.rmdir),
    ]
    retiring.retirement.connected(load(retiring.device.config))
    while retiring.monotonic_s.now_s < 2 * TRY_EVERY_S:
        retiring.retirement.tend()
        retiring.monotonic_s.now_s += LOOK_EVERY_S
    assert len(retiring.device.children.started) == 2
    assert retiring.device.conditions() == {}


def test_a_wish_to_try_again_has_it_removed_at_once(retiring: Retiring) -> None:
    """Such as once AWS grants it."""
    retiring.device.children.scripts = [
        Script([REFUSED], 77),
        Script([DONE], 0, retiring.stale.rmdir),
    ]
    retiring.session()
    retiring.retirement.retry()
    assert retiring.session() == {}


def test_what_the_removal_leaves_is_told_though_the_disk_has_it_no_more(
    retiring: Retiring,
) -> None:
    """Until the next session: nobody looks at AWS again."""
    retiring.device.children.scripts = [Script([LEFT, DONE], 0, retiring.stale.rmdir)]
    assert "certificate 00 is left: a policy (look)" in retiring.session()[CODE]
    assert retiring.session() == {}


def test_what_is_replaced_within_a_session_is_removed_in_it(retiring: Retiring) -> None:
    """As by a card's repair; not at once."""
    retiring.device.children.scripts = [Script([DONE], 0, retiring.stale.rmdir)]
    retiring.stale.rmdir()
    retiring.retirement.connected(load(retiring.device.config))
    retiring.stale.mkdir()
    retiring.retirement.tend()
    assert not retiring.device.children.started
    retiring.monotonic_s.now_s += LOOK_EVERY_S
    retiring.retirement.tend()
    assert len(retiring.device.children.started) == 1


def test_a_removal_that_a_lost_link_ends_is_gone_on_with_soon(retiring: Retiring) -> None:
    """In the next session after a minute, two, four: the link may flap."""
    retiring.device.children.scripts = [Script([DONE] * 9, 0, retiring.stale.rmdir)]
    begun_s: list[float] = []
    while retiring.monotonic_s.now_s < 4 * TRY_EVERY_S:
        retiring.session(steps=1)
        if len(retiring.device.children.started) > len(begun_s):
            begun_s.append(retiring.monotonic_s.now_s)
        retiring.monotonic_s.now_s += 20.0
    gaps_s = [later - earlier for earlier, later in pairwise(begun_s)]
    assert gaps_s[:4] == [60, 120, 240, 480]
    assert max(gaps_s) == TRY_EVERY_S


def test_a_removal_by_hand_ends_the_condition(retiring: Retiring) -> None:
    """The next connection sees it."""
    retiring.device.children.scripts = [Script([REFUSED], 77)]
    assert CODE in retiring.session()
    retiring.stale.rmdir()
    assert retiring.session() == {}


def test_what_a_person_removed_meanwhile_is_not_told(retiring: Retiring) -> None:
    """Whatever the child met with."""
    retiring.device.children.scripts = [Script([NO_KEY], 77, retiring.stale.rmdir)]
    retiring.retirement.connected(load(retiring.device.config))
    retiring.stale.rmdir()
    retiring.retirement.tend()
    assert retiring.device.conditions() == {}


def test_nothing_is_removed_while_a_person_is_at_it(retiring: Retiring) -> None:
    """The next connection looks again."""
    retiring.device.children.scripts = [Script([DONE], 0, retiring.stale.rmdir)]
    with files.lock(retiring.device.certs / ".by-hand", "a person"):
        retiring.session()
    assert not retiring.device.children.started
    retiring.session()
    assert len(retiring.device.children.started) == 1


def test_a_newer_generation_waits_for_its_own_proof(retiring: Retiring, tmp_path: Path) -> None:
    """What is connected is not what is on the disk: nothing is removed."""
    connected = load(retiring.device.config)
    (retiring.device.certs / NAME).rename(tmp_path / "older")
    write_identity(retiring.device.certs)
    (retiring.device.certs / NAME / "identity.json").write_text("{}")
    retiring.retirement.connected(connected)
    assert not retiring.device.children.started


def test_an_identity_of_another_thing_is_told_by_its_name(retiring: Retiring) -> None:
    """It is left alone, since nobody knows whose it is; the hint says how to remove it."""
    retiring.stale.rmdir()
    write_identity(retiring.device.certs, "kitchen")
    (condition,) = retiring.session().values()
    assert f"{retiring.device.certs} holds an identity of kitchen" in condition
    assert "`sudo pi-iot-agent deprovision --thing kitchen`" in condition
    (retiring.device.certs / "kitchen").rename(retiring.device.certs.parent / "gone")
    assert retiring.session() == {}


def test_what_is_left_at_aws_without_its_key_is_told_for_information(retiring: Retiring) -> None:
    """By its id, until the note of it is gone; it is nobody's fault and asks for nothing."""
    retiring.stale.rmdir()
    generations = Generations(retiring.device.certs, NAME)
    generations.note_replaced("a" * 64)
    assert "a" * 64 in retiring.session()["replaced-certificate"]
    (standing,) = retiring.device.health.snapshot().conditions
    assert standing.severity == "info"
    generations.remove(generations.replaced)
    assert retiring.session() == {}
