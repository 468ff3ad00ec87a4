"""Modes: away, visitor, test, each until a time, in a file that command and cloud both write."""

from __future__ import annotations

import logging
import time

from agent import files
from agent.model import DAY_S, decode, encode, is_time, plain_number
from agent.value import Value, replace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from agent.model import Json, NewRecord

#: The file in the state directory.
MODE_FILE = "mode.json"

AWAY, VISITOR, TEST, OFF = "away", "visitor", "test", "off"
NAMES = (AWAY, VISITOR, TEST)

#: Who has set a mode.
HERE, CLOUD = "command", "cloud"

#: An end that is later is a mistake: nobody would be told of anything for so long.
LONGEST_DAYS = 366

#: A time as people read it, such as Tue 1 Dec 2026 18:00.
SHOWN = "%a %-d %b %Y %H:%M"

#: More bytes than the file ever has.
SIZE_MAX = 4096

log = logging.getLogger(__name__)


class Mode(Value):
    """A mode by its `name`, until `until_s` (epoch); an empty name is none.

    `since_s` is when it was set, `by` who has: command or cloud.
    """

    name: str = ""
    until_s: float = 0.0
    since_s: float = 0.0
    by: str = ""

    @property
    def rests(self) -> bool:
        """True if quiet alarms nobody: the house is empty, or somebody else is in it."""
        return self.name in {AWAY, VISITOR}

    @property
    def text(self) -> str:
        """Name and end by the local clock; empty for no mode."""
        if not self.name:
            return ""
        return f"{self.name} until {time.strftime(SHOWN, time.localtime(self.until_s))}"


def wanted(name: object, until: object, *, now_s: float, by: str) -> Mode:
    """The mode that somebody asks for; none for `off`, which needs no `until`.

    `until` is epoch seconds, or ISO 8601 text, by the local clock where it names no zone. Raises
    ValueError in words for what is no mode and no end, or an end that is over or too far away.
    """
    if name == OFF:
        return Mode(by=by)
    if not isinstance(name, str) or name not in NAMES:
        raise ValueError(f"{name!r:.40} is no mode: {', '.join(NAMES)} or {OFF}")
    if isinstance(until, str):
        from agent.facts.iso_time import parsed_iso  # noqa: PLC0415 -- it loads datetime

        until = parsed_iso(until)
    if isinstance(until, bool) or not is_time(until):
        raise ValueError(f"{name} until when? It needs an end")
    if until <= now_s:
        raise ValueError("the end is over already")
    if until > now_s + LONGEST_DAYS * DAY_S:
        raise ValueError(f"the end is more than {LONGEST_DAYS} days away")
    return Mode(name, until, now_s, by)


def marked(new: NewRecord, mode: Mode) -> NewRecord:
    """The record, with the mode that it was made in."""
    return replace(new, body={**new.body, "mode": mode.name}) if mode.name else new


class ModeFile:
    """The mode of the device; any thread may call it. `wall_s` is the clock."""

    def __init__(self, path: Path, wall_s: Callable[[], float]) -> None:
        self._path = path
        self.wall_s = wall_s
        #: It is later than this, whatever the clock says.
        self.after_s = 0.0
        self._known: tuple[object, Mode] = None, Mode()

    def now(self, *, is_set: bool = True) -> Mode:
        """The mode at this time; none once its end is over, by a clock that `is_set`.

        One that is not may be hours ahead: then it is over if it was when the last process died.

        A file that has not changed is not read again. One that cannot be read, or is no mode, is
        told once in the log, and is none: rules then work.
        """
        version, mode = self._version(), self._known[1]
        if version != self._known[0]:
            try:
                mode = self.read()
            except (OSError, ValueError) as error:
                log.warning("%s: no mode, since it cannot be read: %s", self._path, error)
                mode = Mode()
            self._known = version, mode
        return Mode() if mode.until_s <= (self.wall_s() if is_set else self.after_s) else mode

    def read(self) -> Mode:
        """The mode in the file, though it may be over. Raises OSError, ValueError."""
        try:
            kept = decode(files.read(self._path, limit=SIZE_MAX))
        except FileNotFoundError:
            return Mode()
        return _mode(kept)

    def set(self, mode: Mode) -> None:
        """Keep `mode` on the disk, or that there is none. Raises OSError."""
        if mode.name:
            kept: dict[str, Json] = {
                "mode": mode.name,
                "until": plain_number(mode.until_s),
                "since": plain_number(round(mode.since_s, 3)),
                "by": mode.by,
            }
            files.replace(self._path, encode(kept))
        else:
            self._path.unlink(missing_ok=True)
            files.sync_directory(self._path.parent)

    def _version(self) -> object:
        """Something that is another whenever the file is."""
        try:
            found = self._path.stat(follow_symlinks=False)
        except OSError as error:
            return error.errno
        return found.st_ino, found.st_size, found.st_ctime_ns


def _mode(kept: dict[str, Json]) -> Mode:
    name, until_s, since_s, by = (kept.get(key) for key in ("mode", "until", "since", "by"))
    if not (isinstance(name, str) and name in NAMES and is_time(until_s)):
        raise ValueError("it is no mode with an end")
    return Mode(
        name, until_s, since_s if is_time(since_s) else 0.0, by if isinstance(by, str) else ""
    )
