"""Owns one box from its boot to its last trace: `keeper.py DIRECTORY NAME MEMORY_MIB`.

It lives until its standard input ends, which is when whoever started it wants so or is gone, in
whatever way: the box never outlives a test run. It prints the process id of systemd-nspawn, a new
one after each reboot. It needs no other file of ours.
"""

from __future__ import annotations

import ctypes
import os
import select
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

HALT_S = 30
EMPTY_S = 10
PR_SET_PDEATHSIG = 1
REBOOT = 133  #: systemd-nspawn's exit code when it is to be started again (EXIT_FORCE_RESTART)


def hierarchies() -> dict[str, Path]:
    """Where the cgroups are that a box needs: `unified`, `systemd` and `memory`, if mounted."""
    found: dict[str, Path] = {}
    for line in Path("/proc/mounts").read_text().splitlines():
        _, where, kind, options, *_ = line.split()
        if kind == "cgroup2":
            found.setdefault("unified", Path(where))
        elif kind == "cgroup" and "name=systemd" in options.split(","):
            found.setdefault("systemd", Path(where))
        elif kind == "cgroup" and "memory" in options.split(","):
            found.setdefault("memory", Path(where))
    return found


def cgroups(name: str) -> dict[str, Path]:
    """The box's own cgroup in each hierarchy."""
    return {kind: where / f"box-{name}" for kind, where in hierarchies().items()}


def limit_memory(name: str, memory_mib: int) -> None:
    """Let the whole box have no more memory than this, as a machine of that size has."""
    groups = cgroups(name)
    if "memory" in groups:
        limit = groups["memory"] / "memory.limit_in_bytes"
    else:
        limit = groups["unified"] / "memory.max"
    limit.write_text(str(memory_mib << 20))


def keep(directory: Path, name: str, memory_mib: int) -> None:
    """Boot, wait, stop, remove."""
    try:
        for group in cgroups(name).values():
            group.mkdir(exist_ok=True)
        if memory_mib:
            limit_memory(name, memory_mib)
        while _run(directory, name) == REBOOT:
            pass
    finally:
        _end_the_rest(name)
        shutil.rmtree(directory, ignore_errors=True)


def _run(directory: Path, name: str) -> int:
    """From power on to power off; the exit code."""
    command = [
        "systemd-nspawn",
        f"--directory={directory / 'root'}",
        "--boot",
        "--register=no",  # there may be no systemd on this machine to register with
        "--keep-unit",
        "--resolv-conf=off",
        f"--machine={name}",
        f"--hostname={name}",
        # Without these two, IPAddressDeny= and DeviceAllow= are not enforced, silently.
        "--capability=CAP_BPF,CAP_PERFMON",
        "--system-call-filter=bpf",
    ]
    with (directory / "console.log").open("ab") as console:
        box = subprocess.Popen(
            command,
            # Debian 13's systemd refuses the older cgroups.
            env={**os.environ, "SYSTEMD_NSPAWN_UNIFIED_HIERARCHY": "1"},
            stdin=subprocess.DEVNULL,
            stdout=console,
            stderr=console,
            preexec_fn=lambda: _into_the_box(name),  # noqa: PLW1509  # there are no threads
        )
    print(box.pid, flush=True)  # noqa: T201  # for the one who started us
    while box.poll() is None:
        if select.select([sys.stdin], [], [], 0.2)[0] and not os.read(sys.stdin.fileno(), 4096):
            break
    if box.poll() is None:
        box.terminate()  # it has its systemd halt the box
    try:
        return box.wait(HALT_S)
    except subprocess.TimeoutExpired:
        box.kill()
        return box.wait()


def _into_the_box(name: str) -> None:
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    for group in cgroups(name).values():
        (group / "cgroup.procs").write_text("0")


def _end_the_rest(name: str) -> None:
    """End what is left in the box's cgroups, and remove them."""
    until_s = time.monotonic() + EMPTY_S
    while time.monotonic() < until_s:
        left = [group for group in cgroups(name).values() if group.exists()]
        if not left:
            return
        for group in left:
            inner = [path.parent for path in group.rglob("cgroup.procs")]
            for each in sorted(inner, key=lambda path: -len(path.parts)):
                with suppress(OSError):
                    for pid in (each / "cgroup.procs").read_text().split():
                        os.kill(int(pid), signal.SIGKILL)
                    each.rmdir()
        time.sleep(0.05)


if __name__ == "__main__":
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # only the end of the input ends it
    keep(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]))
