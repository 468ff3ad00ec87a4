"""The power is cut in every phase of an upgrade, and of the way back: the device comes up."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

import pytest

from tests.system.box import Box, copy_all
from tests.system.conftest import MEMORY_MIB
from tests.system.package import crash_at_once, newer
from tests.system.updated import Updated
from tests.upgrades.phases import Phase, cut, phase

if TYPE_CHECKING:
    from pathlib import Path

    from tests.system.repository import Repository
    from tests.tools.cloud import LocalAws

pytestmark = pytest.mark.timeout(3600)

NEW = "0.2.0"
PATIENCE_S = 120

log = logging.getLogger(__name__)


class Cuts:
    """A device that is cut off, and each of the disks that are left, of `suite`."""

    def __init__(
        self, directory: Path, cloud: LocalAws, suite: str, package: Path, disk: Path
    ) -> None:
        self._directory = directory
        self._cloud = cloud
        self._suite = suite
        self._package = package
        self._disk = disk

    def boot(self, disk: Path) -> tuple[Box, Updated]:
        """The machine that goes on from this disk, to be entered, and what is looked at in it."""
        box = Box(self._directory / "box", self._suite, memory_mib=MEMORY_MIB, snapshot=disk)
        return box, Updated(box, self._cloud, self._package, name=f"updated-{self._suite}")

    def fresh(self) -> tuple[Box, Updated]:
        """A machine of which nothing was cut off yet."""
        disk = self._directory / "disk"
        copy_all(self._disk, disk)
        return self.boot(disk)

    def try_all(self, cuts: dict[Phase, Path], versions: set[str], last: str) -> None:
        """Boot each disk; it ends online with one of these versions, and says so.

        After the next look for updates it is the version `last`.
        """
        failed = []
        for number, (seen, disk) in enumerate(cuts.items()):
            began_s = time.monotonic()
            try:
                how = self._end(disk, versions, last)
            except AssertionError as error:
                failed.append(f"{number}: {seen}: {error}")
                how = f"FAILED: {str(error)[:200]}"
            took_s = time.monotonic() - began_s
            log.info("%s %d: %s -> %s, %.0f s", self._suite, number, seen, how, took_s)
        assert not failed, "\n".join(failed)

    def _end(self, disk: Path, versions: set[str], last: str) -> str:
        """How it ends, in words, when it goes on from this disk."""
        box, device = self.boot(disk)
        with box:
            box.wait("judged", lambda: not device.note("pending"), timeout_s=PATIENCE_S)
            device.settled(versions)
            version, outcome = device.version, device.note("outcome")
            device.alone()
            device.upgrade()
            box.wait("judged", lambda: not device.note("pending"), timeout_s=PATIENCE_S)
            device.settled({last})
            went, reason = outcome.get("went", "nothing to tell"), outcome.get("reason", "")
            return f"{version}: {went}{reason and f' ({reason})'}"


@pytest.fixture
def cuts(cloud: LocalAws, suite: str, package: Path, updatable: Path, tmp_path: Path) -> Cuts:
    """A device of the suite, and its disks."""
    return Cuts(tmp_path, cloud, suite, package, updatable)


def is_judged(root: Path) -> bool:
    """True if no upgrade waits for its verdict."""
    return "pending.json" not in phase(root).notes


def test_an_upgrade(cuts: Cuts, repository: Repository, package: Path, tmp_path: Path) -> None:
    """Either version runs; none is left half."""
    repository.publish(newer(package, tmp_path, NEW))
    box, device = cuts.fresh()
    with box:
        device.alone()
        device.wait_online()
        before = device.version
        device.take_up(repository)
        taken = cut(box, device.upgrade, is_judged, tmp_path)
    states = {seen.state for seen in taken}

    assert {f"unpacked {NEW}", f"half-configured {NEW}", f"installed {NEW}"} <= states
    assert {"some", "all"} & {seen.unpacked for seen in taken}
    cuts.try_all(taken, {before, NEW}, NEW)


def test_a_way_back(cuts: Cuts, repository: Repository, package: Path, tmp_path: Path) -> None:
    """The version before runs; the one that fails is never left."""
    repository.publish(newer(package, tmp_path, NEW, crash_at_once))
    box, device = cuts.fresh()
    with box:
        device.alone()
        device.wait_online()
        before = device.version
        device.take_up(repository)
        taken = cut(
            box,
            device.upgrade,
            is_judged,
            tmp_path,
            wanted=lambda seen: bool({"back", "outcome.json"} & set(seen.notes)),
        )
    assert {f"unpacked {before}", f"half-configured {before}"} & {seen.state for seen in taken}
    cuts.try_all(taken, {before}, before)
