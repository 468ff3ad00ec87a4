"""Numbers reserved beforehand: after a crash none is given twice, and those skipped are told."""

from __future__ import annotations

import resource
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from agent.store import open_store
from agent.store.reserve import BLOCK, SIZE, NumberReserve
from agent.value import replace
from tests.unit.store.conftest import crash, fill_the_disk, new, numbers

if TYPE_CHECKING:
    from pathlib import Path

    from agent.config import StoreLimits


def test_what_was_held_in_a_crash_is_told_as_skipped(limits: StoreLimits) -> None:
    """Its numbers are never given to anything else, and the next start says which they were."""
    with open_store(limits) as store:
        store.append(new())
        fill_the_disk(store)
        for _ in range(3):
            store.append(new(text="x" * 5000))
        crash(store)
    for _ in range(2):
        with open_store(limits) as store:
            assert store.skipped == (2, 1 + BLOCK)
            crash(store)
    with open_store(limits) as store:
        assert store.append(new()).seq == 2 + BLOCK
        store.told_skipped()
        assert store.skipped is None
    with open_store(limits) as store:
        assert (store.skipped, numbers(store)) == (None, [1, 2 + BLOCK])


def test_without_memory_no_number_is_skipped(limits: StoreLimits) -> None:
    """The number of a record that was committed at once is taken in its own transaction."""
    with open_store(limits) as store:
        store.append(new())
        crash(store)
    with open_store(limits) as store:
        assert (store.skipped, store.append(new()).seq) == (None, 2)


def test_with_patience_a_crash_skips_the_block_and_an_end_does_not(limits: StoreLimits) -> None:
    """Numbers go on behind what was reserved; after an orderly end there is no hole."""
    patient = replace(limits, commit_after_s=10.0)
    with open_store(patient) as store:
        for _ in range(3):
            store.acknowledge(store.append(new()).seq)
    with open_store(patient) as store:
        assert (store.skipped, store.append(new()).seq) == (None, 4)
        crash(store)
    with open_store(patient) as store:
        assert store.skipped == (4, 3 + BLOCK)
        assert store.append(new()).seq == 4 + BLOCK


def test_a_block_that_cannot_be_read_is_taken_for_used(limits: StoreLimits) -> None:
    """A number too many is skipped rather than one given twice."""
    with open_store(limits) as store:
        store.append(new())
    limits.path.with_name("store.db-block").write_bytes(b"\xff" * 64)
    with open_store(limits) as store:
        assert store.skipped == (2, 1 + BLOCK)


def test_a_block_of_another_store_means_nothing(tmp_path: Path) -> None:
    """Its epoch is another."""
    NumberReserve(tmp_path / "store.db", "0" * 16, 0).reserve(77)
    assert NumberReserve(tmp_path / "store.db", "0" * 16, 0).last == 76 + BLOCK
    assert NumberReserve(tmp_path / "store.db", "1" * 16, 0).last == 0


def test_a_block_is_written_in_place(tmp_path: Path) -> None:
    """A full disk takes it, since it needs no new room."""
    block = NumberReserve(tmp_path / "store.db", "0" * 16, 0)
    path = tmp_path / "store.db-block"
    before = path.stat()
    block.reserve(1)
    block.reserve(900)
    block.release()
    after = path.stat()
    assert (before.st_ino, before.st_size, before.st_blocks) == (
        after.st_ino,
        after.st_size,
        after.st_blocks,
    )


def test_the_room_is_taken_again_when_it_can_be(limits: StoreLimits) -> None:
    """After it was spent, removed, or only half of it came to the card."""
    spare = limits.path.with_name("store.db-spare")
    with open_store(limits) as store:
        for spoil in (spare.unlink, lambda: spare.write_bytes(b"half")):
            spoil()
            store.append(new())
            assert spare.stat().st_size == SIZE
            assert spare.stat().st_blocks * 512 >= SIZE


def test_of_room_that_cannot_be_taken_no_part_is_left(limits: StoreLimits) -> None:
    """The file system refuses a file of that size; the store does without."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (SIZE - 1, before[1]))
    try:
        with open_store(limits) as store:
            assert not store.memory_only
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert not limits.path.with_name("store.db-spare").exists()


@pytest.mark.parametrize("text", [b"9" * 60, b"-5", b"\0"])
def test_a_block_that_cannot_be_is_no_end(limits: StoreLimits, text: bytes) -> None:
    """Numbers go on behind one that can."""
    with open_store(limits) as store:
        store.append(new())
    block = limits.path.with_name("store.db-block")
    block.write_bytes(block.read_bytes()[:17] + text.ljust(46) + b"\n")
    with open_store(limits) as store:
        assert store.append(new()).seq == 2 + BLOCK
