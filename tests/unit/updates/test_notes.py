"""Notes on updates: what is written is read, and what is spoiled is none."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from agent.updates import Looked, Outcome, Pending, looked_of, outcome_of, pending_of
from agent.updates.notes import KEPT, NAMES, remove, write

if TYPE_CHECKING:
    from pathlib import Path

PENDING = Pending("0.1.0", "0.2.0", ready=True, online=False, began_s=1.0)


def test_a_note_is_read_as_it_was_written(tmp_path: Path) -> None:
    """Each kind; all may read it."""
    looked = Looked(1.0, 2.0, 3.5, "key", "hint", "0.1.0", "0.2.0", 4.0)
    outcome = Outcome(KEPT, "0.1.0", "0.2.0", "", 5.0)

    for note in (PENDING, looked, outcome):
        write(note, tmp_path)

    assert pending_of(tmp_path) == PENDING
    assert looked_of(tmp_path) == looked
    assert outcome_of(tmp_path) == outcome
    assert {(tmp_path / name).stat().st_mode & 0o777 for name in NAMES.values()} == {0o644}


def test_a_removed_note_is_none(tmp_path: Path) -> None:
    """Removed twice it is none still, or where there never was a directory."""
    write(PENDING, tmp_path)
    remove(Pending, tmp_path / "never")

    remove(Pending, tmp_path)
    remove(Pending, tmp_path)

    assert pending_of(tmp_path) is None


@pytest.mark.parametrize(
    "text",
    [
        *("", "{", "[]", "null", "5", "[" * 9000, "{}", "x" * 20000),
        '{"old": "a"}',
        '{"old": "a", "new": "b", "ready": 1, "online": true, "began_s": 1}',
        '{"old": "a", "new": 5, "ready": true, "online": true, "began_s": 1}',
        '{"old": "a", "new": "b", "ready": true, "online": true, "began_s": NaN}',
        '{"old": "a", "new": "b", "ready": true, "online": true, "began_s": 1, "more": 1}',
    ],
)
def test_a_spoiled_note_is_none(tmp_path: Path, text: str) -> None:
    """Whatever is in the file, or is not."""
    (tmp_path / NAMES[Pending]).write_text(text)

    assert pending_of(tmp_path) is None


def test_a_note_that_is_another_thing_is_none(tmp_path: Path) -> None:
    """A directory or a link in its place is not followed."""
    (tmp_path / NAMES[Pending]).mkdir()
    (tmp_path / "elsewhere").write_text("{}")
    (tmp_path / NAMES[Looked]).symlink_to("elsewhere")

    assert pending_of(tmp_path) is None
    assert looked_of(tmp_path) is None
