"""Document: a TOML file read whole, with errors that a person can act on."""

from __future__ import annotations

import errno
import os
import stat
from contextlib import suppress

from agent.config.lean_tomllib import tomllib
from agent.errors import ConfigError
from agent.model import MIB

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

_MAX_BYTES = MIB


def contents(path: Path) -> bytes:
    """The bytes of the file `path`, at most 1 MiB, without ever waiting for them.

    Raises ConfigError with the path.
    """
    try:
        data = _read(path)
    except FileNotFoundError:
        hint = "make it (an empty file is valid), or name another one with --config"
        raise ConfigError([f"{path}: there is no such file"], hint=hint) from None
    except PermissionError:
        hint = "run this with sudo, or as the user that the file belongs to"
        raise ConfigError([f"{path}: may not be read by this user"], hint=hint) from None
    except IsADirectoryError:
        hint = f"name the file in it: --config {path / 'agent.toml'}"
        raise ConfigError([f"{path}: is a directory, not a file"], hint=hint) from None
    except (OSError, ValueError) as error:
        why = f"cannot be read: {getattr(error, 'strerror', None) or error}"
        if getattr(error, "errno", None) == errno.ENXIO:
            why = "is not a regular file"
        raise ConfigError([f"{path}: {why}"], hint="check the path") from None
    if len(data) > _MAX_BYTES:
        hint = "name the right file with --config"
        raise ConfigError([f"{path}: is longer than 1 MiB, no configuration file"], hint=hint)
    return data


def read_toml(path: Path, data: bytes | None = None) -> dict[str, object]:
    """The document in the file `path`, or in `data`, which somebody else has read from it.

    Raises ConfigError with the path and, for TOML, the line.
    """
    if data is None:
        data = contents(path)
    try:
        text = data.decode("utf-8-sig")
        return tomllib.loads(text)
    except RecursionError:
        problem = "is nested too deeply"
    except ValueError as error:
        from agent.config import advice  # noqa: PLC0415 -- only a mistake needs it

        if isinstance(error, UnicodeDecodeError):
            problem = advice.encoding(data, error)
        else:
            problem = advice.mistake(text, error)
    raise mistakes(path, [problem], data)


def mistakes(
    path: Path, problems: list[str], data: bytes | None = None, *, beside: Iterable[str] = ()
) -> ConfigError:
    """The error for `problems` in `path`; those that begin with a key gain its line in `data`.

    `data` is what stands in the file; it is read if it is not given. The problems `beside` are
    another file's, and begin with its path.
    """
    from agent.config.statements import lines  # noqa: PLC0415 -- only a mistake needs it

    known: dict[str, int] = {}
    with suppress(ValueError, RecursionError):  # a ConfigError is a ValueError
        known = lines((contents(path) if data is None else data).decode("utf-8-sig"))
    return ConfigError(
        [*(f"{path}: {problem}{_place(known, problem)}" for problem in problems), *beside],
        hint=f"correct this, then try `pi-iot-agent check --config {path}`",
    )


def _read(path: Path) -> bytes:
    def at_once(name: str, flags: int) -> int:  # not when somebody opens a pipe's other end
        return os.open(name, flags | os.O_NONBLOCK)

    with open(path, "rb", opener=at_once) as file:
        mode = os.fstat(file.fileno()).st_mode
        if not stat.S_ISREG(mode) and not stat.S_ISCHR(mode):
            raise OSError(errno.ENXIO, "")  # as a socket answers
        return file.read(_MAX_BYTES + 1) or b""


def _place(known: dict[str, int], problem: str) -> str:
    """The line of a problem's key in words; of its table where it is missing there."""
    key = problem.partition(": ")[0]
    while key and key not in known:
        key = key[: max(key.rfind("."), key.rfind("["), 0)]
    return f" (line {known[key]})" if key else ""
