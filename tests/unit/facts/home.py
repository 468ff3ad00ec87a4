"""A home whose facts are made by hand: looks, detections and counts, without a sampler."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from agent.config import Count, StoreLimits
from agent.facts import Facts
from agent.health.health import Health
from agent.model import Moment, NewRecord, Reading
from agent.sensors import Detections
from agent.store import open_store
from tests.fakes import START_S, FakeClock, config

if TYPE_CHECKING:
    from pathlib import Path

    from agent.model import Json

WINDOW_S = 600


@dataclass
class Home:
    """What happens is said by the test; between two looks lies a minute."""

    directory: Path
    clock: FakeClock = field(default_factory=FakeClock)
    commit_after_s: float = 0.0
    watching: bool = True
    seen_boot_s: list[float] = field(default_factory=list)
    mirrored: dict[str, Json] = field(default_factory=dict)

    def start(self, reason: str = "restart", since: Moment | None = None) -> None:
        """Start the agent."""
        path = self.directory / "store.db"
        limits = StoreLimits(path=path, commit_after_s=self.commit_after_s)
        self.store = open_store(limits, wall_s=self.clock.wall_s, boot_s=self.clock.boot_s)
        settings = config(self.directory, count=Count(sensor=("motion",)), store=limits)
        self.facts = Facts(settings, self.store, clock=self.clock, health=Health())
        self.facts.begin(reason, since, self.mirrored)
        self.seen_boot_s.clear()
        self.look()

    def look(self) -> None:
        """Do what a step of the sampler does."""
        now, is_set = self.clock.now(), self.clock.is_set()
        self.store.note_clock(now, is_set=is_set)
        self.facts.tend(now, watching=self.watching, is_set=is_set)

    def live(self, seconds: float) -> None:
        """Let time pass without a detection."""
        while seconds > 0:
            passed_s = min(60.0, seconds)
            self.clock.pass_by(passed_s)
            self.look()
            seconds -= passed_s

    def detect(self, *, active_s: float = 0.0) -> dict[str, str]:
        """Have a counted sensor detect something now; what is to be remembered at once."""
        now = self.clock.now()
        kept = self.facts.saw(Detections(int(not active_s), active_s), now)
        self.seen_boot_s.append(now.boot_s)
        self.store.remember(**kept)
        self.mirrored = self.facts.kept()
        return kept

    def count(self, *, late_s: float = 0.0, detections: int | None = 0) -> dict[str, Json]:
        """Report the window that has ended `late_s` ago; the body of the count."""
        now = self.clock.now()
        ended_s = now.boot_s - late_s
        seen = [one for one in self.seen_boot_s if one <= ended_s]
        self.seen_boot_s = self.seen_boot_s[len(seen) :]
        body: dict[str, Json] = {
            "detect_count": None if detections is None else max(detections, len(seen)),
            "active_ms": 0,
            "observed_ms": 0 if detections is None else WINDOW_S * 1000,
            "window_s": WINDOW_S,
        }
        record = NewRecord("count", now.wall_s - late_s, now, body)
        span = (seen[0], seen[-1]) if seen else None
        record, facts = self.facts.counted(record, span)
        self.store.append(record, detections=len(seen), urgent=False, **facts)
        self.mirrored = self.facts.kept()
        return dict(record.body)

    def quiet(self) -> tuple[Json, Json, Json]:
        """The last detection from the start, for how long it has been quiet, what was observed."""
        shown = self.facts.shown()
        last, for_s = shown["last_detection"], shown["quiet_for_s"]
        since_s = last - START_S if isinstance(last, int) else None
        return since_s, for_s, shown.get("quiet_observed_s", for_s)

    def read(self, sensor: str, **values: float | str) -> None:
        """Read a sensor."""
        self.facts.read(Reading(sensor, values, self.clock.now()))

    def crash(self) -> None:
        """End without a word."""
        self.store._write_behind.db.close()

    def stop(self) -> None:
        """End in order."""
        self.facts.end()
        self.store.close()

    def power_cut(self, off_s: float) -> None:
        """End at once, lose what is in memory, and begin again after so long."""
        self.crash()
        self.mirrored = {}
        self.clock.reboot(off_s)
