"""The .deb under test."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[2]


def current(directory: Path) -> Path:
    """The .deb of what is committed, in `directory`, or the one that the environment's DEB names.

    AssertionError tells why it cannot be built.
    """
    if given := os.environ.get("DEB"):
        return Path(given).resolve()
    built = subprocess.run(
        [str(ROOT / "scripts/deb")], capture_output=True, text=True, timeout=600, check=False
    )
    assert built.returncode == 0, built.stderr[-4000:]
    kept = directory / "pi-iot-agent.deb"
    shutil.copy(ROOT / "dist/pi-iot-agent.deb", kept)
    return kept


def newer(package: Path, directory: Path, version: str) -> Path:
    """The same package, but of this version."""
    tree = directory / version
    target = directory / f"pi-iot-agent_{version}_all.deb"
    subprocess.run(["/usr/bin/dpkg-deb", "-R", str(package), str(tree)], check=True)
    control = tree / "DEBIAN" / "control"
    lines = control.read_text().splitlines()
    changed = [f"Version: {version}" if line.startswith("Version:") else line for line in lines]
    control.write_text("\n".join([*changed, ""]))
    build = ["/usr/bin/dpkg-deb", "--root-owner-group", "-b", str(tree), str(target)]
    subprocess.run(build, check=True, stdout=subprocess.DEVNULL)
    return target
