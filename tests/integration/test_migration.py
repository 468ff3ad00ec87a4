"""A newer agent brings the file up to date, and the power is cut: both can use what is there."""

from __future__ import annotations

import random
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from agent.config import StoreLimits
from agent.model import Moment, NewRecord
from agent.store import open_store
from agent.store.schema import SCHEMA_VERSION
from tests.tools.newer_agent import NEWER_SCHEMA, newer_agent
from tests.tools.power_cut import cuts, traced

if TYPE_CHECKING:
    from pathlib import Path

#: An older agent stores, a newer one in the same process opens the file and stores as well.
LIFE = """
import os, sys
from pathlib import Path

def live(first):
    from agent.config import StoreLimits
    from agent.model import Moment, NewRecord
    from agent.store import open_store
    with open_store(StoreLimits(path=Path(sys.argv[1]) / "store.db")) as store:
        os.write(1, f"opened {{first}}\\n".encode())
        for seq in range(first, first + 3):
            store.append(NewRecord("count", 1.8e9, Moment(1.8e9, 1.0, "boot")), detections=1)
            os.write(1, f"append {{seq}}\\n".encode())

live(1)
for name in [name for name in sys.modules if name.split(".")[0] == "agent"]:
    del sys.modules[name]
sys.path.insert(0, {tree!r})
live(4)
"""

#: A newer agent opens each store and says what it has found.
LOOK = """
import sys
from pathlib import Path
from agent.config import StoreLimits
from agent.store import open_store
for name in sys.argv[1:]:
    with open_store(StoreLimits(path=Path(name) / "store.db")) as store:
        waiting = [record.seq for record in store.page(0, 99).records]
        print(repr(store.reset), repr(store.memory_only), waiting, store.total)
"""


def laid_out(files: dict[str, bytes], directory: Path) -> StoreLimits:
    """A store of these files."""
    directory.mkdir()
    for name, content in files.items():
        (directory / name).write_bytes(content)
    return StoreLimits(path=directory / "store.db")


def version_of(path: Path) -> int:
    """The version of a file's schema."""
    with closing(sqlite3.connect(path)) as db:
        return int(db.execute("PRAGMA user_version").fetchone()[0])


@pytest.mark.parametrize("killed", [False, True])
def test_a_cut_in_the_step_leaves_a_file_that_both_versions_use(
    tmp_path: Path, *, killed: bool
) -> None:
    """Before it, in it or after it: nothing is lost, and the step is there as a whole or not."""
    if not shutil.which("strace"):
        pytest.skip("strace is not installed")
    tree = newer_agent(tmp_path / "newer")
    directory = tmp_path / "state"
    directory.mkdir()
    calls = traced(LIFE.format(tree=str(tree)), directory, tmp_path / "trace")
    chance, kept, versions = random.Random(5), list[tuple[str, list[int]]](), set[int]()
    for disk, said in cuts(calls):
        if "append 3" not in said or ("opened 4" in said and chance.random() < 0.8):
            continue
        files = disk.killed() if killed else disk.cut(chance)
        place = tmp_path / f"cut-{len(kept)}"
        limits = laid_out(files, place)
        shutil.copytree(place, f"{place}-newer")
        with open_store(limits) as store:
            assert (store.reset, store.memory_only) == ("", "")
            waiting = [record.seq for record in store.page(0, 99).records]
            sure = sum(line.startswith("append") for line in said)
            assert waiting in ([*range(1, sure + 1)], [*range(1, sure + 2)])
            new = NewRecord("count", 1.8e9, Moment(1.8e9, 1.0, "b"))
            assert store.append(new).seq == len(waiting) + 1
        versions.add(version_of(limits.path))
        kept.append((f"{place}-newer", waiting))
    assert versions == {SCHEMA_VERSION, NEWER_SCHEMA}
    assert len(kept) > 30
    places = [place for place, _ in kept]
    found = subprocess.run(
        [sys.executable, "-c", LOOK, *places], cwd=tree, capture_output=True, text=True, check=True
    ).stdout.splitlines()
    assert found == [f"'' '' {waiting} {len(waiting)}" for _, waiting in kept]
    assert {version_of(tmp_path / place / "store.db") for place in places} == {NEWER_SCHEMA}
