"""The durable queue: records and commands, from one process to the next."""

from __future__ import annotations

import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from agent.config import StoreLimits
from agent.errors import StoreError
from agent.model import NewRecord
from agent.store import BlockedError, open_store
from agent.store.inspection import inspect
from agent.value import replace
from tests.unit.store.conftest import MOMENT, WALL_S, locked, new, numbers, waiting

if TYPE_CHECKING:
    from pathlib import Path

    from agent.model import Json


def test_what_was_appended_waits_as_it_was(limits: StoreLimits) -> None:
    """Records come back complete and in order, after a restart too."""
    values: dict[str, Json] = {"a": 1, "b": -0.1, "c": None, "d": [True, {"ü": "\U0001f600"}]}
    with open_store(limits) as store:
        store.note_clock(MOMENT, is_set=True)
        first = store.append(NewRecord("count", WALL_S, MOMENT, values))
        second = store.append(NewRecord("sensors/room", WALL_S + 0.125, MOMENT, {"huge": 2**80}))
        assert waiting(store, 0, 10) == [first, second]
        epoch = store.epoch
    assert (first.seq, first.body, second.seq) == (1, values, 2)
    assert first.epoch == epoch
    assert len(epoch) == 16
    with open_store(limits) as store:
        assert store.epoch == epoch
        assert waiting(store, 0, 10) == [first, second]
        assert waiting(store, 1, 10) == [second]
        assert waiting(store, 0, 1) == [first]
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


def test_what_is_acknowledged_together_goes_together(limits: StoreLimits) -> None:
    """In one commit at most; numbers that do not wait do no harm."""
    with open_store(replace(limits, commit_after_s=99.0)) as store:
        for _ in range(2001):
            store.append(new())
        store.flush()
        statements: list[str] = []
        store._write_behind.db.set_trace_callback(statements.append)
        store.acknowledge(0, *range(1, 2001), 2000, 9999)
        store.acknowledge()
        assert (numbers(store), inspect(limits.path, 10).queued) == ([2001], 1)
        assert statements.count("COMMIT") == 1


def test_the_newest_of_a_kind_is_found(limits: StoreLimits) -> None:
    """As long as it waits: what it would go ahead of is then on its way already."""
    with open_store(limits) as store:
        for kind in ("count", "sensors/room", "count", "sensors/room"):
            store.append(new(kind))
    with open_store(limits) as store:
        newest = store.newest("count")
        assert newest
        assert newest.seq == 3
        store.acknowledge(3)
        assert store.newest("count") is None
        store.flush()
        assert store.newest("count") is None
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


def test_facts_of_a_command_are_kept_with_its_id(limits: StoreLimits) -> None:
    """In one commit, and neither where there is none."""
    with open_store(limits) as store:
        assert not store.knows("a")
        store.note_command("a", mode="away", total=5)
        with locked(limits.path), pytest.raises(BlockedError):
            store.note_command("b", mode="test")
        assert (store.knows("a"), store.knows("b")) == (True, False)
        assert (store.recall("mode"), store.total) == ("away", 5)
    with open_store(limits) as store:
        assert (store.knows("a"), store.knows("b")) == (True, False)
        assert (store.recall("mode"), store.total) == ("away", 5)
        store.note_command(None, mode="")
        assert store.recall("mode") == ""


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


@pytest.mark.parametrize("length", [1, 36, 256])
@pytest.mark.parametrize("letter", ["x", "\N{GRINNING FACE}"])
def test_ids_push_no_record_out_of_a_small_file(
    limits: StoreLimits, length: int, letter: str
) -> None:
    """Whatever the cloud calls its commands; each is still known."""
    with open_store(replace(limits, max_mib=0.1)) as store:
        for _ in range(20):
            store.append(new())
        ids = [f"{number:04}".rjust(length, letter) for number in range(1000)]
        for name in ids:
            assert store.set_total(1, name)
        for _ in range(20):
            store.append(new())
        assert (store.queued, store.dropped) == (40, 0)
        assert not any(store.set_total(1, name) for name in ids)


def test_an_id_that_an_older_agent_kept_in_full_is_known(limits: StoreLimits) -> None:
    """It comes again where the update came between the command and its PUBACK."""
    open_store(limits).close()
    with closing(sqlite3.connect(limits.path)) as db, db:
        db.execute("INSERT INTO commands (id) VALUES ('a')")
    db.close()
    with open_store(limits) as store:
        assert not store.set_total(5, "a")


def test_a_closed_store_says_so(limits: StoreLimits) -> None:
    """Closing twice does no harm."""
    store = open_store(limits)
    store.close()
    store.close()
    with pytest.raises(StoreError):
        store.append(new())
    with pytest.raises(StoreError):
        store.page(0, 1)


def test_two_threads_share_it(limits: StoreLimits) -> None:
    """One appends while the other takes and acknowledges; every number comes by once."""
    with open_store(limits) as store:
        taken: list[int] = []

        def take() -> None:
            after = 0
            while after < 500:
                for record in store.page(after, 7).records:
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
from agent.store import BlockedError, open_store

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
        assert program.returncode == -signal.SIGKILL, "it lived until it was killed"
        with open_store(limits) as store:
            left = numbers(store)
            assert store.reset == ""
            assert {seq for seq in range(1, told + 1) if seq % 3} <= set(left)
            assert store.newest_seq - told in {0, 1}
            assert store.total == store.newest_seq


def test_facts_are_remembered(limits: StoreLimits) -> None:
    """With a record in its own transaction, or alone."""
    with open_store(limits) as store:
        store.append(new("count"), detections=0, window="boot 100.0")
        store.remember(ended="stopped")
    with open_store(limits) as store:
        assert (store.recall("window"), store.recall("ended")) == ("boot 100.0", "stopped")
        assert store.recall("nothing") == ""
        newest = store.newest_moment()
        assert newest == MOMENT


def test_threads_wait_for_each_other(limits: StoreLimits) -> None:
    """Two that append and one that flushes leave no hole."""
    with open_store(replace(limits, commit_after_s=0.001)) as store:
        threads = [
            threading.Thread(target=lambda: [store.append(new()) for _ in range(200)])
            for _ in range(2)
        ]
        for thread in threads:
            thread.start()
        while any(thread.is_alive() for thread in threads):
            store.flush()
        assert numbers(store) == list(range(1, 401))


def test_a_page_is_a_bounded_look(limits: StoreLimits) -> None:
    """At so many records, rows or bytes it ends, and says how far it came."""
    with open_store(replace(limits, commit_after_s=99.0)) as store:
        for _ in range(1500):
            store.append(new("count"))
        store.append(new())
        store.flush()
        for _ in range(20):
            store.append(new(text="x" * 100_000))

        def page(after_seq: int, limit: int, *without: str) -> tuple[list[int], int]:
            found = store.page(after_seq, limit, without=without)
            return [record.seq for record in found.records], found.up_to_seq

        assert page(0, 2) == ([1, 2], 2)
        assert page(1, 2) == ([2, 3], 3)
        assert page(0, 0) == ([], 0)
        assert page(0, 9, "count") == ([], 1000)
        assert page(1000, 2, "count") == ([1501, 1502], 1502)
        assert page(1501, 99) == (list(range(1502, 1513)), 1512)
        assert page(1512, 99) == (list(range(1513, 1522)), 1521)
        assert page(1521, 99) == ([], 1521)
        assert page(0, 99, "count", "sensors/room") == ([], 1000)
        for seq in range(1, 900):
            store.acknowledge(seq)
        assert page(0, 1) == ([900], 900)
