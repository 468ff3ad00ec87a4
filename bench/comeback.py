"""Comebacks of devices after a broker's restart, as the broker's log of every packet tells them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from agent.value import Value

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from bench.broker import Line

DIALLED = re.compile(r"New connection from (\S+) on port")
CONNECTED = re.compile(r"New client connected from (\S+) as (\S+) \(")
PUBLISHED = re.compile(r"Received PUBLISH from (\S+) \(d\d, q(\d), r\d, m(\d+), '[^']*/sensors?/")
ACKNOWLEDGED = re.compile(r"Sending PUBACK to (\S+) \(m(\d+),")


class Comeback(Value):
    """One device's: when its TCP connection came, its CONNECT, and its first reading's PUBACK.

    A reading with QoS 0 has none, and is taken when it comes. By time.monotonic.
    """

    dialled_s: float
    connected_s: float
    taken_s: float


def comebacks(lines: Iterable[Line]) -> dict[str, Comeback]:
    """Those by client id that have got so far in the log's lines since the restart."""
    dialled: dict[str, float] = {}
    connected: dict[str, tuple[float, float]] = {}
    published: set[tuple[str, str]] = set()
    back: dict[str, Comeback] = {}
    for line in lines:
        if found := DIALLED.search(line.text):
            dialled[found[1]] = line.at_s
        elif found := CONNECTED.search(line.text):
            # Of one that is lost at once and comes again, the last counts.
            connected[found[2]] = (dialled.get(found[1], line.at_s), line.at_s)
        elif (found := PUBLISHED.search(line.text)) and found[2] != "0":
            published.add((found[1], found[3]))
        elif found or (
            (found := ACKNOWLEDGED.search(line.text)) and (found[1], found[2]) in published
        ):
            name = found[1]
            if name in connected and name not in back:
                back[name] = Comeback(*connected[name], line.at_s)
    return back


def busiest(times_s: Sequence[float], within_s: float = 1.0) -> int:
    """The most of these times that lie within any span of `within_s`."""
    ordered, first, most = sorted(times_s), 0, 0
    for last, time_s in enumerate(ordered):
        while time_s - ordered[first] >= within_s:
            first += 1
        most = max(most, last - first + 1)
    return most


def reached_s(times_s: Sequence[float], share: float) -> float:
    """The time by which at least this share of them is over."""
    ordered = sorted(times_s)
    return ordered[max(0, -(-len(ordered) * round(share * 1000) // 1000) - 1)]
