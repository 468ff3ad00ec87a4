"""Debounce of a line: detections, told from its edges and their times alone.

A level counts once it was steady for the debounce time, and then from when it began. That is
decided at the next edge or when somebody asks, so that no timer is needed.
"""

from __future__ import annotations

import math


class Debouncer:
    """One line, `active` at first; times are of one clock. Not for two threads at once.

    A line that is active from the beginning has not been detected, but its active time counts.
    """

    def __init__(self, *, active: bool, now_s: float, debounce_s: float) -> None:
        self._debounce_s = debounce_s
        self._level = self._steady = active
        self._level_s = now_s  # since when the level is what it is
        self._told_s = now_s  # until when active time was told
        self._count = 0
        self._active_s = 0.0
        self._edges = 0

    @property
    def level(self) -> bool:
        """True if the line is active, steady or not."""
        return self._level

    def change(self, *, active: bool, now_s: float) -> None:
        """Note an edge: the line is `active` now; nothing happens if it was so already."""
        if active != self._level:
            now_s = self._settle(now_s)
            self._level, self._level_s = active, now_s
            self._edges += 1

    def drain(self, now_s: float) -> tuple[int, float, int]:
        """Detections, active seconds and edges of any kind since the last call."""
        now_s = self._settle(now_s)
        if self._steady:
            # A pause that may yet turn out to be a bounce is no active time for now.
            self._tell(now_s if self._level else self._level_s)
        drained = self._count, self._active_s, self._edges
        self._count, self._active_s, self._edges = 0, 0.0, 0
        return drained

    def settles_s(self, now_s: float) -> float:
        """Seconds until a level that is not steady yet will be; infinite if it is."""
        if self._level == self._steady:
            return math.inf
        return max(0.0, self._level_s + self._debounce_s - now_s)

    def _settle(self, now_s: float) -> float:
        """Take a level for steady that was so long enough; the time, made not to go back."""
        now_s = max(now_s, self._level_s)
        if self._level != self._steady and now_s - self._level_s >= self._debounce_s:
            self._steady = self._level
            if self._level:
                self._count += 1
                self._told_s = self._level_s
            else:
                self._tell(self._level_s)
        return now_s

    def _tell(self, until_s: float) -> None:
        self._active_s += max(0.0, until_s - self._told_s)
        self._told_s = max(until_s, self._told_s)
