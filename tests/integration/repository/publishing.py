"""What the owner of a repository does, at a time of its own."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.system.repository import Key

ROOT = Path(__file__).parents[3]
POOL = "pool/main/p/pi-iot-agent"
DAY_S = 86400
OLD, NEW, NEWEST = "0.1.0", "0.2.0", "0.10.0"

#: Days are counted back from it, as apt's own clock is the machine's.
NOW_S = int(time.time())


def package(
    directory: Path,
    version: str,
    *,
    name: str = "pi-iot-agent",
    kind: str = "all",
    text: str = "nothing",
) -> Path:
    """A tiny one; `text` is its description."""
    tree = directory / f"{name}-{version}-{kind}"
    (tree / "DEBIAN").mkdir(parents=True)
    fields = {"Package": name, "Version": version, "Architecture": kind}
    fields |= {"Maintainer": "A test <test@example.org>", "Description": text}
    control = "".join(f"{field}: {value}\n" for field, value in fields.items())
    (tree / "DEBIAN/control").write_text(control)
    target = directory / f"{name}_{version}_{kind}.deb"
    build = ["/usr/bin/dpkg-deb", "--root-owner-group", "-b", str(tree), str(target)]
    subprocess.run(build, check=True, stdout=subprocess.DEVNULL)
    return target


def run(
    directory: Path,
    *arguments: object,
    days_ago: float = 0,
    settings: Mapping[str, object] | None = None,
) -> str:
    """What the script says, below the exit code where that is not 0."""
    environment = {"NOW_S": NOW_S - int(days_ago * DAY_S), **(settings or {})}
    done = subprocess.run(
        [str(ROOT / "scripts/repository"), str(directory), *map(str, arguments)],
        env={**os.environ, **{name: str(value) for name, value in environment.items()}},
        stdin=subprocess.DEVNULL,
        stderr=subprocess.STDOUT,
        stdout=subprocess.PIPE,
        start_new_session=True,  # without a terminal
        umask=0o077,
        text=True,
        timeout=60,
        check=False,
    )
    return f"exit {done.returncode}\n{done.stdout}" if done.returncode else done.stdout


def publish(directory: Path, key: Key, *more: object, days_ago: float = 0) -> None:
    """Have the script succeed."""
    said = run(directory, "--key", key.secret, *more, days_ago=days_ago)
    assert "done; valid until" in said, said


def refused(said: str, words: str) -> bool:
    """True if the last line has the words, and is all that is said by the script itself."""
    lines = said.splitlines()
    return lines[0] == "exit 1" and words in lines[-1] and "line " not in said
