"""A configuration that is edited while the agent runs is told until it is the same again."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from agent.daemon.config_watch import ConfigWatch
from agent.health.health import Health

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


class Watched:
    """A configuration and what stands beside it, under watch."""

    def __init__(self, directory: Path) -> None:
        self.toml = directory / "agent.toml"
        self.legacy = directory / "iot_prov_config"
        self.toml.write_text("a = 1")
        self.health = Health()
        self.watch = ConfigWatch((self.toml, self.legacy), health=self.health)

    def told(self) -> str:
        """The text of the condition, after a look."""
        self.watch.look()
        return "".join(one.text for one in self.health.snapshot().conditions)


@pytest.fixture
def watched(tmp_path: Path) -> Watched:
    """As it was at the start."""
    return Watched(tmp_path)


def replaced(watched: Watched) -> None:
    """An editor writes a new file."""
    beside = watched.toml.with_name("new")
    beside.write_text("a = 2")
    beside.replace(watched.toml)


def restored(watched: Watched) -> None:
    """A new file with the old content."""
    beside = watched.toml.with_name("new")
    beside.write_text("a = 1")
    beside.replace(watched.toml)


def pipe(watched: Watched) -> None:
    """Nothing that may be read: it would block."""
    watched.toml.unlink()
    os.mkfifo(watched.toml)


@pytest.mark.parametrize("change", [replaced, lambda it: it.toml.unlink(), pipe])
def test_a_change_is_told_until_it_is_undone(
    watched: Watched, change: Callable[[Watched], None]
) -> None:
    """By the file's path; the content counts, not its date."""
    assert watched.told() == ""
    change(watched)
    assert str(watched.toml) in watched.told()
    (condition,) = watched.health.snapshot().conditions
    assert (condition.code, condition.severity) == ("config-changed", "info")
    restored(watched)
    assert watched.told() == ""


def test_a_new_date_is_no_change(watched: Watched) -> None:
    """A copy of the same text asks for no restart."""
    os.utime(watched.toml, (0, 0))
    assert watched.told() == ""


def test_a_file_of_the_older_kind_counts_too(watched: Watched) -> None:
    """One that appears would be read at the next start."""
    watched.legacy.write_text("THING_NAME=a")
    assert str(watched.legacy) in watched.told()
