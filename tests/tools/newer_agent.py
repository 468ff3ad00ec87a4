"""A newer agent: a copy of this one whose store has one step more, and writes what it adds."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from agent.store.schema import SCHEMA_VERSION

if TYPE_CHECKING:
    from collections.abc import Iterable

ROOT = Path(__file__).parents[2]

#: Its version of the schema, and of itself.
NEWER_SCHEMA = SCHEMA_VERSION + 1
NEWER_VERSION = "99.0.0"

#: The step as the rule for steps has it.
STEP = """
CREATE TABLE places (name TEXT PRIMARY KEY, floor INTEGER NOT NULL) WITHOUT ROWID;
ALTER TABLE records ADD COLUMN place TEXT;
ALTER TABLE meta ADD COLUMN since_s REAL;
INSERT INTO places VALUES ('here', 1);
"""

#: One more, for which no older agent is made.
BREACH = f"INSERT INTO meta (name, value) VALUES ('readable_from', {NEWER_SCHEMA});"  # noqa: S608

_VERSION = ("__init__.py", '__version__ = "', f'__version__ = "{NEWER_VERSION}"  # before: "')
_CHANGES = (
    ("store/schema.py", "\n)\nSCHEMA_VERSION", '\n    """{step}""",\n)\nSCHEMA_VERSION'),
    ("store/records.py", "INTO records ({COLUMNS}, ack", "INTO records (place, {COLUMNS}, ack"),
    ("store/records.py", "{_INTO} VALUES (?,", "{_INTO} VALUES ('here', ?,"),
    ("store/records.py", "{_INTO} SELECT {", "{_INTO} SELECT 'here', {"),
)


def newer_agent(directory: Path, step: str = STEP) -> Path:
    """The tree of a newer agent, made in `directory`; its package is called `agent` too."""
    shutil.copytree(ROOT / "agent", directory / "agent", ignore=shutil.ignore_patterns("__pyc*"))
    _change(directory / "agent", (_VERSION, *_CHANGES), step)
    return directory


def bring_forward(agent: Path, step: str = STEP) -> None:
    """Have the agent whose modules lie in this directory be one with a newer store."""
    _change(agent, _CHANGES, step)


def _change(agent: Path, changes: Iterable[tuple[str, str, str]], step: str) -> None:
    for name, before, after in changes:
        path = agent / name
        source = path.read_text()
        assert source.count(before) == 1, f"{name} has changed: {before!r}"
        path.write_text(source.replace(before, after.replace("{step}", step)))
