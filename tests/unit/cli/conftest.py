"""An agent.toml for the commands, a way to add to it, and local clocks."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@pytest.fixture
def config(tmp_path: Path) -> str:
    """An agent.toml whose directories lie beside it."""
    (tmp_path / "run").mkdir()
    path = tmp_path / "agent.toml"
    path.write_text('[thing]\nname = "cat"\n[paths]\nruntime = "run"\nstate = "state"\n')
    return str(path)


@pytest.fixture
def zone(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], None]]:
    """Set the local clock's rules, as POSIX writes them, until the end of the test."""

    def chosen(rules: str) -> None:
        monkeypatch.setenv("TZ", rules)
        time.tzset()

    yield chosen
    monkeypatch.undo()
    time.tzset()


def add(config: str, more: str) -> None:
    """Write `more` at the end of the configuration."""
    with Path(config).open("a") as file:
        file.write(more)
