"""Files of sysfs and procfs, read with their quirks: they are not files as others are.

A driver in the kernel measures while its file is read. The whole file comes in one read(2), and
an error number tells why there is no value: for many of them the next time may do.
"""

from __future__ import annotations

import errno
import os

from agent import board
from agent.errors import NoDataError, SensorError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

#: A sysfs file has at most a page (Documentation/filesystems/sysfs.rst); /proc/meminfo is longer.
MAX_BYTES = 16384

#: Errors that pass: a driver that is busy or asleep (EAGAIN, EBUSY, EINVAL, ENODATA), a byte that
#: nobody acknowledged (EREMOTEIO, ENXIO: the kernel's Documentation/i2c/fault-codes.rst), a wrong
#: checksum or frame (EBADMSG, EILSEQ, EIO, EPROTO), no answer in time (ETIME, ETIMEDOUT), a value
#: that did not fit, a bus that sleeps (ESHUTDOWN), a signal.
PASSING = {
    errno.EAGAIN,
    errno.EBADMSG,
    errno.EBUSY,
    errno.EILSEQ,
    errno.EINTR,
    errno.EINVAL,
    errno.EIO,
    errno.ENODATA,
    errno.ENXIO,
    errno.EOVERFLOW,
    errno.EPROTO,
    errno.EREMOTEIO,
    errno.ESHUTDOWN,
    errno.ETIME,
    errno.ETIMEDOUT,
}

#: Errors of a device that is gone: while it is opened, and while it is read.
GONE = {errno.ENOENT, errno.ENODEV, errno.ENOTDIR, errno.ENXIO}
GONE_WHILE_OPEN = {errno.ENODEV}

HINT = f"check the wiring, and the dtoverlay line in {board.CONFIG_TXT}"


def text(path: Path, *, read: Callable[[int, int], bytes] = os.read) -> str:
    """Content of the file, without white space around it and without the NULs of a device tree.

    `read(descriptor, most bytes)` is read(2). Raises NoDataError when there is nothing at this
    moment, SensorError when the file is gone or broken.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise _explained(path, error, GONE) from error
    try:
        content = read(descriptor, MAX_BYTES)  # once: a second read may measure again
    except OSError as error:
        raise _explained(path, error, GONE_WHILE_OPEN) from error
    finally:
        os.close(descriptor)
    found = content.decode("ascii", "replace").strip("\0 \t\r\n")
    if not found:
        raise NoDataError(f"{path} is empty: it does not answer", hint=HINT)
    return found


def number(path: Path) -> float:
    """The number that stands in the file. Raises as `text`, SensorError for what is no number."""
    content = text(path)
    try:
        return float(content)
    except ValueError as error:
        raise SensorError(f"{path} has {content[:40]!r}, which is no number", hint=HINT) from error


def each(channels: Mapping[str, Callable[[], float]]) -> dict[str, float | SensorError]:
    """Value of each quantity's function, or the SensorError that it raises, for itself."""
    found: dict[str, float | SensorError] = {}
    for quantity, value in channels.items():
        try:
            found[quantity] = value()
        except SensorError as error:
            found[quantity] = error.with_traceback(None)  # it holds `found`
    return found


def optional_text(path: Path) -> str:
    """Content of the file as `text` has it; empty where it is not there or cannot be read."""
    try:
        return text(path)
    except SensorError:
        return ""


def named(directory: Path, pattern: str, label: str) -> Iterator[tuple[str, Path]]:
    """Name of each device below `directory`, from its file `label`; order follows the numbers.

    A device that goes away meanwhile is passed over.
    """
    found = sorted(directory.glob(pattern), key=lambda path: (len(path.name), path.name))
    for path in found:
        if name := optional_text(path / label):
            yield name, path


def choose(kind: str, wanted: str, at: str, devices: list[tuple[str, Path]]) -> Path:
    """The only device called `wanted`, with `at` the one at that place of the bus.

    Raises SensorError, which names those that there are.
    """
    fitting = [path for name, path in devices if wanted in {name, name.partition("@")[0]}]
    places = {place(path): path for path in fitting}
    if at and at in places:
        return places[at]
    if len(fitting) == 1 and not at:
        return fitting[0]
    if fitting:
        why = f"none of them at {at!r}" if at else "say which with `at`"
        seen = ", ".join(sorted(places))
        raise SensorError(f"{kind} {wanted!r} is at {seen}; {why}", hint=HINT)
    known = ", ".join(sorted({name for name, _ in devices})) or "none"
    raise SensorError(f"there is no {kind} {wanted!r}; there are: {known}", hint=HINT)


def place(path: Path) -> str:
    """Place of a device on its bus, such as 1-0048; hwmon has a folder of its own below it."""
    parent = path.resolve().parent
    return parent.parent.name if parent.name == "hwmon" else parent.name


def _explained(path: Path, error: OSError, gone: set[int]) -> SensorError:
    if error.errno in gone:
        return SensorError(f"{path} is not there (any more)", hint=HINT)
    if error.errno in PASSING:
        return NoDataError(f"{path} has no value: {error.strerror}", hint=HINT)
    return SensorError(f"{path} cannot be read: {error.strerror}", hint=HINT)
