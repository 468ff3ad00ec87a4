"""Disk that the writes of one benchmark go to alone, and what has reached it."""

from __future__ import annotations

import os
import subprocess
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SECTOR = 512
IMAGE_MIB = 64


class Written(NamedTuple):
    """Bytes, and times that the disk was told to flush its cache; None where nobody counts them."""

    bytes: int
    flushes: int | None

    def since(self, earlier: Written) -> Written:
        """What has come in addition."""
        flushes = None if self.flushes is None else self.flushes - (earlier.flushes or 0)
        return Written(self.bytes - earlier.bytes, flushes)


class Disk(NamedTuple):
    """Directory on a disk; without its own `device`, what is written is this process's."""

    directory: Path
    device: Path | None

    @property
    def condition(self) -> str:
        """In words, what is counted."""
        if self.device:
            return "own ext4 on a loop device, by the device's own counters"
        return "/proc/self/io write_bytes, without the file system's journal: no loop device here"

    def written(self) -> Written:
        """What has reached the disk, once nothing is on its way any more."""
        if self.device:
            run("sync", "--file-system", str(self.directory))
            return of_device((self.device / "stat").read_text())
        return of_process(Path("/proc/self/io").read_text())


def of_device(stat: str) -> Written:
    """What a block device has written: /sys/block/*/stat (kernel, block/stat.rst)."""
    fields = stat.split()
    return Written(int(fields[6]) * SECTOR, int(fields[15]))


def of_process(io: str) -> Written:
    """What a process has had written: /proc/*/io, proc(5)."""
    numbers = dict(line.split(": ") for line in io.splitlines())
    return Written(int(numbers["write_bytes"]), None)


def run(*command: str) -> None:
    """Run a program of the system's, also where users do not look. May raise."""
    path = f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin"
    environment = {**os.environ, "PATH": path}
    subprocess.run(command, env=environment, capture_output=True, check=True)


@contextmanager
def own_disk(directory: Path, system: Callable[..., None] = run) -> Iterator[Disk]:
    """A disk of its own below `directory`, which is taken away again; without one, the directory.

    It is an ext4 with the blocks of an SD card. Only root may, and not in each container. `system`
    runs a program of the system's.
    """
    image, mounted = directory / "card.img", directory / "card"
    mounted.mkdir()
    with image.open("wb") as file:
        file.truncate(IMAGE_MIB << 20)
    try:
        yield Disk(mounted, _mount(image, mounted, system))
    finally:
        if mounted.is_mount():
            system("umount", str(mounted))


def _mount(image: Path, mounted: Path, system: Callable[..., None]) -> Path | None:
    """The block device of the image, mounted; None where there can be none."""
    try:
        # Whole from the start, so that the kernel does not write it to the end meanwhile.
        lazy = "lazy_itable_init=0,lazy_journal_init=0"
        system("mkfs.ext4", "-q", "-b", "4096", "-E", lazy, str(image))
        system("mount", "-o", "loop", str(image), str(mounted))
    except (OSError, subprocess.CalledProcessError):
        return None
    number = mounted.stat().st_dev
    return Path(f"/sys/dev/block/{os.major(number)}:{os.minor(number)}")
