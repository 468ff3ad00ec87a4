"""A home with rules, whose agent can die and be started again; time passes a minute at a step."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import TYPE_CHECKING

from agent.config import Count, SensorConfig, StoreLimits
from agent.facts import Facts, Mode
from agent.health.health import Health
from agent.model import COUNT, NewRecord, Reading, reading_record
from agent.sampling import Pool, Recorder, mirrored_facts
from agent.sampling.window_mirror import MIRROR
from agent.sensors import Detections
from agent.sensors.gpio import Options as Button
from agent.store import open_store
from agent.value import replace
from tests.fakes import FakeClock, config

if TYPE_CHECKING:
    from pathlib import Path

    from agent.config.rule import Rule
    from agent.model import Json

#: The recorder looks after the facts at least so often.
STEP_S = 60.0
WINDOW_S = 600.0


class Home:
    """Facts, recorder and store as the daemon has them, with a test in the sampler's place.

    Everybody counts windows of ten minutes, and `watching` says whether the sensors work.
    """

    def __init__(self, directory: Path, *rules: Rule, at: str = "2026-11-27 00:00:00") -> None:
        self.directory = directory
        self.clock = FakeClock(wall_s=local(at))
        self.rules = rules
        self.watching = True
        self.sensors = (
            SensorConfig(name="motion", driver="fake"),
            SensorConfig(name="room", driver="fake", interval_s=60),
            SensorConfig(name="button", driver="gpio", options=Button(pin=17, role="sos")),
            SensorConfig(name="lazy", driver="fake", report="change", heartbeat_s=3600),
        )
        self._pool = Pool(on_done=lambda: None)
        self.start()

    def start(self) -> None:
        """Start the agent."""
        settings = replace(
            config(self.directory, *self.sensors, count=Count(sensor=("motion",))),
            rules=self.rules,
            store=StoreLimits(path=self.directory / "store.db"),
        )
        self.health = Health(wall_s=self.clock.wall_s, boot_s=self.clock.boot_s)
        self.store = open_store(settings.store, wall_s=self.clock.wall_s, boot_s=self.clock.boot_s)
        self.facts = Facts(settings, self.store, clock=self.clock, health=self.health)
        self.facts.begin("restart", None, mirrored_facts(self.directory))
        self.recorder = Recorder(
            settings,
            self.store,
            clock=self.clock,
            health=self.health,
            facts=self.facts,
            on_records=lambda: False,
        )
        self._counted_s = self.clock.wall_s()
        self.tend()

    def tend(self) -> None:
        """One step."""
        self.recorder.tend(self._pool, watching=self.watching)
        if self.clock.wall_s() - self._counted_s >= WINDOW_S:
            self._counted_s = self.clock.wall_s()
            record = NewRecord(COUNT, self._counted_s, self.clock.now(), {"detect_count": 0})
            counted, facts = self.facts.counted(record)
            self.recorder.append(counted, detections=0, urgent=False, **facts)

    def live(self, seconds: float) -> None:
        """Let time pass, with a step when one is due, and each minute."""
        until_s = self.clock.boot_s() + seconds
        while (now_s := self.clock.boot_s()) < until_s:
            due_s = self.facts.due_s()
            assert due_s > now_s, "the sampler would spin"
            self.clock.pass_by(min(until_s, due_s, now_s + STEP_S) - now_s)
            self.tend()
            if self.facts.due_s() <= self.clock.boot_s():
                self.tend()

    def until(self, text: str) -> None:
        """Let time pass until the local clock shows that."""
        self.live(local(text) - self.clock.wall_s())

    def seen(self) -> None:
        """Somebody walks by."""
        self.recorder.saw(Detections(1, 0.5), self.clock.now())
        self.recorder.mirror(())
        self.tend()

    def reads(self, sensor: str, **values: float | str) -> None:
        """A sensor is read."""
        reading = Reading(sensor, values, self.clock.now())
        self.facts.read(reading)
        self.recorder.append(reading_record(reading))
        self.tend()

    def warm(self, seconds: float, sensor: str = "room", **values: float) -> None:
        """Let time pass while a sensor reads these values each minute."""
        self.reads(sensor, **values)
        for _ in range(int(seconds // STEP_S)):
            self.live(STEP_S)
            self.reads(sensor, **values)

    def mode(self, name: str, seconds: float) -> None:
        """Set a mode for so long."""
        now_s = self.clock.wall_s()
        self.facts.modes.set(Mode(name, now_s + seconds, now_s, "command"))
        self.tend()

    def die(self, *, power_cut: bool = False) -> None:
        """End without a word; a power cut takes what is in memory's file system too."""
        self.store._write_behind.db.close()
        if power_cut:
            with suppress(FileNotFoundError):
                (self.directory / MIRROR).unlink()
            self.clock._boot_id = f"boot of {self.clock.wall_s()}"
            self.clock.now_boot_s = 10.0

    def close(self) -> None:
        """End in order."""
        self.facts.end()
        self.store.close()

    def events(self) -> list[dict[str, Json]]:
        """All events, oldest first."""
        found = self.store.page(0, 100_000).records
        return [{**one.body, "Timestamp": one.timestamp_s} for one in found if one.kind == "events"]

    def told(self) -> list[tuple[str, str, str]]:
        """Local time, rule with its event, and reason of each."""
        return [
            (shown(one["Timestamp"]), f"{one['rule']} {one['event']}", str(one.get("reason", "")))
            for one in self.events()
        ]

    def conditions(self) -> dict[str, str]:
        """Code and text of the conditions that stand."""
        return {one.code: one.text for one in self.health.snapshot().conditions}


def local(text: str) -> float:
    """Epoch seconds of a local time."""
    return time.mktime(time.strptime(text, "%Y-%m-%d %H:%M:%S"))


def shown(wall_s: Json) -> str:
    """The local time, to the second."""
    assert isinstance(wall_s, int | float)
    return time.strftime("%m-%d %H:%M:%S", time.localtime(wall_s))
