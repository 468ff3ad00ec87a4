"""The arrival of a backlog is judged by its numbers."""

from __future__ import annotations

from bench.backlog import arrival
from bench.subscriber import Message

BIRTH = Message(100.0, "pi/status", '{"state": "online"}')


def record(wall_s: float, seq: int, kind: str = "sensors/room", timestamp: float = 0) -> Message:
    """A record as it arrived."""
    return Message(wall_s, f"pi/{kind}", f'{{"Timestamp": {timestamp}, "seq": {seq}}}')


def test_the_newest_count_and_new_ones_may_overtake() -> None:
    """Of six that waited the fifth is the newest count; the eighth is a new window's."""
    arrived = arrival(
        [
            BIRTH,
            record(100.2, 5, "count"),
            record(100.3, 1),
            record(100.4, 2, "count"),
            record(100.5, 8, "count", timestamp=100.1),
            record(100.6, 3),
            record(100.7, 4),
            record(100.8, 6),
            record(100.9, 7),
            record(101.9, 9, "count", timestamp=100.9),
        ],
        rows=6,
    )

    assert (arrived.missing, arrived.twice, arrived.misplaced) == (0, 0, 0)
    assert round(arrived.count_s, 6) == 0.2
    assert round(arrived.fresh_s, 6) == 0.4


def test_what_is_missing_doubled_or_out_of_order_is_told() -> None:
    """Two never came, one came twice, and one after a later one."""
    arrived = arrival([BIRTH, *(record(101.0, seq) for seq in (1, 3, 2, 4, 4))], rows=6)

    assert (arrived.missing, arrived.twice, arrived.misplaced) == (2, 1, 1)
