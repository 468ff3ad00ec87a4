"""Debian's checks of a package: reproducible, lintian, piuparts, autopkgtest."""

from __future__ import annotations

import os
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.system.box import Box
from tests.system.conftest import DEPENDENCIES
from tests.system.package import ROOT, newer
from tests.system.roots import tarball

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.timeout(900)  # the first use of a box may have to make its root

CHECKERS = ("autopkgtest", "lintian")
DEBIANS_OWN = "/usr/sbin:/usr/bin:/sbin:/bin"


@pytest.fixture(scope="module")
def workshop(_able: None, suite: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Box]:
    """A box with Debian's checkers of that release; what they do to it is of no matter."""
    directory = tmp_path_factory.mktemp("boxes") / f"{suite}-workshop"
    with Box(directory, suite, packages=(*DEPENDENCIES, *CHECKERS)) as box:
        yield box


def test_the_same_commit_gives_the_same_bytes(package: Path, tmp_path: Path) -> None:
    """Built elsewhere, years later, in another time zone, with another language and umask."""
    needs("faketime")
    tree, build = tmp_path / "another-place", tmp_path / "for-temporary-files"
    build.mkdir()
    subprocess.run(["/usr/bin/git", "clone", "--quiet", str(ROOT), str(tree)], check=True)
    later = ["/usr/bin/faketime", "-f", "+1000d"]
    elsewhere = {"TMPDIR": str(build), "TZ": "Pacific/Kiritimati", "LC_ALL": "C.UTF-8"}
    built = subprocess.run(
        [*later, str(tree / "scripts/deb")],
        env={**os.environ, **elsewhere},
        umask=0o077,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert built.returncode == 0, built.stderr[-4000:]

    assert (tree / "dist/pi-iot-agent.deb").read_bytes() == package.read_bytes()


def test_lintian_finds_neither_error_nor_warning(workshop: Box, package: Path) -> None:
    """By the rules of each release; overrides say their reason in the package."""
    workshop.copy_in(package, "/root/pi-iot-agent.deb")

    lintian = ["lintian", "--allow-root", "--fail-on=error,warning", "/root/pi-iot-agent.deb"]
    found = workshop.run(*lintian, check=False)

    assert (found.returncode, found.stdout + found.stderr) == (0, "")


def test_autopkgtest_passes(workshop: Box, package: Path) -> None:
    """The package's own test, that runs wherever Debian tests it, installs it and succeeds."""
    workshop.copy_in(package, "/root/pi-iot-agent.deb")
    shutil.copytree(ROOT / "packaging/debian", workshop.root / "root/source/debian")

    test = ["autopkgtest", "--no-built-binaries", "/root/source", "/root/pi-iot-agent.deb"]
    test += ["--ignore-restrictions=isolation-container"]  # this is one, which it cannot know
    done = workshop.run(*test, "--", "null", check=False, timeout_s=300)

    assert done.returncode == 0, done.stdout + done.stderr


def test_piuparts_passes(suite: str, package: Path, tmp_path: Path) -> None:
    """Installed, upgraded and purged in a root without systemd running, it leaves nothing."""
    needs("piuparts")
    root = tmp_path / "root"
    earlier = root / "opt/earlier"
    earlier.mkdir(parents=True)
    cached = tarball(suite, DEPENDENCIES)
    unpack = ["tar", "-C", str(root), "-I", "zstd", "--numeric-owner", "-xpf", str(cached)]
    subprocess.run(unpack, check=True)
    shutil.move(newer(package, tmp_path, "0~earlier"), earlier)
    index = ["dpkg-scanpackages", "--multiversion", "."]
    packages = subprocess.run(index, cwd=earlier, capture_output=True, text=True, check=True)
    (earlier / "Packages").write_text(packages.stdout)
    # What the package depends on is there, so that no mirror is needed.
    for path in (root / "etc/apt").glob("sources.list.d/*"):
        path.unlink()
    sources = root / "etc/apt/sources.list"
    sources.write_text("deb [trusted=yes] file:/opt/earlier ./\n")

    piuparts = ["piuparts", "--no-eatmydata", "--warn-on-debsums-errors"]
    piuparts += [f"--distribution={suite}", "--keep-sources-list", f"--tmpdir={tmp_path}"]
    piuparts += ["--ignore=/var/cache/debconf/tmp.ci/"]  # apt's, and empty; a newer piuparts knows
    done = subprocess.run(
        [*piuparts, f"--existing-chroot={root}", str(package)],
        env={**os.environ, "PATH": DEBIANS_OWN},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )

    assert done.returncode == 0, done.stdout[-8000:] + done.stderr
    assert "PASS: Installation and purging test." in done.stdout
    assert "PASS: Installation, upgrade and purging tests." in done.stdout


def needs(tool: str) -> None:
    """Skips the test where this is not installed."""
    if not shutil.which(tool, path=DEBIANS_OWN):
        pytest.skip(f"not installed: {tool}")
