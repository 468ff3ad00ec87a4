"""The wear of the card is what the kernel has written, or unknown."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent.sampling.card_wear import CardWear
from tests.fakes import Ticks

if TYPE_CHECKING:
    from pathlib import Path


def test_wear_is_what_the_kernel_has_written(tmp_path: Path) -> None:
    """Of the last day, by the sensor that caused it; the first minute tells nothing yet."""
    ticks, thread, process = Ticks(), tmp_path / "thread", tmp_path / "process"

    def written(size: int) -> None:
        for account in (thread, process):
            account.write_text(f"read_bytes: 7\nwrite_bytes: {size}\ncancelled_write_bytes: 0\n")

    written(1000)
    wear = CardWear(ticks, thread=thread, process=process)
    for hour in range(30):
        written(11_000 + hour * 40_000)
        wear.charge("sensors/room")
        written(41_000 + hour * 40_000)
        wear.charge("count")
        if not hour:
            assert wear.per_day() == (None, "")
        ticks.now_s += 3600
        assert wear.per_day() == (960_000, "count")


def test_wear_is_told_in_two_digits_and_every_ten_minutes_at_most(tmp_path: Path) -> None:
    """So that what is shown of it hardly ever changes; what is told was true in that time."""
    ticks, process = Ticks(), tmp_path / "process"
    process.write_text("write_bytes: 0\n")
    wear = CardWear(ticks, thread=process, process=process)
    told = set()
    for second in range(1, 1201):
        ticks.now_s += 1.0
        process.write_text(f"write_bytes: {second * second * 10}\n")
        told.add(wear.per_day())
    assert told == {(None, ""), (52_000_000, ""), (570_000_000, "")}


def test_where_the_kernel_keeps_no_account_wear_is_unknown(tmp_path: Path) -> None:
    """Unknown is not zero."""
    ticks = Ticks()
    wear = CardWear(ticks, thread=tmp_path / "none", process=tmp_path / "none")
    wear.charge("count")
    ticks.now_s += 7200
    assert wear.per_day() == (None, "")
