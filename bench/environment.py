"""Environments of the contestants: a virtual environment each, with pinned versions.

A peer that cannot be installed is missing from the table, with the reason; nothing fails.
"""

from __future__ import annotations

import compileall
import fcntl
import os
import platform
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

ROOT = Path(__file__).parents[1]
BASE = (ROOT / ".venv" / "bench").resolve()  # others may share it by a link

#: What pip installs in each. "deb" has the paho of Debian bookworm, "v2" the newest.
PACKAGES: Mapping[str, tuple[str, ...]] = {
    "deb": ("paho-mqtt==1.6.1", "sdnotify==0.3.2"),
    "v2": ("paho-mqtt==2.2.0", "sdnotify==0.3.2"),
    "awsiotsdk": ("awsiotsdk==1.31.0", "awscrt==0.36.1"),
    "awsiotpythonsdk": ("AWSIoTPythonSDK==1.6.2",),
    "gpiozero": ("gpiozero==2.0.1", "lgpio==0.2.2.0", "paho-mqtt==1.6.1"),
    "mqtt-io": ("mqtt-io==2.7.0", "paho-mqtt==2.2.0"),
}


#: The environments that have what the agent needs, and what rows call them.
PAHO = {"deb": "paho 1.6", "v2": "paho 2.2"}


class MissingError(Exception):
    """A contestant that cannot run here; the text says why."""


def python(name: str) -> Path:
    """The interpreter of an environment, which is made if need be. Raises MissingError."""
    directory = BASE / name
    stamp = directory / "stamp"
    wanted = f"{sys.version}\n{directory}\n{' '.join(PACKAGES[name])}\n"

    def made() -> bool:
        return stamp.is_file() and stamp.read_text() == wanted

    if not made():  # else nothing is written, as nothing can be in the simulated kernel
        BASE.mkdir(parents=True, exist_ok=True)
        with (BASE / f"{name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # another benchmark may be making it
            if not made():
                _make(name, directory)
                stamp.write_text(wanted)
    return directory / "bin" / "python"


def _make(name: str, directory: Path) -> None:
    print(f"bench: making {directory}: {' '.join(PACKAGES[name])}", file=sys.stderr)
    shutil.rmtree(directory, ignore_errors=True)
    make = [getattr(sys, "_base_executable", sys.executable), "-m", "venv", str(directory)]
    install = [str(directory / "bin" / "pip"), "install", "-q", *PACKAGES[name]]
    for command in (make, install):
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            said = (done.stderr.strip() or done.stdout.strip()).splitlines()
            raise MissingError(f"{name}: {said[-1] if said else 'cannot be installed'}")


def compile_ours(root: Path = ROOT) -> None:
    """Compile the agent and the scripts of the peers, as installing the package does.

    Whoever compiles what it loads keeps some of the memory that this takes.
    """
    for directory in ("agent", "bench/peers"):
        compileall.compile_dir(root / directory, quiet=2)


def program(name: str) -> str:
    """The path of a program of Debian's. Raises MissingError."""
    found = shutil.which(name, path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin")
    if not found:
        raise MissingError(f"{name}: is not installed")
    return found


def leashed(*command: str, end: str = "KILL") -> list[str]:
    """The command, whose process the kernel ends by this signal once the calling thread has ended.

    However that came (prctl(2), PR_SET_PDEATHSIG). Raises MissingError.
    """
    return [program("setpriv"), "--pdeathsig", end, *command]


def unit_environment(unit: str) -> dict[str, str]:
    """The variables that the Environment= lines of a systemd unit's text set."""
    lines = (line.partition("=") for line in unit.splitlines())
    words = [
        word for key, _, rest in lines if key.strip() == "Environment" for word in shlex.split(rest)
    ]
    return dict(word.split("=", 1) for word in words)


def machine() -> str:
    """The machine in a line: processor, number, kernel, Python, mosquitto."""
    model = next(
        (
            line.partition(": ")[2]
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if line.startswith(("model name", "Model"))
        ),
        platform.machine(),
    )
    said = subprocess.run(
        [program("mosquitto"), "-h"], capture_output=True, text=True, check=False
    ).stdout
    return (
        f"{model} x {os.cpu_count()}, {platform.machine()}, Linux {platform.release()},"
        f" Python {platform.python_version()}, {said.partition(chr(10))[0]}"
    )


def versions() -> list[str]:
    """What each environment has, in words."""
    return [f"{name}: {', '.join(packages)}" for name, packages in PACKAGES.items()]
