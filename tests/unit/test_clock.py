"""Wall time may be wrong; boot time cannot."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from agent import BUILT_S
from agent.clock import Clock, kernel_synchronized

if TYPE_CHECKING:
    from pathlib import Path


class StoppedClock(Clock):
    """Wall time stands still at `wall`."""

    wall = 0.0

    def wall_s(self) -> float:
        """Always the same."""
        return self.wall


def test_both_clocks_are_read_together() -> None:
    """A moment is now on both, and names the boot."""
    before = time.time(), time.clock_gettime(time.CLOCK_BOOTTIME)
    moment = Clock().now()
    after = time.time(), time.clock_gettime(time.CLOCK_BOOTTIME)
    assert before[0] <= moment.wall_s <= after[0]
    assert before[1] <= moment.boot_s <= after[1]
    assert len(moment.boot_id) == 36


def test_boot_time_grows_while_wall_time_does_not() -> None:
    """Boot time is no child of wall time."""
    clock = StoppedClock()
    first, second = clock.now(), clock.now()
    assert first.wall_s == second.wall_s
    assert first.boot_s < second.boot_s


def test_the_boot_is_read_once_without_its_line_break(tmp_path: Path) -> None:
    """The kernel's file ends in a line break that is no part of the id."""
    (tmp_path / "boot_id").write_text("6c2f\n")
    assert Clock(boot_id_file=tmp_path / "boot_id").now().boot_id == "6c2f"


def test_a_clock_before_the_build_is_not_plausible() -> None:
    """1970, or the second before this version was made, is certainly wrong."""
    clock = StoppedClock()
    assert not clock.plausible()
    clock.wall = BUILT_S - 1
    assert not clock.plausible()
    clock.wall = BUILT_S
    assert clock.plausible()


class RightClock(Clock):
    """Wall time is plausible, boot time moves on command."""

    boot = 100.0

    def wall_s(self) -> float:
        """A day after this version was made."""
        return BUILT_S + 86400

    def boot_s(self) -> float:
        """What the test says."""
        return self.boot


def test_without_a_time_service_a_plausible_clock_is_set(tmp_path: Path) -> None:
    """A person has set it, or a clock chip."""
    assert RightClock(root=tmp_path).is_set()
    assert not StoppedClock(root=tmp_path).is_set()


def test_with_timesyncd_it_is_set_when_its_flag_is_there(tmp_path: Path) -> None:
    """Looked at every five seconds; what was set stays set."""
    flag = tmp_path / "run/systemd/timesync/synchronized"
    flag.parent.mkdir(parents=True)
    clock = RightClock(root=tmp_path)
    assert not clock.is_set()
    flag.touch()
    assert not clock.is_set()
    clock.boot += 5
    assert clock.is_set()
    flag.unlink()
    clock.boot += 5
    assert clock.is_set()


def test_with_another_time_service_the_kernel_knows(tmp_path: Path) -> None:
    """It is asked once in a minute."""
    (tmp_path / "run/chrony").mkdir(parents=True)
    answers = [False, True]
    clock = RightClock(root=tmp_path, synchronized=lambda: answers.pop(0))
    assert not clock.is_set()
    clock.boot += 30
    assert not clock.is_set()
    clock.boot += 30
    assert clock.is_set()
    assert answers == []


def enable(root: Path, service: str) -> None:
    """Have systemd start a time service, as its package does."""
    wants = root / "etc/systemd/system/multi-user.target.wants"
    wants.mkdir(parents=True)
    (wants / f"{service}.service").symlink_to(f"/lib/systemd/system/{service}.service")


@pytest.mark.parametrize("running", ["run/chrony", "run/ntpd.pid", "run/openntpd.pid"])
def test_a_time_service_that_starts_late_is_waited_for(tmp_path: Path, running: str) -> None:
    """That there was none yet is never remembered."""
    answers = [False, True]
    clock = RightClock(root=tmp_path, synchronized=lambda: answers.pop(0))
    assert clock.is_set()
    (tmp_path / running).mkdir(parents=True)
    clock.boot += 5
    assert not clock.is_set()
    clock.boot += 60
    assert clock.is_set()
    clock.boot += 5
    assert clock.is_set()
    assert answers == []


def test_timesyncd_that_starts_late_is_waited_for(tmp_path: Path) -> None:
    """Its directory comes first, then its flag."""
    clock = RightClock(root=tmp_path)
    assert clock.is_set()
    (tmp_path / "run/systemd/timesync").mkdir(parents=True)
    clock.boot += 5
    assert not clock.is_set()


@pytest.mark.parametrize("service", ["systemd-timesyncd", "chrony", "ntpsec", "openntpd"])
def test_a_time_service_that_is_to_be_started_is_waited_for(tmp_path: Path, service: str) -> None:
    """While the machine starts; one that is not there minutes later will not come."""
    enable(tmp_path, service)
    clock = RightClock(root=tmp_path)
    clock.boot = 3.0
    assert not clock.is_set()
    clock.boot = 119.0
    assert not clock.is_set()
    clock.boot = 125.0
    assert clock.is_set()


def test_another_service_is_not_waited_for(tmp_path: Path) -> None:
    """A device without a time service has a clock that is set from the first second on."""
    enable(tmp_path, "ssh")
    clock = RightClock(root=tmp_path)
    clock.boot = 3.0
    assert clock.is_set()


def test_the_kernel_is_asked_through_systemd() -> None:
    """Whatever this machine has, the answer is yes or no."""
    assert kernel_synchronized() in {True, False}
