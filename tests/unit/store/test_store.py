"""The durable queue, held against a plain list, and against what cards and people do to files."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import threading
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from agent import BUILT_S
from agent.config import StoreLimits
from agent.errors import StoreError
from agent.model import Moment, NewRecord
from agent.store import StoreMissingError, inspect, open_store

if TYPE_CHECKING:
    from agent.model import Json
    from agent.store import Store

WALL_S = 1_795_500_000.0
DAY_S = 86_400.0
MOMENT = Moment(WALL_S, 100.0, "boot")


def new(kind: str = "sensors/room", *, moment: Moment = MOMENT, **body: Json) -> NewRecord:
    """A record to store."""
    return NewRecord(kind, moment.wall_s, moment, body)


def numbers(store: Store, after_seq: int = 0, limit: int = 10_000) -> list[int]:
    """The numbers of the waiting records."""
    return [record.seq for record in store.waiting(after_seq, limit)]


@pytest.fixture
def limits(tmp_path: Path) -> StoreLimits:
    """Where the store is; bounds that no test meets by accident."""
    return StoreLimits(path=tmp_path / "state" / "store.db")


def test_what_was_appended_waits_as_it_was(limits: StoreLimits) -> None:
    """Records come back complete and in order, after a restart too."""
    values: dict[str, Json] = {"a": 1, "b": -0.1, "c": None, "d": [True, {"ü": "\U0001f600"}]}
    with open_store(limits) as store:
        first = store.append(NewRecord("count", WALL_S, MOMENT, values))
        second = store.append(NewRecord("sensors/room", WALL_S + 0.125, MOMENT, {"huge": 2**80}))
        assert store.waiting(0, 10) == [first, second]
        epoch = store.epoch
    assert (first.seq, first.body, second.seq) == (1, values, 2)
    assert first.epoch == epoch
    assert len(epoch) == 16
    with open_store(limits) as store:
        assert store.epoch == epoch
        assert store.waiting(0, 10) == [first, second]
        assert store.waiting(1, 10) == [second]
        assert store.waiting(0, 1) == [first]
        assert (store.queued, store.newest_seq, store.reset) == (2, 2, "")


def test_detections_grow_the_total_in_the_same_transaction(limits: StoreLimits) -> None:
    """The body says the total with them; other records do not know of it."""
    with open_store(limits) as store:
        assert store.append(new("count"), detections=3).body == {"total": 3}
        assert store.append(new("count"), detections=0).body == {"total": 3}
        assert store.append(new("sensors/room", x=1)).body == {"x": 1}
        assert store.append(new("count"), detections=2).body == {"total": 5}
    with open_store(limits) as store:
        assert store.total == 5


def test_nothing_happens_when_a_body_cannot_be_written(limits: StoreLimits) -> None:
    """Neither is a number spent nor does the total grow."""
    with open_store(limits) as store:
        for value in (float("nan"), "\ud800"):
            with pytest.raises(ValueError, match=r"JSON|surrogates"):
                store.append(new("count", x=value), detections=7)
        assert (store.total, store.queued) == (0, 0)
        assert store.append(new("count"), detections=1).seq == 1


def test_an_acknowledged_record_no_longer_waits(limits: StoreLimits) -> None:
    """It leaves the file with the next commit, whatever commits."""
    with open_store(limits) as store:
        for _ in range(3):
            store.append(new())
        store.acknowledge(1)
        store.acknowledge(3)
        store.acknowledge(3)
        store.acknowledge(99)
        assert (numbers(store), store.queued) == ([2], 1)
        assert inspect(limits.path, 10).queued == 3
        store.append(new())
        assert (numbers(store), store.queued) == ([2, 4], 2)
        assert inspect(limits.path, 10).queued == 2


def test_numbers_go_on_without_holes_when_all_is_acknowledged(limits: StoreLimits) -> None:
    """The newest row stays as a mark until the next one takes its place."""
    with open_store(limits) as store:
        for _ in range(5):
            store.acknowledge(store.append(new()).seq)
    for seq in (6, 7):
        with open_store(limits) as store:
            assert (numbers(store), store.queued) == ([], 0)
            assert store.newest("sensors/room") is None
            assert store.append(new()).seq == seq
            store.acknowledge(seq)


def test_what_was_acknowledged_but_not_committed_is_sent_again_after_a_crash(
    limits: StoreLimits, tmp_path: Path
) -> None:
    """At least once; after a flush it is not."""
    crashed = StoreLimits(path=tmp_path / "crashed.db")
    with open_store(limits) as store:
        for _ in range(3):
            store.append(new())
        store.acknowledge(1)
        store.flush()
        store.acknowledge(2)
        for suffix in ("", "-wal"):
            shutil.copy(f"{limits.path}{suffix}", f"{crashed.path}{suffix}")
    with open_store(crashed) as store:
        assert numbers(store) == [2, 3]


def test_acknowledgements_do_not_pile_up_in_memory(limits: StoreLimits) -> None:
    """A thousand of them commit by themselves."""
    with open_store(limits) as store:
        for _ in range(1001):
            store.append(new())
        for seq in range(1, 1002):
            store.acknowledge(seq)
        assert inspect(limits.path, 10).queued == 1
        assert store.queued == 0


def test_the_newest_of_a_kind_is_found(limits: StoreLimits) -> None:
    """Unless it is acknowledged, or not newer than asked for."""
    with open_store(limits) as store:
        for kind in ("count", "sensors/room", "count", "sensors/room"):
            store.append(new(kind))

        def newest(after_seq: int = 0) -> int | None:
            found = store.newest("count", after_seq)
            return found.seq if found else None

        assert newest() == 3
        assert newest(3) is None
        store.acknowledge(3)
        assert newest() == 1
        assert store.newest("sensors/attic") is None


def test_a_command_is_applied_once_for_each_id(limits: StoreLimits) -> None:
    """Across restarts; a bare number has no id and always applies."""
    with open_store(limits) as store:
        assert store.set_total(100, "a")
        assert not store.set_total(5, "a")
        assert store.total == 100
        assert store.set_total(7, None)
        assert store.set_total(7, None)
    with open_store(limits) as store:
        assert store.total == 7
        assert not store.set_total(5, "a")
        assert store.set_total(2**53 - 1, "b")
        assert store.append(new("count"), detections=1).body == {"total": 2**53}
    with open_store(limits) as store:
        assert store.total == 2**53


def test_the_last_thousand_ids_are_kept(limits: StoreLimits) -> None:
    """The one before them is forgotten, and the table does not grow."""
    with open_store(limits) as store:
        for number in range(1001):
            assert store.set_total(number, f"id {number}")
        assert not store.set_total(1, "id 1")
        assert store.set_total(1, "id 0")
    with closing(sqlite3.connect(limits.path)) as db, db:
        assert db.execute("SELECT count(*) FROM commands").fetchone() == (1000,)
    db.close()


def test_a_record_that_nobody_takes_is_set_aside(limits: StoreLimits) -> None:
    """It no longer waits, and a person can look at it."""
    with open_store(limits, wall_s=lambda: 42.0) as store:
        for number in range(3):
            store.append(new("count", n=number))
        store.set_aside(2, "payload format not valid")
        store.set_aside(2, "again")
        store.set_aside(99, "none")
        store.set_aside(3, "topic name not valid")
        assert (numbers(store), store.queued, store.dropped) == ([1], 1, 0)
        assert store.append(new()).seq == 4
    with closing(sqlite3.connect(limits.path)) as db, db:
        dead = db.execute("SELECT seq, kind, body, reason, set_aside_s FROM dead").fetchall()
    db.close()
    assert dead == [
        (2, "count", b'{"n":1}', "payload format not valid", 42.0),
        (3, "count", b'{"n":2}', "topic name not valid", 42.0),
    ]


def test_records_set_aside_do_not_fill_the_card(limits: StoreLimits) -> None:
    """The newest thousand are kept, the others count as dropped."""
    with open_store(limits) as store:
        for _ in range(1003):
            store.set_aside(store.append(new()).seq, "no")
        assert store.dropped == 3
    with open_store(limits) as store:
        assert (store.dropped, store.queued) == (3, 0)


def test_the_oldest_go_when_there_are_too_many(tmp_path: Path) -> None:
    """They are counted, for good, and their late PUBACK does no harm."""
    limits = StoreLimits(path=tmp_path / "store.db", max_rows=3)
    with open_store(limits) as store:
        for _ in range(5):
            store.append(new())
        assert (numbers(store), store.queued, store.dropped) == ([3, 4, 5], 3, 2)
        store.acknowledge(1)
        assert store.queued == 3
        store.acknowledge(4)
        store.append(new())
        assert (numbers(store), store.queued, store.dropped) == ([3, 5, 6], 3, 2)
    with open_store(limits) as store:
        assert store.dropped == 2
    assert reasons(limits.path) == {"rows": 2}


def test_the_oldest_go_when_they_are_too_long(tmp_path: Path) -> None:
    """What counts is the bytes of the bodies; the newest is always kept."""
    limits = StoreLimits(path=tmp_path / "store.db", max_mib=0.1)
    with open_store(limits) as store:
        for _ in range(12):
            store.append(new(text="x" * 10_000))
        assert (store.queued, store.dropped) == (10, 2)
        store.append(new(text="x" * 200_000))
        assert numbers(store) == [13]
    assert reasons(limits.path) == {"bytes": 12}


def test_the_oldest_go_when_they_are_too_old(tmp_path: Path) -> None:
    """Age is boot time within a boot, wall time between boots, unknown if that was never set."""
    limits = StoreLimits(path=tmp_path / "store.db", max_age_days=1)
    now_s = BUILT_S + 100 * DAY_S
    with open_store(limits) as store:
        store.append(new(moment=Moment(now_s - 2 * DAY_S, 5.0, "old")))
        assert numbers(store) == [1]
    with open_store(limits) as store:
        store.append(new(moment=Moment(now_s + 900, 100.0, "boot")))
        assert numbers(store) == [2]
        store.append(new(moment=Moment(now_s - 90 * DAY_S, 100.0 + DAY_S, "boot")))
        assert numbers(store) == [2, 3]
        store.append(new(moment=Moment(now_s, 800.0 + DAY_S, "boot")))
        assert (numbers(store), store.dropped) == ([3, 4], 2)
    assert reasons(limits.path) == {"age": 2}
    other = StoreLimits(path=tmp_path / "other.db", max_age_days=1)
    with open_store(other) as store:
        store.append(new(moment=Moment(1000.0, 5.0, "never set")))
    with open_store(other) as store:
        store.append(new())
        assert numbers(store) == [1, 2]


def reasons(path: Path) -> dict[str, int]:
    """How many were dropped for which reason, as the file says."""
    with closing(sqlite3.connect(path)) as db, db:
        found = dict(db.execute("SELECT name, value FROM meta WHERE name LIKE 'dropped_%'"))
    db.close()
    return {name.removeprefix("dropped_"): rows for name, rows in found.items() if rows}


def test_all_files_are_private(limits: StoreLimits) -> None:
    """Readings tell when somebody is at home."""
    before = os.umask(0)
    try:
        with open_store(limits) as store:
            store.append(new())
            modes = {
                path.name: path.stat().st_mode & 0o777 for path in limits.path.parent.iterdir()
            }
    finally:
        os.umask(before)
    names = [f"store.db{end}" for end in ("", "-block", "-shm", "-spare", "-wal")]
    assert modes == dict.fromkeys(names, 0o600)
    assert limits.path.parent.stat().st_mode & 0o777 == 0o700
    left = {path.name for path in limits.path.parent.iterdir()}
    assert left == {"store.db", "store.db-block", "store.db-spare"}


def test_the_log_is_grown_once_and_keeps_its_size(limits: StoreLimits) -> None:
    """A log that grows with each commit costs the card twice as much."""
    with open_store(limits) as store:
        log = limits.path.with_name("store.db-wal")
        size = log.stat().st_size
        assert size > 200_000
        for _ in range(500):
            store.acknowledge(store.append(new(text="x" * 200)).seq)
        assert log.stat().st_size == size
        assert store._write_behind._db.execute("PRAGMA page_size").fetchone() == (1024,)


def test_every_commit_is_forced_to_the_card(limits: StoreLimits) -> None:
    """Full synchronisation, which no test can see without a power cut."""
    with open_store(limits) as store:
        assert store._write_behind._db.execute("PRAGMA synchronous").fetchone() == (2,)


def spoil_with_text(path: Path) -> None:
    """No database at all."""
    path.write_text("I am a text file, and a long one. " * 100)


def spoil_to_nothing(path: Path) -> None:
    """What a power cut leaves of a file whose data was not on the disk."""
    path.write_bytes(b"")


def spoil_by_half(path: Path) -> None:
    """Only the first half is there."""
    os.truncate(path, path.stat().st_size // 2)


def spoil_the_middle(path: Path) -> None:
    """The header is good, the pages behind it are not."""
    data = path.read_bytes()
    path.write_bytes(data[:2048] + b"\xa5" * (len(data) - 2048))


def spoil_with_another_version(path: Path) -> None:
    """A store of a later version."""
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("PRAGMA user_version = 99")
    db.close()


def spoil_with_a_foreign_database(path: Path) -> None:
    """Somebody else's database."""
    path.unlink()
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("CREATE TABLE songs (title)")
    db.close()


def spoil_the_counters(path: Path) -> None:
    """A table is empty."""
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("DELETE FROM meta")
    db.close()


def spoil_the_schema(path: Path) -> None:
    """A table is gone."""
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("DROP TABLE records")
    db.close()


@pytest.mark.parametrize(
    "spoil",
    [
        spoil_with_text,
        spoil_to_nothing,
        spoil_by_half,
        spoil_the_middle,
        spoil_with_another_version,
        spoil_with_a_foreign_database,
        spoil_the_counters,
        spoil_the_schema,
    ],
)
def test_a_spoiled_file_is_moved_aside(limits: StoreLimits, spoil: object) -> None:
    """A new store of another epoch begins; the old file is kept whole beside it."""
    assert callable(spoil)
    with open_store(limits) as store:
        epoch = store.epoch
        for _ in range(50):
            store.append(new(text="x" * 200))
    spoil(limits.path)
    remains = limits.path.read_bytes()
    log = limits.path.with_name("store.db-wal")
    log.write_bytes(b"a log that is none")

    with open_store(limits, wall_s=lambda: 1234.5) as store:
        assert store.epoch != epoch
        assert "store.db.corrupt-1234" in store.reset
        assert store.append(new()).seq == 1
    aside = limits.path.with_name("store.db.corrupt-1234")
    assert aside.read_bytes() == remains
    with open_store(limits, wall_s=lambda: 1234.5) as store:
        assert (store.reset, numbers(store)) == ("", [1])


def test_a_second_spoiled_file_does_not_replace_the_first(limits: StoreLimits) -> None:
    """A Pi without a clock starts at the same time again and again."""
    for name in ("store.db.corrupt-7", "store.db.corrupt-8"):
        open_store(limits).close()
        spoil_with_text(limits.path)
        with open_store(limits, wall_s=lambda: 7.0) as store:
            assert name in store.reset


def test_a_log_left_behind_is_not_taken_for_the_new_files(limits: StoreLimits) -> None:
    """Where the file was removed and its log was not, the log goes too."""
    with open_store(limits) as store:
        store.append(new())
        shutil.copy(f"{limits.path}-wal", f"{limits.path}.kept")
    limits.path.unlink()
    Path(f"{limits.path}.kept").rename(f"{limits.path}-wal")
    with open_store(limits) as store:
        assert (store.queued, store.reset) == (0, "")


def test_an_interrupted_creation_is_begun_again(limits: StoreLimits) -> None:
    """What it left behind is of no account."""
    limits.path.parent.mkdir()
    (limits.path.parent / ".store.db.new").write_bytes(b"half")
    with open_store(limits) as store:
        assert (store.append(new()).seq, store.reset) == (1, "")


def test_a_row_whose_body_is_spoiled_is_set_aside(limits: StoreLimits) -> None:
    """It stops nobody else."""
    with open_store(limits) as store:
        for _ in range(3):
            store.append(new())
    with closing(sqlite3.connect(limits.path)) as db, db:
        db.execute("UPDATE records SET body = x'7bff7d' WHERE seq = 2")
    db.close()
    with open_store(limits) as store:
        assert numbers(store) == [1, 3]
        assert store.queued == 2


def test_a_closed_store_says_so(limits: StoreLimits) -> None:
    """Closing twice does no harm."""
    store = open_store(limits)
    store.close()
    store.close()
    with pytest.raises(StoreError):
        store.append(new())
    with pytest.raises(StoreError):
        store.waiting(0, 1)


def test_a_look_from_outside_disturbs_nobody(limits: StoreLimits) -> None:
    """Beside a running agent, without one, without a store, and with a spoiled one."""
    with pytest.raises(StoreMissingError) as missing:
        inspect(limits.path, 10)
    assert missing.value.hint
    with open_store(limits) as store:
        first = store.append(new(n=1))
        store.append(new(n=2))
        seen = inspect(limits.path, 1)
        assert (seen.queued, seen.dropped, seen.records) == (2, 0, (first,))
        store.append(new(n=3))
    assert inspect(limits.path, 10).queued == 3
    spoil_with_text(limits.path)
    with pytest.raises(StoreError, match=str(limits.path)):
        inspect(limits.path, 10)
    assert limits.path.read_text().startswith("I am a text file")


def test_two_threads_share_it(limits: StoreLimits) -> None:
    """One appends while the other takes and acknowledges; every number comes by once."""
    with open_store(limits) as store:
        taken: list[int] = []

        def take() -> None:
            after = 0
            while after < 500:
                for record in store.waiting(after, 7):
                    after = record.seq
                    taken.append(after)
                    store.acknowledge(after)

        worker = threading.Thread(target=take)
        worker.start()
        for _ in range(500):
            store.append(new())
        worker.join(30.0)
        assert taken == list(range(1, 501))
        assert store.queued == 0


CRASH = """
import sys
from contextlib import closing
from pathlib import Path
from agent.config import StoreLimits
from agent.model import Moment, NewRecord
from agent.storage import open_store

store = open_store(StoreLimits(path=Path(sys.argv[1])))
while True:
    seq = store.append(NewRecord("count", 1.0, Moment(1.0, 1.0, "b"), {}), detections=1).seq
    print(seq, flush=True)
    if seq % 3 == 0:
        store.acknowledge(seq)
"""


def test_what_append_returned_for_survives_a_kill(limits: StoreLimits) -> None:
    """After SIGKILL every number that was told is there, or was acknowledged."""
    for _ in range(3):
        program = subprocess.Popen(
            [sys.executable, "-c", CRASH, str(limits.path)], stdout=subprocess.PIPE, text=True
        )
        with program:
            assert program.stdout
            told = 0
            for line in program.stdout:
                told = int(line)
                if told % 100 == 50:
                    program.kill()
        with open_store(limits) as store:
            left = numbers(store)
            assert store.reset == ""
            assert {seq for seq in range(1, told + 1) if seq % 3} <= set(left)
            assert store.newest_seq - told in {0, 1}
            assert store.total == store.newest_seq


class StoreMachine(RuleBasedStateMachine):
    """The store against a list: after any sequence of calls both say the same."""

    MAX_ROWS = 7

    def __init__(self) -> None:
        super().__init__()
        self.directory = Path(tempfile.mkdtemp())
        self.limits = StoreLimits(path=self.directory / "store.db", max_rows=self.MAX_ROWS)
        self.rows: list[tuple[int, str]] = []
        self.last = self.total = self.dropped = 0
        self.ids: set[str] = set()

    @initialize()
    def begin(self) -> None:
        """An empty store."""
        self.store = open_store(self.limits)
        self.epoch = self.store.epoch

    @rule(kind=st.sampled_from(["count", "sensors/room"]), seen=st.none() | st.integers(0, 9))
    def append(self, kind: str, seen: int | None) -> None:
        """The next number; the oldest goes if there are too many."""
        record = self.store.append(new(kind, n=self.last), detections=seen)
        self.last += 1
        self.total += seen or 0
        assert record.seq == self.last
        assert record.body.get("total") == (None if seen is None else self.total)
        self.rows.append((self.last, kind))
        if len(self.rows) > self.MAX_ROWS:
            self.rows.pop(0)
            self.dropped += 1

    @precondition(lambda self: self.rows)
    @rule(data=st.data())
    def acknowledge(self, data: st.DataObject) -> None:
        """Any one that waits."""
        row = data.draw(st.sampled_from(self.rows))
        self.store.acknowledge(row[0])
        self.rows.remove(row)

    @precondition(lambda self: self.rows)
    @rule(data=st.data())
    def set_aside(self, data: st.DataObject) -> None:
        """Any one that waits."""
        row = data.draw(st.sampled_from(self.rows))
        self.store.set_aside(row[0], "no")
        self.rows.remove(row)

    @rule(value=st.integers(0, 2**53 - 1), name=st.none() | st.sampled_from("abc"))
    def set_total(self, value: int, name: str | None) -> None:
        """Once for each id."""
        known = name in self.ids
        assert self.store.set_total(value, name) is not known
        if not known:
            self.total = value
        if name:
            self.ids.add(name)

    @rule()
    def flush(self) -> None:
        """Changes nothing that can be seen."""
        self.store.flush()
        assert inspect(self.limits.path, 0).queued == len(self.rows)

    @rule()
    def restart(self) -> None:
        """Neither does this."""
        self.store.close()
        self.store = open_store(self.limits)
        assert self.store.reset == ""

    @invariant()
    def same(self) -> None:
        """All that can be asked."""
        store, seqs = self.store, [seq for seq, _ in self.rows]
        assert numbers(store) == seqs
        assert (
            numbers(store, after_seq=self.last // 2, limit=2)
            == [seq for seq in seqs if seq > self.last // 2][:2]
        )
        newest = store.newest("count")
        counts = [seq for seq, kind in self.rows if kind == "count"]
        assert (newest.seq if newest else None) == (counts[-1] if counts else None)
        assert store.queued == len(seqs)
        assert (store.newest_seq, store.total, store.dropped, store.epoch) == (
            self.last,
            self.total,
            self.dropped,
            self.epoch,
        )

    def teardown(self) -> None:
        """Remove the file."""
        self.store.close()
        shutil.rmtree(self.directory)


TestStoreMachine = StoreMachine.TestCase
TestStoreMachine.settings = settings(
    max_examples=40,
    stateful_step_count=40,
)
