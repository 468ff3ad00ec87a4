"""A comeback is read from the broker's log, whatever other devices do in between."""

from __future__ import annotations

import pytest

from bench.broker import Line
from bench.comeback import Comeback, busiest, comebacks, reached_s

#: As mosquitto 2.0 writes it: one device of QoS 1, which begins with its status, one of QoS 0.
LOG = """
mosquitto version 2.0.11 running
New connection from 127.0.0.1:40001 on port 8883.
New connection from 127.0.0.1:40002 on port 8883.
New client connected from 127.0.0.1:40001 as one (p5, c0, k60).
Received PUBLISH from one (d0, q1, r1, m1, 'one/status', ... (90 bytes))
Received PUBLISH from one (d1, q1, r0, m2, 'one/sensors/room', ... (90 bytes))
Sending PUBACK to one (m1, rc0)
New client connected from 127.0.0.1:40002 as two (p2, c1, k60, u'x').
Sending PUBACK to one (m2, rc0)
Received PUBLISH from two (d0, q0, r0, m0, 'two/sensor/room', ... (4 bytes))
Received PUBLISH from one (d0, q1, r0, m3, 'one/sensors/room', ... (90 bytes))
Sending PUBACK to one (m3, rc0)
"""


def log(text: str) -> list[Line]:
    """Its lines, one a second."""
    return [Line(float(number), line) for number, line in enumerate(text.strip().splitlines())]


def test_the_first_reading_counts() -> None:
    """Neither a status nor a later reading does; QoS 0 has no acknowledgement."""
    assert comebacks(log(LOG)) == {"one": Comeback(1.0, 3.0, 8.0), "two": Comeback(2.0, 7.0, 9.0)}


@pytest.mark.parametrize("lines", [0, 1, 3, 5, 8])
def test_who_has_not_got_so_far_is_not_back(lines: int) -> None:
    """One without a reading's PUBACK is missing."""
    assert not comebacks(log(LOG)[:lines])


def test_of_two_connections_the_last_counts() -> None:
    """One that was lost before its reading was taken is not the way back."""
    lost = LOG.strip().splitlines()[1:5]
    assert comebacks(log("\n".join([*lost, LOG.strip()])))["one"] == Comeback(5.0, 7.0, 12.0)


def test_the_busiest_second_begins_anywhere() -> None:
    """A whole second later is another one."""
    assert busiest([]) == 0
    assert busiest([5.0]) == 1
    assert busiest([0.9, 3.0, 1.1, 1.8, 1.95]) == 3
    assert busiest([1.0, 2.0]) == 1


def test_a_share_is_reached_by_a_device() -> None:
    """By the one with which it is at least the share."""
    times_s = [3.0, 1.0, 2.0, 4.0, 5.0]
    assert [reached_s(times_s, share) for share in (0.5, 0.9, 1.0, 0.2)] == [3.0, 5.0, 5.0, 1.0]
    assert reached_s([7.0], 0.5) == 7.0
