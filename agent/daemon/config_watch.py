"""Watch on the configuration: is it still what the agent was started with?"""

from __future__ import annotations

import hashlib

from agent import files
from agent.health import conditions
from agent.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from agent.health.health import Health


class _Seen(Value):
    """A file as it was seen: what stat(2) tells of it, and a hash of its content."""

    state: tuple[int, ...]
    content: bytes


ABSENT = _Seen((), b"")


class ConfigWatch:
    """Raises `config-changed` while a file of `paths` is not what it was when this was made.

    Costs a stat(2) a file; the content is read only where that tells of a change. Used by one
    thread.
    """

    def __init__(self, paths: Iterable[Path], *, health: Health) -> None:
        self._health = health
        self._first = {path: _see(path, ABSENT) for path in paths}
        self._now = dict(self._first)

    def look(self) -> None:
        """Look at the files, and report or clear the condition."""
        self._now = {path: _see(path, seen) for path, seen in self._now.items()}
        changed = [
            str(path)
            for path, seen in self._now.items()
            if seen.content != self._first[path].content
        ]
        text = f"changed since the agent started: {', '.join(changed)}" if changed else ""
        self._health.stand(conditions.CONFIG_CHANGED, text)


def _see(path: Path, before: _Seen) -> _Seen:
    """The file as it is now; nothing but a plain file has content. Never raises, never waits."""
    try:
        found = path.stat()
        state = (found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)
        if state == before.state:
            return before
        return _Seen(state, hashlib.sha256(files.read(path, follow=True)).digest())
    except OSError:
        return ABSENT
