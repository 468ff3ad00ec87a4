"""Ownership: where root may read and write, since nobody else can lead it elsewhere."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from agent import files

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Container

#: More than any way to a file has.
MOST_STEPS = 400


def make_directory_for(owner: files.Owner, path: Path) -> bool:
    """Make `path` for another user, as root; False where others than root could interfere.

    What is missing above it becomes root's own. Raises OSError.
    """
    existing = next(one for one in path.parents if one.exists())
    if not only_root_writes(existing.resolve()):
        return False
    files.make_directory(path.parent, 0o755)
    path.mkdir(mode=files.PRIVATE_DIRECTORY)
    os.chown(path, *owner, follow_symlinks=False)
    files.sync_directory(path.parent)
    return True


def only_root_writes(directory: Path) -> bool:
    """True if nobody but root can change what lies in `directory`, or put another in its place.

    `directory` is a real path, without links. One that all may write to but that keeps each his own
    (/tmp) may lie on the way, since what is below it is looked at too. Raises OSError.
    """
    for path in (directory, *directory.parents):
        found = path.stat()
        open_to_others = bool(found.st_mode & stat.S_IWOTH) or (
            bool(found.st_mode & stat.S_IWGRP) and found.st_gid != 0
        )
        keeps = path != directory and bool(found.st_mode & stat.S_ISVTX)
        if found.st_uid != 0 or (open_to_others and not keeps):
            return False
    return True


def lend(uid: int, path: Path) -> bytes | None:
    """Content of a file that the user `uid` may not be able to read; None where he has to try.

    What leads through anything of his is his own to read, since it could lead root
    anywhere; so is a file of root's where others than root could have put it.
    """
    try:
        if is_led_by(uid, path):
            return None
        if path.stat(follow_symlinks=False).st_uid == uid:
            return files.read(path)  # he could put a link in its place
        real = path.resolve()
        if real.stat().st_uid == 0 and not only_root_writes(real.parent):
            return None
        return files.read(real)
    except (OSError, RuntimeError):  # the second for links that go round (Python 3.11, 3.12)
        return None


def is_led_by(uid: int, path: Path) -> bool:
    """True if a directory or a link on the way to `path` is the user's, or of one that it names.

    A file of his leads nowhere. Raises OSError.
    """
    return _leads(path, lambda owner: owner == uid)


def is_led_by_others(uids: Container[int], path: Path) -> bool:
    """True if a directory or a link on the way to `path` is of anybody but these. Raises OSError.

    `path` itself counts too.
    """
    return _leads(path, lambda owner: owner not in uids)


def _leads(path: Path, wrong: Callable[[int], bool]) -> bool:
    at, rest = Path("/"), list(path.absolute().parts[1:])
    for _ in range(MOST_STEPS):
        if not rest:
            return False
        name = rest.pop(0)
        at = at.parent if name == ".." else at / name
        try:
            found = at.stat(follow_symlinks=False)
        except FileNotFoundError:
            return False
        if wrong(found.st_uid) and not stat.S_ISREG(found.st_mode):
            return True
        if stat.S_ISLNK(found.st_mode):
            target = at.readlink()
            rest = [part for part in target.parts if part != "/"] + rest
            at = Path("/") if target.is_absolute() else at.parent
    return True  # round and round
