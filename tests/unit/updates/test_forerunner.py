"""The forerunner: the package made of what is installed is the one that was installed."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

import pytest

from agent.errors import AgentError
from agent.updates.dpkg import Dpkg
from agent.updates.forerunner import PACKAGE, PROGRAM, UNPACKED, Forerunner

if TYPE_CHECKING:
    from pathlib import Path

NAME = "pi-iot-agent"

#: When the files were made, on 13 January 2026.
MADE_S = 1768300000

CONTROL = """\
Package: pi-iot-agent
Version: 0.2.0~rc1
Architecture: all
Maintainer: Somebody <somebody@example.org>
Installed-Size: 12
Depends: python3 (>= 3.11)
Section: net
Priority: optional
Description: report a device
 In several lines,
 .
 of which one is empty.
"""

#: The sum of a conffile, as it came.
README = "513735fd4ac148c36e4ad272a69f8734"

#: What dpkg adds, in the places where it does.
STATUS = CONTROL.replace(
    "Package: pi-iot-agent\n", "Package: pi-iot-agent\nStatus: install ok half-configured\n"
).replace(
    "Description:",
    "Conffiles:\n /etc/pi-iot-agent/README " + README + "\nDescription:",
)

FILES = {
    "usr/bin/pi-iot-agent": ("#!/bin/sh\n", 0o755),
    "usr/lib/pi-iot-agent/agent/__init__.py": ('"""Agent."""\n', 0o644),
    "etc/pi-iot-agent/README": ("Read me.\n", 0o644),
}


class Installed:
    """A root and a dpkg database in which a small package is installed, and that package."""

    def __init__(self, directory: Path) -> None:
        self.root = directory / "root"
        self.admin = directory / "dpkg"
        self.kept = directory / "kept"
        self.original = directory / "original.deb"
        tree = directory / "tree"
        for name, (text, mode) in FILES.items():
            (tree / name).parent.mkdir(parents=True, exist_ok=True)
            (tree / name).write_text(text)
            (tree / name).chmod(mode)
            os.utime(tree / name, (MADE_S, MADE_S))
        (tree / "usr/share/empty").mkdir(parents=True)
        (tree / "usr/share/link").symlink_to("../bin/pi-iot-agent")
        for one in tree.rglob("*"):
            if one.is_dir():
                one.chmod(0o755)
        tree.chmod(0o755)
        self._control(tree)
        run("/usr/bin/dpkg-deb", "--root-owner-group", "-b", str(tree), str(self.original))
        run("/usr/bin/dpkg-deb", "-x", str(self.original), str(self.root))
        self._database(tree)
        self.forerunner = Forerunner(Dpkg(self.admin), self.kept, root=self.root)

    def info(self, name: str) -> Path:
        """A file of the package in dpkg's database."""
        return self.admin / "info" / f"{NAME}.{name}"

    def _control(self, tree: Path) -> None:
        control = tree / "DEBIAN"
        control.mkdir()
        (control / "control").write_text(CONTROL)
        (control / "conffiles").write_text("/etc/pi-iot-agent/README\n")
        (control / "triggers").write_text("interest-noawait /usr/lib/systemd/systemd\n")
        sums = run("/usr/bin/md5sum", *(one for one in FILES if "etc" not in one), at=tree)
        (control / "md5sums").write_text(sums)
        for name in ("postinst", "prerm", "postrm"):
            (control / name).write_text("#!/bin/sh\nexit 0\n")
            (control / name).chmod(0o755)

    def _database(self, tree: Path) -> None:
        (self.admin / "info").mkdir(parents=True)
        (self.admin / "updates").mkdir()
        (self.admin / "status").write_text(STATUS + "\n")
        inside = [one for one in sorted(tree.rglob("*")) if "DEBIAN" not in one.parts]
        listed = ["/.", *(f"/{one.relative_to(tree)}" for one in inside)]
        self.info("list").write_text("".join(f"{one}\n" for one in listed))
        for one in (tree / "DEBIAN").iterdir():
            if one.name != "control":
                self.info(one.name).write_bytes(one.read_bytes())
                self.info(one.name).chmod(one.stat().st_mode)


def run(*command: str, at: Path | None = None) -> str:
    """What the program prints."""
    return subprocess.run(command, cwd=at, capture_output=True, text=True, check=True).stdout


def content(package: Path) -> list[str]:
    """The files of a package, with modes, owners, sizes, and times but of directories."""
    lines = run("/usr/bin/dpkg-deb", "-c", str(package)).splitlines()
    words = [line.split() for line in lines]
    return [" ".join(one[:3] + one[5:] if one[0].startswith("d") else one) for one in words]


def names(package: Path) -> str:
    """The files of a package."""
    return " ".join(content(package))


def parts(package: Path, to: Path) -> dict[str, tuple[int, list[str]]]:
    """Mode and lines, in any order, of each part that describes the package."""
    run("/usr/bin/dpkg-deb", "-e", str(package), str(to))
    return {
        one.name: (one.stat().st_mode, sorted(one.read_text().splitlines())) for one in to.iterdir()
    }


@pytest.fixture
def installed(tmp_path: Path) -> Installed:
    """An installed package."""
    return Installed(tmp_path)


def test_the_package_is_the_one_that_was_installed(installed: Installed, tmp_path: Path) -> None:
    """Files, links, empty directories, modes, times, scripts and description are the same."""
    assert installed.forerunner.keep() == []

    kept = installed.kept / PACKAGE
    assert content(kept) == content(installed.original)
    assert parts(kept, tmp_path / "a") == parts(installed.original, tmp_path / "b")
    assert kept.stat().st_mode & 0o777 == 0o600


def test_the_package_lies_beside_it_unpacked(installed: Installed) -> None:
    """With the program that all others may run too; nothing else is left."""
    installed.forerunner.keep()

    assert installed.forerunner.is_there
    program = installed.kept / PROGRAM
    assert program.read_text() == FILES["usr/bin/pi-iot-agent"][0]
    assert program.stat().st_mode & 0o777 == 0o755
    assert {one.name for one in installed.kept.iterdir()} == {PACKAGE, UNPACKED}
    assert installed.kept.stat().st_mode & 0o777 == 0o755


def test_a_second_keep_takes_the_place_of_the_first(installed: Installed) -> None:
    """Also where one was cut short before."""
    (installed.kept / ".new" / "tree").mkdir(parents=True)
    installed.forerunner.keep()
    (installed.kept / UNPACKED / "stale").touch()
    installed.info("list").write_text("/.\n/usr\n/usr/bin\n/usr/bin/pi-iot-agent\n")

    installed.forerunner.keep()

    assert "agent/__init__.py" not in names(installed.kept / PACKAGE)
    assert not (installed.kept / UNPACKED / "stale").exists()


def test_of_a_damaged_installation_the_best_is_kept(installed: Installed) -> None:
    """What is missing or changed is told; the package can be built all the same."""
    (installed.root / "etc/pi-iot-agent/README").unlink()
    (installed.root / "usr/lib/pi-iot-agent/agent/__init__.py").write_text("other\n")

    lacks = installed.forerunner.keep()

    assert lacks == [
        "/etc/pi-iot-agent/README is missing",
        "/usr/lib/pi-iot-agent/agent/__init__.py has been changed",
    ]
    assert "agent/__init__.py" in names(installed.kept / PACKAGE)


def test_an_owners_change_of_a_conffile_is_not_the_packages(
    installed: Installed, tmp_path: Path
) -> None:
    """It would be overwritten by the next version: dpkg leaves alone what a package lacks."""
    (installed.root / "etc/pi-iot-agent/README").write_text("mine\n")

    assert installed.forerunner.keep() == []

    assert "README" not in names(installed.kept / PACKAGE)
    _, lines = parts(installed.kept / PACKAGE, tmp_path / "parts")["conffiles"]
    assert lines == []


def test_a_directory_that_the_owner_has_moved_is_one_in_the_package(installed: Installed) -> None:
    """A link is in its place, and its files are there."""
    moved = installed.root / "elsewhere"
    (installed.root / "usr/lib/pi-iot-agent").rename(moved)
    (installed.root / "usr/lib/pi-iot-agent").symlink_to(moved)

    assert installed.forerunner.keep() == []

    kept = installed.kept / UNPACKED
    assert (kept / "usr/lib/pi-iot-agent/agent/__init__.py").is_file()
    assert not (kept / "usr/lib/pi-iot-agent").is_symlink()


def test_a_package_that_is_not_there_cannot_be_kept(installed: Installed) -> None:
    """The words of dpkg say so; nothing is there then that could be taken for it."""
    installed.forerunner.keep()
    (installed.admin / "status").write_text("")

    with pytest.raises(AgentError, match=r"dpkg-query: .*pi-iot-agent"):
        installed.forerunner.keep()

    assert list(installed.kept.iterdir()) == []
