"""Lost and repeated readings are told by their numbers."""

from __future__ import annotations

import pytest

from bench.observer import Tally, tally


def bodies(*numbers: int, epoch: str = "a") -> list[dict[str, object]]:
    """Messages' bodies with these numbers."""
    return [{"epoch": epoch, "seq": number} for number in numbers]


@pytest.mark.parametrize(
    ("numbers", "expected"),
    [
        ((), Tally(0, 0)),
        ((1, 2, 3), Tally(0, 0)),
        ((3, 1, 2), Tally(0, 0)),
        ((2, 3), Tally(1, 0)),
        ((1, 5), Tally(3, 0)),
        ((1, 2, 2, 2, 4), Tally(1, 2)),
    ],
)
def test_numbers_count_from_one(numbers: tuple[int, ...], expected: Tally) -> None:
    """In whatever order they come."""
    assert tally(bodies(*numbers)) == expected


def test_each_epoch_counts_by_itself() -> None:
    """A store that began anew is not a repetition."""
    assert tally(bodies(1, 2) + bodies(1, 3, epoch="b")) == Tally(1, 0)
