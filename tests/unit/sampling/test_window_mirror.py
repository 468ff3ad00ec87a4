"""A mirror of the open window that is spoiled, or cannot be written, does no harm."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from agent.model import Moment, NewRecord
from agent.sampling import mirrored_facts, open_windows
from agent.sampling.counting import Report
from agent.sampling.window_mirror import MIRROR, mirror
from agent.value import replace

if TYPE_CHECKING:
    from pathlib import Path

    from agent.model import Json


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b'{"window": 1}',
        b'{"window":"x","moment":[1,1,1,"b"],"body":{"detect_count":1}}',
        b'{"windows":[1]}',
        b'{"windows":[{"window":"x","moment":[1,1,1,"b"],"body":{}}]}',
        b'{"windows":[{"window":"x","moment":[1,1,1],"body":{"detect_count":1}}]}',
        b'{"windows":[{"window":"x","moment":[1,1,1,"b"],"seen":[1],"body":{"detect_count":1}}]}',
    ],
)
def test_a_mirror_that_is_spoiled_is_passed_over(tmp_path: Path, content: bytes) -> None:
    """It cannot keep the agent from starting."""
    (tmp_path / MIRROR).write_bytes(content)
    assert open_windows(tmp_path) == []


def report(name: str, count: int | None, *, watched: bool = True) -> Report:
    """The report of a window with this name."""
    body: dict[str, Json] = {"detect_count": count, "lost_edges": 3}
    return Report(name, NewRecord("count", 600.0, Moment(1.0, 2.0, "b"), body), watched)


def test_windows_are_read_as_they_were_written(tmp_path: Path) -> None:
    """Those that somebody has watched, after the one that was reported last."""
    first = replace(report("b 1", 3), seen_boot_s=(1.5, 1.75))
    second = report("b 2", None)
    mirror(tmp_path, [first, second, report("b 3", 0, watched=False)], {})
    assert open_windows(tmp_path) == [first, second]
    assert open_windows(tmp_path, "b 0") == [first, second]
    assert open_windows(tmp_path, "b 1") == [second]
    assert open_windows(tmp_path, "b 2") == []
    mirror(tmp_path, [report("b 3", 0, watched=False)], {})
    assert not list(tmp_path.iterdir())


def test_a_mirror_that_cannot_be_written_does_no_harm(tmp_path: Path) -> None:
    """Nor one that cannot be removed."""
    mirror(tmp_path / "none", [report("b 1", 1)], {})
    mirror(tmp_path / "none", [], {})
    assert open_windows(tmp_path / "none") == []


def test_facts_are_kept_beside_the_windows(tmp_path: Path) -> None:
    """Also where no window is worth it."""
    mirror(tmp_path, [report("b 1", 3)], {"detected": True})
    assert mirrored_facts(tmp_path) == {"detected": True}
    mirror(tmp_path, [], {"detected": False})
    assert mirrored_facts(tmp_path) == {"detected": False}
    assert open_windows(tmp_path) == []


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b'{"facts":1}', b'{"facts":[1]}'])
def test_facts_that_are_spoiled_are_none(tmp_path: Path, content: bytes) -> None:
    """As where there is no file."""
    assert mirrored_facts(tmp_path) == {}
    (tmp_path / MIRROR).write_bytes(content)
    assert mirrored_facts(tmp_path) == {}
