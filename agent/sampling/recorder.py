"""The recorder: keeps what the sampler hands over, and looks after the store beside it.

Its clock, its commits and troubles, the wear of the card, and the mirror of the open windows.
"""

from __future__ import annotations

import logging
import math
from contextlib import suppress
from functools import partial

from agent.errors import FileBackError
from agent.facts import KNOWN_WINDOW, WINDOW
from agent.health import conditions
from agent.health.health import FSYNC_S, SAMPLER, SHOWN_WITHIN_S
from agent.model import DAY_S, reading_record
from agent.sampling.card_wear import CardWear
from agent.sampling.window_mirror import mirror, open_windows
from agent.store import DiskFullError, usable_again

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from agent.clock import Clock
    from agent.config import Config, SensorConfig
    from agent.facts import Facts
    from agent.health.health import Health
    from agent.model import Moment, NewRecord, Reading
    from agent.sampling.counting import Report
    from agent.sampling.pool import Job, Pool
    from agent.sampling.sos import Sos
    from agent.sensors import Detections
    from agent.store import Store

#: While there is no file, one is tried this often; what arrives within BRISK_S has not waited for
#: the network; while the clock is not set, it is asked.
FILE_AGAIN_S = 60.0
BRISK_S = 5.0
CLOCK_AGAIN_S = 5.0

#: From here on the store is told to be full, in parts of its bounds.
NEARLY_FULL = 0.9

UNSET = "no time service has set the clock since the start: readings carry estimated times"

log = logging.getLogger(__name__)


class Recorder:
    """Keeps records in `store`. Belongs to the sampler's thread.

    `on_records` is called once for all that `hand_on` hands on; True: they go up now.
    Methods raise StoreError, which ends the process, when a record cannot be kept.
    """

    def __init__(
        self,
        config: Config,
        store: Store,
        *,
        clock: Clock,
        health: Health,
        facts: Facts,
        on_records: Callable[[], bool],
    ) -> None:
        self._limits = config.store
        self._returning = False
        self._store = store
        self._clock = clock
        self._health = health
        self._facts = facts
        self._on_records = on_records
        self._kept_boot_s = math.inf  # since when something waits to be handed on
        self._runtime = config.paths.runtime
        self._card_wear = CardWear(clock.boot_s)
        self._trial: Job | None = None  # whether there can be a file again
        self._trial_boot_s = clock.boot_s() + FILE_AGAIN_S
        self._mark_seq, self._mark_boot_s = 0, -math.inf  # the newest number at some time
        self._dropped = store.dropped
        self._dropped_boot_s = -math.inf
        self._sos: Sos | None = None
        if store.urgent or any(one.sos for one in config.sensors):
            from agent.sampling.sos import Sos  # noqa: PLC0415 -- few have such a button

            self._sos = Sos(config, store, health=health, link=facts.link)

    def begin(self) -> None:
        """Note how the clock stands, and report the windows that were open when a process died."""
        self._store.note_clock(self._clock.now(), is_set=self._clock.is_set())
        for report in open_windows(self._runtime, self._store.recall(WINDOW)):
            log.info("a window that was open when the agent ended is reported")
            self.report(report)
        self.mirror(())
        self._tell()

    def mirror(self, reports: Iterable[Report]) -> None:
        """Keep what is known of open windows, should this process die."""
        mirror(self._runtime, reports, self._facts.kept())

    def saw(self, seen: Detections, now: Moment) -> None:
        """A counted sensor has detected this since it was asked before."""
        if facts := self._facts.saw(seen, now):
            self._health.beat(SAMPLER, within_s=FSYNC_S)
            self._store.remember(**facts)

    def sensor_is(self, name: str, error: str) -> None:
        """A sensor fails, or works where there is no error."""
        self._facts.sensor(name, error)

    def keep(self, reading: Reading) -> None:
        """Keep the record of a reading."""
        self._facts.read(reading)
        self.append(reading_record(reading))

    def called(self, button: SensorConfig, now: Moment) -> None:
        """Keep the press of an SOS button."""
        if not self._sos:
            return
        if record := self._sos.call(button, now):
            pressed = f"{now.wall_s:.0f}"  # in one commit with it: not arrived, whatever comes
            self.append(record, urgent=True, sos_pressed=pressed, sos_arrived="")
        self._kept_boot_s = min(self._kept_boot_s, now.boot_s)  # any press wakes the uplink

    def append(
        self,
        record: NewRecord,
        *,
        detections: int | None = None,
        urgent: bool = False,
        **facts: str,
    ) -> None:
        """Keep a record, in one commit with the detections and facts that belong to it.

        One that is `urgent` goes up ahead of all others. Where commits are slow, those of a step
        are handed on before all are kept.
        """
        self._health.beat(SAMPLER, within_s=FSYNC_S)
        marked = self._facts.marked(record)
        self._store.append(marked, detections=detections, urgent=urgent, **facts)
        self._card_wear.charge(record.kind)
        self._health.touch()
        now_s = self._clock.boot_s()
        self._kept_boot_s = min(self._kept_boot_s, now_s)
        if now_s >= self._kept_boot_s + SHOWN_WITHIN_S:
            self.hand_on()

    def flush(self) -> None:
        """Commit what is due, behind the records of a step, which may have taken it along."""
        if self._clock.boot_s() >= self._store.flush_due_s():
            self._health.beat(SAMPLER, within_s=FSYNC_S)
            self._store.flush()

    def hand_on(self) -> None:
        """Show how the store is, and have what was kept go up, or shown.

        Last of all before a wait, if commits are quick: who is woken any sooner takes turns with
        this thread, which holds the interpreter.
        """
        self._tell()
        kept, self._kept_boot_s = self._kept_boot_s < math.inf, math.inf
        if not (kept and self._on_records()):
            self._health.rest()

    def report(self, report: Report) -> bool:
        """Keep the report of a window, whose detections add to the total, once for its name.

        False, and nothing done, if the next process is to report it, from the mirror, to the file.
        """
        if not (self._returning or report.blank):
            found = report.record.body["detect_count"]
            detections = found if isinstance(found, int) else 0
            record, facts = self._facts.counted(report.record, report.seen_boot_s)
            facts = {**facts, WINDOW: report.window, KNOWN_WINDOW: report.window}
            self.append(record, detections=detections, urgent=False, **facts)
        return not self._returning

    def due_s(self) -> float:
        """The time on the boot clock at which `flush` is to be called; once a minute at least."""
        due_s = min(self._store.flush_due_s(), self._facts.due_s())
        due_s = min(due_s, self._sos.due_s()) if self._sos else due_s
        return due_s if self._clock.is_set() else min(due_s, self._clock.boot_s() + CLOCK_AGAIN_S)

    def tend(self, pool: Pool, *, watching: bool) -> None:
        """Do what is due, before new records come; what may take long in a thread of `pool`.

        `watching` says that every counted sensor watches.
        """
        now, is_set = self._clock.now(), self._clock.is_set()
        self._store.note_clock(now, is_set=is_set)
        for made in self._facts.tend(now, watching=watching, is_set=is_set):
            self.append(made.record, detections=None, urgent=False, **made.facts)
        if self._sos:
            self._sos.tend(now)
        if self._store.memory_only and self._may_return(pool, now.boot_s):
            self._returning = True
            # Crash-only: the way back to the file is the way in.
            text = f"{self._limits.path}: can be used again"
            raise FileBackError(text, hint="the agent starts anew with it")

    def close(self) -> None:
        """Hand on what was kept, and put out the lamps; more than once does no harm."""
        try:
            self.hand_on()
        finally:
            if self._sos:
                self._sos.close()

    def _may_return(self, pool: Pool, now_s: float) -> bool:
        """True once there can be a file, as a trial found, and all in memory has arrived.

        Where records come without a break: after a minute, once they arrive within seconds.
        """
        if self._trial and self._trial.done:
            if self._trial.result():
                waiting = self._store.page(0, 1).records
                if waiting and waiting[0].seq > self._mark_seq:
                    brisk = self._trial_boot_s <= now_s < self._mark_boot_s + BRISK_S
                    self._mark_seq, self._mark_boot_s = self._store.newest_seq, now_s
                    return brisk
                return not waiting
            self._trial = None
        if not self._trial and now_s >= self._trial_boot_s:
            with suppress(RuntimeError):  # no thread is free
                self._trial = pool.start(partial(usable_again, self._limits))
            self._trial_boot_s = now_s + FILE_AGAIN_S
        return False

    def _tell(self) -> None:
        """Show how the store is."""
        store = self._store
        per_day, most = self._card_wear.per_day()
        self._health.update(card={"bytes_per_day": per_day, "most_by": most})
        disk_full, memory, hint = "", store.memory_only, ""
        if isinstance(blocked := store.blocked, DiskFullError):
            disk_full = blocked.text
        elif blocked:
            memory, hint = blocked.text, blocked.hint
        self._health.stand(conditions.DISK_FULL, disk_full)
        self._health.stand(conditions.STORE_MEMORY_ONLY, memory, hint=hint)
        full = f"it is {store.fullness:.0%} full" if store.fullness >= NEARLY_FULL else ""
        self._health.stand(conditions.STORE_FULL, full)
        now_s, dropped = self._clock.boot_s(), ""
        if store.dropped != self._dropped:
            self._dropped, self._dropped_boot_s = store.dropped, now_s
        if now_s - self._dropped_boot_s < DAY_S:
            reasons = ", ".join(f"{n} for {why}" for why, n in store.dropped_for.items())
            dropped = f"records were given up since the store was made: {reasons}"
        self._health.stand(conditions.RECORDS_DROPPED, dropped)
        unset = not self._clock.is_set() and self._clock.plausible()
        self._health.stand(conditions.CLOCK_UNSET, UNSET if unset else "", key="set")
