"""Counting: the open window of all counted sensors, who watched for how long, and what each saw."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from agent.model import COUNT, NewRecord, next_by
from agent.sensors import Detections

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from agent.model import Moment

#: The wall clock may stray so far in one window and still be taken to have run on; a quarter of a
#: shorter window.
STRAY_MAX_S = 1.0


@dataclass(slots=True)
class _Watch:
    """Share of one sensor in the open window; times are of the boot clock.

    It has watched for `earlier_s` in spans that are over, and since `since_s` (None: not at this
    moment), as far as is known until `until_s`, when it was asked last. `gap`: it was away.
    """

    count: int = 0
    active_s: float = 0.0
    earlier_s: float = 0.0
    since_s: float | None = None
    until_s: float = 0.0
    gap: bool = False

    def watched_s(self, window: Window) -> float:
        """Seconds of `window` that it watched."""
        if self.since_s is None:
            return self.earlier_s
        return self.earlier_s + max(0.0, min(self.until_s, window.closes_boot_s) - self.since_s)

    @property
    def present(self) -> bool:
        """True if it watched any of the window."""
        return self.since_s is not None or self.earlier_s > 0 or self.count > 0

    def whole(self, window: Window) -> bool:
        """True if it watched all of `window`."""
        return not self.gap and self.since_s is not None and self.until_s >= window.closes_boot_s


class CountWindow:
    """Sensors join and leave, see something, and a window is closed; called in one thread.

    `names` are the sensors to count, those in `tested` are being tried out: what they detect is
    reported beside the count, and what they watch does not count as watched.
    """

    def __init__(
        self, names: Iterable[str], *, window_s: int, tested: Collection[str] = ()
    ) -> None:
        self._window_s = window_s
        self._window: Window | None = None
        self._watches = {name: _Watch() for name in names}
        self._tested = [name for name in self._watches if name in tested]

    def __contains__(self, name: object) -> bool:
        """True if the sensor `name` is counted."""
        return name in self._watches

    @property
    def closes_boot_s(self) -> float:
        """The time at which the open window is to be closed; infinite if none is open."""
        return self._window.closes_boot_s if self._window else float("inf")

    def watches(self, name: str) -> bool:
        """True if the sensor `name` watches at this moment."""
        return name in self and self._watches[name].since_s is not None

    def awaited(self, name: str) -> bool:
        """True if the sensor `name` watches and was not asked since the window ended."""
        return self.watches(name) and self._watches[name].until_s < self.closes_boot_s

    def joins(self, name: str, now: Moment) -> None:
        """The sensor watches from now on; the first one opens the window that `now` falls into."""
        if not self._window:
            self._window = open_window(now, self._window_s)
        watch = self._watches[name]
        watch.gap |= now.boot_s > self._window.opened_boot_s
        watch.since_s = watch.until_s = now.boot_s

    def saw(self, name: str, seen: Detections, now: Moment) -> None:
        """A sensor that watches was asked, and has detected this since it was asked before."""
        watch = self._watches[name]
        watch.count += seen.count
        watch.active_s += seen.active_s
        watch.until_s = now.boot_s

    def leaves(self, name: str) -> None:
        """The sensor does not watch any more, if it did; what it saw until it was asked stays."""
        if self._window and self.watches(name):
            watch = self._watches[name]
            watch.earlier_s = watch.watched_s(self._window)
            watch.since_s = None
            watch.gap = True

    def so_far(self, now: Moment) -> tuple[str, NewRecord] | None:
        """The name of the open window, and what would be reported of it if it ended now."""
        window = self._window
        if not window or not any(watch.present for watch in self._watches.values()):
            return None
        return f"{now.boot_id} {window.opened_boot_s:.3f}", self._report(window, now, ())

    def close(self, now: Moment, *, suspects: Collection[str] = ()) -> NewRecord | None:
        """Report the open window, over or broken off, and open the next; None if nobody watched.

        `suspects` are the sensors not to be believed. The store adds `total`.
        """
        window, self._window = self._window, None
        if not window:
            return None
        report = None
        if any(watch.present for watch in self._watches.values()):
            report = self._report(window, now, suspects)
        present = [name for name in self._watches if self.watches(name)]
        if present:
            self._window = next_window(window, now)
        for name, watch in self._watches.items():
            self._watches[name] = _Watch(gap=True)
            if name in present and self._window:
                began_s = self._window.opened_boot_s
                self._watches[name] = _Watch(since_s=began_s, until_s=max(began_s, watch.until_s))
        return report

    def _report(self, window: Window, now: Moment, suspects: Collection[str]) -> NewRecord:
        """Of several sensors: the sum, the least that one watched, the most that one was active."""
        known = {
            name: watch
            for name, watch in self._watches.items()
            if name not in self._tested and watch.present
        }
        seen = Detections(
            sum(watch.count for watch in known.values()),
            max((watch.active_s for watch in known.values()), default=0.0),
        )
        report = close_window(window, seen, now)
        whole = [watch.whole(window) for watch in self._watches.values()]
        body = dict(report.body)
        if self._tested or not all(whole):
            watched_s = min((watch.watched_s(window) for watch in known.values()), default=0.0)
            watched_ms = round(min(watched_s, window.window_s) * 1000)
            body["observed_ms"] = watched_ms
            body["active_ms"] = min(watched_ms, round(seen.active_s * 1000))
            body["quality"] = "partial"
        missing = [name for name, watch in self._watches.items() if watch.since_s is None]
        if missing or any(name in self._watches for name in suspects):
            body["quality"] = "sensor_fault"
        if len(self._watches) > 1:
            body["by_sensor"] = {name: watch.count for name, watch in known.items()}
        if self._tested:
            body["test_count"] = sum(self._watches[name].count for name in self._tested)
        return replace(report, body=body)


@dataclass(frozen=True, slots=True)
class Window:
    """A span of `window_s` that ends at `end_s`, a multiple of it on the wall clock.

    `opened_boot_s` is when observing began, `closes_boot_s` when to close; `whole` says that it
    began where the window begins.
    """

    end_s: int
    window_s: int
    opened_boot_s: float
    closes_boot_s: float
    whole: bool


def open_window(now: Moment, window_s: int) -> Window:
    """The window that `now` falls into."""
    start_s = math.floor(now.wall_s / window_s) * window_s
    end_s = start_s + window_s
    closes_boot_s = now.boot_s + (end_s - now.wall_s)
    return Window(end_s, window_s, now.boot_s, closes_boot_s, whole=now.wall_s == start_s)


def next_window(window: Window, now: Moment) -> Window:
    """The window after one that closed: adjoining it, unless the clock jumped or much time went.

    A jump by whole windows, as by a day, leaves them aligned.
    """
    late_s = now.boot_s - window.closes_boot_s
    stray_s = now.wall_s - late_s - window.end_s
    jump_s = round(stray_s / window.window_s) * window.window_s
    tolerated_s = min(STRAY_MAX_S, window.window_s / 4)
    if late_s >= window.window_s or abs(stray_s - jump_s) > tolerated_s:
        return open_window(now, window.window_s)
    end_s = window.end_s + jump_s + window.window_s
    closes_boot_s = now.boot_s + (end_s - now.wall_s)
    return Window(end_s, window.window_s, window.closes_boot_s, closes_boot_s, whole=True)


def close_window(window: Window, seen: Detections, now: Moment) -> NewRecord:
    """The report of a window that ends, or is broken off, now; the store adds `total`.

    Its moment is `now` by the wall clock that the window was opened with: if that has been wrong,
    the store moves both alike.
    """
    full_ms = window.window_s * 1000
    complete = window.whole and now.boot_s >= window.closes_boot_s
    until_boot_s = min(now.boot_s, window.closes_boot_s)
    observed_ms = min(full_ms, max(0, round((until_boot_s - window.opened_boot_s) * 1000)))
    if complete:
        observed_ms = full_ms
    return NewRecord(
        kind=COUNT,
        timestamp_s=window.end_s,
        moment=replace(now, wall_s=window.end_s + now.boot_s - window.closes_boot_s),
        body={
            "detect_count": seen.count,
            "active_ms": min(observed_ms, round(seen.active_s * 1000)),
            "observed_ms": observed_ms,
            "window_s": window.window_s,
            "quality": "ok" if complete else "partial",
            "next_by": next_by(window.end_s, window.window_s),
        },
    )
