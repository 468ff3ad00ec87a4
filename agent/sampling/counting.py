"""Counting: the open window of all counted sensors, who watched for how long, and what each saw."""

from __future__ import annotations

import math

from agent.model import COUNT, HOUR_S, NewRecord, next_by
from agent.value import Value, replace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from agent.model import Json, Moment
    from agent.sensors import Detections

    _Names = Collection[str]
    _Shares = Mapping[str, "_Watch"]

#: The wall clock may stray so far in one window and still be taken to have run on; a quarter of a
#: shorter window.
STRAY_MAX_S = 1.0

#: A machine that was away for longer has slept: nobody reports the windows that it slept through.
SLEPT_S = HOUR_S

FAULT = "sensor_fault"


class _Watch(Value, frozen=False):
    """Share of one sensor in a window; times are of the boot clock.

    It has watched for `earlier_s` in spans that are over, and since `since_s` (None: not at this
    moment), as far as is known until `until_s`, when it was asked last. It detected from `first_s`
    to `last_s`. Some of the `count` of one that is `blurred` may be of long before the window; so
    many edges of the line were `lost`.
    """

    count: int = 0
    active_s: float = 0.0
    earlier_s: float = 0.0
    since_s: float | None = None
    until_s: float = -math.inf
    first_s: float = math.inf
    last_s: float = -math.inf
    blurred: bool = False
    lost: int = 0

    def watched_s(self, window: Window) -> float:
        """Seconds of `window` that it watched."""
        if self.since_s is None:
            return self.earlier_s
        since_s = max(self.since_s, window.opened_boot_s)
        return self.earlier_s + max(0.0, min(self.until_s, window.closes_boot_s) - since_s)


class Report(Value):
    """Report of the window with the name `window`; `watched` says if anybody watched any of it.

    Nobody did, and nobody is to blame, where it is `blank`: its sensors are being opened yet. The
    first and the last detection were at `seen_boot_s`, on the boot clock; None without any.
    """

    window: str
    record: NewRecord
    watched: bool = True
    blank: bool = False
    seen_boot_s: tuple[float, float] | None = None


class CountWindow:
    """Sensors join and leave, see something, and a window is closed; called in one thread.

    `names` are the sensors to count, those in `tested` are being tried out: what they detect is
    reported beside the count, and what they watch does not count as watched. The window that `now`
    falls into is open at once, whoever watches, and each sensor's share of it ends when that sensor
    is first asked after its end: what it sees from then on belongs to the next one.
    """

    def __init__(
        self, names: Iterable[str], now: Moment, *, window_s: int, tested: _Names = ()
    ) -> None:
        self._window = open_window(now, window_s)
        self._watches = {name: _Watch() for name in names}
        self._later: dict[str, _Watch] = {}  # shares in the next window
        self._unopened = set(self._watches)  # no opening has come to an end in time
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
        else:
            self._unopened.discard(name)
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
        opened_s = ended_s if share is self._later.get(name) else self._window.opened_boot_s
        share.blurred |= seen.count > 0 and asked_s < opened_s - self._patience_s
        share.count += seen.count
        share.active_s += seen.active_s
        share.lost += seen.lost
        if seen.count or seen.active_s > 0:
            at_s = now.boot_s if share is self._later.get(name) else min(now.boot_s, ended_s)
            share.first_s, share.last_s = min(share.first_s, at_s), max(share.last_s, at_s)

    def leaves(self, name: str) -> None:
        """The sensor cannot watch, or not any more; what it saw until it was asked stays."""
        self._unopened.discard(name)
        if self.watches(name) and (share := self._share(name)).since_s is not None:
            since_s = max(share.since_s, self._window.opened_boot_s)
            share.earlier_s += max(0.0, share.until_s - since_s)
            share.since_s = None

    def so_far(self, now: Moment) -> list[Report]:
        """The reports of the open window, and of the next if that has begun, if they ended now."""
        reports = [self._report(self._window, self._watches, now, ())]
        if self._later:
            window = next_window(self._window, now)
            reports.append(self._report(window, self._following(window), now, ()))
        return reports

    def close(self, now: Moment, *, suspects: _Names = ()) -> Report:
        """Report the open window, over or broken off, and open the next.

        `suspects` are the sensors not to be believed. The store adds `total`.
        """
        report = self._report(self._window, self._watches, now, suspects)
        self._window = next_window(self._window, now)
        self._watches = self._following(self._window)
        self._unopened -= self._later.keys()
        self._later.clear()
        return report

    def _share(self, name: str) -> _Watch:
        """The newest share of a sensor."""
        return self._later.get(name) or self._watches[name]

    def _following(self, window: Window) -> dict[str, _Watch]:
        """The shares in `window`, the next."""
        following = dict(self._later)
        for name, share in self._watches.items():
            since_s = None if share.since_s is None else window.opened_boot_s
            following.setdefault(name, _Watch(since_s=since_s, until_s=share.until_s))
        return {name: following[name] for name in self._watches}

    def _report(self, window: Window, shares: _Shares, now: Moment, suspects: _Names) -> Report:
        """Of several sensors: the sum, the least that one watched, the most that one was active."""
        watched_s = {name: share.watched_s(window) for name, share in shares.items()}
        present = [name for name, share in shares.items() if share.count or watched_s[name]]
        known = {name: shares[name] for name in present if name not in self._tested}
        observed_s = min((watched_s[name] for name in known), default=0.0)
        length_s = window.closes_boot_s - window.opened_boot_s
        lost = sum(share.lost for share in shares.values())
        partial = [n for n, one in shares.items() if watched_s[n] < length_s or one.blurred]
        quality = "partial"
        if window.whole and not (partial or lost or self._tested):  # though the clock was slewed
            observed_s, quality = window.window_s, "ok"
        gone = {n for n, one in shares.items() if one.since_s is None or n not in present}
        if gone - self._unopened or shares.keys() & set(suspects):
            quality = FAULT
        unknown = quality == FAULT and not known  # which is not zero
        observed_ms = round(min(observed_s, window.window_s) * 1000)
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
        if lost:
            body["lost_edges"] = lost
        if self._tested:
            body["test_count"] = sum(shares[name].count for name in self._tested)
        # `now` by the clock that the window was opened with: if it was wrong, the store moves both.
        moment = replace(now, wall_s=window.end_s + now.boot_s - window.closes_boot_s)
        name = f"{now.boot_id} {window.opened_boot_s:.3f}"
        record = NewRecord(COUNT, window.end_s, moment, body)
        blank = not present and quality != FAULT
        return Report(name, record, bool(present), blank, _seen(known.values()))


def _seen(shares: Iterable[_Watch]) -> tuple[float, float] | None:
    """When the first and the last detection were, if there was any."""
    shares = [share for share in shares if share.last_s > -math.inf]
    if not shares:
        return None
    return min(share.first_s for share in shares), max(share.last_s for share in shares)


class Window(Value):
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
    """The window after one that closed: adjoining it, unless the clock jumped or the machine slept.

    A jump by whole windows, as by a day, leaves them aligned.
    """
    late_s = now.boot_s - window.closes_boot_s
    stray_s = now.wall_s - late_s - window.end_s
    jump_s = round(stray_s / window.window_s) * window.window_s
    tolerated_s = min(STRAY_MAX_S, window.window_s / 4)
    if late_s >= max(window.window_s, SLEPT_S) or abs(stray_s - jump_s) > tolerated_s:
        return open_window(now, window.window_s)
    end_s = window.end_s + jump_s + window.window_s
    closes_boot_s = now.boot_s + (end_s - now.wall_s)
    return Window(end_s, window.window_s, window.closes_boot_s, closes_boot_s, whole=True)
