"""Scripts that do not start: what is wrong with the program that a person wrote, and its mending.

The kernel's answers are those of execve(2): ENOENT is also said of the program that a script's
first line names, ENOEXEC of a script without such a line.
"""

from __future__ import annotations

import errno
import json
import os
import stat
from contextlib import suppress
from pathlib import Path
from shlex import quote

from agent.errors import SensorError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

#: The kernel reads so much of a script's first line (BINPRM_BUF_SIZE).
LINE_MAX = 256

_BOM = b"\xef\xbb\xbf"
_HINT = "give the whole path; the service sees no home directory"


def not_started(command: str, error: OSError) -> SensorError:
    """The error for a program that cannot be started, with what to do next."""
    path = Path(command)
    if error.errno == errno.ENOENT and len(words := command.split()) > 1 and not path.exists():
        hint = f"each word is one of the list: command = {json.dumps(words, ensure_ascii=False)}"
        return SensorError(f"there is no program {command!r}", hint=hint)
    if not path.is_absolute():
        where = "below /" if "/" in command else "in PATH"
        return SensorError(f"{command}: {error.strerror} {where}", hint="give the whole path")
    try:
        begin = _begin(path)
    except OSError as unread:
        return SensorError(f"{command}: {unread.strerror}", hint=_HINT)
    if path.is_dir():
        return SensorError(f"{command} is a directory, not a program", hint="name the file in it")
    if not os.access(path, os.X_OK):
        text = f"{command} may not be executed: {error.strerror}"
        return SensorError(text, hint=f"sudo chmod a+rx {quote(command)}")
    return (
        _spoiled(command)
        or _without_program(command, begin, error)
        or SensorError(f"{command}: {error.strerror}", hint=_HINT)
    )


def ended(command: Sequence[str], text: str, *, hint: str) -> SensorError:
    """The error for a program that failed as `text` says, with what spoils one of its scripts.

    An interpreter, or env(1), fails of that in its own words.
    """
    for path in filter(os.path.isabs, command):
        if error := _spoiled(path) or _windows(path):
            return SensorError(f"{text}; {error.text}", hint=error.hint)
    return SensorError(text, hint=hint)


def _windows(path: str) -> SensorError | None:
    """The error if the first lines of a script have Windows ends."""
    begin = _begin_or_nothing(path)
    if b"\r\n" not in begin or b"\0" in begin:
        return None
    return SensorError(f"{path} has Windows line ends", hint=f"sed -i 's/\\r$//' {quote(path)}")


def _spoiled(command: str) -> SensorError | None:
    """The error if an editor spoiled the script's first line; None if that is as it should be."""
    begin = _begin_or_nothing(command)
    line = begin.removeprefix(_BOM).split(b"\n")[0]
    if not line.startswith(b"#!"):
        return None
    if line.endswith(b"\r"):
        text = f"{command}: its first line names a program that is not there: {_named(begin)}\\r"
        return SensorError(
            f"{text} (Windows line ends)", hint=f"sed -i 's/\\r$//' {quote(command)}"
        )
    if begin.startswith(_BOM):
        text = f"{command}: a byte order mark stands before #! in its first line"
        return SensorError(text, hint=rf"sed -i '1s/^\xEF\xBB\xBF//' {quote(command)}")
    return None


def _without_program(command: str, begin: bytes, error: OSError) -> SensorError | None:
    """The error for a file that names no program to run it, or none that is here."""
    if begin.startswith(b"\x7fELF"):
        text = f"{command} was built for another system: {error.strerror}"
        return SensorError(text, hint="install it, or build it, on this machine")
    if begin.startswith(b"#!"):
        fault = "is not there" if error.errno == errno.ENOENT else "cannot be run"
        text = f"{command}: its first line names a program that {fault}: {_named(begin)}"
        return SensorError(text, hint="mend the line, or install the program")
    if error.errno == errno.ENOEXEC:
        text = f"{command}: its first line names no program to run it, as #!/bin/sh does"
        words = json.dumps(["/bin/sh", command], ensure_ascii=False)
        return SensorError(text, hint=f"add that line, or write command = {words}")
    return None


def _begin(path: Path) -> bytes:
    """The first bytes of a file; nothing of what is no file, or may be run and not read.

    Raises OSError where it is not there, or is out of reach.
    """
    if not stat.S_ISREG(path.stat().st_mode) or not os.access(path, os.R_OK):
        return b""
    with path.open("rb") as file:
        return file.read(LINE_MAX)


def _begin_or_nothing(path: str) -> bytes:
    with suppress(OSError, ValueError):  # a NUL in the name
        return _begin(Path(path))
    return b""


def _named(begin: bytes) -> str:
    """The program that the first line names, fit to be shown."""
    line = begin.removeprefix(_BOM)[2:].split(b"\n")[0].strip()
    return "".join(one if one.isprintable() else "?" for one in line.decode("utf-8", "replace"))
