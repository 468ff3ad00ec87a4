"""A throw-away Debian machine with real systemd as its first process."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Self

from tests.system import keeper
from tests.system.roots import RootError, sources_list, tarball

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

BOOT_S = 90
STOP_S = 60
FREEZE_S = 30
TOOLS = ("mmdebstrap", "systemd-nspawn", "zstd", "tar", "nsenter", "unshare", "dpkg-deb")
ENVIRONMENT = {
    "HOME": "/root",
    "USER": "root",
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "LANG": "C.UTF-8",
    "TERM": "dumb",
    "DEBIAN_FRONTEND": "noninteractive",
    "SYSTEMD_PAGER": "",
    "SYSTEMD_COLORS": "0",
}
#: What is started from outside counts as the box's, and ends with it.
ENTER = """
for group in "$@"; do
    shift
    [ "$group" != -- ] || break
    mkdir -p "$group" && echo $$ >"$group/cgroup.procs"
done
exec "$@"
"""


def obstacle() -> str:
    """Why no box can run on this machine; empty if one can. Tries what a box needs."""
    if os.geteuid() != 0:
        return "only root can boot a box"
    missing = [tool for tool in TOOLS if not shutil.which(tool)]
    if missing:
        return f"not installed: {', '.join(missing)}"
    try:
        sources_list("trixie")
        _try_cgroups()
    except (RootError, OSError) as error:
        return str(error)
    mount = ["unshare", "--mount", "--pid", "--fork"]
    mount += ["mount", "-t", "tmpfs", "none", "/mnt"]
    mounting = subprocess.run(mount, capture_output=True, text=True, check=False)
    if mounting.returncode != 0:
        return f"nothing can be mounted: {mounting.stderr.strip()}"
    return ""


def _try_cgroups() -> None:
    hierarchies = keeper.hierarchies()
    if "unified" not in hierarchies:
        raise OSError("cgroup v2 is not mounted")
    for where in hierarchies.values():
        Path(tempfile.mkdtemp(prefix="box-probe-", dir=where)).rmdir()


def copy_all(disk: Path, target: Path) -> None:
    """Make another copy of a box's disk."""
    subprocess.run(["/bin/cp", "-a", "--reflink=auto", str(disk), str(target)], check=True)


class Box:
    """A fresh copy of a cached root file system, booted; a context manager.

    It shares this machine's network, so what listens on 127.0.0.1 here is there too. `directory`
    must not exist yet; it is removed with the box. RootError when its root cannot be made. With
    `snapshot`, a copy of another box's disk, it goes on from there, and takes it along;
    then units may have failed when it has booted.
    """

    def __init__(
        self,
        directory: Path,
        suite: str,
        *,
        packages: tuple[str, ...] = (),
        memory_mib: int = 0,
        snapshot: Path | None = None,
    ) -> None:
        self.suite = suite
        self.name = f"{suite}-{os.getpid()}-{time.monotonic_ns() % 10**9}"
        self.directory = directory
        self.root = directory / "root"
        self._packages = packages
        self._memory_mib = memory_mib
        self._snapshot = snapshot
        self._stack = ExitStack()
        self._keeper: subprocess.Popen[str] | None = None
        self._nspawn_pid = 0

    def __enter__(self) -> Self:
        """Boot; about three seconds."""
        try:
            self._boot()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        """Stop."""
        self.stop()

    def run(
        self,
        *command: str,
        check: bool = True,
        timeout_s: float = 120,
        stdin: str | None = None,
    ) -> subprocess.CompletedProcess[str]:
        """Run this inside, as root, to its end; AssertionError when `check` and it fails."""
        groups = [str(group / "exec") for group in keeper.cgroups(self.name).values()]
        settings = [f"{name}={value}" for name, value in ENVIRONMENT.items()]
        spaces = ["-t", str(self._leader()), "-m", "-u", "-i", "-n", "-p", "-C"]
        inside = ["nsenter", *spaces, "--", "env", "-i", *settings, *command]
        enter = ["sh", "-c", ENTER, "sh", *groups, "--", *inside]
        done = subprocess.run(
            enter,
            input=stdin or "",
            capture_output=True,
            text=True,
            errors="replace",
            timeout=timeout_s,
            check=False,
        )
        if check and done.returncode != 0:
            said = f"{done.stdout}{done.stderr}".strip()
            raise AssertionError(f"{' '.join(command)}: exit code {done.returncode}\n{said}")
        return done

    def output(self, *command: str, check: bool = True) -> str:
        """What this prints when it is run inside, without the last line break."""
        return self.run(*command, check=check).stdout.rstrip("\n")

    def kill(self, signal: str, pid: str) -> None:
        """Send a signal; a minimal Debian has no program for it, but its shell can."""
        self.run("sh", "-c", f"kill -{signal} {pid}")

    def copy_in(self, source: Path, target: str) -> None:
        """Copy a file of ours to `target` inside."""
        shutil.copy(source, self.root / target.lstrip("/"))

    def write(self, target: str, text: str, *, mode: str = "0644", owner: str = "root") -> None:
        """Write a file inside, and the directories above it."""
        install = ["install", "-D", "-m", mode, "-o", owner, "-g", owner, "/dev/stdin", target]
        self.run(*install, stdin=text)

    def limit_memory(self, memory_mib: int) -> None:
        """From now on the whole box has only this much memory; OSError if it uses more."""
        keeper.limit_memory(self.name, memory_mib)

    def wait(
        self, what: str, wanted: Callable[[], bool], *, timeout_s: float, every_s: float = 0.2
    ) -> None:
        """Wait until `wanted`; AssertionError tells how the service was instead."""
        until_s = time.monotonic() + timeout_s
        while not wanted():
            if time.monotonic() > until_s:
                raise AssertionError(f"not within {timeout_s:g} s: {what}\n{self.report()}")
            time.sleep(every_s)

    def reboot(self) -> None:
        """Stop it in order, and boot the same root again."""
        self.run("systemctl", "reboot", check=False)
        self._wait_running()

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Let nothing inside run for as long as this is entered."""
        group = keeper.cgroups(self.name)["unified"]
        freeze, events = group / "cgroup.freeze", group / "cgroup.events"
        freeze.write_text("1")
        try:
            until_s = time.monotonic() + FREEZE_S
            while "frozen 1" not in events.read_text():
                assert time.monotonic() < until_s, f"{self.name} cannot be frozen"
            yield
        finally:
            freeze.write_text("0")

    def copy(self, target: Path) -> None:
        """Copy its disk to `target`: while it is frozen, what a power cut at this instant leaves.

        Of what programs have written nothing is missing there, flushed or not.
        """
        copy_all(self.root, target)

    def report(self) -> str:
        """What a person would look at: status and journal of the service."""
        status = self.run("systemctl", "status", "--no-pager", "-n0", "pi-iot-agent", check=False)
        journal = self.run("journalctl", "--no-pager", "-n60", "-u", "pi-iot-agent*", check=False)
        return f"{status.stdout}{status.stderr}\n{journal.stdout}{journal.stderr}"

    def stop(self) -> None:
        """Halt it and leave no trace; more than once does no harm."""
        self._stack.close()

    def _boot(self) -> None:
        self._stack.callback(shutil.rmtree, self.directory, ignore_errors=True)
        if self._snapshot:
            self.directory.mkdir(parents=True)
            self._snapshot.rename(self.root)
        else:
            cached = tarball(self.suite, self._packages)
            self.root.mkdir(parents=True)
            unpack = ["tar", "-C", str(self.root), "-I", "zstd", "--numeric-owner", "-xpf"]
            subprocess.run([*unpack, str(cached)], check=True)
        with suppress(FileNotFoundError):
            shutil.copyfile("/etc/resolv.conf", self.root / "etc/resolv.conf")
        arguments = [str(self.directory), self.name, str(self._memory_mib)]
        process = subprocess.Popen(
            [sys.executable, keeper.__file__, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,  # Ctrl-C at the terminal is ours: the keeper sees its input end
        )
        self._stack.callback(_end, process)
        self._keeper = process
        self._wait_running()

    def _wait_running(self) -> None:
        """Wait until it is powered on, and its systemd has started everything."""
        assert self._keeper
        assert self._keeper.stdout
        self._nspawn_pid = int(self._keeper.stdout.readline() or 0)
        until_s = time.monotonic() + BOOT_S
        state = "none"
        booted = {"running", "degraded"} if self._snapshot else {"running"}
        while state not in booted:
            gone = self._keeper.poll() is not None
            if gone or time.monotonic() > until_s or state == "degraded":
                raise AssertionError(f"{self.name} did not boot ({state}):\n{self._console(state)}")
            time.sleep(0.1)
            with suppress(LookupError):
                state = self.output("systemctl", "is-system-running", check=False) or "none"

    def _console(self, state: str) -> str:
        text = (self.directory / "console.log").read_text(errors="replace")[-3000:]
        return text + (self.output("systemctl", "--failed") if state == "degraded" else "")

    def _leader(self) -> int:
        """The box's first process, as it is numbered out here; LookupError while there is none."""
        children = Path(f"/proc/{self._nspawn_pid}/task/{self._nspawn_pid}/children")
        try:
            return int(children.read_text().split()[0])
        except (OSError, IndexError):
            raise LookupError(f"{self.name} does not run") from None


def _end(process: subprocess.Popen[str]) -> None:
    assert process.stdin
    assert process.stdout
    process.stdin.close()
    try:
        process.wait(STOP_S)
    finally:
        process.stdout.close()
