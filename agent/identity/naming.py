"""Name that a device has registered with, written down: it stays, whatever its host is called."""

from __future__ import annotations

from contextlib import suppress

from agent import files
from agent.config import NAME_FILE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pathlib import Path


def remember_name(certs: Path, name: str) -> None:
    """Write the name down. Raises OSError."""
    files.replace(certs / NAME_FILE, f"{name}\n".encode())


def forget_name(certs: Path, name: str) -> None:
    """Take the name back if it is the one written down. Raises OSError."""
    with suppress(FileNotFoundError):
        if files.read(certs / NAME_FILE).strip() == name.encode():
            (certs / NAME_FILE).unlink()
