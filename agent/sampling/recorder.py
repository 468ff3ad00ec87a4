"""The recorder: keeps what the sampler hands over, and looks after the store beside it.

The store's clock knowledge, its commits, its troubles, the wear of the card, and the open window's
mirror are looked after here, in the sampler's thread.
"""

from __future__ import annotations

import logging
import math
from typing import TYPE_CHECKING, cast

from agent.errors import FileBackError
from agent.health import conditions
from agent.health.health import FSYNC_S, SAMPLER
from agent.model import DAY_S
from agent.sampling.card_wear import CardWear
from agent.sampling.window_mirror import WindowMirror
from agent.store import DiskFullError, usable_again

if TYPE_CHECKING:
    from collections.abc import Callable

    from agent.clock import Clock
    from agent.config import Config
    from agent.health.health import Health
    from agent.model import NewRecord
    from agent.store import Store

#: Acknowledgements that no new record takes along are committed after this time.
FLUSH_S = 59.0

#: While there is no file, one is tried this often; while the clock is not set, it is asked.
FILE_AGAIN_S = 60.0
CLOCK_AGAIN_S = 5.0

#: From here on the store is told to be full, in parts of its bounds.
NEARLY_FULL = 0.9

log = logging.getLogger(__name__)


class Recorder:
    """Keeps records in `store`; `on_record` is called after each. Belongs to the sampler's thread.

    Methods raise StoreError, which ends the process, when a record cannot be kept.
    """

    def __init__(
        self,
        config: Config,
        store: Store,
        *,
        clock: Clock,
        health: Health,
        on_record: Callable[[], None],
    ) -> None:
        self._limits = config.store
        self._returning = False
        self._store = store
        self._clock = clock
        self._health = health
        self._on_record = on_record
        self._mirror = WindowMirror(config.paths.runtime)
        self._card_wear = CardWear(clock.boot_s)
        self._committed_boot_s = clock.boot_s()
        self._file_again_boot_s = clock.boot_s() + FILE_AGAIN_S
        self._dropped = store.dropped
        self._dropped_boot_s = -math.inf

    def begin(self) -> None:
        """Note how the clock stands, and report the window that was open when a process died."""
        self._store.note_clock(self._clock.now(), is_set=self._clock.is_set())
        kept = self._mirror.read()
        if kept and kept[0] != self._store.recall("window"):
            log.info("a window that was open when the agent ended is reported")
            self.report(*kept)
        self._mirror.forget()
        self._tell()

    def append(self, record: NewRecord) -> None:
        """Keep a record."""
        self._health.beat(SAMPLER, within_s=FSYNC_S)
        with self._card_wear.by(record.kind):
            self._store.append(record)
        self._kept()

    def report(self, window: str, record: NewRecord) -> None:
        """Keep the report of a window, whose detections add to the total, once for its name."""
        if self._returning:
            return  # the next process reports it, from the mirror, to the file
        self._health.beat(SAMPLER, within_s=FSYNC_S)
        detections = cast("int", record.body["detect_count"])
        with self._card_wear.by(record.kind):
            self._store.append(record, detections=detections, window=window)
        self._mirror.forget()
        self._kept()

    def mirror(self, window: str, record: NewRecord) -> None:
        """Have the next process know of a window that is open, should this one die."""
        self._mirror.write(window, record)

    def tend(self) -> float:
        """Do what is due beside records; when, on the boot clock, something is due again.

        To be called once a minute at least.
        """
        now = self._clock.now()
        is_set = self._clock.is_set()
        self._store.note_clock(now, is_set=is_set)
        if now.boot_s >= min(self._committed_boot_s + FLUSH_S, self._store.flush_due_s()):
            self._health.beat(SAMPLER, within_s=FSYNC_S)
            self._store.flush()
            self._committed_boot_s = now.boot_s
        if self._store.memory_only and now.boot_s >= self._file_again_boot_s:
            self._file_again_boot_s = now.boot_s + FILE_AGAIN_S
            if not self._store.queued and usable_again(self._limits):
                self._returning = True
                # Crash-only: the way back to the file is the way in.
                raise FileBackError(
                    f"{self._limits.path}: can be used again", hint="the agent starts anew with it"
                )
        self._tell()
        due_s = self._store.flush_due_s()
        return due_s if is_set else min(due_s, now.boot_s + CLOCK_AGAIN_S)

    def _kept(self) -> None:
        self._committed_boot_s = self._clock.boot_s()
        self._tell()
        self._on_record()

    def _tell(self) -> None:
        """Show how the store is."""
        store = self._store
        per_day, most = self._card_wear.per_day()
        self._health.update(
            total=store.total,
            queued=store.queued,
            dropped=store.dropped,
            card={"bytes_per_day": per_day, "most_by": most},
        )
        blocked = store.blocked
        self._health.stand(
            conditions.DISK_FULL, blocked.text if isinstance(blocked, DiskFullError) else ""
        )
        memory, hint = store.memory_only, ""
        if blocked and not isinstance(blocked, DiskFullError):
            memory, hint = blocked.text, blocked.hint
        self._health.stand(conditions.STORE_MEMORY_ONLY, memory, hint=hint)
        full = store.fullness
        self._health.stand(
            conditions.STORE_FULL, f"it is {full:.0%} full" if full >= NEARLY_FULL else ""
        )
        self._tell_dropped()
        unset = (
            ""
            if self._clock.is_set() or not self._clock.plausible()
            else (
                "no time service has set the clock since the start: readings carry estimated times"
            )
        )
        self._health.stand(conditions.CLOCK_UNSET, unset, key="set")

    def _tell_dropped(self) -> None:
        """Tell for a day what was given up."""
        now_s = self._clock.boot_s()
        if self._store.dropped != self._dropped:
            self._dropped = self._store.dropped
            self._dropped_boot_s = now_s
        text = ""
        if now_s - self._dropped_boot_s < DAY_S:
            reasons = ", ".join(f"{n} for {why}" for why, n in self._store.dropped_for.items())
            text = f"records were given up since the store was made: {reasons}"
        self._health.stand(conditions.RECORDS_DROPPED, text)
