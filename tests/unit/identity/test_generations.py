"""Generations of one thing lie beside those of others, and half-made ones are removed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from agent.errors import BusyError
from agent.identity import Generations, Identity, has_replaced, other_things

if TYPE_CHECKING:
    from pathlib import Path


def test_generations_of_other_things_are_not_ours(tmp_path: Path) -> None:
    """Also where one's name begins with the other's."""
    for name in (".a.0123456789ab", ".a-b.0123456789ab", ".ab.0123456789ab", ".a.new-01234567"):
        (tmp_path / name).mkdir()
    assert [path.name for path in Generations(tmp_path, "a").stale()] == [".a.0123456789ab"]
    assert has_replaced(tmp_path, "a")
    (tmp_path / "a").symlink_to(".a.0123456789ab")
    assert not has_replaced(tmp_path, "a")
    assert not has_replaced(tmp_path / "missing", "a")


def test_half_made_things_are_removed_at_the_start(tmp_path: Path) -> None:
    """Of this thing only."""
    (tmp_path / ".a.new-01234567").mkdir()
    (tmp_path / ".b.new-01234567").mkdir()
    (tmp_path / ".a.01234567").symlink_to("x")
    (tmp_path / "..a.pending.01234567").symlink_to("x")
    for name in ("..a.unproven.01234567", "..name.01234567"):
        (tmp_path / name).touch()
    Generations(tmp_path, "a").prepare()
    assert [path.name for path in tmp_path.iterdir()] == [".b.new-01234567"]


def test_other_things_are_those_with_an_identity_or_generations(tmp_path: Path) -> None:
    """Not the thing itself, not what is half-made, and nothing whose name no thing could have."""
    for name in (".a.0123456789ab", ".b:1.0123456789ab", ".c.new-01234567", ".d.moved-01234567"):
        (tmp_path / name).mkdir()
    (tmp_path / ".e.pending").symlink_to(".e.0123456789ab")
    for name, thing in (("a", "a"), ("f", "f"), ("g", "another"), ("h i", "h i")):
        identity = Identity(thing, "1", "r", "e", "arn", "id", "p", 1)
        (tmp_path / name).mkdir()
        (tmp_path / name / "identity.json").write_bytes(identity.encode())
    (tmp_path / "plain").mkdir()
    (tmp_path / ".lock").touch()
    assert other_things(tmp_path, "a") == ["b:1", "d", "e", "f"]
    assert other_things(tmp_path / "missing", "a") == []
    assert other_things(tmp_path / ".lock", "a") == []


def test_a_note_of_what_may_be_left_counts_as_replaced(tmp_path: Path) -> None:
    """Its times are bounded in number, and one that is spoiled holds none."""
    generations = Generations(tmp_path, "a")
    assert generations.noted_s() == []
    generations.note([1.5, *range(100)])
    assert has_replaced(tmp_path, "a")
    assert generations.noted_s() == [float(second) for second in range(100)]
    for text in ("[", '{"a": 1}', "[null]", "3", "\xff"):
        generations.unproven.write_text(text, encoding="latin-1")
        assert generations.noted_s() == []
    generations.remove(generations.unproven)
    assert not has_replaced(tmp_path, "a")


def test_the_certificates_are_held_by_one_at_a_time(tmp_path: Path) -> None:
    """The directory is made if need be."""
    generations = Generations(tmp_path / "certs", "a")
    with generations.locked(), pytest.raises(BusyError), generations.locked():
        pass
    assert (tmp_path / "certs/.lock").is_file()


def test_a_note_of_what_is_left_without_its_key_has_ids_alone(tmp_path: Path) -> None:
    """Each once, the newest last; what is spoiled or no id is passed over."""
    generations = Generations(tmp_path, "a")
    assert generations.replaced_ids() == []
    for digit in "aba":
        generations.note_replaced(digit * 64)
    assert generations.replaced_ids() == ["b" * 64, "a" * 64]
    for text in ("", "{", "3", '["\x1b[2J", "short", null]', "[" * 100000, "\xff"):
        generations.replaced.write_text(text, encoding="latin-1")
        assert generations.replaced_ids() == []
