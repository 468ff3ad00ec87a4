"""Counting: the open window of all counted sensors, who watched for how long, and what each saw."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

from agent.model import COUNT, NewRecord, next_by

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from agent.model import Json, Moment
    from agent.sensors import Detections

#: The wall clock may stray so far in one window and still be taken to have run on; a quarter of a
#: shorter window.
STRAY_MAX_S = 1.0


@dataclass(slots=True)
class _Watch:
    """Share of one sensor in a window; times are of the boot clock.

    It has watched for `earlier_s` in spans that are over, and since `since_s` (None: not at this
    moment), as far as is known until `until_s`, when it was asked last.
    """

    count: int = 0
    active_s: float = 0.0
    earlier_s: float = 0.0
    since_s: float | None = None
    until_s: float = -math.inf

    def watched_s(self, window: Window) -> float:
        """Seconds of `window` that it watched."""
        if self.since_s is None:
            return self.earlier_s
        since_s = max(self.since_s, window.opened_boot_s)
        return self.earlier_s + max(0.0, min(self.until_s, window.closes_boot_s) - since_s)

    def present(self, window: Window) -> bool:
        """True if it watched any of `window`."""
        return self.count > 0 or self.watched_s(window) > 0

    def whole(self, window: Window) -> bool:
        """True if it watched all of `window`."""
        return self.watched_s(window) >= window.closes_boot_s - window.opened_boot_s


class Report(NamedTuple):
    """Report of the window with the name `window`; `watched` says if anybody watched any of it."""

    window: str
    record: NewRecord
    watched: bool


class CountWindow:
    """Sensors join and leave, see something, and a window is closed; called in one thread.

    `names` are the sensors to count, those in `tested` are being tried out: what they detect is
    reported beside the count, and what they watch does not count as watched. The window that `now`
    falls into is open at once, whoever watches, and each sensor's share of it ends when that sensor
    is first asked after its end: what it sees from then on belongs to the next one.
    """

    def __init__(
        self, names: Iterable[str], now: Moment, *, window_s: int, tested: Collection[str] = ()
    ) -> None:
        self._window = open_window(now, window_s)
        self._watches = {name: _Watch() for name in names}
        self._later: dict[str, _Watch] = {}  # shares in the next window
        self._tested = [name for name in self._watches if name in tested]
        self._patience_s = min(window_s, next_by(0, window_s) - window_s) / 2

    def __contains__(self, name: object) -> bool:
        """True if the sensor `name` is counted."""
        return name in self._watches

    @property
    def closes_boot_s(self) -> float:
        """The time at which the open window ends; infinite if no sensor is counted."""
        return self._window.closes_boot_s if self._watches else math.inf

    def due_s(self, now_s: float) -> float:
        """The time at which the open window is to be closed, as it seems at `now_s`.

        One that is over waits for sensors that were not asked yet, but not for long.
        """
        waits = now_s >= self.closes_boot_s and any(map(self.awaited, self._watches))
        return self.closes_boot_s + (self._patience_s if waits else 0.0)

    def watches(self, name: str) -> bool:
        """True if the sensor `name` watches at this moment."""
        return name in self and self._share(name).since_s is not None

    def awaited(self, name: str) -> bool:
        """True if the sensor `name` watches and was not asked since the window ended."""
        return name not in self._later and self.watches(name)

    def ignores(self, name: str) -> None:
        """Count the sensor no more: it turned out to be none that detects."""
        self._watches.pop(name, None)

    def joins(self, name: str, now: Moment) -> None:
        """The sensor watches from now on."""
        if now.boot_s >= self.closes_boot_s:
            self._later.setdefault(name, _Watch())
        share = self._share(name)
        share.since_s = share.until_s = now.boot_s

    def saw(self, name: str, seen: Detections, now: Moment) -> None:
        """A sensor that watches was asked, and has detected this since it was asked before.

        Across the end of the window, it counts where most of that time lies.
        """
        share, ended_s = self._share(name), self.closes_boot_s
        asked_s, share.until_s = share.until_s, now.boot_s
        if now.boot_s >= ended_s and name not in self._later:
            later = self._later[name] = _Watch(since_s=ended_s, until_s=now.boot_s)
            if now.boot_s - ended_s > ended_s - asked_s:
                share = later
        share.count += seen.count
        share.active_s += seen.active_s

    def leaves(self, name: str) -> None:
        """The sensor does not watch any more, if it did; what it saw until it was asked stays."""
        if self.watches(name) and (share := self._share(name)).since_s is not None:
            since_s = max(share.since_s, self._window.opened_boot_s)
            share.earlier_s += max(0.0, share.until_s - since_s)
            share.since_s = None

    def so_far(self, now: Moment) -> Report:
        """The report of the open window if it ended now, with all that was seen since its end."""
        shares = dict(self._watches)
        for name, later in self._later.items():
            share = shares[name]
            shares[name] = replace(share, count=share.count + later.count)
        return self._report(shares, now, ())

    def close(self, now: Moment, *, suspects: Collection[str] = ()) -> Report:
        """Report the open window, over or broken off, and open the next.

        `suspects` are the sensors not to be believed. The store adds `total`.
        """
        report = self._report(self._watches, now, suspects)
        self._window = next_window(self._window, now)
        for name, share in self._watches.items():
            since_s = None if share.since_s is None else self._window.opened_boot_s
            following = _Watch(since_s=since_s, until_s=share.until_s)
            self._watches[name] = self._later.pop(name, following)
        return report

    def _share(self, name: str) -> _Watch:
        """The newest share of a sensor."""
        return self._later.get(name) or self._watches[name]

    def _report(
        self, shares: Mapping[str, _Watch], now: Moment, suspects: Collection[str]
    ) -> Report:
        """Of several sensors: the sum, the least that one watched, the most that one was active."""
        window = self._window
        present = {name: share for name, share in shares.items() if share.present(window)}
        known = {name: share for name, share in present.items() if name not in self._tested}
        watched_s = min((share.watched_s(window) for share in known.values()), default=0.0)
        quality = "partial"
        whole = all(share.whole(window) for share in shares.values())
        if whole and window.whole and not self._tested:  # though the wall clock was slewed
            watched_s, quality = window.window_s, "ok"
        gone = any(share.since_s is None for share in shares.values())
        if gone or len(present) < len(shares) or any(name in shares for name in suspects):
            quality = "sensor_fault"
        unknown = quality == "sensor_fault" and not known  # which is not zero
        observed_ms = round(min(watched_s, window.window_s) * 1000)
        active_s = max((share.active_s for share in known.values()), default=0.0)
        body: dict[str, Json] = {
            "detect_count": None if unknown else sum(share.count for share in known.values()),
            "active_ms": None if unknown else min(observed_ms, round(active_s * 1000)),
            "observed_ms": observed_ms,
            "window_s": window.window_s,
            "quality": quality,
            "next_by": next_by(window.end_s, window.window_s),
        }
        if len(shares) > 1:
            body["by_sensor"] = {name: share.count for name, share in known.items()}
        if self._tested:
            body["test_count"] = sum(shares[name].count for name in self._tested)
        # `now` by the clock that the window was opened with: if it was wrong, the store moves both.
        moment = replace(now, wall_s=window.end_s + now.boot_s - window.closes_boot_s)
        name = f"{now.boot_id} {window.opened_boot_s:.3f}"
        return Report(name, NewRecord(COUNT, window.end_s, moment, body), bool(present))


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
