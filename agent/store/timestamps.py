"""Timestamps: when a record was made, as far as it is known by now.

A Raspberry Pi goes on from the time of its last shutdown until a time server answers. The boot
clock never lies, so a record keeps both times, and the store knows of each boot whether its wall
clock was set at last, and how far it then was from the boot clock.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from agent import BUILT_S
from agent.model import COUNT, LATEST_S, moved_window

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Mapping

    from agent.model import Json, Moment, NewRecord

#: The two clocks may drift apart so far before it is a step: time servers slew by less.
STEP_S = 1.0

#: The newest boots are remembered, and of those before them the ones that waiting records are from.
BOOTS_MAX = 100
NEEDED_MAX = 2000

ESTIMATED = "clock_estimated"
FAULT = "sensor_fault"


class Boot(NamedTuple):
    """Knowledge of one boot: wall time less boot time, and whether the wall clock was set."""

    offset_s: float
    is_set: bool


def stamped(new: NewRecord, boots: Mapping[str, Boot]) -> tuple[float, dict[str, Json]]:
    """The `Timestamp` and the body of a record by the best knowledge; `boots` oldest first.

    Where the clock of its boot was set, the time is exact. Where it never was, or nobody knows,
    `quality` says `clock_estimated`, and `not_before` and `not_after` say what is certain.
    """
    body = dict(new.body)
    boot = boots.get(new.moment.boot_id)
    if boot is None or not boot.is_set:
        # What is not to be believed at all stays so.
        quality = FAULT if body.get("quality") == FAULT else ESTIMATED
        return new.timestamp_s, {**body, "quality": quality, **_bounds(new.moment.boot_id, boots)}
    step_s = new.moment.boot_s + boot.offset_s - new.moment.wall_s
    if abs(step_s) <= STEP_S:
        return new.timestamp_s, body
    if new.kind == COUNT:
        return moved_window(new.timestamp_s + step_s, body, STEP_S)
    return round(new.timestamp_s + step_s, 3), body


def _bounds(boot_id: str, boots: Mapping[str, Boot]) -> dict[str, Json]:
    """It was after the last boot before it whose time is known had begun, and before the next."""
    known: dict[str, Json] = {}
    if boot_id not in boots:
        return known  # nobody knows what came before it
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


@dataclass(frozen=True, slots=True)
class Boots:
    """The boots that are known, oldest first, and the one that the file has to learn of."""

    known: Mapping[str, Boot]
    pending: str = ""

    @classmethod
    def read(cls, db: sqlite3.Connection) -> Boots:
        """What the table `boots` holds; a spoiled row is a boot that nobody knows."""
        rows = db.execute(
            "SELECT id, offset_s, is_set FROM boots WHERE typeof(id) = 'text' AND is_set IN (0, 1)"
            " AND typeof(offset_s) = 'real' AND abs(offset_s) <= ? ORDER BY number",
            (LATEST_S,),
        )
        return cls({name: Boot(offset_s, bool(is_set)) for name, offset_s, is_set in rows})

    def noted(self, now: Moment, *, is_set: bool) -> Boots:
        """These, with how the clocks of this boot stand; the same if that is known already."""
        boot = Boot(now.wall_s - now.boot_s, is_set)
        known = self.known.get(now.boot_id)
        if known and known.is_set == is_set and abs(known.offset_s - boot.offset_s) <= STEP_S:
            return self
        return Boots({**self.known, now.boot_id: boot}, now.boot_id)

    def write(self, db: sqlite3.Connection) -> None:
        """Write what is new; boots that nothing needs any more go."""
        if not self.pending:
            return
        db.execute(
            "INSERT INTO boots (id, offset_s, is_set) VALUES (?, ?, ?) ON CONFLICT (id)"
            " DO UPDATE SET offset_s = excluded.offset_s, is_set = excluded.is_set",
            (self.pending, *self.known[self.pending]),
        )
        older = (
            "DELETE FROM boots WHERE number <="
            " (SELECT number FROM boots ORDER BY number DESC LIMIT 1 OFFSET ?)"
        )
        unneeded = f"{older} AND id NOT IN (SELECT boot_id FROM records)"  # noqa: S608
        db.execute(unneeded, (BOOTS_MAX,))
        db.execute(older, (NEEDED_MAX,))

    def kept(self) -> Boots:
        """The same once that is committed."""
        return Boots(self.known)

    def age_s(self, then: Moment, now: Moment) -> float | None:
        """Seconds since `then`: by boot time within one boot, else by wall time.

        None where a clock is not to be believed: nothing is given up because of a wrong one.
        """
        if then.boot_id == now.boot_id:
            age_s = now.boot_s - then.boot_s
        else:
            boot = self.known.get(now.boot_id)
            if (boot and not boot.is_set) or then.wall_s < BUILT_S:
                return None
            age_s = self.wall_s(now) - self.wall_s(then)
        return age_s if 0 <= age_s <= LATEST_S else None

    def wall_s(self, moment: Moment) -> float:
        """The time that the wall clock should have shown at `moment`, by the best knowledge."""
        boot = self.known.get(moment.boot_id)
        return moment.boot_s + boot.offset_s if boot and boot.is_set else moment.wall_s
