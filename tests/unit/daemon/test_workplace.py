"""A workplace: whatever was left in the place of the agent's own files is in nobody's way."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from agent import files
from agent.config import Paths
from agent.daemon.workplace import claim, make_way

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize("name", ["agent.lock", "status.json", "ended", "in-memory", "window.json"])
def test_an_agent_works_whatever_stands_in_the_place_of_its_files(
    tmp_path: Path, name: str
) -> None:
    """Each of them in its runtime directory."""
    paths = Paths(runtime=tmp_path / "runtime", state=tmp_path / "state", certs=tmp_path)
    (paths.runtime / name / "below").mkdir(parents=True)

    with ExitStack() as stack:
        claim(paths, stack)

        assert files.is_locked(paths.lock_file)
        assert [one.name for one in paths.runtime.iterdir()] == ["agent.lock"]


@pytest.mark.parametrize("what", ["link", "dangling", "fifo", "directory", "closed"])
def test_what_stands_in_the_way_of_a_file_is_removed(tmp_path: Path, what: str) -> None:
    """With all that is in it; what a link points to stays."""
    kept, path = tmp_path / "kept", tmp_path / "status.json"
    kept.write_text("kept")
    makes: dict[str, Callable[[], object]] = {
        "link": lambda: path.symlink_to(kept),
        "dangling": lambda: path.symlink_to(tmp_path / "nowhere"),
        "fifo": lambda: os.mkfifo(path),
        "directory": (path / "below" / "below").mkdir,
        "closed": lambda: path.touch(0o200),
    }
    if what == "directory":
        (path / "below").mkdir(parents=True)
    makes[what]()

    make_way(path)

    assert [one.name for one in tmp_path.iterdir()] == ["kept"]
    assert kept.read_text() == "kept"


def test_a_file_and_nothing_at_all_are_in_nobodys_way(tmp_path: Path) -> None:
    """They stay as they are."""
    path = tmp_path / "status.json"
    make_way(path)
    path.write_text("status")
    make_way(path)

    assert path.read_text() == "status"


MAKE_WAY_AS = """
import os, shutil, sys
from pathlib import Path
from agent.daemon.workplace import make_way
os.setgroups([])
os.setresgid(64321, 64321, 64321)
os.setresuid(64321, 64321, 64321)
path = Path(sys.argv[1], "status.json")
(path / "below" / "below").mkdir(parents=True)
(path / "below").chmod(0)
path.chmod(0)
make_way(path)
print(path.exists())
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can ask as somebody else")
def test_what_its_modes_keep_from_being_removed_is_moved_aside() -> None:
    """A directory that nobody may open stands in no file's way either."""
    with tempfile.TemporaryDirectory(dir="/tmp") as place:
        os.chown(place, 64321, 64321)
        command = [sys.executable, "-c", MAKE_WAY_AS, place]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("False\n", "")
