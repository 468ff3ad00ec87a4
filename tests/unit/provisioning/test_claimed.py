"""What a claim has brought stays on the disk until it lies in a generation."""

from __future__ import annotations

import json
import stat
from typing import TYPE_CHECKING

import pytest

from agent.provisioning import claimed
from agent.provisioning.claimed import TOKEN_S, Claimed
from agent.value import replace

if TYPE_CHECKING:
    from pathlib import Path

NOW_S = 1_800_000_000
NOTHING = Claimed("board", "endpoint", "ec-p256")
CERTIFIED = replace(
    NOTHING, key="KEY", certificate="PEM", certificate_id="ab", token="T", asked_s=NOW_S
)


@pytest.mark.parametrize(
    "known", [replace(NOTHING, key="KEY"), CERTIFIED, replace(CERTIFIED, thing="device-1")]
)
def test_each_step_is_read_again(tmp_path: Path, known: Claimed) -> None:
    """By nobody but its owner."""
    claimed.write(tmp_path, known)
    assert claimed.read(tmp_path, NOTHING, now_s=NOW_S + 5) == known
    assert stat.S_IMODE((tmp_path / claimed.NAME).stat().st_mode) == 0o600


@pytest.mark.parametrize(
    "other",
    [
        replace(NOTHING, serial="other"),
        replace(NOTHING, endpoint="other"),
        replace(NOTHING, key_type="rsa-2048"),
    ],
)
def test_another_boards_or_accounts_is_not_taken(tmp_path: Path, other: Claimed) -> None:
    """Nor a key of another type."""
    claimed.write(tmp_path, CERTIFIED)
    assert claimed.read(tmp_path, other, now_s=NOW_S) == other


@pytest.mark.parametrize("away_s", [TOKEN_S, -TOKEN_S])
def test_an_old_token_leaves_the_key(tmp_path: Path, away_s: float) -> None:
    """AWS has removed the certificate by then; a thing that is registered stays so."""
    claimed.write(tmp_path, CERTIFIED)
    found = claimed.read(tmp_path, NOTHING, now_s=NOW_S + away_s)
    assert found == replace(NOTHING, key="KEY")
    registered = claimed.write(tmp_path, replace(CERTIFIED, thing="device-1"))
    assert claimed.read(tmp_path, NOTHING, now_s=NOW_S + away_s) == registered


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "null",
        "[" * 100_000,
        json.dumps({"serial": "board"}),
        CERTIFIED.encode().decode().replace("PEM", "PEN"),
        CERTIFIED.encode().decode()[:-1],
    ],
)
def test_a_spoiled_file_is_none(tmp_path: Path, text: str) -> None:
    """A new key is made; no key or name is taken that a damaged card has changed."""
    (tmp_path / claimed.NAME).write_text(text)
    assert claimed.read(tmp_path, NOTHING, now_s=NOW_S) == NOTHING
    assert claimed.found(tmp_path) is None


@pytest.mark.parametrize("again", [True, False])
def test_an_old_certificate_that_may_be_active_is_kept_in_mind(
    tmp_path: Path, *, again: bool
) -> None:
    """Its key is used no more, and another one's id is kept besides."""
    known = replace(CERTIFIED, registering=True, strays="cd" if again else "")
    claimed.write(tmp_path, known)
    found = claimed.read(tmp_path, NOTHING, now_s=NOW_S + TOKEN_S)
    assert found == replace(NOTHING, strays="cd ab" if again else "ab")


def test_it_is_forgotten_once(tmp_path: Path) -> None:
    """And again does no harm."""
    claimed.write(tmp_path, CERTIFIED)
    claimed.forget(tmp_path)
    claimed.forget(tmp_path)
    assert not (tmp_path / claimed.NAME).exists()
