"""Row `start`: from nothing to the first reading taken, and to its acknowledgement."""

from __future__ import annotations

import re
import shutil
import sqlite3
import time
from contextlib import closing
from typing import TYPE_CHECKING, NamedTuple

from bench.broker import Broker
from bench.home import thermometers
from bench.rounds import VoidError, rounds
from bench.table import Row

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bench.contestants import Bench, Contestant
    from bench.home import Home

#: Those that are measured with each paho, and the rest.
BOTH = ("agent", "tutorial", "bare")
PEERS = ("awsiotsdk", "awsiotsdk 5", "AWSIoTPythonSDK", "mqtt-io")

READY = "READY=1"
NEWEST = "SELECT coalesce(max(seq), 0) FROM records WHERE kind LIKE 'sensors/%'"
LOOK_S, PATIENCE_S = 0.0005, 30.0


TAKEN, CPU, WALL = (
    "CPU to the first reading",
    "CPU to the first PUBACK",
    "wall time to the first PUBACK",
)


class Case(NamedTuple):
    """A contestant in its environment; one whose store is `kept` finds one of an earlier start."""

    name: str
    paho: str = "deb"
    kept: bool = False

    @property
    def label(self) -> str:
        """Its name in a row, which is of one paho."""
        return f"{self.name}, store kept" if self.kept else self.name


def rows(bench: Bench, *, quick: bool) -> Iterator[Row]:
    """CPU and wall milliseconds, one contestant at a time, interleaved."""
    pahos = bench.pahos()
    cases = [Case(name, paho) for paho in pahos for name in BOTH]
    cases += [Case("agent", paho, kept=True) for paho in pahos]
    cases += [Case(name) for name in bench.available(*PEERS)]
    with Broker(bench.certificates, verbose=True) as broker:

        def home(*, with_store: bool = False) -> Home:
            new = bench.home(broker=broker, sensors=thermometers(1, 60.0))
            if with_store:
                shutil.copytree(earlier.store.parent, new.store.parent)
            return new

        earlier = home()
        _start(bench, broker, Case("agent"), earlier)  # makes the store, compiles what is not

        def measure() -> dict[tuple[Case, str], float]:
            found: dict[tuple[Case, str], float] = {}
            for case in cases:
                cpu_ms, wall_ms = _start(bench, broker, case, home(with_store=case.kept))
                found |= {(case, CPU): cpu_ms, (case, WALL): wall_ms, (case, TAKEN): cpu_ms}
                if case.name == "agent":
                    again = home(with_store=case.kept)
                    found[case, TAKEN], _ = _start(bench, broker, case, again, watched=True)
            return found

        found = rounds(3 if quick else 12, measure, name="start")
    from_exec = (
        "from exec, with setpriv before it, about 1 %; modules are compiled; one at a time;"
        " a new store each time but for the one that is kept, a copy of one whose owner was killed"
    )
    taken = "the agent's first reading is on the card; of a peer, its first PUBACK"
    puback = "the PUBACK of the agent's first reading, or of a peer's first message"
    for figure, condition, target in (
        (TAKEN, taken, "≤ 70"),
        (CPU, puback, ""),
        (WALL, puback, "≤ 1.5 x tutorial"),
    ):
        for paho, version in pahos.items():
            values = {
                case.label: one
                for (case, what), one in found.items()
                if what == figure and (case.paho == paho or case.name in PEERS)
            }
            name = f"start, {figure}, {version}"
            yield Row(name, f"{condition}; {from_exec}", "ms", "tutorial", values, target)


def _start(
    bench: Bench, broker: Broker, case: Case, home: Home, *, watched: bool = False
) -> tuple[float, float]:
    """CPU and wall milliseconds to the first PUBACK; of an agent that is `watched`, to a reading.

    Looking for that takes some of the processor, and so wall time of the agent's.
    """
    newest, ready = newest_reading(home), bench.systemd.count(READY)
    with bench.contestant(case.name, paho=case.paho, home=home, broker=broker) as running:
        if not watched:
            at_s = acknowledged(broker, running, "sensors/" if case.name == "agent" else "")
            return running.cpu_s * 1000, (at_s - running.began_s) * 1000
        while bench.systemd.count(READY) == ready or newest_reading(home) == newest:
            if time.monotonic() > running.began_s + PATIENCE_S:
                raise VoidError(f"no reading in {PATIENCE_S:g} s: {running.log[-400:]}")
            time.sleep(LOOK_S)
        return running.cpu_s * 1000, (time.monotonic() - running.began_s) * 1000


def newest_reading(home: Home) -> int:
    """The number of the newest reading in an agent's store; 0 if there is none."""
    if not home.store.exists():
        return 0
    with closing(sqlite3.connect(f"file:{home.store}?mode=ro", uri=True)) as db:
        number: int = db.execute(NEWEST).fetchone()[0]
    return number


def acknowledged(broker: Broker, running: Contestant, topic: str) -> float:
    """When a contestant's first message on a topic with `topic` in it had its PUBACK.

    Needs a verbose broker. Raises VoidError.
    """
    name = re.escape(running.name)
    sent = rf"Received PUBLISH from {name} \(d\d, q1, r\d, m\d+, '[^']*{topic}"
    try:
        received = broker.wait(sent, behind=running.behind).text
        number = received.partition(", m")[2].partition(",")[0]
        return broker.wait(rf"Sending PUBACK to {name} \(m{number},", behind=running.behind).at_s
    except TimeoutError as error:
        raise VoidError(f"{error}; {running.log[-400:]}") from None
