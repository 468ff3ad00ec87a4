"""A claim that a flag names is read, unless somebody else could have led root there."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from agent.cli.claiming import read
from agent.cli.questions import UsageError
from tests.tools.cloud.authority import Authority

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def given(tmp_path: Path) -> Path:
    """A directory with a claim."""
    certificate, key = Authority("claims").issue_server(["claim"])
    (tmp_path / "given").mkdir()
    (tmp_path / "given" / "both.pem").write_bytes(certificate.encode() + key)
    return tmp_path / "given"


@pytest.mark.parametrize("owners", [None, {0, os.getuid()}])
def test_a_claim_of_ones_own_is_read(given: Path, owners: set[int] | None) -> None:
    """By its directory, by the file, and by a link of one's own to either."""
    link = given.with_name("link")
    link.symlink_to(given)
    for path in (given, given / "both.pem", link, link / "both.pem"):
        assert read(path, owners=owners).key


def test_what_others_can_lead_root_to_is_not_read(given: Path) -> None:
    """It would hand root's own key to the service."""
    with pytest.raises(UsageError, match="another user can lead root elsewhere"):
        read(given, owners={os.getuid() + 1})


def test_a_flag_that_names_no_claim_is_a_wrong_flag(given: Path) -> None:
    """With what is wrong about it; nothing that passes by itself."""
    with pytest.raises(UsageError, match=r"^--claim: .*none: No such file"):
        read(given / "none", owners=None)
    with pytest.raises(UsageError, match=r"^--claim: /dev/zero: has no claim"):
        read(given.joinpath("/dev/zero"), owners=None)
