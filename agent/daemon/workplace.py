"""Workplace of an agent: the directories that it alone works in, and nothing in the way there."""

from __future__ import annotations

import os
import stat
from contextlib import suppress

from agent import files
from agent.daemon.lifetime import ENDED, IN_MEMORY
from agent.errors import explained
from agent.sampling import MIRROR

TYPE_CHECKING = False
if TYPE_CHECKING:
    from contextlib import ExitStack
    from pathlib import Path

    from agent.config import Paths


def claim(paths: Paths, stack: ExitStack) -> None:
    """Make the directories, and be the one agent that works in them. Raises AgentError."""
    own = (paths.lock_file.name, paths.status_file.name, ENDED, IN_MEMORY, MIRROR)
    with explained():
        for directory in (paths.state, paths.runtime):
            files.make_directory(directory)
        for name in own:
            make_way(paths.runtime / name)
        stack.enter_context(files.lock(paths.lock_file, "another agent"))
        paths.status_file.unlink(missing_ok=True)  # of a process that was killed


def make_way(path: Path) -> None:
    """Have nothing stand in the place of a file of ours but one that we may read and write.

    A version of the agent that was misused may have left anything there. It is moved aside and
    removed, as far as its own modes allow that. Raises OSError.
    """
    try:
        mode = path.stat(follow_symlinks=False).st_mode
    except FileNotFoundError:
        return
    if stat.S_ISREG(mode) and mode & files.PRIVATE_FILE == files.PRIVATE_FILE:
        return
    aside = path.with_name(f".{path.name}.{os.urandom(4).hex()}")
    path.rename(aside)
    with suppress(OSError, RecursionError):
        files.remove_tree(aside)
