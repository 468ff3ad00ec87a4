"""A mirror of the open window that is spoiled, or cannot be written, does no harm."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from agent.model import Json, Moment, NewRecord
from agent.sampling import mirrored_facts, open_windows
from agent.sampling.counting import Report
from agent.sampling.window_mirror import MIRROR, mirror
from agent.value import replace

if TYPE_CHECKING:
    from pathlib import Path


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


BODY: dict[str, Json] = {
    "detect_count": 1,
    "active_ms": 1,
    "observed_ms": 1,
    "window_s": 600,
    "next_by": 1200,
}
SOUND: dict[str, Json] = {
    "window": "b 1",
    "moment": [600, 1.0, 2.0, "b"],
    "seen": [1, 2],
    "body": BODY,
}
CELLS: list[dict[str, Json]] = [
    {"moment": ["#", 1.0, 2.0, "b"]},
    {"moment": [600, "#", 2.0, "b"]},
    {"moment": [600, 1.0, "#", "b"]},
    {"seen": [1, "#"]},
    {"seen": ["#", 1]},
    *[dict[str, Json](body={**BODY, name: "#"}) for name in BODY],
]


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("value", ["1e400", "NaN", "-1", "1e300", f"1{'0' * 400}", '"x"', "[]"])
def test_a_number_that_cannot_be_is_no_window(
    tmp_path: Path, cell: dict[str, Json], value: str
) -> None:
    """Whatever is made of it would end each start."""
    text = json.dumps({"windows": [{**SOUND, **cell}]}).replace('"#"', value)
    (tmp_path / MIRROR).write_text(text)
    assert open_windows(tmp_path) == []


def test_a_mirror_too_deep_or_too_large_is_passed_over(tmp_path: Path) -> None:
    """And the facts beside it."""
    for text in ("[" * 200_000, '{"facts":{"a":1},"x":"' + "x" * 2_000_000 + '"}'):
        (tmp_path / MIRROR).write_text(text)
        assert (open_windows(tmp_path), mirrored_facts(tmp_path)) == ([], {})


def test_a_window_whose_numbers_can_be_is_reported(tmp_path: Path) -> None:
    """As the cells of it that are spoiled one by one elsewhere show."""
    (tmp_path / MIRROR).write_text(json.dumps({"windows": [SOUND]}))
    assert [one.window for one in open_windows(tmp_path)] == ["b 1"]


def test_what_a_newer_agent_has_added_to_a_mirror_does_no_harm(tmp_path: Path) -> None:
    """The window that it had open when it was taken back is reported, with all that it counted."""
    more: dict[str, Json] = {"more": [{"a": None}]}
    window = {**SOUND, **more, "body": {**BODY, **more}}
    text = json.dumps({"windows": [window], "facts": {"detected": True, **more}, **more})
    (tmp_path / MIRROR).write_text(text)
    (found,) = open_windows(tmp_path)
    assert (found.window, found.record.body) == ("b 1", {**BODY, **more})
    assert mirrored_facts(tmp_path) == {"detected": True, **more}


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
