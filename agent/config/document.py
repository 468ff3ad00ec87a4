"""Document: a TOML file read whole, with errors that a person can act on."""

from __future__ import annotations

import re
import tomllib
from contextlib import suppress
from typing import TYPE_CHECKING

from agent.errors import ConfigError
from agent.model import MIB

if TYPE_CHECKING:
    from pathlib import Path

_MAX_BYTES = MIB


def read_toml(path: Path) -> dict[str, object]:
    """The document in the file `path`. Raises ConfigError with the path and, for TOML, the line."""
    try:
        with path.open("rb") as content:
            data = content.read(_MAX_BYTES + 1)
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
        why = (isinstance(error, OSError) and error.strerror) or error
        raise ConfigError([f"{path}: cannot be read: {why}"], hint="check the path") from None
    if len(data) > _MAX_BYTES:
        hint = "name the right file with --config"
        raise ConfigError([f"{path}: is longer than 1 MiB, no configuration file"], hint=hint)
    try:
        return tomllib.loads(data.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        problem = f"line {line}: is not UTF-8 text (byte 0x{data[error.start]:02x})"
    except RecursionError:
        problem = "is nested too deeply"
    except ValueError as error:
        what, _, place = str(error).rpartition(" (at ")
        line = data.count(b"\n") + 1 if place == "end of document)" else _line(place)
        problem = f"line {line}: {what}" if line else str(error)
    raise mistakes(path, [problem])


def mistakes(path: Path, problems: list[str]) -> ConfigError:
    """The error for `problems` in `path`; those that begin with a key gain its line."""
    return ConfigError(
        [f"{path}: {problem}{_place(path, problem)}" for problem in problems],
        hint=f"correct this, then try `pi-iot-agent check --config {path}`",
    )


def _place(path: Path, problem: str) -> str:
    from agent.config.editor import line_of  # noqa: PLC0415 -- only a mistake needs it

    with suppress(OSError, ValueError, RecursionError):
        text = path.read_text(encoding="utf-8-sig")
        if line := line_of(text, problem.partition(": ")[0]):
            return f" (line {line})"
    return ""


def _line(place: str) -> int:
    """The number in tomllib's `line 3, column 5)`; 0 if it is worded differently."""
    found = re.match(r"line (\d+),", place)
    return int(found[1]) if found else 0
