"""Rhythm: what is usual in this hour of this weekday, in numbers with their evidence."""

from __future__ import annotations

from agent.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from agent.store import Hour


class Usual(Value):
    """Quantiles of the detections in that hour over so many `weeks`, at most twelve."""

    low: float
    median: float
    high: float
    weeks: int


def usual(hours: Iterable[Hour], start_s: int) -> Usual | None:
    """What is usual in the local hour that begins at `start_s`; None without evidence.

    `hours` are rows of counts before it, in any order.
    """
    return None
