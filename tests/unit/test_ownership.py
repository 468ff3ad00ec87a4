"""Root is led nowhere by what others can write."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from agent import ownership

if TYPE_CHECKING:
    from pathlib import Path

NUMBER = 64_321

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root has something to lose")


@pytest.mark.parametrize(
    ("mode", "owner", "group", "expected"),
    [
        (0o755, 0, 0, True),
        (0o775, 0, 0, True),
        (0o775, 0, NUMBER, False),
        (0o757, 0, 0, False),
        (0o1777, 0, 0, False),
        (0o755, NUMBER, 0, False),
    ],
)
def test_root_writes_where_nobody_else_can(
    tmp_path: Path, mode: int, owner: int, group: int, *, expected: bool
) -> None:
    """The directory itself counts, and each above it."""
    directory = tmp_path / "a"
    (directory / "below").mkdir(parents=True)
    os.chown(directory, owner, group)
    directory.chmod(mode)
    assert ownership.only_root_writes(directory) == expected
    sticky = mode & 0o1000
    assert ownership.only_root_writes(directory / "below") == (expected or bool(sticky))


def test_a_directory_is_made_for_the_service_where_only_root_could(tmp_path: Path) -> None:
    """It is private; what lies above it stays root's own."""
    made = tmp_path / "a" / "certs"
    assert ownership.make_directory_for((NUMBER, NUMBER), made)
    found = made.stat()
    assert (found.st_uid, found.st_gid, found.st_mode & 0o777) == (NUMBER, NUMBER, 0o700)
    assert (tmp_path / "a").stat().st_uid == 0
    assert not ownership.make_directory_for((NUMBER, NUMBER), made / "deeper" / "certs")
    assert not (made / "deeper").exists()


def test_root_lends_only_what_nobody_could_have_led_it_to(tmp_path: Path) -> None:
    """A person's own draft, or root's file in root's directory; never one of the service's."""
    mine = tmp_path / "agent.toml"
    mine.write_text("mine")
    assert ownership.lend(NUMBER, mine) == b"mine"
    (tmp_path / "link").symlink_to(mine)
    assert ownership.lend(NUMBER, tmp_path / "link") == b"mine"
    os.chown(mine, NUMBER, NUMBER)
    assert ownership.lend(NUMBER, mine) == b"mine"
    (tmp_path / "round").symlink_to("round")
    assert ownership.lend(NUMBER, tmp_path / "round") is None
    assert ownership.lend(NUMBER, tmp_path / "missing") is None
    assert ownership.lend(NUMBER, tmp_path) is None

    theirs = tmp_path / "theirs"
    theirs.mkdir()
    (theirs / "link").symlink_to("/etc/shadow")
    os.chown(theirs / "link", NUMBER, NUMBER, follow_symlinks=False)
    assert ownership.lend(NUMBER, theirs / "link") is None
    os.chown(theirs / "link", 0, 0, follow_symlinks=False)
    os.chown(theirs, NUMBER, NUMBER)
    (tmp_path / "by-way-of").symlink_to(theirs / "link")
    assert ownership.lend(NUMBER, tmp_path / "by-way-of") is None
    (theirs / "agent.toml").write_text("theirs")
    assert ownership.lend(NUMBER, theirs / "agent.toml") is None

    everybodys = tmp_path / "tmp"
    everybodys.mkdir()
    everybodys.chmod(0o1777)
    (everybodys / "agent.toml").write_text("root's, put there by somebody")
    assert ownership.lend(NUMBER, everybodys / "agent.toml") is None


def test_others_lead_where_a_directory_or_a_link_is_theirs(tmp_path: Path) -> None:
    """What is root's, or of who called it, leads nobody astray."""
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "a")
    known = {0, NUMBER}
    assert not ownership.is_led_by_others(known, tmp_path / "link" / "b")
    for theirs in (tmp_path / "a" / "b", tmp_path / "a", tmp_path / "link"):
        os.chown(theirs, NUMBER, 0, follow_symlinks=False)
        assert not ownership.is_led_by_others(known, tmp_path / "link" / "b")
        assert ownership.is_led_by_others({0}, tmp_path / "link" / "b")
        os.chown(theirs, 0, 0, follow_symlinks=False)
