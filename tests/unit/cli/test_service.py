"""What root's part of a command cannot write is told before anything is done."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from agent.cli.service import check_writable
from agent.errors import NotPermittedError

if TYPE_CHECKING:
    from pathlib import Path


def test_a_read_only_file_system_is_told_as_what_it_is(tmp_path: Path) -> None:
    """Root would look in vain for a right that it lacks."""
    path = tmp_path / "not-there-yet" / "agent.toml"
    check_writable(path, read_only=lambda _: False)
    with pytest.raises(NotPermittedError, match="lies on a read-only file system") as told:
        check_writable(path, read_only=lambda directory: directory == tmp_path)
    assert "run this with sudo" not in told.value.hint
