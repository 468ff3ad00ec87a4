"""Files: whole or absent, private from the first byte, and never through a link.

Every function is safe against a power cut at any instant, but for `replace` with `durable=False`:
data reaches the disk before the name that points to it does. Nothing is ever made with a wide mode
and narrowed afterwards. The last name of a path is never followed as a link, what is changed is
changed by descriptor, and what is no regular file is never waited for, so that nobody who can write
in a directory leads a process out of it. A link that its owner has made is resolved by the caller.
"""

from __future__ import annotations

import errno
import fcntl
import os
import re
import stat
import time
from contextlib import contextmanager, suppress
from pathlib import Path

from agent.errors import BusyError
from agent.model import MIB

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

#: A user's number and a group's, for chown(2).
Owner = tuple[int, int]

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
        path.mkdir(mode=PRIVATE_DIRECTORY)
        set_mode(path, mode)  # whatever the umask
        sync_directory(path.parent)
    if not path.is_dir():
        raise NotADirectoryError(20, "Not a directory", str(path))


def read(path: Path, *, limit: int = MIB, follow: bool = False) -> bytes:
    """Content of a regular file of at most `limit` bytes, reached through links with `follow`.

    Raises OSError, for anything else too.
    """
    path = real(path) if follow else path
    with os.fdopen(_open_file(path, os.O_RDONLY), "rb") as file:
        data = file.read(limit + 1)
    if len(data) > limit:
        raise OSError(errno.EFBIG, f"is longer than {limit} bytes", str(path))
    return data


def check(path: Path) -> None:
    """Raise OSError unless `path` is a regular file, through links or not, that may be read."""
    os.close(_open_file(real(path), os.O_RDONLY))


def real(path: Path) -> Path:
    """The path without links. Raises OSError."""
    try:
        return path.resolve()
    except RuntimeError:  # as Python 3.11 and 3.12 have it
        raise OSError(errno.ELOOP, "is a link that goes round", str(path)) from None


def set_mode(path: Path, mode: int) -> None:
    """Give a file or directory, no link, the mode. Raises OSError."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        os.fchmod(descriptor, mode)
    finally:
        os.close(descriptor)


def write_new(
    path: Path, data: bytes, *, mode: int = PRIVATE_FILE, owner: Owner | None = None
) -> None:
    """Create `path` with `mode`, whatever the umask; write all of `data`, force it to the disk.

    Raises FileExistsError if the name is taken; any other OSError leaves no file behind.
    """
    with _opened(path.parent) as directory:
        _write_new(directory, path.name, data, mode=mode, owner=owner, durable=True)


def replace(
    path: Path,
    data: bytes,
    *,
    mode: int = PRIVATE_FILE,
    durable: bool = True,
    owner: Owner | None = None,
) -> None:
    """Put `data` in place of `path` at once: a reader sees the old file or the new, never a part.

    `durable=False` leaves out the two fsyncs, for files in memory (tmpfs). Raises OSError.
    """
    beside = _beside(path).name
    with _opened(path.parent) as directory:
        try:
            _write_new(directory, beside, data, mode=mode, owner=owner, durable=durable)
        except OSError as error:
            raise OSError(error.errno, error.strerror, str(path)) from error
        try:
            os.replace(beside, path.name, src_dir_fd=directory, dst_dir_fd=directory)
        except OSError as error:
            os.unlink(beside, dir_fd=directory)
            raise OSError(error.errno, error.strerror, str(path)) from error
        if durable:
            os.fsync(directory)


def _write_new(
    directory: int, name: str, data: bytes, *, mode: int, owner: Owner | None, durable: bool
) -> None:
    """Create a file in an open directory, with nothing left of it where that fails."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    descriptor = os.open(name, flags, mode & PRIVATE_FILE, dir_fd=directory)
    try:
        with os.fdopen(descriptor, "wb") as file:
            if owner:
                os.fchown(descriptor, *owner)
            os.fchmod(descriptor, mode)  # not before it is its owner's
            file.write(data)
            file.flush()
            if durable:
                os.fsync(descriptor)
    except OSError:
        os.unlink(name, dir_fd=directory)
        raise


def rewrite(path: Path, data: bytes) -> None:
    """Replace the content of an existing file, which keeps its mode, its owner and its links.

    Raises OSError.
    """
    real = path.resolve()
    before = real.stat()
    owner = (before.st_uid, before.st_gid) if os.geteuid() == 0 else None
    replace(real, data, mode=stat.S_IMODE(before.st_mode), owner=owner)


def wipe(path: Path) -> None:
    """Overwrite a file with zeros and remove it; fine if there is none.

    On flash the old cells may survive until the card's controller reuses them. Raises OSError.
    """
    try:
        descriptor = _open_file(path, os.O_WRONLY)
    except FileNotFoundError:
        return
    with os.fdopen(descriptor, "wb") as file:
        file.write(bytes(os.fstat(descriptor).st_size))
        file.flush()
        os.fsync(descriptor)
    path.unlink()
    sync_directory(path.parent)


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
    with _opened(path) as directory:
        os.fsync(directory)


def remove_tree(path: Path) -> None:
    """Remove a directory with all that is in it, or a link or file; fine if there is none.

    Raises OSError.
    """
    try:
        path.unlink()
    except FileNotFoundError:
        return
    except IsADirectoryError:
        import shutil  # noqa: PLC0415 -- which loads three compressors

        shutil.rmtree(path)  # by descriptors, so that nothing can be swapped under it


@contextmanager
def lock(
    path: Path, holder: str, *, hint: str = "wait until it ends, or stop it"
) -> Iterator[None]:
    """Hold an exclusive lock on `path` while inside; the kernel drops it when the process ends.

    `holder` names in words who else could hold it. Only this user may open the file, since whoever
    can read it can lock it (flock(2)). Raises BusyError, soon, if someone holds it, and OSError.
    """
    descriptor = _open_lock(path)
    try:
        if not _taken(descriptor):
            raise BusyError(f"{path}: {holder} is running already", hint=hint)
        yield
    finally:
        os.close(descriptor)


def _open_lock(path: Path) -> int:
    descriptor = _open_file(path, os.O_RDWR | os.O_CREAT)
    if stat.S_IMODE(os.fstat(descriptor).st_mode) & ~PRIVATE_FILE:
        os.close(descriptor)  # an older version's, which anybody may hold
        path.unlink(missing_ok=True)
        descriptor = _open_file(path, os.O_RDWR | os.O_CREAT)
    return descriptor


def _taken(descriptor: int) -> bool:
    # More than one try, since `is_locked` in another process holds the lock for an instant.
    for _ in range(10):
        with suppress(BlockingIOError):
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        time.sleep(0.02)
    return False


def is_locked(path: Path) -> bool:
    """Tell whether some process holds the lock on `path`; False if there is no such file.

    Who may not open it asks the kernel's list (proc_locks(5)). Raises OSError.
    """
    try:
        descriptor = _open_file(path, os.O_RDONLY)
    except FileNotFoundError:
        return False
    except PermissionError:
        return _is_listed(path.stat(follow_symlinks=False))
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def _is_listed(found: os.stat_result) -> bool:
    device = f"{os.major(found.st_dev):02x}:{os.minor(found.st_dev):02x}"
    held = rf"FLOCK\s+ADVISORY\s+WRITE\s+-?\d+\s+{device}:{found.st_ino}\s"
    return re.search(held, Path("/proc/locks").read_text(encoding="utf-8")) is not None


def _open_file(path: Path, flags: int) -> int:
    """A descriptor of a regular file, made private where `flags` say so. Raises OSError."""
    flags |= os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
    try:
        descriptor = os.open(path, flags, PRIVATE_FILE)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise OSError(errno.ELOOP, "is a link, not a file", str(path)) from None
        raise
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "is not a regular file", str(path))
    return descriptor


@contextmanager
def _opened(directory: Path) -> Iterator[int]:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _beside(path: Path) -> Path:
    """A name in the same directory that nothing has."""
    return path.with_name(f".{path.name}.{os.urandom(4).hex()}")
