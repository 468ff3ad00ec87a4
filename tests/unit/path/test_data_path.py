"""Any history of the whole data path, held against a plain list.

Every record arrives exactly once countable, in the order of its topic, or is told as dropped; the
queue is never idle while online and something may go; a command is applied once.
"""

from __future__ import annotations

import json
import os
import sqlite3
from typing import TYPE_CHECKING

from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import initialize, precondition, rule

from agent.errors import LinkLostError
from agent.mqtt.answers import PACKET_MAX, ServerEndedError, SilentError
from tests.fakes import START_S
from tests.unit.path.machine import KINDS, Machine
from tests.unit.path.wire import command_of
from tests.unit.store.conftest import fill_the_disk
from tests.unit.uplink.broker import SUBSCRIBE, closed

if TYPE_CHECKING:
    from collections.abc import Callable

THING = "living-room"
TOPICS = [SUBSCRIBE, *(f"{THING}/{name}" for name in ("status", *KINDS))]
ENDS: list[Callable[[], LinkLostError]] = [
    closed,
    lambda: ServerEndedError(0x87),
    lambda: ServerEndedError(0x8E),
    lambda: SilentError("the network is silent"),
    lambda: LinkLostError("no route to host"),
]
GARBAGE = [b"", b"\xff", b"[1]", b"true", b"-1", b"{}", b'{"set": 1}', b'{"set": 1e3, "id": "x"}']

#: What a dying cell makes of a row; the last one is as sound as before.
FLIPS = [
    *("kind = 'c#unt'", "body = x'7b'", "wall_s = 'x'", "timestamp_s = -1"),
    "kind = 'sensors/hall'",
]

times = st.sampled_from([0.2, 1.0, 4.0, 20.0, 60.0, 300.0, 3600.0])
few = st.integers(0, 4)
policies = st.just({SUBSCRIBE}) | st.sets(st.sampled_from(TOPICS), max_size=2)
totals, names = st.integers(0, 99), st.sampled_from("abc")
orders = (
    st.builds(lambda value, name: {"set": value, "id": name}, totals, names)
    | st.builds(lambda name: {"reset": True, "id": name}, names)
    | totals
)


class PathMachine(Machine):
    """A device and its broker, with all that happens to them."""

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
        self.open(receive_maximum, **settings)

    # The house.

    @rule(kind=st.sampled_from(KINDS[:2]), size=st.sampled_from([0, 0, 0, 900]), times=few)
    def readings(self, kind: str, size: int, times: int) -> None:
        """Some of one sensor."""
        for _ in range(times + 1):
            self.record(kind, temperature_c=20.5, text="x" * size)

    @rule(seen=st.none() | st.integers(0, 9))
    def window(self, seen: int | None) -> None:
        """A count, of a window that somebody watched or not."""
        self.count(seen)

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
        self.device.clock.was_set |= is_set and self.device.clock.plausible()
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

    @rule(topics=policies, forgets=st.booleans())
    def forbid(self, topics: set[str], forgets: bool) -> None:  # noqa: FBT001
        """Another policy, or the right one; with it the session may be gone."""
        self.broker.forbidden = topics
        if forgets:
            self.broker_loses_the_session()

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

    @rule(commands=st.lists(orders, min_size=1, max_size=3))
    def commands(self, commands: list[object]) -> None:
        """Of the cloud."""
        for command in commands:
            self.broker.tell(f"{THING}/count", json.dumps(command).encode())

    @rule(payload=st.sampled_from(GARBAGE))
    def garbage(self, payload: bytes) -> None:
        """From whomever."""
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

    @precondition(lambda self: not self.lock and not self.full)
    @rule(first=orders, second=orders, turns=few)
    def commands_around_a_lock(self, first: object, second: object, turns: int) -> None:
        """One that cannot be kept, and one that could before the store knows that it can."""
        self.no_commits(full=False)
        self.record(KINDS[0])
        self.commands([first])
        self.steps(1 + turns)
        self._free()
        self.commands([second])
        self.steps(1)

    @precondition(lambda self: self.lock or self.full)
    @rule()
    def commits_again(self) -> None:
        """The end of that."""
        self._free()

    @precondition(lambda self: not self.lock and not self.full)
    @rule(
        change=st.sampled_from(FLIPS),
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
            self.device.reboot(wall_s=wall_s + wrong_s, is_set=is_set and wrong_s > -1e6)
        self._start(killed=self._unlock() or not orderly)

    @rule()
    def retry(self) -> None:
        """A person wishes it."""
        self.device.uplink.retry()


assert all(command_of(payload) is None for payload in GARBAGE)

TestDataPath = PathMachine.TestCase

#: A failure is told as it was found: to make it smaller takes minutes.
TestDataPath.settings = settings(
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    max_examples=int(os.environ.get("FUZZ_EXAMPLES", "150")),
    stateful_step_count=50,
)


def test_a_forbidden_subscribe_is_sent_again_in_the_same_session() -> None:
    """Once it may be, within the hour, though no connection ends."""
    machine = PathMachine()
    machine.begin(5, five=True, window=5, per_s=80, commit_after_s=0.0, max_rows=1000)
    machine.forbid({SUBSCRIBE}, forgets=True)
    machine.steps(6)
    assert machine.ledger.told_forbidden() == {SUBSCRIBE}
    connects = machine.broker.connects
    machine.teardown()
    assert (machine.broker.subscribed, machine.broker.connects) == (True, connects)
