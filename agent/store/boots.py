"""What the store knows of each boot's clock: enough to stamp its records whenever they are sent."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent import BUILT_S
from agent.store.timestamps import STEP_S, Boot, stamped

if TYPE_CHECKING:
    import sqlite3

    from agent.model import Json, Moment, NewRecord

#: How many boots are remembered.
BOOTS_MAX = 100


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
        """That is committed."""
        self._pending = ""

    def stamped(self, new: NewRecord) -> tuple[float, dict[str, Json]]:
        """The time and the body of a record by the best knowledge."""
        return stamped(new, self._known)

    def age_s(self, then: Moment, now: Moment) -> float:
        """How long ago `then` was: by boot time within one boot, else by wall time.

        Zero where a clock is not to be believed: nothing is given up because of a wrong one.
        """
        if then.boot_id == now.boot_id:
            return now.boot_s - then.boot_s
        boot = self._known.get(now.boot_id)
        if (boot and not boot.is_set) or then.wall_s < BUILT_S:
            return 0.0
        return self.wall_s(now) - self.wall_s(then)

    def wall_s(self, moment: Moment) -> float:
        """What the wall clock should have said at `moment`, by the best knowledge."""
        boot = self._known.get(moment.boot_id)
        return moment.boot_s + boot.offset_s if boot and boot.is_set else moment.wall_s
