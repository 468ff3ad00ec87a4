"""Notes on updates: small files of root's, which all may read and root alone writes.

Versions are those of the Debian package (deb-version(7)). Times are epoch seconds.
"""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path

from agent import files
from agent.model import is_time
from agent.value import Value, asdict, fields

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TypeVar

    Note = TypeVar("Note", "Pending", "Looked", "Outcome")

#: Where they lie, with the forerunner's package; root:root, 0755.
DIRECTORY = Path("/var/lib/pi-iot-agent-updates")

#: More bytes than any of them has.
SIZE_MAX = 16384

#: How a watched upgrade went: it is in order; the forerunner was installed again, since the new
#: version failed; the same, since the upgrade was cut short; or that could not be done either.
KEPT, ROLLED_BACK, RESTORED, STUCK = "kept", "rolled-back", "restored", "stuck"


class Pending(Value):
    """An upgrade from `old` to `new` that is not judged yet.

    `ready` and `online` tell how the old version was: sampling; and connected at any time since its
    start. `back` is set while the old one is installed again, with the reason.
    """

    old: str
    new: str
    ready: bool
    online: bool
    began_s: float
    back: str = ""


class Looked(Value):
    """The last look for updates, which are taken up since `since_s`.

    `succeeded_s` is the last one that got an index that is signed and valid. `trouble` and `hint`
    say why the last one failed; empty for one that did not. `waiting` is a newer version than
    `installed`, since `waiting_since_s`; empty for none.
    """

    since_s: float
    looked_s: float = 0.0
    succeeded_s: float = 0.0
    trouble: str = ""
    hint: str = ""
    installed: str = ""
    waiting: str = ""
    waiting_since_s: float = 0.0


class Outcome(Value):
    """The end of the last upgrade that was watched, from `old` to `new`; `went` as listed above."""

    went: str
    old: str
    new: str
    reason: str
    at_s: float


#: The file of each.
NAMES = {Pending: "pending.json", Looked: "looked.json", Outcome: "outcome.json"}


def write(note: Pending | Looked | Outcome, directory: Path = DIRECTORY) -> None:
    """Put the note in place of the one before. Raises OSError."""
    text = json.dumps(asdict(note)) + "\n"
    files.replace(directory / NAMES[type(note)], text.encode(), mode=files.PUBLIC_FILE)


def remove(kind: type[Pending | Looked | Outcome], directory: Path = DIRECTORY) -> None:
    """Remove the note of this kind, if there is one. Raises OSError."""
    with suppress(FileNotFoundError):
        (directory / NAMES[kind]).unlink()
        files.sync_directory(directory)


def pending_of(directory: Path = DIRECTORY) -> Pending | None:
    """The upgrade that is not judged yet; None for none, or for a note that is spoiled."""
    return _read(Pending, directory)


def looked_of(directory: Path = DIRECTORY) -> Looked | None:
    """The last look for updates; None where they are not taken up, or the note is spoiled."""
    return _read(Looked, directory)


def outcome_of(directory: Path = DIRECTORY) -> Outcome | None:
    """The end of the last upgrade; None for none, or for a note that is spoiled."""
    return _read(Outcome, directory)


def _read(kind: type[Note], directory: Path) -> Note | None:
    try:
        told = json.loads(files.read(directory / NAMES[kind], limit=SIZE_MAX))
        note = kind(**told)
    except (OSError, ValueError, TypeError, RecursionError):
        return None
    return note if all(_fits(one.name, getattr(note, one.name)) for one in fields(note)) else None


def _fits(name: str, value: object) -> bool:
    """True if a note's field of this name may have the value."""
    if name in {"ready", "online"}:
        return isinstance(value, bool)
    return is_time(value) if name.endswith("_s") else isinstance(value, str)
