"""New file: what a command hands out, written with the caller's rights to where he says.

No file that is there is written over, no link followed, and root is not led by the service's user.
"""

from __future__ import annotations

import os
from pathlib import Path

from agent import account, files, ownership
from agent.cli.questions import UsageError
from agent.errors import NotPermittedError, OutputError, explained

#: Stands for standard output.
STDOUT = "-"


def check_free(name: str, option: str) -> None:
    """Raise AgentError if there is no such place, it is taken, or it could be led elsewhere."""
    path = Path(name)
    service = account.of_service()
    try:
        if not path.name:
            raise UsageError(f"{option} {name!r}: names no file", hint="name one, or - for a pipe")
        if service and ownership.is_led_by(service.uid, path):
            raise NotPermittedError(
                f"{path}: the service's user could lead root elsewhere there",
                hint="name a file in a directory of yours",
            )
        if path.is_symlink() or path.exists():
            raise _taken(path)
        directory = path.absolute().parent
        if not directory.is_dir():
            raise UsageError(f"{directory}: is no directory", hint="name another file")
        writable = os.access(directory, os.W_OK | os.X_OK)
    except PermissionError:
        writable = False
    except OSError as error:  # such as a name that is too long
        raise UsageError(f"{path}: {error.strerror}", hint="name another file") from error
    if not writable:
        raise NotPermittedError(
            f"{path.absolute().parent}: this user may not write there",
            hint="name a file in another directory",
        )


def save(path: Path, data: bytes) -> None:
    """Write a new file, for this user alone. Raises AgentError."""
    with explained():
        try:
            files.write_new(path, data)
        except FileExistsError:
            raise _taken(path) from None


def pour(data: bytes, descriptor: int) -> None:
    """Write all of it to an open file. Raises OutputError, without words if nobody reads it."""
    left = memoryview(data)
    try:
        while left:
            left = left[os.write(descriptor, left) :]
    except BrokenPipeError:
        raise OutputError("") from None
    except OSError as error:
        raise OutputError(
            f"the output cannot be written: {error.strerror}", hint="check where it goes to"
        ) from error


def _taken(path: Path) -> UsageError:
    return UsageError(f"{path}: is there already, and is left as it is", hint="name another file")
