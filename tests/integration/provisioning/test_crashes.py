"""A run that is killed anywhere, or whose disk is full, is mended by the next."""

from __future__ import annotations

import itertools
import resource
import signal
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from agent.errors import EXIT_TEMPORARY
from tests.integration.provisioning.device import (
    CALLS,
    CrashError,
    Device,
    make_directory,
    spoil_key,
)

if TYPE_CHECKING:
    from tests.integration.provisioning.disk import Disk


@pytest.mark.parametrize("number", range(1, len(CALLS) + 1))
def test_sigkill_after_any_call_is_mended_by_the_next_run(device: Device, number: int) -> None:
    """The process is killed after the effect of the call, before its answer."""
    process = device.command("provision")
    device.aws.faults.on_call = lambda _, made: process.kill() if made == number else None
    process.communicate(timeout=100)
    assert process.returncode == -signal.SIGKILL
    device.check_keys()
    device.aws.faults.clear()
    device.provision()
    device.check_whole()
    assert [one.status for one in device.aws.certificates()].count("ACTIVE") == 1


def test_replacing_survives_a_crash_after_any_call(device: Device) -> None:
    """Healing a spoiled identity, and removing what it replaces, is finished by the next run."""
    device.provision()
    for crash_at in itertools.count(1):
        spoil_key(device)
        try:
            device.provision(crash_at=crash_at)
        except CrashError:
            device.provision()
            device.check_whole()
        else:
            break
    device.check_whole()
    assert crash_at > 12


def test_deprovisioning_survives_a_crash_after_any_call(device: Device) -> None:
    """What is left to remove is found by the next run."""
    for crash_at in itertools.count(1):
        device.provision()
        with suppress(CrashError):
            device.deprovision(crash_at=crash_at)
            break
        device.deprovision()
        device.check_gone()
    device.check_gone()
    assert crash_at > 8


@pytest.mark.parametrize(("older", "first"), [(False, 1), (True, 9)], ids=["link", "directory"])
def test_a_crash_at_any_change_of_the_disk_is_mended(
    device: Device, disk: Disk, first: int, *, older: bool
) -> None:
    """Making, switching and removing generations may stop anywhere, with an older directory too."""
    device.provision()
    for number in itertools.count(first, 2 if older else 1):
        device.files.public_key.unlink()
        if older:
            make_directory(device)
        try:
            with disk.crash_before(number):
                device.provision()
        except CrashError:
            device.check_keys()
            device.provision()
            device.check_whole()
        else:
            break
    device.check_whole()
    assert number > 12


def test_a_crash_while_files_are_removed_is_mended(device: Device, disk: Disk) -> None:
    """The next run removes the rest."""
    for number in itertools.count(1, 2):
        device.provision()
        with suppress(CrashError):
            with disk.crash_before(number):
                device.deprovision()
            break
        device.deprovision()
        device.check_gone()
    device.check_gone()
    assert number > 8


def test_a_full_disk_leaves_no_certificate_behind(device: Device) -> None:
    """A key that cannot be written is taken back, or each try would add a certificate."""
    process = device.command("provision")
    # A file that may not grow stands for a disk that takes no more.
    resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (200, 200))
    out, err = process.communicate(timeout=100)
    assert process.returncode == EXIT_TEMPORARY, out
    assert "File too large" in err
    assert "Traceback" not in err
    assert not device.aws.certificates()
