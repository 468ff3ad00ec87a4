"""An agent.toml for the commands, and a way to add to it."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture
def config(tmp_path: Path) -> str:
    """An agent.toml whose directories lie beside it."""
    (tmp_path / "run").mkdir()
    path = tmp_path / "agent.toml"
    path.write_text('[thing]\nname = "cat"\n[paths]\nruntime = "run"\nstate = "state"\n')
    return str(path)


def add(config: str, more: str) -> None:
    """Write `more` at the end of the configuration."""
    with Path(config).open("a") as file:
        file.write(more)
