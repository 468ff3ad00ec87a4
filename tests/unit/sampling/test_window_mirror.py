"""A mirror of the open window that is spoiled, or cannot be written, does no harm."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from agent.model import Moment, NewRecord
from agent.sampling import WindowMirror

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b'{"window": 1}',
        b'{"window":"x","kind":"count","timestamp_s":1,"body":{}}',
    ],
)
def test_a_mirror_that_is_spoiled_is_passed_over(tmp_path: Path, content: bytes) -> None:
    """It cannot keep the agent from starting."""
    (tmp_path / "window.json").write_bytes(content)
    assert WindowMirror(tmp_path).read() is None


def test_a_mirror_that_cannot_be_written_does_no_harm(tmp_path: Path) -> None:
    """Nor one that cannot be removed."""
    mirror = WindowMirror(tmp_path / "none")
    mirror.write("x", NewRecord("count", 1.0, Moment(1.0, 1.0, "b"), {"detect_count": 1}))
    mirror.forget()
    assert mirror.read() is None
