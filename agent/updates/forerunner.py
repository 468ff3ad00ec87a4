"""The forerunner: the package that was installed before, made anew of what it has installed.

dpkg keeps no package, and a device has no place to get an old one from. It is made by the old
version, before anything of it is replaced, with its scripts, conffiles and dependencies; and once
more it lies unpacked beside that, so that its code runs whatever becomes of the installed one.
"""

from __future__ import annotations

import hashlib
import os
import re
import stat
from pathlib import Path

from agent import files
from agent.errors import SERVICE as NAME
from agent.model import MIB
from agent.updates.notes import DIRECTORY

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from agent.updates.dpkg import Dpkg

#: In the directory of updates: the package, and what is in it, unpacked.
PACKAGE, UNPACKED = "forerunner.deb", "forerunner"

#: The unpacked program, which finds its own modules.
PROGRAM = f"{UNPACKED}/usr/bin/{NAME}"

#: Parts of the package that dpkg keeps as they were, with the mode that each is given.
KEPT = {
    **dict.fromkeys(("md5sums", "triggers", "conffiles", "shlibs", "symbols"), 0o644),
    **dict.fromkeys(("preinst", "postinst", "prerm", "postrm", "config"), 0o755),
}

#: Fields that dpkg adds to those of the package (dpkg's status file).
ADDED = {"Status", "Config-Version", "Conffiles", "Triggers-Pending", "Triggers-Awaited"}

#: More bytes than a file of ours has.
FILE_MAX = 64 * MIB


class Forerunner:
    """The installed package, to be kept in `directory`; its files lie below `root`."""

    def __init__(self, dpkg: Dpkg, directory: Path = DIRECTORY, *, root: Path = Path("/")) -> None:
        self._dpkg = dpkg
        self._root = root
        self._directory = directory
        self.package = directory / PACKAGE
        self.program = directory / PROGRAM

    @property
    def is_there(self) -> bool:
        """True if there is one to go back to."""
        return self.package.is_file() and self.program.is_file()

    def keep(self) -> list[str]:
        """Keep the version that is installed now; what it lacks, a line for each.

        All of it is on the disk afterwards, in place of the one before, which goes in any case.
        Raises AgentError, OSError.
        """
        files.make_directory(self._directory, 0o755)
        new, unpacked = self._directory / ".new", self._directory / UNPACKED
        for before in (new, unpacked, self.package):
            files.remove_tree(before)
        files.make_directory(new)
        try:
            lacks = self._make(new)
            os.sync()
            (new / PACKAGE).rename(self.package)
            (new / UNPACKED).rename(unpacked)  # which is there when all is
        finally:
            files.remove_tree(new)
        files.sync_directory(self._directory)
        return lacks

    def _make(self, new: Path) -> list[str]:
        """Make package and unpacked files in a directory; what is missing or changed."""
        tree = new / "tree"
        lacks = list(self._copy(tree)) + list(self._describe(tree))
        self._dpkg.build(tree, new / PACKAGE)
        (new / PACKAGE).chmod(files.PRIVATE_FILE)  # a conffile may be the owner's secret
        (new / UNPACKED).mkdir()
        self._dpkg.unpack(new / PACKAGE, new / UNPACKED)
        return lacks

    def _info(self, name: str) -> Path:
        return self._dpkg.admin / "info" / f"{NAME}.{name}"

    def _copy(self, tree: Path) -> Iterator[str]:
        """Copy all that the package has installed to `tree`; a line for what is not there."""
        listed = self._info("list").read_text(encoding="utf-8").splitlines()
        holders = {str(Path(name).parent) for name in listed}
        files.make_directory(tree, 0o755)
        for name in listed:
            if name == "/.":
                continue
            installed, copy = self._root / name.lstrip("/"), tree / name.lstrip("/")
            try:
                found = installed.stat(follow_symlinks=False)
                if name in holders and stat.S_ISLNK(found.st_mode):  # moved by the machine's owner
                    found = installed.stat()
                _copy_one(installed, copy, found)
            except FileNotFoundError:
                yield f"{name} is missing"
            except OSError as error:
                yield f"{name} cannot be read: {error.strerror or error}"

    def _describe(self, tree: Path) -> Iterator[str]:
        """Write the package's description and scripts to `tree`; a line for each changed file."""
        control = tree / "DEBIAN"
        files.make_directory(control, 0o755)
        stanza = self._dpkg.stanza()
        (control / "control").write_text(_fields(stanza), encoding="utf-8")
        for name, mode in KEPT.items():
            if self._info(name).is_file():
                (control / name).write_bytes(files.read(self._info(name), limit=FILE_MAX))
                (control / name).chmod(mode)
        _forget_changed(tree, control / "conffiles", stanza)
        return _changed(tree, control / "md5sums")


def _copy_one(installed: Path, copy: Path, found: os.stat_result) -> None:
    """Copy a directory without what is in it, a link, or a file. Raises OSError."""
    mode = stat.S_IMODE(found.st_mode)
    if stat.S_ISDIR(found.st_mode):
        files.make_directory(copy, mode)
    elif stat.S_ISLNK(found.st_mode):
        copy.symlink_to(installed.readlink())
    else:
        files.make_directory(copy.parent, 0o755)
        copy.write_bytes(files.read(installed, limit=FILE_MAX))
        copy.chmod(mode)
    os.utime(copy, ns=(found.st_atime_ns, found.st_mtime_ns), follow_symlinks=False)


def _fields(stanza: str) -> str:
    """The fields of the package itself."""
    kept, keeps = [], True
    for line in stanza.rstrip("\n").splitlines():
        if not line.startswith((" ", "\t")):
            keeps = line.partition(":")[0] not in ADDED
        if keeps:
            kept.append(line)
    return "\n".join([*kept, ""])


def _forget_changed(tree: Path, conffiles: Path, stanza: str) -> None:
    """Leave out what the owner has changed or removed: his text would become the package's.

    dpkg knows the sum of each as it came (`Conffiles` in its status file), and leaves alone on the
    disk what a package does not have.
    """
    if conffiles.is_file():
        came = dict(re.findall(r"^ (/\S+) ([0-9a-f]{32})\b", stanza, re.MULTILINE))
        held = []
        for line in conffiles.read_text(encoding="utf-8").splitlines():
            file = tree / line.lstrip("/")
            absent = " " in line  # "remove-on-upgrade /path" (deb-conffiles(5))
            if absent or (file.is_file() and _digest(file) == came.get(line)):
                held.append(line)
            else:
                file.unlink(missing_ok=True)
        conffiles.write_text("".join(f"{one}\n" for one in held), encoding="utf-8")


def _changed(tree: Path, sums: Path) -> Iterator[str]:
    """A line for each file that is not as it was when it was installed."""
    if sums.is_file():
        for line in sums.read_text(encoding="utf-8").splitlines():
            digest, _, name = line.partition("  ")
            file = tree / name
            if file.is_file() and _digest(file) != digest:
                yield f"/{name} has been changed"


def _digest(file: Path) -> str:
    return hashlib.md5(file.read_bytes(), usedforsecurity=False).hexdigest()
