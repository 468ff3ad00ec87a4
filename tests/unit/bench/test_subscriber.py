"""What a subscriber has written is read as the messages that arrived."""

from __future__ import annotations

from bench.subscriber import Message, parse

TEXT = """\
1795719202.717854395 pi/sensors/room {"temperature_c": 21.5, "seq": 7}
1795719202.724808432 pi/status {"state": "online"}
1795719203.000000000 pi/cou"""


def test_lines_become_messages_but_for_one_that_is_not_whole() -> None:
    """Time, topic and payload, which may have spaces."""
    room, status = parse(TEXT)

    assert room == Message(
        1795719202.717854395, "pi/sensors/room", '{"temperature_c": 21.5, "seq": 7}'
    )
    assert (room.seq, status.seq) == (7, None)
    assert status.bytes == len('pi/status{"state": "online"}')


def test_a_payload_that_is_no_object_is_no_record() -> None:
    """Peers publish what they like."""
    assert [Message(0, "a", text).seq for text in ("7", "hello", "[1]", '{"n": 1}')] == [None] * 4
