"""Rows that dying cells have changed: none of them ends anything, and the rest goes on."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import tempfile
from contextlib import closing, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from agent.config import StoreLimits
from agent.errors import StoreError
from agent.model import KIB, PAYLOAD_MAX, Moment
from agent.store import open_store
from agent.store.inspection import inspect, revive
from agent.value import replace
from tests.unit.store.conftest import WALL_S, new, numbers

if TYPE_CHECKING:
    from collections.abc import Iterator

#: In memory, where commits take no time.
SHM = "/dev/shm" if Path("/dev/shm").is_dir() else None  # noqa: S108 -- see above

COLUMNS = {
    "records": ("kind", "timestamp_s", "body", "wall_s", "boot_s", "boot_id", "acknowledged"),
    "dead": ("kind", "timestamp_s", "body", "wall_s", "boot_s", "boot_id", "reason", "set_aside_s"),
    "commands": ("number", "id"),
    "boots": ("number", "id", "offset_s", "is_set"),
    "meta": ("value",),
}

BODIES = [
    b'{"a":NaN}',
    b'{"a":-Infinity}',
    b'{"a":1e999}',
    b'{"a":"\\ud800"}',
    b'{"\\udc00":1}',
    b'{"a":"\xed\xa0\x80"}',
    b'{"a":1,"a":2',
    b"\xef\xbb\xbf{}",
    b'"a"',
    b"[]",
    b"null",
    b"",
    b'{"a":' + b"[" * 500 + b"]" * 500 + b"}",
    b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    b'{"a":' + b"9" * 5000 + b"}",
    b'{"a":[' + b"1e15," * 27_000 + b"1]}",
    b'{"a":"' + b"x" * 128 * KIB + b'"}',
]

VALUES = st.one_of(
    st.none(),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(),
    st.binary(max_size=9),
    st.text(max_size=9),
    st.sampled_from([*BODIES, "", "count", 2**62, 2**53, -1, 1e300, 2.0**40, float(2**33)]),
)


def make(path: Path) -> None:
    """A store with something in each table."""
    with open_store(StoreLimits(path=path)) as store:
        for boot in ("before", "boot"):
            store.note_clock(Moment(WALL_S, 50.0, boot), is_set=True)
        for number in range(4):
            store.append(new("count", n=number), detections=1)
            store.append(new(n=number))
        for seq in (2, 5):
            store.set_aside(seq, "no")
        store.set_total(3, "a")
        store.set_total(3, "b")


@pytest.fixture(scope="module")
def template() -> Iterator[Path]:
    """Such a file."""
    directory = Path(tempfile.mkdtemp())
    make(directory / "store.db")
    yield directory / "store.db"
    shutil.rmtree(directory)


def put(path: Path, place: tuple[str, str], row: int, value: object, kind: str = "?") -> None:
    """Put any value into a row, though the schema does not allow it."""
    table, column = place
    untyped = f"CREATE TABLE {table} (" + {
        "commands": "number INTEGER PRIMARY KEY, id UNIQUE)",
        "boots": "number INTEGER PRIMARY KEY, id UNIQUE, offset_s, is_set)",
        "meta": "name PRIMARY KEY, value) WITHOUT ROWID",
    }.get(table, ", ".join(("seq INTEGER PRIMARY KEY", *COLUMNS[table])) + ")")
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        find = "SELECT sql FROM sqlite_schema WHERE name = ?"
        (typed,) = db.execute(find, (table,)).fetchone()
    for sql in (untyped, typed):
        with closing(sqlite3.connect(path, isolation_level=None)) as db:
            if sql == typed:
                key = "name" if table == "meta" else "rowid"
                keys = db.execute(f"SELECT {key} FROM {table}").fetchall()  # noqa: S608
                change = f"UPDATE OR IGNORE {table} SET {column} = {kind} WHERE {key} = ?"  # noqa: S608
                with suppress(sqlite3.IntegrityError):  # of the key itself
                    db.execute(change, (value, keys[row % len(keys)][0]))
            db.execute("PRAGMA writable_schema = 1")
            db.execute("UPDATE sqlite_schema SET sql = ? WHERE name = ?", (sql, table))


def live(limits: StoreLimits) -> None:
    """One life of an agent that does everything. Raises StoreError."""
    with open_store(limits) as store:
        store.note_clock(Moment(WALL_S, 50.0, "boot"), is_set=True)
        store.newest_moment()
        store.newest("count")
        store.append(new("count"), detections=1)
        for _ in range(30):
            page = store.page(0, 2)
            for record in page.records:
                payload = record.payload()
                assert len(payload) <= PAYLOAD_MAX
                json.loads(payload, parse_constant=pytest.fail)
                record.topic("thing").encode("ascii")
                store.acknowledge(record.seq)
            for _, kind, reason in page.set_aside:
                assert (kind + reason).isascii()
        assert store.queued == 0
        store.set_total(5, "c")
        store.set_aside(store.append(new()).seq, "no")
        store.append(new())
        assert store.dropped >= 0
        assert store.skipped is None or len(store.skipped) == 2


def look(limits: StoreLimits) -> None:
    """All that a person can ask."""
    for dead in (False, True):
        for record in inspect(limits.path, 99, dead=dead).records:
            record.payload()
            record.topic("thing").encode("ascii")
    revive(limits.path)


@settings(max_examples=int(os.environ.get("EX", "80")))
@given(
    place=st.sampled_from([(table, name) for table, names in COLUMNS.items() for name in names]),
    row=st.integers(0, 9),
    value=VALUES,
    kind=st.sampled_from(["?", "CAST(? AS TEXT)"]),
)
@example(place=("records", "kind"), row=7, value="#", kind="?")
@example(place=("records", "boot_s"), row=3, value=float("-inf"), kind="?")
@example(place=("meta", "value"), row=1, value="", kind="?")
@example(place=("meta", "value"), row=1, value=2**63 - 1, kind="?")
def test_any_value_in_any_row_ends_nothing(
    template: Path, place: tuple[str, str], row: int, value: object, kind: str
) -> None:
    """What a broker takes is sent, the rest is told; nothing is raised and nothing goes round."""
    with tempfile.TemporaryDirectory(dir=SHM) as directory:
        limits = StoreLimits(path=Path(directory) / "store.db", max_rows=5, max_age_days=0.001)
        shutil.copy(template, limits.path)
        put(limits.path, place, row, value, kind)
        try:
            look(limits)
        except StoreError:
            assert place[0] == "meta", "only its counters are worth a whole file"
        live(limits)
        look(limits)
        live(limits)


@settings(max_examples=int(os.environ.get("EX", "80")))
@given(place=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7))
@example(place=0.9921875, bit=7)  # in the schema, which SQLite then quotes
def test_any_flipped_bit_ends_nothing_for_long(template: Path, place: float, bit: int) -> None:
    """At worst the file is found damaged in use; the next start then begins a new one."""
    with tempfile.TemporaryDirectory(dir=SHM) as directory:
        limits = StoreLimits(path=Path(directory) / "store.db")
        data = bytearray(template.read_bytes())
        data[int(place * len(data))] ^= 1 << bit
        limits.path.write_bytes(data)
        for lives in range(3):
            try:
                live(limits)
                break
            except StoreError:
                assert lives < 2, "it goes on and on"
        look(limits)


FLIPPED = ["#ount", "coun+", "", "a/", "/a", "a//b", "a\0", "c\x7f", "c\u00f6unt", "a b", "$x"]


@pytest.mark.parametrize(
    ("column", "value", "reason"),
    [
        *(("body", body, "body") for body in BODIES[:-2]),
        *(("body", body, "larger than the broker takes") for body in BODIES[-2:]),
        *(("kind", kind, "topic") for kind in [*FLIPPED, "x" * 128, 5, b"count", None]),
        *(("timestamp_s", value, "times") for value in (float("inf"), -1.0, 1e12, "x", None)),
        *(("boot_s", value, "times") for value in (float("-inf"), 1e300, b"", None)),
        *(("wall_s", value, "times") for value in (-5.0, 1e300, "x")),
        *(("boot_id", value, "times") for value in (b"boot", 5, None)),
    ],
)
def test_what_no_broker_takes_is_set_aside(
    template: Path, tmp_path: Path, column: str, value: object, reason: str
) -> None:
    """With the reason, at once and together; the others go on, and none of them is touched."""
    limits = StoreLimits(path=tmp_path / "store.db")
    shutil.copy(template, limits.path)
    for row in (2, 4):
        put(limits.path, ("records", column), row, value)
    with open_store(limits) as store:
        assert (store.reset, store.queued) == ("", 6)
        page = store.page(0, 10)
        assert [record.seq for record in page.records] == [1, 3, 6, 8]
        assert (page.up_to_seq, [seq for seq, *_ in page.set_aside]) == (8, [4, 7])
        assert all(reason in why for *_, why in page.set_aside)
        assert all(kind.isascii() and kind.isprintable() for _, kind, _ in page.set_aside)
        assert (store.queued, store.page(0, 10).set_aside) == (4, ())
    assert inspect(limits.path, 9, dead=True).queued == 4


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        (b' {"n":7}', [("n", 7)]),
        (b'{"n":7}\n', [("n", 7)]),
        (b'{ "n": 7 }', [("n", 7)]),
        (b'{"n":7,"n":8}', [("n", 8)]),
        (b'{"n":7,"n" :8}', [("n", 8)]),
        (b'{"n":7,"\\u006e":8}', [("n", 8)]),
        (b'{"n":[{"m":7,"m":8}]}', [("n", [[("m", 8)]])]),
        (b'{"n":"\\":"}', [("n", '":')]),
        (b'{"epoch":"no","n":7,"seq":0,"Timestamp":0}', [("n", 7)]),
        (b"{ }", []),
        (b"{\n}", []),
        (b"{}", []),
    ],
)
def test_a_spoiled_text_that_is_still_json_is_sent(
    template: Path, tmp_path: Path, body: bytes, fields: list[object]
) -> None:
    """Each name once, those of the record are its own, and no white space."""
    limits = StoreLimits(path=tmp_path / "store.db")
    shutil.copy(template, limits.path)
    put(limits.path, ("records", "body"), 2, body)
    with open_store(limits) as store:
        record = store.page(3, 1).records[0]
        told = [("Timestamp", record.timestamp_s), *fields, ("epoch", store.epoch), ("seq", 4)]
        payload = record.payload()
        assert (record.seq, json.loads(payload, object_pairs_hook=list)) == (4, told)
        assert payload.split() == [payload]


def test_the_newest_is_none_that_is_spoiled(template: Path, tmp_path: Path) -> None:
    """Nor one of another kind that its cells now say it is."""
    limits = StoreLimits(path=tmp_path / "store.db")
    shutil.copy(template, limits.path)
    put(limits.path, ("records", "body"), 4, b"{")
    with open_store(limits) as store:
        assert store.newest("count") is None
        assert numbers(store) == [1, 3, 4, 6, 8]


def test_a_large_body_that_is_numbers_is_measured_as_it_is_sent(limits: StoreLimits) -> None:
    """In memory too, where it never was in a file."""
    with open_store(replace(limits, commit_after_s=99.0)) as store:
        store.append(new(text="x" * 130 * KIB))
        store.append(new())
        page = store.page(0, 9)
        assert [record.seq for record in page.records] == [2]
        assert page.set_aside == (
            (1, "sensors/room", "its payload is larger than the broker takes"),
        )


def test_a_damaged_page_of_a_small_table_is_found_at_the_start(limits: StoreLimits) -> None:
    """Not by each command anew."""
    with open_store(limits) as store:
        for number in range(1000):
            store.set_total(number, f"a long id of a command {number}")
    with closing(sqlite3.connect(limits.path)) as db:
        query = "SELECT rootpage FROM sqlite_schema WHERE name LIKE '%autoindex_commands%'"
        root = db.execute(query).fetchone()[0]
    with limits.path.open("r+b") as file:
        file.seek((root - 1) * 1024)
        file.write(b"\xa5" * 1024)
    with open_store(limits) as store:
        assert store.reset
        assert store.set_total(1, "a")


def test_damage_that_is_met_in_use_is_the_end_of_that_file(limits: StoreLimits) -> None:
    """The next start begins a new one, for it might not find the damage by itself."""
    with open_store(limits) as store:
        store.append(new(text="x" * 5000))
        store.append(new())
        store._write_behind.db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        data = limits.path.read_bytes()
        with limits.path.open("r+b") as file:  # the chain of pages that hold the long text
            file.seek(data.index(b"x" * 900) // 1024 * 1024)
            file.write(b"\xff" * 1024)
        store._write_behind.db.execute("PRAGMA cache_size = 0")
        store._write_behind.db.execute("PRAGMA shrink_memory")
        for call in (
            lambda: store.page(0, 9),
            lambda: store.append(new("count"), detections=1),
            lambda: store.page(0, 9),
            lambda: store.acknowledge(1),
            lambda: store.set_total(1, "id"),
            store.flush,
        ):
            with pytest.raises(StoreError, match="malformed"):
                call()
        assert len(list(limits.path.parent.glob("*corrupt*"))) == 1
    with open_store(limits, wall_s=lambda: 5.0) as store:
        aside = next(limits.path.parent.glob("*corrupt-*"))
        assert "malformed" in store.reset
        assert aside.name in store.reset
        store.append(new())
    with open_store(limits) as store:
        assert (store.reset, numbers(store)) == ("", [1])
    aside.rename(limits.path.with_name("store.db.corrupt-9"))
    limits.path.unlink()
    with open_store(limits) as store:
        assert not store.reset, "what lies there is of another day"
