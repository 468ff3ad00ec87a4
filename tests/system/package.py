"""The .deb under test, and versions of it that are to be: good ones, and one for each fault."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).parents[2]
DPKG_DEB = "/usr/bin/dpkg-deb"
MODULES = "usr/lib/pi-iot-agent/agent"


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


def newer(
    package: Path, directory: Path, version: str, edit: Callable[[Path], None] | None = None
) -> Path:
    """The same package, but of this version, and with what `edit` changes in its tree."""
    tree = directory / version
    target = directory / f"pi-iot-agent_{version}_all.deb"
    subprocess.run([DPKG_DEB, "-R", str(package), str(tree)], check=True)
    control = tree / "DEBIAN/control"
    lines = control.read_text().splitlines()
    changed = [f"Version: {version}" if line.startswith("Version:") else line for line in lines]
    control.write_text("\n".join([*changed, ""]))
    module = tree / MODULES / "__init__.py"
    module.write_text(
        re.sub(r'__version__ = ".*"', f'__version__ = "{version}"', module.read_text())
    )
    if edit:
        edit(tree)
    _sum(tree)
    build = [DPKG_DEB, "--root-owner-group", "-Zgzip", "-b", str(tree), str(target)]
    subprocess.run(build, check=True, stdout=subprocess.DEVNULL)
    shutil.rmtree(tree)
    return target


def _sum(tree: Path) -> None:
    """Have the sums of the files be true again."""
    sums = tree / "DEBIAN/md5sums"
    names = [line.split("  ", 1)[1] for line in sums.read_text().splitlines()]
    md5 = {name: hashlib.md5((tree / name).read_bytes()).hexdigest() for name in names}  # noqa: S324
    sums.write_text("".join(f"{md5[name]}  {name}\n" for name in names))


def crash_at_once(tree: Path) -> None:
    """The daemon ends with an error before it has done anything."""
    _append(tree, "daemon/__init__.py", 'raise RuntimeError("broken on purpose")')


def hang(tree: Path) -> None:
    """The daemon never says that it is ready."""
    _append(tree, "daemon/__init__.py", "import time\ntime.sleep(1e6)")


def misread(tree: Path) -> None:
    """The daemon takes every configuration for wrong, exit code 78."""
    module = tree / MODULES / "config/loading.py"
    refuse = "    from agent.errors import ConfigError\n"
    refuse += '    raise ConfigError(["agent.toml: broken on purpose"])\n'
    _insert(module, "def load(", refuse)


def disconnect(tree: Path) -> None:
    """No connection comes about: each ends before the handshake."""
    refuse = '        raise LinkLostError("broken on purpose")\n'
    _insert(tree / MODULES / "net/dialer.py", "    def handshake(", refuse)


def depend(tree: Path) -> None:
    """The package depends on what no archive has."""
    control = tree / "DEBIAN/control"
    control.write_text(control.read_text().replace("Depends: ", "Depends: no-such-package, ", 1))


def fail_to_configure(tree: Path) -> None:
    """The package is unpacked, but its postinst fails."""
    script = tree / "DEBIAN/postinst"
    script.write_text(script.read_text().replace("set -e\n", "set -e\nexit 1\n", 1))


def _append(tree: Path, module: str, code: str) -> None:
    with (tree / MODULES / module).open("a") as file:
        file.write(f"\n{code}\n")


def _insert(module: Path, function: str, code: str) -> None:
    """Put code at the begin of a function's body, behind its docstring."""
    before, found, after = module.read_text().partition(f"\n{function}")
    assert found, function
    head, quotes, body = after.partition('"""')
    text, end, rest = body.partition('"""\n')
    module.write_text(f"{before}{found}{head}{quotes}{text}{end}{code}{rest}")
