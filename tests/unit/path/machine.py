"""The machine behind the rules: a device that goes on, is watched, and has to end well."""

from __future__ import annotations

import math
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from hypothesis.stateful import RuleBasedStateMachine

from agent.model import COUNT, Json, NewRecord
from agent.mqtt.answers import PACKET_MAX
from tests.fakes import START_S
from tests.unit.path.device import Device, KilledError
from tests.unit.path.wire import Wire
from tests.unit.store.conftest import free_the_disk
from tests.unit.uplink.broker import SUBSCRIBE, closed

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable

KINDS = ["sensors/room", "sensors/hall", COUNT]

#: The longest time in which all is taken that was forbidden before, and some for the rest.
HEALED_S = 3600.0 + 300.0

#: Conditions that end then.
ENDING = {"not-authorized", "not-subscribed", "not-confirmed", "offline"}

#: A directory in memory, where an fsync takes no time; any other does too.
MEMORY = Path("/dev/shm")  # noqa: S108


class Machine(RuleBasedStateMachine):
    """A device and its broker; how they go on, are watched, and end."""

    def __init__(self) -> None:
        super().__init__()
        self.directory = Path(tempfile.mkdtemp(dir=MEMORY if MEMORY.is_dir() else None))
        self.lock: sqlite3.Connection | None = None
        self.full = False
        self.kill_at: tuple[str, int] | None = None
        self.number = 0
        self.sound = self.begun = False

    def open(self, receive_maximum: int, **settings: float) -> None:
        """Have a first start."""
        self.device = device = Device(self.directory, **settings)  # type: ignore[arg-type]
        self.broker = device.broker
        self.broker.receive_maximum = receive_maximum
        self.ledger = Wire(device)
        self.broker.event = self._event
        device.waiting = self.ledger.waits
        device.tended = self._tended
        self._start(killed=False)
        self.sound = self.begun = True

    def record(self, kind: str, **body: Json) -> None:
        """Record a reading."""
        self.number += 1
        moment = self.device.clock.now()
        body = {**body, "n": self.number}
        self.ledger.append(NewRecord(kind, round(moment.wall_s, 3), moment, body), detections=None)

    def count(self, seen: int | None) -> None:
        """Record one of a window, which somebody watched or not."""
        self.number += 1
        moment = self.device.clock.now()
        quality = "sensor_fault" if seen is None else "ok"
        body = {"detect_count": seen, "window_s": 600, "quality": quality, "n": self.number}
        record = NewRecord(COUNT, moment.wall_s // 600 * 600, moment, body)
        self.ledger.append(record, detections=seen or 0)

    # The end.

    def teardown(self) -> None:
        """All heals, and everything arrives that was not lost as it may be, and told."""
        try:
            if self.sound:
                self._heal()
                self._drain()
                self._reckon()
        finally:
            if self.lock:
                self.lock.close()
            if self.begun and not self.device.turns.ended:
                self.device.kill()
            shutil.rmtree(self.directory)

    def _heal(self) -> None:
        broker, self.kill_at = self.broker, None
        self._free()
        broker.down, broker.silent, broker.pace = False, False, math.inf
        broker.forbidden, broker.ends_in, broker.ends_after = set(), None, None
        broker.reasons.clear()
        broker.puback_lost = False
        broker.maximum_packet_size = PACKET_MAX
        # A birth that was refused for what it says is not said again in its session.
        if self.device.store.skipped or "status" in self.ledger.told_forbidden():
            self._end_link()
        clock = self.device.clock
        clock.now_wall_s, clock.was_set = max(clock.wall_s(), START_S), True
        self.device.tend()
        for kind in KINDS[:2]:  # one is enough to find out that a topic is taken again
            self.record(kind)

    def _drain(self) -> None:
        began_s, windows = self.device.now_s, 0
        while missing := self._missing():
            passed_s = self.device.now_s - began_s
            assert passed_s < HEALED_S, missing
            if passed_s > 60 * windows:  # life goes on: their echoes tell what else is wrong
                windows += 1
                self.count(1)
            self._go_on()

    def _missing(self) -> list[object]:
        """What is not as it should be in the end."""
        standing = [one for one in self.device.health.snapshot().conditions if one.code in ENDING]
        what = (self.ledger.waiting, self.broker.pending, standing, self.device.store.skipped)
        return [one for one in (*what, "" if self.broker.subscribed else SUBSCRIBE) if one]

    def _reckon(self) -> None:
        ledger, device = self.ledger, self.device
        for _ in range(3):
            self._go_on()
        assert device.outbox
        assert not device.outbox._gone, "what has gone ahead is forgotten"
        assert not device.outbox._page
        self._end(orderly=True)
        self._start(killed=False)
        assert (device.store.queued, device.store.total) == (0, ledger.total)
        for entry in ledger.entries.values():
            assert entry.arrivals or entry.state in {"aside", "dropped", "lost"}, entry
            assert entry.state != "lost" or entry.seq in ledger.skipped, (entry, ledger.skipped)

    # How it goes on.

    def _start(self, *, killed: bool) -> None:
        self.device.start(lambda: self.ledger.started(killed=killed))

    def _go_on(self) -> None:
        self._watched(self.device.turns.go_on)
        if self.device.turns.ended:
            self._end(orderly=False)
            self._unlock()
            self._start(killed=True)

    def _watched(self, what: Callable[[], None]) -> None:
        """Do it; after a failure nothing is checked any more."""
        sound, self.sound = self.sound, False
        what()
        self.sound = sound

    def _tended(self) -> None:
        clock, stepped = self.device.clock, self.ledger.stepped
        known = stepped.setdefault(clock.now().boot_id, [])
        if (now := (clock.wall_s() - clock.boot_s(), clock.is_set())) not in known[-1:]:
            known.append(now)
        self.ledger.settle()

    def _event(self, name: str, *of: object) -> None:
        getattr(self.ledger, name)(*of)
        if self.kill_at and self.kill_at[0] == name:
            at, after = self.kill_at
            self.kill_at = (at, after - 1) if after else None
            if not after:
                raise KilledError

    def _end_link(self) -> None:
        if self.broker.current:
            self.broker.end, self.broker.ends_in = closed, None
            self.broker.cut = True

    def _free(self) -> None:
        """Let commits succeed again."""
        if self.full:
            free_the_disk(self.device.store)
        self._unlock()

    def _unlock(self) -> bool:
        """End what keeps commits from the file; True if something did."""
        unlocked = self.full or self.lock is not None
        if self.lock:
            self.lock.close()
        self.full, self.lock = False, None
        return unlocked

    def _end(self, *, orderly: bool) -> None:
        device, broker = self.device, self.broker
        began_s, farewells, self.kill_at = device.now_s, broker.farewells, None
        well = orderly and self._is_well()
        self._watched(device.stop if orderly else device.kill)
        assert device.now_s - began_s <= 4.0, "it stops in time"
        if well:
            assert broker.birth()["state"] == "offline"
            assert broker.farewells == farewells + 1

    def _is_well(self) -> bool:
        """True if the farewell can go."""
        broker, held = self.broker, self.ledger.held()
        troubles = (broker.silent, broker.forbidden, broker.reasons, broker.cut, broker.puback_lost)
        ending = {broker.ends_in, broker.ends_after} != {None}
        online = broker.current and not self.device.offline and broker.pace > 1
        refused = self.device.now_s - self.ledger.refused_s < 10
        return bool(online and not any(troubles) and not ending and not held and not refused)
