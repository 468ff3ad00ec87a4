"""A root file system of another architecture, whose programs qemu runs."""

from __future__ import annotations

import subprocess
from pathlib import Path

from tests.system.box import ENVIRONMENT
from tests.system.conftest import DEPENDENCIES
from tests.system.roots import tarball

#: Debian's architecture, and the kernel's list of formats that it has an emulator for.
EMULATORS = {
    "arm64": Path("/proc/sys/fs/binfmt_misc/qemu-aarch64"),
    "armhf": Path("/proc/sys/fs/binfmt_misc/qemu-arm"),
}
#: Each command has a /proc of its own for as long as it runs.
ENTER = 'mount -t proc proc "$1/proc" && shift && exec "$@"'


class Emulated:
    """A fresh copy of a cached root file system in `directory`; it shares this machine's network.

    There is no systemd: the kernel that would start one is not emulated. RootError when its root
    cannot be made.
    """

    def __init__(self, directory: Path, suite: str, architecture: str) -> None:
        self.root = directory
        cached = tarball(suite, DEPENDENCIES, architecture)
        unpack = ["tar", "-C", str(directory), "-I", "zstd", "--numeric-owner", "-xpf", str(cached)]
        subprocess.run(unpack, check=True)

    def command(self, *arguments: str, user: str = "root") -> list[str]:
        """What starts this in there, as that user; it becomes the process itself."""
        settings = [f"{name}={value}" for name, value in ENVIRONMENT.items()]
        enter = ["unshare", "--mount", "sh", "-c", ENTER, "sh", str(self.root)]
        chroot = ["chroot", f"--userspec={user}:{user}", str(self.root)]
        return [*enter, *chroot, "/usr/bin/env", "-i", *settings, *arguments]

    def output(self, *arguments: str, user: str = "root", text: str = "") -> str:
        """What this prints; AssertionError when it fails."""
        done = subprocess.run(
            self.command(*arguments, user=user),
            input=text,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        said = done.stdout + done.stderr
        assert done.returncode == 0, f"{' '.join(arguments)}: exit code {done.returncode}\n{said}"
        return done.stdout

    def write(self, target: str, text: str, *, owner: str = "root") -> None:
        """Write a file that is its owner's alone, and the directories above it."""
        install = ["install", "-D", "-m", "0600", "-o", owner, "-g", owner, "/dev/stdin", target]
        self.output(*install, text=text)
