"""What a reading costs the card: the ways differ in what they have written, not in time."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from bench import card
from bench.disk import Disk, Written, of_device, of_process, own_disk

if TYPE_CHECKING:
    from pathlib import Path

#: A line of /sys/block/loop0/stat (kernel, block/stat.rst): the seventh field is sectors written,
#: the sixteenth the flushes.
STAT = "54 0 2100 227 5 7 30 16 0 188 260 0 0 0 0 3 12\n"


def test_a_device_tells_sectors_and_flushes() -> None:
    """A sector has 512 bytes, whatever the device."""
    assert of_device(STAT) == Written(30 * 512, 3)


def test_a_process_tells_bytes_alone() -> None:
    """Nobody counts the flushes of a process, so that none are told, not 0."""
    written = of_process("rchar: 6976\nwchar: 10\nwrite_bytes: 8192\ncancelled_write_bytes: 0\n")

    assert written == Written(8192, None)
    assert written.since(Written(4096, None)) == Written(4096, None)


def test_without_a_disk_of_its_own_the_directory_serves(tmp_path: Path) -> None:
    """What is counted is told, since it is less."""

    def refuse(*_: str) -> None:
        raise PermissionError

    with own_disk(tmp_path, refuse) as disk:
        assert disk.directory.is_dir()
        assert "write_bytes" in disk.condition
        assert disk.written().flushes is None


def test_a_disk_whose_mounting_is_interrupted_is_no_directory_that_serves(tmp_path: Path) -> None:
    """What ends the benchmark is not taken for a refusal."""

    def interrupt(*_: str) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), own_disk(tmp_path, interrupt):
        pass


@pytest.mark.parametrize("way", card.WAYS)
def test_each_way_leaves_nothing_for_the_next(way: card.Way, tmp_path: Path) -> None:
    """The next finds an empty disk, and no log that has grown already."""
    card.written(Disk(tmp_path, None), way, 30)

    assert list(tmp_path.iterdir()) == []


def test_a_reading_that_is_acknowledged_in_time_commits_nothing(tmp_path: Path) -> None:
    """With a connection and commit_after_s = 10 the log beside the store stays as it was."""
    sizes: list[bytes] = []

    def look() -> Written:
        sizes.append((tmp_path / "store.db-wal").read_bytes())
        return Written(0, None)

    for way in (card.Way("", 10.0), card.Way("", 0.0)):
        card.kept(tmp_path / "store.db", way, 30, look)

    assert sizes[0] == sizes[1]
    assert sizes[2] != sizes[3]
