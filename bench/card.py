"""Row `card`: what a reading costs the card, for each setting of the store.

A reading of 200 bytes a second, by a clock that is moved on: no time passes in between. With a
connection each is acknowledged at once. Beside it the daemon itself, in real time.
"""

from __future__ import annotations

import sqlite3
import threading
import time
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, NamedTuple, Self

from agent.config import StoreLimits
from agent.model import Moment, NewRecord
from agent.store import open_store
from bench.disk import own_disk
from bench.home import thermometers
from bench.rounds import rounds, windows
from bench.table import Row

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from bench.contestants import Bench
    from bench.disk import Disk, Written

#: With the column names, the times and the number a row of 200 bytes.
TEXT = "x" * 170
WALL_S, BOOT_S = 1.8e9, 1000.0


class Way(NamedTuple):
    """One way to keep readings: the store's, with this setting, but for NAIVE."""

    name: str
    commit_after_s: float = 0.0
    online: bool = True


#: The ways of the store that are measured: `commit_after_s`, and with a connection or without.
SETTINGS = ((0.0, True), (0.0, False), (10.0, True), (10.0, False), (60.0, False))
NAIVE = Way("naive")
WAYS = (
    NAIVE,
    *(
        Way(f"agent {after_s:g} s {'online' if online else 'offline'}", after_s, online)
        for after_s, online in SETTINGS
    ),
)
#: The daemon's window, and its time to begin. Nobody listens at the discard service's port.
WINDOW_S, SETTLE_S = 120, 5.0
CLOSED_PORT = 9
BYTES, FLUSHES = "bytes", "flushes"


def rows(bench: Bench, *, quick: bool) -> Iterator[Row]:
    """Bytes and flushes that a reading costs, by the store; but for `quick`, the daemon too."""
    readings = 120 if quick else 300
    place = bench.directory / "alone"
    place.mkdir()
    with own_disk(place) as disk:

        def measure() -> dict[tuple[str, str], float]:
            return {
                (way.name, figure): cost
                for way in WAYS
                for figure, cost in a_reading(written(disk, way, readings), readings)
            }

        found = rounds(2 if quick else 5, measure, name="card")
    condition = (
        f"the store alone: {readings} readings, one a second of a clock that is moved on, each"
        " acknowledged at once if online; naive commits each, and its deletion too;"
        f" {disk.condition}"
    )
    target = "≤ 0.3 x naive" if disk.device else ""  # the journal is the most of it
    yield from _rows("card", condition, found, target=target)
    if disk.device and not quick:
        condition = (
            f"the daemon itself, a simulated sensor a second, windows of {WINDOW_S} s; offline: its"
            " broker does not listen; all side by side, each on a disk of its own;"
            f" {disk.condition}"
        )
        found = windows(2, partial(_by_daemon, bench), name="card, daemon")
        yield from _rows("card, daemon", condition, found, target="≤ 0.3 x naive")


@contextmanager
def _by_daemon(bench: Bench) -> Iterator[Callable[[], dict[tuple[str, str], float]]]:
    """The same in real time."""
    with ExitStack() as stack:
        disks, agents = {}, {}
        for way in WAYS:
            place = stack.enter_context(TemporaryDirectory(dir=bench.directory))
            disks[way.name] = disk = stack.enter_context(own_disk(Path(place)))
            if way is NAIVE:
                stack.enter_context(Ticking(disk.directory / "store.db"))
                continue
            home = bench.home(
                sensors=thermometers(1, 1.0),
                store={"commit_after_s": way.commit_after_s},
                paths={"state": str(disk.directory / "state")},
                mqtt={} if way.online else {"port": CLOSED_PORT},
            )
            agents[way] = stack.enter_context(bench.contestant("agent", home=home, steady=False))
        for way, agent in agents.items():
            if way.online:
                agent.wait_connected()
        time.sleep(SETTLE_S)

        def window() -> dict[tuple[str, str], float]:
            before = {name: disk.written() for name, disk in disks.items()}
            time.sleep(WINDOW_S)
            for way, agent in agents.items():
                agent.check() if way.online else agent.check_runs()
            return {
                (name, figure): cost
                for name, disk in disks.items()
                for figure, cost in a_reading(disk.written().since(before[name]), WINDOW_S)
            }

        yield window


class Ticking(AbstractContextManager["Ticking"]):
    """The naive way in a thread, a reading each second, as long as the context lasts."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Self:
        """Itself, writing."""
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """End it."""
        self._over.set()
        self._thread.join()

    def _run(self) -> None:
        with closing(naive_store(self._path)) as db:
            seq = 0
            while not self._over.wait(1.0):
                seq += 1
                keep_naively(db, seq)


def a_reading(cost: Written, readings: int) -> Iterator[tuple[str, float]]:
    """The figures for one of so many readings."""
    yield BYTES, cost.bytes / readings
    if cost.flushes is not None:
        yield FLUSHES, cost.flushes / readings


def _rows(
    name: str, condition: str, found: Mapping[tuple[str, str], list[float]], *, target: str
) -> Iterator[Row]:
    for figure in (BYTES, FLUSHES):
        values = {way: one for (way, of), one in found.items() if of == figure}
        if values:
            bound = target if figure == BYTES else ""
            yield Row(
                f"{name}, {figure}", condition, f"{figure}/reading", NAIVE.name, values, bound
            )


def written(disk: Disk, way: Way, readings: int) -> Written:
    """Cost of so many readings, from the open store to the last commit that is due."""
    path = disk.directory / "store.db"
    run = naive if way is NAIVE else kept
    try:
        return run(path, way, readings, disk.written)
    finally:
        for left in disk.directory.glob("store.db*"):
            left.unlink()


def naive(path: Path, _: Way, readings: int, look: Callable[[], Written]) -> Written:
    """A log that starts small, two commits a reading."""
    with closing(naive_store(path)) as db:
        before = look()
        for seq in range(readings):
            keep_naively(db, seq)
        return look().since(before)


def naive_store(path: Path) -> sqlite3.Connection:
    """A store as durable as the agent's, without a thought for the card."""
    db = sqlite3.connect(path, isolation_level=None)
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("PRAGMA synchronous = FULL")
    db.execute("CREATE TABLE records (seq INTEGER PRIMARY KEY, body TEXT)")
    return db


def keep_naively(db: sqlite3.Connection, seq: int) -> None:
    """Commit one, and delete it again, acknowledged."""
    db.execute("INSERT INTO records VALUES (?, ?)", (seq, TEXT))
    db.execute("DELETE FROM records WHERE seq = ?", (seq,))


def kept(path: Path, way: Way, readings: int, look: Callable[[], Written]) -> Written:
    """The agent's store."""
    passed_s = 0.0
    limits = StoreLimits(path=path, commit_after_s=way.commit_after_s)
    with open_store(
        limits, wall_s=lambda: WALL_S + passed_s, boot_s=lambda: BOOT_S + passed_s
    ) as store:
        before = look()
        for number in range(1, readings + 1):
            passed_s = float(number)
            moment = Moment(WALL_S + passed_s, BOOT_S + passed_s, "boot")
            record = store.append(NewRecord("sensors/room", moment.wall_s, moment, {"text": TEXT}))
            if way.online:
                store.acknowledge(record.seq)
            if store.flush_due_s() <= moment.boot_s:
                store.flush()
        return look().since(before)
