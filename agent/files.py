"""Files: whole or absent, private from the first byte.

Every function is safe against a power cut at any instant, but for `replace` with `durable=False`:
data reaches the disk before the name that points to it does. Nothing is ever made with a wide mode
and narrowed afterwards.
"""

from __future__ import annotations

import fcntl
import os
import stat
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from agent.errors import BusyError, NotPermittedError, StorageError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PRIVATE_DIRECTORY = 0o700
PRIVATE_FILE = 0o600
PUBLIC_FILE = 0o644


def make_directory(path: Path, mode: int = PRIVATE_DIRECTORY) -> None:
    """Make `path` and what is missing above it with `mode`; leave existing ones as they are.

    Raises OSError, also when `path` exists and is no directory.
    """
    if path.is_dir():
        return
    if path.parent != path:
        make_directory(path.parent, mode)
    with suppress(FileExistsError):
        path.mkdir(mode=mode)
        sync_directory(path.parent)
    if not path.is_dir():
        raise NotADirectoryError(20, "Not a directory", str(path))


def write_new(path: Path, data: bytes, *, mode: int = PRIVATE_FILE) -> None:
    """Create `path` with `mode`, whatever the umask; write all of `data`, force it to the disk.

    Raises FileExistsError if the name is taken; any other OSError leaves no file behind.
    """
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    try:
        with os.fdopen(descriptor, "wb") as file:
            os.fchmod(descriptor, mode)  # gives back what a strict umask took
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
    except OSError:
        path.unlink(missing_ok=True)
        raise


def replace(
    path: Path,
    data: bytes,
    *,
    mode: int = PRIVATE_FILE,
    durable: bool = True,
    owner: Path | None = None,
) -> None:
    """Put `data` in place of `path` at once: a reader sees the old file or the new, never a part.

    `durable=False` leaves out the two fsyncs, for files in memory (tmpfs). What root writes gets
    the owner of the file `owner`. Raises OSError.
    """
    beside = _beside(path)
    try:
        if durable:
            write_new(beside, data, mode=mode)
            if owner:
                hand_over(beside, like=owner)
        else:
            with open(beside, "xb", opener=lambda name, flags: os.open(name, flags, mode)) as file:
                os.fchmod(file.fileno(), mode)
                file.write(data)
        beside.replace(path)
    except OSError:
        beside.unlink(missing_ok=True)
        raise
    if durable:
        sync_directory(path.parent)


def rewrite(path: Path, data: bytes) -> None:
    """Replace the content of an existing file, which keeps its mode, its owner and its links.

    Raises OSError.
    """
    real = path.resolve()
    replace(real, data, mode=stat.S_IMODE(real.stat().st_mode), owner=real)


def hand_over(path: Path, *, like: Path) -> None:
    """Give what root made to the owner of `like`; for anybody else it is right as it is."""
    if os.geteuid() == 0:
        owner = like.stat()
        os.chown(path, owner.st_uid, owner.st_gid)


def wipe(path: Path) -> None:
    """Overwrite a file with zeros and remove it; fine if there is none.

    On flash the old cells may survive until the card's controller reuses them. Raises OSError.
    """
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    with os.fdopen(descriptor, "wb") as file:
        file.write(bytes(os.fstat(descriptor).st_size))
        file.flush()
        os.fsync(descriptor)
    path.unlink()
    sync_directory(path.parent)


@contextmanager
def explained() -> Iterator[None]:
    """Raise an OSError from inside in words: as NotPermittedError or StorageError."""
    try:
        yield
    except PermissionError as error:
        raise NotPermittedError(
            f"{error.filename}: this user may not do that", hint="run this with sudo"
        ) from error
    except OSError as error:
        raise StorageError(
            f"{error.filename or 'a file'}: {error.strerror or error}",
            hint="check that the card is neither full nor read-only",
        ) from error


def switch_link(link: Path, target: str) -> None:
    """Point the symbolic link `link` at `target` in one step, whatever it pointed at before.

    Raises OSError (IsADirectoryError if a real directory has the name).
    """
    beside = _beside(link)
    beside.symlink_to(target)
    try:
        beside.replace(link)
    except OSError:
        beside.unlink()
        raise
    sync_directory(link.parent)


def sync_directory(path: Path) -> None:
    """Force the names in `path` to the disk (fsync(2): a file's own fsync does not)."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def remove_tree(path: Path) -> None:
    """Remove a directory with all that is in it, or a link or file; fine if there is none."""
    if path.is_dir() and not path.is_symlink():
        for entry in path.iterdir():
            remove_tree(entry)
        path.rmdir()
    else:
        path.unlink(missing_ok=True)


@contextmanager
def lock(path: Path, holder: str) -> Iterator[None]:
    """Hold an exclusive lock on `path` while inside; the kernel drops it when the process ends.

    `holder` names in words who else could hold it. Raises BusyError, soon, if someone does.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, PUBLIC_FILE)
    try:
        if not _taken(descriptor):
            raise BusyError(
                f"{path}: {holder} is running already",
                hint="wait until it ends, or stop it",
            )
        with suppress(PermissionError):  # everybody may see that it is held, whatever the umask
            os.fchmod(descriptor, PUBLIC_FILE)
        yield
    finally:
        os.close(descriptor)


def _taken(descriptor: int) -> bool:
    # More than one try, since `is_locked` in another process holds the lock for an instant.
    for _ in range(10):
        with suppress(BlockingIOError):
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        time.sleep(0.02)
    return False


def is_locked(path: Path) -> bool:
    """Tell whether some process holds the lock on `path`; False if there is no such file."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def _beside(path: Path) -> Path:
    """A name in the same directory that nothing has."""
    return path.with_name(f".{path.name}.{os.urandom(4).hex()}")
