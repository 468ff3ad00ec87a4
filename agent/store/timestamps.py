"""Timestamps: when a record was made, as far as it is known by now.

A Raspberry Pi has no clock battery: after a power cut it goes on from the time of its last
shutdown until a time server answers. The boot clock never lies, so a record keeps both times, and
the store knows of each boot whether its wall clock was set at last, and how far it then was from
the boot clock. A record's time follows from that whenever it is sent.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

from agent import BUILT_S
from agent.model import COUNT, next_by

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Mapping

    from agent.model import Json, Moment, NewRecord

#: The two clocks may drift apart so far before it is a step: time servers slew by less.
STEP_S = 1.0

#: The newest boots are remembered, so many.
BOOTS_MAX = 100

ESTIMATED = "clock_estimated"
FAULT = "sensor_fault"


class Boot(NamedTuple):
    """Knowledge of one boot: wall time less boot time, and whether the wall clock was set."""

    offset_s: float
    is_set: bool


def stamped(new: NewRecord, boots: Mapping[str, Boot]) -> tuple[float, dict[str, Json]]:
    """The `Timestamp` and the body of a record by the best knowledge; `boots` oldest first.

    Where the clock of its boot was set, the time is exact. Where it never was, `quality` says
    `clock_estimated`, and `not_before` and `not_after` say what is certain.
    """
    body = dict(new.body)
    boot = boots.get(new.moment.boot_id)
    if boot is None:
        return new.timestamp_s, body
    if not boot.is_set:
        # What is not to be believed at all stays so.
        quality = body.get("quality") if body.get("quality") == FAULT else ESTIMATED
        return new.timestamp_s, {**body, "quality": quality, **_bounds(new.moment.boot_id, boots)}
    step_s = new.moment.boot_s + boot.offset_s - new.moment.wall_s
    if abs(step_s) <= STEP_S:
        return new.timestamp_s, body
    if new.kind == COUNT:
        return _moved_window(new.timestamp_s + step_s, body)
    return round(new.timestamp_s + step_s, 3), body


def _moved_window(ended_s: float, body: dict[str, Json]) -> tuple[float, dict[str, Json]]:
    """A window whose end is `ended_s` now: reported for the aligned window that it is nearest to.

    One that does not fit there is `partial`, so that consumers add it to its neighbour.
    """
    window_s = body.get("window_s")
    if not isinstance(window_s, int) or window_s <= 0:
        return round(ended_s, 3), body
    end_s = math.floor(ended_s / window_s + 0.5) * window_s
    if abs(end_s - ended_s) > STEP_S and body.get("quality") == "ok":
        body["quality"] = "partial"
    return end_s, {**body, "next_by": next_by(end_s, window_s)}


def _bounds(boot_id: str, boots: Mapping[str, Boot]) -> dict[str, Json]:
    """It was after the last boot before it whose time is known had begun, and before the next."""
    known: dict[str, Json] = {}
    passed = False
    for name, boot in boots.items():
        if name == boot_id:
            passed = True
        elif boot.is_set and not passed:
            known["not_before"] = round(boot.offset_s)
        elif boot.is_set:
            known["not_after"] = round(boot.offset_s)
            break
    return known


class Boots:
    """The table `boots`, oldest first; used under the store's lock."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db
        query = "SELECT id, offset_s, is_set FROM boots ORDER BY number"
        self._known = {
            name: Boot(offset_s, bool(is_set)) for name, offset_s, is_set in db.execute(query)
        }
        self._pending = ""

    def note(self, now: Moment, *, is_set: bool) -> bool:
        """Note how the clocks of this boot stand; False if the file knows that already."""
        boot = Boot(now.wall_s - now.boot_s, is_set)
        known = self._known.get(now.boot_id)
        if known and known.is_set == is_set and abs(known.offset_s - boot.offset_s) <= STEP_S:
            return False
        self._known[now.boot_id] = boot
        self._pending = now.boot_id
        return True

    def write(self) -> None:
        """Write what is new."""
        if not self._pending:
            return
        boot = self._known[self._pending]
        self._db.execute(
            "INSERT INTO boots (id, offset_s, is_set) VALUES (?, ?, ?) ON CONFLICT (id)"
            " DO UPDATE SET offset_s = excluded.offset_s, is_set = excluded.is_set",
            (self._pending, boot.offset_s, boot.is_set),
        )
        oldest = "DELETE FROM boots WHERE number <= (SELECT max(number) FROM boots) - ?"
        self._db.execute(oldest, (BOOTS_MAX,))

    def kept(self) -> None:
        """Note that it is committed."""
        self._pending = ""

    def stamped(self, new: NewRecord) -> tuple[float, dict[str, Json]]:
        """The time and the body of a record by the best knowledge."""
        return stamped(new, self._known)

    def age_s(self, then: Moment, now: Moment) -> float:
        """Seconds since `then`: by boot time within one boot, else by wall time.

        Zero where a clock is not to be believed: nothing is given up because of a wrong one.
        """
        if then.boot_id == now.boot_id:
            return now.boot_s - then.boot_s
        boot = self._known.get(now.boot_id)
        if (boot and not boot.is_set) or then.wall_s < BUILT_S:
            return 0.0
        return self.wall_s(now) - self.wall_s(then)

    def wall_s(self, moment: Moment) -> float:
        """The time that the wall clock should have shown at `moment`, by the best knowledge."""
        boot = self._known.get(moment.boot_id)
        return moment.boot_s + boot.offset_s if boot and boot.is_set else moment.wall_s
