"""The store is sound whenever the power fails, and what was committed is in it."""

from __future__ import annotations

import os
import random
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from agent.config import StoreLimits
from agent.model import Moment, NewRecord
from agent.store import open_store
from tests.tools.power_cut import cuts, traced

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.tools.power_cut import Call

#: Says after each step what is durable by then: the numbers given out and acknowledged, the total.
LIFE = """
import os, sys
from pathlib import Path
from agent.config import StoreLimits
from agent.model import Moment, NewRecord
from agent.store import open_store

def say(*words):
    os.write(1, (" ".join(str(word) for word in words) + "\\n").encode())

limits = StoreLimits(path=Path(sys.argv[1]) / "store.db", commit_after_s={patience})
for life in range(2):
    with open_store(limits) as store:
        store.note_clock(Moment(1.8e9, 1.0, f"boot {{life}}"), is_set=True)
        for step in range(30):
            text = "x" * (50 + step * 37 % 400)
            new = NewRecord("count", 1.8e9, Moment(1.8e9, 1.0, "boot"), {{"text": text}})
            record = store.append(new, detections=1 if step % 4 else 0)
            say("append", record.seq, store.total)
            if step % 3 == 0:
                store.acknowledge(record.seq)
                say("acknowledge", record.seq, store.total)
            if step % 11 == 5:
                store.set_total(1000 * life + step, f"id {{life}} {{step}}")
                say("total", 0, store.total)
            if step % 17 == 9:
                store.set_aside(record.seq, "no")
                say("acknowledge", record.seq, store.total)
            if step % 13 == 12:
                store.flush()
                say("flush", 0, store.total)
"""


@pytest.fixture
def after(tmp_path: Path) -> Iterator[Path]:
    """Where the disk after a cut is laid out: in memory, where it is looked at faster."""
    memory = Path("/dev/shm")  # noqa: S108 -- see above
    directory = (memory if memory.is_dir() else tmp_path) / f"power-cut-{os.getpid()}"
    yield directory
    shutil.rmtree(directory, ignore_errors=True)


def live(tmp_path: Path, *, patience: float = 0.0) -> list[Call]:
    """The trace of two lives of a store."""
    directory = tmp_path / "state"
    directory.mkdir()
    if not shutil.which("strace"):
        pytest.skip("strace is not installed")
    program = LIFE.format(patience=patience)
    return traced(program, directory, tmp_path / "trace")


def written(files: dict[str, bytes], directory: Path) -> StoreLimits:
    """A directory with these files."""
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir()
    for name, content in files.items():
        (directory / name).write_bytes(content)
    return StoreLimits(path=directory / "store.db")


def numbers(said: list[str], word: str) -> set[int]:
    """The numbers that were said with this word."""
    return {int(line.split()[1]) for line in said if line.startswith(word)}


def check(limits: StoreLimits, said: list[str], every: list[str]) -> None:
    """All that was said to be durable is; the one step that was going on may be done, or not."""
    with open_store(limits) as store:
        assert (store.reset, store.memory_only, store.skipped) == ("", "", None)
        waiting = {record.seq for record in store.page(0, 10_000).records}
        soon = every[: len(said) + 1]
        assert numbers(said, "append") - numbers(soon, "acknowledge") <= waiting
        if store.newest_seq in waiting:
            assert store.newest("count") == store.page(store.newest_seq - 1, 1).records[0]
        assert store.total in {int(said[-1].split()[2]), int(soon[-1].split()[2])}
        new = NewRecord("count", 1.8e9, Moment(1.8e9, 1.0, "b"))
        assert store.append(new).seq > max(numbers(said, "append"))


def test_no_committed_record_is_lost_at_any_cut(tmp_path: Path, after: Path) -> None:
    """Nor is the total, nor is a number given twice; the file is never spoiled."""
    calls = live(tmp_path)
    every = [call.data.decode().strip() for call in calls if call.what == "say"]
    chance, tried = random.Random(7), 0
    for count, (disk, said) in enumerate(cuts(calls)):
        # The log is grown in hundreds of calls before anything is said.
        if said and count % 2:
            check(written(disk.cut(chance), after), said, every)
            tried += 1
    assert tried >= 200


def test_nothing_is_lost_whichever_call_is_the_last(tmp_path: Path, after: Path) -> None:
    """SIGKILL after each system call: what was acknowledged in memory may come once more."""
    calls = live(tmp_path)
    every = [call.data.decode().strip() for call in calls if call.what == "say"]
    tried = 0
    for disk, said in cuts(calls):
        if said:
            check(written(disk.killed(), after), said, every)
            tried += 1
    assert tried >= 200


def test_with_patience_a_cut_loses_seconds_and_reuses_no_number(
    tmp_path: Path, after: Path
) -> None:
    """What a commit took is there; numbers go on behind all that were given out."""
    calls = live(tmp_path, patience=3600.0)
    chance, tried = random.Random(11), 0
    for disk, said in cuts(calls):
        if not said or chance.random() < 0.5:
            continue
        limits = written(disk.cut(chance), after)
        tried += 1
        with open_store(limits) as store:
            assert (store.reset, store.memory_only) == ("", "")
            given = max(numbers(said, "append"))
            new = NewRecord("count", 1.8e9, Moment(1.8e9, 1.0, "b"))
            assert store.append(new).seq > given
            committed = [
                line for line in said if line.startswith(("flush", "total")) or line == said[0]
            ]
            before = said[: said.index(committed[-1])] if committed else []
            waiting = {record.seq for record in store.page(0, 10_000).records}
            assert numbers(before, "append") - numbers(said, "acknowledge") <= waiting
    assert tried >= 100


def test_a_disk_without_fsync_would_be_found_out(tmp_path: Path, after: Path) -> None:
    """The same cuts do lose records where the store's fsyncs are taken away."""
    calls = live(tmp_path)
    chance, lost = random.Random(3), 0
    careless = [call for call in calls if call.what != "sync" or not call.name]
    for count, (disk, said) in enumerate(cuts(careless)):
        if not said or count % 40:
            continue
        with open_store(written(disk.cut(chance), after)) as store:
            waiting = {record.seq for record in store.page(0, 10_000).records}
            kept = numbers(said, "append") - numbers(said, "acknowledge") <= waiting
            lost += not kept or bool(store.reset)
    assert lost
