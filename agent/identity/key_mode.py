"""Mode of a private key: to whom else it is open, and how it is closed."""

from __future__ import annotations

import os
import stat
from contextlib import suppress

from agent import files
from agent.config import KeyUri

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pathlib import Path


def closing(key: Path) -> str:
    """The command that closes a key."""
    return f"sudo chmod {whom(key)}= {key}"


def whom(key: Path) -> str:
    """Whom a key is to be closed to, as chmod(1) has it: its group may have it to let us read."""
    with suppress(OSError):
        found = key.stat()
        if found.st_uid == os.geteuid():
            return "go" if found.st_mode & (stat.S_IRWXG | stat.S_IRWXO) else ""
        return "o" if found.st_mode & stat.S_IRWXO else ""
    return ""


def close_key(key: Path | KeyUri) -> str:
    """Close a private key to all but its owner; in words what there was to mend, "" for nothing.

    The group of a key that is not ours may read it: else we could not.
    """
    if isinstance(key, KeyUri) or not whom(key):
        return ""
    told = f"{key}: other users could read this private key, and can connect as this device"
    try:
        files.set_mode(key, files.PRIVATE_FILE)
    except OSError:
        return f"{told}; the agent may not change that: `{closing(key)}`"
    return f"{told} if they did; it is closed to them now"
