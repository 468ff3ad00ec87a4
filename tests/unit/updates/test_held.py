"""Versions that are held back: those and no other, until a later one is proven."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent.updates.held import forget, held, hold, release

if TYPE_CHECKING:
    from pathlib import Path


def is_newer(version: str, than: str) -> bool:
    """By the text, which does for these."""
    return version > than


def test_each_version_that_failed_stays_held(tmp_path: Path) -> None:
    """Also when another one fails, and once however often it does."""
    path = tmp_path / "preferences.d" / "held"
    for version in ("0.2.0", "0.3.0", "0.2.0"):
        hold(version, path)

    assert sorted(held(path)) == ["0.2.0", "0.3.0"]
    stanza = "\n\nPackage: pi-iot-agent\nPin: version 0.3.0\nPin-Priority: -1\n"
    assert stanza in path.read_text()
    assert path.stat().st_mode & 0o777 == 0o644


def test_a_later_version_that_is_proven_releases_those_before(tmp_path: Path) -> None:
    """Itself too; a still later one that failed stays held."""
    path = tmp_path / "held"
    for version in ("0.2.0", "0.3.0", "0.4.0"):
        hold(version, path)

    forget("0.9.0", path)
    release("0.3.0", is_newer, path)
    assert held(path) == ["0.4.0"]

    release("0.4.0", is_newer, path)
    assert not path.exists()

    release("0.4.0", is_newer, path)


def test_one_version_can_be_forgotten(tmp_path: Path) -> None:
    """Which failed for another reason than its own; the others stay held."""
    path = tmp_path / "held"
    for version in ("0.2.0", "0.3.0", "0.4.0"):
        hold(version, path)

    forget("0.3.0", path)

    assert held(path) == ["0.2.0", "0.4.0"]
