"""Timestamps: when a record was made, as far as it is known by now.

A Raspberry Pi goes on from the time of its last shutdown until a time server answers. The boot
clock never lies, so a record keeps both times, and the store knows of each boot whether its wall
clock was set at last, and how far it then was from the boot clock.
"""

from __future__ import annotations

import math

from agent.model import COUNT, LATEST_S, is_time, moved_window
from agent.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Iterator, Mapping

    from agent.model import Json, Moment, NewRecord

#: The two clocks may drift apart so far before it is a step: time servers slew by less.
STEP_S = 1.0

#: The newest boots are remembered, and those before them from the oldest record on that waits, so
#: many for each MiB that the file may have.
BOOTS_MAX = 100
BOOTS_PER_MIB = 1000
NEEDED_MAX = 2000

ESTIMATED = "clock_estimated"
FAULT = "sensor_fault"


class Boot(Value):
    """Knowledge of one boot: wall time less boot time, and whether the wall clock was set."""

    offset_s: float
    is_set: bool


def stamped(new: NewRecord, boots: Mapping[str, Boot]) -> tuple[float, Mapping[str, Json]]:
    """The `Timestamp` and the body of a record by the best knowledge; `boots` oldest first.

    The body is the same object where nothing in it changes.

    Where the clock of its boot was set, the time is exact. Where it never was, or nobody knows,
    `quality` says `clock_estimated`, and `not_before` and `not_after` say what is certain.
    """
    body = new.body
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
    bound = "not_before"
    for name, boot in boots.items() if boot_id in boots else ():
        if name == boot_id:
            bound = "not_after"
        elif boot.is_set:
            known[bound] = round(boot.offset_s)
        if "not_after" in known:
            break
    return known


class Boots(Value):
    """The boots that are known, oldest first, and the one that the file has to learn of."""

    known: Mapping[str, Boot]
    pending: str = ""

    @classmethod
    def read(cls, db: sqlite3.Connection) -> Boots:
        """Boots that the table holds; a spoiled row is a boot that nobody knows."""
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

    def write(self, db: sqlite3.Connection, max_mib: float) -> None:
        """Write what is new; boots that nothing needs any more go."""
        if not self.pending:
            return
        boot = self.known[self.pending]
        db.execute(
            "INSERT INTO boots (id, offset_s, is_set) VALUES (?, ?, ?) ON CONFLICT (id)"
            " DO UPDATE SET offset_s = excluded.offset_s, is_set = excluded.is_set",
            (self.pending, boot.offset_s, boot.is_set),
        )
        newest = "SELECT number FROM boots ORDER BY number DESC LIMIT 1 OFFSET ?"
        older = f"DELETE FROM boots WHERE number <= ({newest})"  # noqa: S608 -- our own words
        # A look at one row, whatever waits; where its boot is spoiled, all are needed.
        oldest = "SELECT boot_id FROM records WHERE acknowledged = 0 ORDER BY seq LIMIT 1"
        needed = f"SELECT number FROM boots WHERE id = ({oldest})"  # noqa: S608
        unneeded = f"{older} AND ifnull(number < ({needed}), NOT EXISTS ({oldest}))"
        db.execute(unneeded, (BOOTS_MAX,))
        db.execute(older, (min(NEEDED_MAX, max(BOOTS_MAX, int(BOOTS_PER_MIB * max_mib))),))

    def ages_s(self, rows: Iterable[tuple[object, object]], now: Moment) -> Iterator[float]:
        """Seconds that have surely passed since each boot time and boot id; negative if unknown.

        By boot time within one boot, else by wall time where the clocks of both were set. One that
        never was had ended when the next began that was: nothing is given up for a wrong clock.
        """
        here = self.known.get(now.boot_id)
        now_s = here.offset_s + now.boot_s if here and here.is_set else -math.inf
        ended_s, next_s = dict[object, float](), math.inf
        for name, boot in reversed([*self.known.items()]):
            ended_s[name] = next_s
            next_s = boot.offset_s if boot.is_set else next_s
        for boot_s, boot_id in rows:
            then = self.known.get(boot_id) if isinstance(boot_id, str) else None
            if not is_time(boot_s):
                yield -math.inf
            elif boot_id == now.boot_id:
                yield now.boot_s - boot_s
            elif then and then.is_set:
                yield now_s - then.offset_s - boot_s
            else:
                yield now_s - ended_s.get(boot_id, math.inf)

    def wall_s(self, moment: Moment) -> float:
        """The time that the wall clock should have shown at `moment`, by the best knowledge."""
        boot = self.known.get(moment.boot_id)
        return moment.boot_s + boot.offset_s if boot and boot.is_set else moment.wall_s

    def passed_s(self, since: Moment, until: Moment) -> float | None:
        """Seconds from one moment to another; None where no clock tells.

        By boot time within one boot, else by wall time where the clocks of both were set.
        """
        if since.boot_id == until.boot_id:
            return until.boot_s - since.boot_s
        then, here = self.known.get(since.boot_id), self.known.get(until.boot_id)
        if not (then and then.is_set and here and here.is_set):
            return None
        return until.boot_s + here.offset_s - since.boot_s - then.offset_s
