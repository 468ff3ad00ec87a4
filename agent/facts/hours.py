"""Hours: what was counted and read in each local hour, gathered for the store's history.

What is noted goes into the commit that follows, a count's into its own: so the history has what
the counts say. Readings are gathered in memory until then, for ten minutes at most.
"""

from __future__ import annotations

import math

from agent.facts.day import hour_end, hour_start
from agent.model import HOUR_S, moved_window
from agent.store import COUNTS, Hour
from agent.value import replace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from agent.model import Moment, NewRecord, Reading
    from agent.store import Store

#: Readings wait no longer in memory.
GATHER_S = 600.0

#: Time servers slew the clock by less; more is a step.
STEP_S = 1.0

#: The last level of a line that detects says nothing of the hour.
LEVEL = "active"


class Hours:
    """Gathers in memory, and notes in the store with each count. Belongs to the sampler's thread.

    Nothing is to be handed in while the clock is not set: nobody knows the hour.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._gathered: dict[tuple[int, str], Hour] = {}
        self._since_boot_s = math.inf

    def read(self, reading: Reading, *, odd: bool) -> None:
        """Take a reading's quantities, named with their sensor; words are none."""
        start_s = hour_start(reading.moment.wall_s)
        for quantity, value in reading.values.items():
            if isinstance(value, str | bool) or quantity == LEVEL or not math.isfinite(value):
                continue
            name = f"{reading.sensor}.{quantity}"
            was = self._gathered.get((start_s, name), Hour(start_s, name, low=value, high=value))
            self._gathered[start_s, name] = replace(
                was,
                number=was.number + 1,
                total=was.total + value,
                low=min(value, value if was.low is None else was.low),
                high=max(value, value if was.high is None else was.high),
                odd=was.odd or odd,
            )
        self._since_boot_s = min(self._since_boot_s, reading.moment.boot_s)

    def counted(
        self, record: NewRecord, true_s: float, seen_s: tuple[float, float] | None, *, odd: bool
    ) -> None:
        """Note a count, and all that was gathered, for the commit that follows.

        It is of the hour in which its window began, the time that was observed of each in which it
        was. `true_s` is the time of its moment, which its own clock may have had wrong; `seen_s` is
        when the first and the last detection were.
        """
        step_s = true_s - record.moment.wall_s
        if abs(step_s) > STEP_S:  # the store moves it alike
            end_s, _ = moved_window(record.timestamp_s + step_s, record.body, STEP_S)
            record = replace(record, timestamp_s=end_s)
        self._store.note(*_counted(record, odd=odd), *_seen(seen_s, record.timestamp_s, odd=odd))
        self.flush()

    def tend(self, now: Moment) -> None:
        """Note what has been gathered for ten minutes: a device may have nothing to count."""
        if now.boot_s >= self._since_boot_s + GATHER_S:
            self.flush()

    def flush(self) -> None:
        """Note all that was gathered, for the next commit."""
        self._store.note(*self._gathered.values())
        self._gathered.clear()
        self._since_boot_s = math.inf


def _counted(record: NewRecord, *, odd: bool) -> Iterator[Hour]:
    """The share of each hour in a count; of one that nobody observed, that there was one.

    So of one of several hours: nobody knows which of them its detections are of.
    """
    number = record.body.get
    window_s, detections = _number(number("window_s")), number("detect_count")
    at_s = record.timestamp_s - window_s
    observed_s = active_s = total = 0.0
    if 0 < window_s <= HOUR_S and detections is not None:
        observed_s = _number(number("observed_ms")) / 1000 / window_s
        active_s = _number(number("active_ms")) / 1000 / window_s
        total = _number(detections)
    for place, (start_s, share_s) in enumerate(_shares(at_s, record.timestamp_s)):
        yield Hour(
            start_s,
            COUNTS,
            number=int(not place),
            total=0.0 if place else total,
            observed_s=round(observed_s * share_s, 3),
            active_s=round(active_s * share_s, 3),
            odd=odd,
        )


def _shares(since_s: float, until_s: float) -> Iterator[tuple[int, float]]:
    """The hours that a window lies in, and the seconds of it in each."""
    at_s = since_s
    while at_s < until_s:
        end_s = min(until_s, hour_end(at_s))
        yield hour_start(at_s), end_s - at_s
        at_s = end_s


def _seen(seen_s: tuple[float, float] | None, end_s: float, *, odd: bool) -> Iterator[Hour]:
    """The hours of the first and the last detection in a window, whose end is none of its own."""
    for at_s in seen_s or ():
        start_s = hour_start(min(at_s, end_s - 1))
        yield Hour(start_s, COUNTS, first_s=at_s, last_s=at_s, odd=odd)


def _number(value: object) -> float:
    return value if isinstance(value, int | float) else 0.0
