"""Any history of the whole data path, held against a plain list.

Every record arrives exactly once countable, in the order of its topic, or is told as dropped; the
queue is never idle while online and something may go; a command is applied once.
"""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from agent.errors import LinkLostError
from agent.model import COUNT, NewRecord
from agent.mqtt.answers import PACKET_MAX, ServerEndedError, SilentError
from tests.fakes import START_S
from tests.unit.path.device import Device, KilledError
from tests.unit.path.ledger import Ledger, command_of
from tests.unit.store.conftest import fill_the_disk, free_the_disk
from tests.unit.uplink.broker import SUBSCRIBE, closed

if TYPE_CHECKING:
    from collections.abc import Callable

    from agent.model import Json

THING = "living-room"
KINDS = ["sensors/room", "sensors/hall", COUNT]
TOPICS = [SUBSCRIBE, *(f"{THING}/{name}" for name in ("status", *KINDS))]
ENDS: list[Callable[[], LinkLostError]] = [
    closed,
    lambda: ServerEndedError(0x87),
    lambda: ServerEndedError(0x8E),
    lambda: SilentError("the network is silent"),
    lambda: LinkLostError("no route to host"),
]
GARBAGE = [b"", b"\xff", b"[1]", b"true", b"-1", b"{}", b'{"set": 1}', b'{"set": 1e3, "id": "x"}']

#: The longest time in which all is taken that was forbidden before, and some for the rest.
HEALED_S = 3600.0 + 300.0

#: Conditions that end then.
ENDING = {"not-authorized", "not-subscribed", "not-confirmed", "offline"}

#: A directory in memory, where an fsync takes no time; any other does too.
MEMORY = Path("/dev/shm")  # noqa: S108

times = st.sampled_from([0.2, 1.0, 4.0, 20.0, 60.0, 300.0, 3600.0])
few = st.integers(0, 4)


class PathMachine(RuleBasedStateMachine):
    """A device and its broker, with all that happens to them."""

    def __init__(self) -> None:
        super().__init__()
        self.directory = Path(tempfile.mkdtemp(dir=MEMORY if MEMORY.is_dir() else None))
        self.lock: sqlite3.Connection | None = None
        self.full = False
        self.kill_at: tuple[str, int] | None = None
        self.number = 0
        self.sound = self.begun = False

    @initialize(
        five=st.booleans(),
        window=st.sampled_from([1, 2, 3, 5, 20]),
        receive_maximum=st.sampled_from([1, 2, 4, 100]),
        per_s=st.sampled_from([1, 80]),
        commit_after_s=st.sampled_from([0.0, 0.0, 10.0]),
        max_rows=st.sampled_from([5, 12, 1000, 1000]),
    )
    def begin(self, receive_maximum: int, **settings: float) -> None:
        """A first start."""
        self.device = device = Device(self.directory, **settings)  # type: ignore[arg-type]
        self.broker = device.broker
        self.broker.receive_maximum = receive_maximum
        self.ledger = Ledger(device)
        self.broker.event = self._event
        device.waiting = self.ledger.waits
        device.tended = self._tended
        self._start(killed=False)
        self.sound = self.begun = True

    # The house.

    @rule(kind=st.sampled_from(KINDS[:2]), size=st.sampled_from([0, 0, 0, 900]), times=few)
    def readings(self, kind: str, size: int, times: int) -> None:
        """Some of one sensor."""
        for _ in range(times + 1):
            moment = self.device.clock.now()
            body: dict[str, Json] = {"temperature_c": 20.5, "n": self._next(), "text": "x" * size}
            self._append(NewRecord(kind, round(moment.wall_s, 3), moment, body))

    @rule(seen=st.none() | st.integers(0, 9))
    def count(self, seen: int | None) -> None:
        """One of a window, which somebody watched or not."""
        moment = self.device.clock.now()
        quality = "sensor_fault" if seen is None else "ok"
        body: dict[str, Json] = {
            "detect_count": seen,
            "window_s": 600,
            "quality": quality,
            "n": self._next(),
        }
        record = NewRecord(COUNT, moment.wall_s // 600 * 600, moment, body)
        self._append(record, detections=seen or 0)

    @rule(seconds=times)
    def time_passes(self, seconds: float) -> None:
        """And the device does what is due."""
        until_s = self.device.now_s + seconds
        while self.sound and self.device.now_s < until_s:
            self._go_on()

    @rule(turns=st.integers(1, 6))
    def steps(self, turns: int) -> None:
        """A few, in which little time passes."""
        for _ in range(turns):
            self._go_on()

    @rule(seconds=st.sampled_from([-7200.0, -30.0, 0.5, 30.0, 7200.0]), is_set=st.booleans())
    def clock_steps(self, seconds: float, is_set: bool) -> None:  # noqa: FBT001
        """A person or a time server sets it."""
        self.device.clock.jump(seconds)
        self.device.clock.was_set |= is_set
        self.device.tend()

    # The broker and the network.

    @rule(
        after=few,
        end=st.sampled_from(ENDS),
        way=st.sampled_from(["ends_in", "ends_after", "puback_lost"]),
    )
    def link_will_end(self, after: int, end: Callable[[], LinkLostError], way: str) -> None:
        """Before the broker took a packet, or with its answer, or with ours."""
        self.broker.end = end
        setattr(self.broker, way, True if way == "puback_lost" else after)

    @rule(reasons=st.lists(st.sampled_from([0x80, 0x97, 0x87, 0x90, 0x99, 0x95, 0]), max_size=4))
    def refusals(self, reasons: list[int]) -> None:
        """Of the next messages."""
        self.broker.reasons.extend(reasons)

    @rule(topics=st.sets(st.sampled_from(TOPICS), max_size=2))
    def forbid(self, topics: set[str]) -> None:
        """Another policy, or the right one."""
        self.broker.forbidden = topics

    @rule(down=st.booleans(), silent=st.booleans(), slow=st.booleans())
    def network(self, down: bool, silent: bool, slow: bool) -> None:  # noqa: FBT001
        """How it is from now on."""
        self.broker.down, self.broker.silent = down, silent
        self.broker.pace = 1 if slow else float("inf")

    @rule(receive_maximum=st.sampled_from([1, 3, 100]), size=st.sampled_from([700, PACKET_MAX]))
    def limits(self, receive_maximum: int, size: int) -> None:
        """Of the next connections."""
        self._end_link()
        self.broker.receive_maximum, self.broker.maximum_packet_size = receive_maximum, size

    @rule()
    def broker_loses_the_session(self) -> None:
        """With all that it knows."""
        self._end_link()
        self.broker.lose_session()
        self.ledger.subscribed = False

    @rule(
        value=st.integers(0, 99),
        name=st.none() | st.sampled_from("abcd"),
        how=st.sampled_from(["set", "set", "reset", *GARBAGE]),
    )
    def message(self, value: int, name: str | None, how: str | bytes) -> None:
        """A command of the cloud, or what anybody sends."""
        command = {"reset": True, "id": name} if how == "reset" else {"set": value, "id": name}
        payload = how if isinstance(how, bytes) else json.dumps(command if name else value).encode()
        self.broker.tell(f"{THING}/count", payload)

    # The card and the process.

    @precondition(lambda self: not self.lock and not self.full)
    @rule(full=st.booleans())
    def no_commits(self, full: bool) -> None:  # noqa: FBT001
        """A full card, or a file that another program has locked."""
        if full:
            self.full = True
            fill_the_disk(self.device.store)
        else:
            self.lock = sqlite3.connect(self.device.config.store.path, isolation_level=None)
            self.lock.execute("BEGIN IMMEDIATE")

    @precondition(lambda self: self.lock or self.full)
    @rule()
    def commits_again(self) -> None:
        """The end of that."""
        if self.full:
            free_the_disk(self.device.store)
        self._unlock()

    @precondition(lambda self: not self.lock and not self.full)
    @rule(
        change=st.sampled_from(
            ["kind = 'c#unt'", "body = x'7b'", "wall_s = 'x'", "timestamp_s = -1", "kind = 'a/b'"]
        ),
        data=st.data(),
    )
    def bit_flips(self, change: str, data: st.DataObject) -> None:
        """In a row that is in the file."""
        db = self.device.store._write_behind.db
        found = [seq for (seq,) in db.execute("SELECT seq FROM records WHERE NOT acknowledged")]
        if rows := sorted(self.ledger.waiting.keys() & found):
            seq = data.draw(st.sampled_from(rows))
            db.execute(f"UPDATE records SET {change} WHERE seq = ?", (seq,))  # noqa: S608
            self.ledger.waiting[seq].spoiled = self.ledger.waiting[seq].condemned = True

    @rule(at=st.sampled_from(["sent", "taken", "answered", "message"]), after=few)
    def will_be_killed(self, at: str, after: int) -> None:
        """In the midst of something."""
        self.kill_at = at, after

    @rule(
        orderly=st.booleans(),
        reboot=st.booleans(),
        wrong_s=st.sampled_from([0.0, -40_000.0, -1e9]),
        is_set=st.booleans(),
    )
    def ends(self, orderly: bool, reboot: bool, wrong_s: float, is_set: bool) -> None:  # noqa: FBT001
        """The process, or the whole machine, whose clock may then be wrong."""
        self._end(orderly=orderly)
        if reboot:
            wall_s = max(self.device.clock.wall_s(), START_S)
            self.device.reboot(wall_s=wall_s + wrong_s, is_set=is_set)
        self._start(killed=self._unlock() or not orderly)

    @rule()
    def retry(self) -> None:
        """A person wishes it."""
        self.device.uplink.retry()

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
        self.commits_again()
        self.network(down=False, silent=False, slow=False)
        broker.forbidden, broker.ends_in, broker.ends_after = set(), None, None
        broker.reasons.clear()
        broker.puback_lost = False
        broker.maximum_packet_size = PACKET_MAX
        self._end_link()
        clock = self.device.clock
        clock.now_wall_s, clock.was_set = max(clock.wall_s(), START_S), True
        self.device.tend()
        for kind in KINDS[:2]:  # one is enough to find out that a topic is taken again
            self.readings(kind, 0, 0)
        self.count(1)

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

    def _append(self, new: NewRecord, *, detections: int | None = None) -> None:
        self.ledger.append(new, detections=detections)

    def _next(self) -> int:
        self.number += 1
        return self.number

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
        broker, held = self.broker, self.device.uplink._forbidden.held()
        troubles = (broker.silent, broker.forbidden, broker.reasons, broker.cut, broker.puback_lost)
        ending = {broker.ends_in, broker.ends_after} != {None}
        online = broker.current and not self.device.offline and broker.pace > 1
        refused = self.device.now_s - self.ledger.refused_s < 10
        return bool(online and not any(troubles) and not ending and not held and not refused)


assert all(command_of(payload) is None for payload in GARBAGE)

TestDataPath = PathMachine.TestCase

TestDataPath.settings = settings(
    max_examples=int(os.environ.get("FUZZ_EXAMPLES", "400")),
    stateful_step_count=50,
)
