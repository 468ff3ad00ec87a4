"""What the disk refuses while a device registers is told by what is to be done about it."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent.cli.registration import retrying
from agent.errors import CredentialsError, NotPermittedError
from agent.identity import remember_name


def test_a_directory_in_the_place_of_a_file_is_named(tmp_path: Path) -> None:
    """It is no matter of owners, nor of the card."""
    (tmp_path / ".name").mkdir()
    with (
        pytest.raises(CredentialsError, match=rf"^{tmp_path}/\.name: Is a directory") as told,
        retrying(print, patience_s=0),
    ):
        remember_name(tmp_path, "cat")
    assert "move that away" in told.value.hint


def test_a_full_card_is_told_as_such() -> None:
    """With its owner as the other thing to look at."""
    with pytest.raises(CredentialsError) as told, retrying(print, patience_s=0):
        Path("/dev/full").write_bytes(b"x")
    assert "neither full nor read-only" in told.value.hint


def test_who_may_not_do_that_is_told_who_may() -> None:
    """Root, by sudo."""
    with pytest.raises(NotPermittedError, match="/etc/x: ") as told, retrying(print, patience_s=0):
        raise PermissionError(13, "Permission denied", "/etc/x")
    assert "sudo" in told.value.hint
