"""The history: what was noted is there, over restarts, and never in the way of the queue."""

from __future__ import annotations

import math
import os
import shutil
import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from agent.config import StoreLimits
from agent.model import DAY_S, HOUR_S, Moment
from agent.store import COUNTS, DiskFullError, Hour, Outage, Spell, database, open_store
from agent.store.history import NAMES_MAX, NOTED_S, PENDING_MAX, PRUNE_S, SLICE_ROWS
from agent.store.inspection import Past, StoreMissingError, past
from agent.store.spans import TABLES, joined
from agent.value import replace
from tests.fakes import Ticks
from tests.unit.store.conftest import (
    crash,
    fill_the_disk,
    free_the_disk,
    locked,
    new,
    numbers,
)
from tests.unit.store.test_growth import steps

if TYPE_CHECKING:
    from collections.abc import Iterator

    from agent.store import Store
    from agent.store.spans import Table

#: Now is day 100 of a calendar of our own, whose days begin with a day of the epoch.
TODAY_S = 20_700 * DAY_S
NOW = Moment(TODAY_S + 0.0, 1000.0, "boot")
EVER = (0, 2**40)


def hour(at: int = 0, name: str = COUNTS, number: int = 1) -> Hour:
    """An hour, so many after the begin of today."""
    return Hour(TODAY_S + at * HOUR_S, name, number)


def everything(store: Store) -> list[Hour | Outage | Spell]:
    """All that the history has."""
    return [*store.hours(*EVER), *store.outages(*EVER), *store.spells(*EVER)]


def filed(limits: StoreLimits) -> list[Hour | Outage | Spell]:
    """What is in the file."""
    found = past(limits.path, *EVER)
    return [*found.hours, *found.outages, *found.spells]


def in_tables(limits: StoreLimits) -> int:
    """The rows of all tables, sound or not; none if there are no tables."""
    with closing(sqlite3.connect(limits.path)) as db:
        there = {name for (name,) in db.execute("SELECT name FROM sqlite_schema")}
        names = [table.name for table in TABLES.values() if table.name in there]
        counts = (db.execute(f"SELECT count(*) FROM {name}").fetchone()[0] for name in names)  # noqa: S608
        return sum(counts)


def test_hours_of_one_name_add_up(limits: StoreLimits) -> None:
    """In memory, in the file, and over a restart; the least and the first stay, and a mark too."""
    whole = replace(
        hour(), number=3, total=7.5, low=1, high=9, first_s=5, last_s=8, observed_s=30, odd=True
    )
    parts = [
        replace(hour(), total=1.5, low=4, high=9, last_s=7, observed_s=10),
        replace(hour(), total=2, low=1, first_s=5, last_s=8, observed_s=10, odd=True),
        replace(hour(), total=4, low=2, high=3, first_s=6, observed_s=10),
    ]
    with open_store(limits) as store:
        store.note(parts[0])
        store.append(new(COUNTS))
        store.note(parts[1])
        assert store.hours(*EVER) == [joined(parts[0], parts[1])]
    with open_store(limits) as store:
        store.note(parts[2])
        assert store.hours(*EVER) == [whole]
        store.append(new(COUNTS))
        assert store.hours(*EVER) == [whole]
        assert store.hours(*EVER)[0].odd is True
    assert filed(limits) == [whole]


def test_an_outage_and_a_spell_take_the_place_of_themselves(limits: StoreLimits) -> None:
    """An open outage is closed by the same with an end; the longest spell of a day is one."""
    began_s = TODAY_S + 5.25
    with open_store(limits) as store:
        store.note(Outage(began_s, "link", None, "no route"), Outage(began_s, "sensor", None, "a"))
        store.note(Spell(TODAY_S, TODAY_S, TODAY_S + 5.0, 4.0))
        store.append(new())
        closed = Outage(began_s, "link", began_s + 60, "no route")
        longer = Spell(TODAY_S, TODAY_S + 9.0, TODAY_S + 99.0, 90.0)
        for _ in range(2):
            store.note(closed, longer)
            assert everything(store) == [closed, Outage(began_s, "sensor", None, "a"), longer]
            store.append(new())


def test_one_that_ended_before_it_began_is_told_by_nobody(limits: StoreLimits) -> None:
    """Its clock was wrong; it does not go on for ever either."""
    with open_store(limits) as store:
        store.note(Outage(TODAY_S, "link"))
        store.append(new())
        store.note(Outage(TODAY_S, "link", TODAY_S - 1.0), Spell(TODAY_S, 6.0, 5.0, 0.0))
        store.append(new())
        assert everything(store) == []


def test_what_lies_in_a_time_is_found(limits: StoreLimits) -> None:
    """Hours and days by their begin, outages in whole or in part, names by themselves."""
    hours = [hour(at, name) for at in range(4) for name in ("a.b_c", COUNTS)]
    spells = [Spell(TODAY_S + day * DAY_S, TODAY_S, TODAY_S + 1.0, 1.0) for day in range(3)]
    lasting = Outage(TODAY_S + 100.0, "link", None, "x")
    outages = [Outage(TODAY_S + 50.0, "agent", TODAY_S + 70.0, "y"), lasting]
    with open_store(limits) as store:
        store.note(*hours[:4], *spells[:2], *outages[:1])
        store.append(new())
        store.note(*hours[4:], *spells[2:], *outages[1:])
        assert store.hours(TODAY_S + HOUR_S, TODAY_S + 3 * HOUR_S) == hours[2:6]
        assert store.hours(TODAY_S, TODAY_S + 3 * HOUR_S, COUNTS) == hours[1:6:2]
        assert store.hours(TODAY_S, TODAY_S + 3 * HOUR_S, "none") == []
        assert store.spells(TODAY_S + 1, TODAY_S + 3 * DAY_S) == spells[1:]
        for since, until, found in (
            (0, 50, []),
            (0, 51, outages[:1]),
            (60, 61, outages[:1]),
            (71, 100, []),
            (71, 101, outages[1:]),
            (10_000, 10_001, outages[1:]),
        ):
            assert store.outages(TODAY_S + since, TODAY_S + until) == found
        store.note(replace(lasting, ended_s=TODAY_S + 200.0))
        assert store.outages(TODAY_S + 10_000, TODAY_S + 10_001) == []
        store.append(new())
        assert store.outages(TODAY_S + 10_000, TODAY_S + 10_001) == []


def test_what_is_noted_waits_for_a_commit_of_others(limits: StoreLimits) -> None:
    """Or for its own after ten minutes, or for the end."""
    ticks = Ticks()
    with open_store(limits, boot_s=ticks) as store:
        store.note(hour(0))
        ticks.now_s += 100.0
        store.note(hour(1))
        assert (filed(limits), store.flush_due_s()) == ([], ticks() - 100.0 + NOTED_S)
        store.append(new())
        assert (filed(limits), store.flush_due_s()) == ([hour(0), hour(1)], math.inf)
        store.note(hour(2))
        ticks.now_s = store.flush_due_s()
        store.flush()
        assert (len(filed(limits)), store.flush_due_s()) == (3, math.inf)
        store.note(hour(3))
    assert len(filed(limits)) == 4


def test_a_power_cut_costs_what_was_noted_since_the_last_commit(limits: StoreLimits) -> None:
    """And nothing twice."""
    store = open_store(limits)
    store.note(hour())
    store.append(new())
    store.note(hour())
    crash(store)
    with open_store(limits) as store:
        assert store.hours(*EVER) == [hour()]


def test_with_patience_a_count_takes_it_along(limits: StoreLimits) -> None:
    """A reading that waits does not."""
    with open_store(replace(limits, commit_after_s=1e6)) as store:
        store.note(hour())
        store.append(new())
        assert filed(limits) == []
        store.append(new(COUNTS), detections=1)
        assert filed(limits) == [hour()]


def test_a_store_in_memory_has_a_history_too(tmp_path: Path) -> None:
    """As long as the process lives."""
    (tmp_path / "store.db").mkdir()
    with open_store(StoreLimits(path=tmp_path / "store.db")) as store:
        assert store.memory_only
        for _ in range(2):
            store.note(hour())
            store.append(new())
        assert store.hours(*EVER) == [hour(number=2)]


def test_while_another_program_has_the_file_it_is_kept(limits: StoreLimits) -> None:
    """With the records, and is written once."""
    ticks = Ticks()
    with open_store(limits, boot_s=ticks) as store:
        store.append(new())
        with locked(limits.path):
            store.note(hour())
            store.append(new())
            assert store.blocked
            assert store.hours(*EVER) == [hour()]
        ticks.now_s += 5.0
        store.flush()
        assert not store.blocked
        assert filed(limits) == [hour()]


def test_where_the_record_alone_has_room_it_is_committed(limits: StoreLimits) -> None:
    """The history is tried again after ten minutes, and is complete once there is room."""
    ticks = Ticks()
    with open_store(limits, boot_s=ticks) as store:
        store.append(new())
        store.note(*(hour(at, "long." + "x" * 100) for at in range(100)))
        fill_the_disk(store)
        store.append(new())
        assert store.blocked is None
        assert len(store.hours(*EVER)) == 100
        assert filed(limits) == []
        assert store.flush_due_s() == ticks() + NOTED_S
        free_the_disk(store)
        store.append(new())
        assert filed(limits) == []
        ticks.now_s = store.flush_due_s()
        store.append(new())
        assert len(filed(limits)) == 100


def test_where_nothing_has_room_all_waits(limits: StoreLimits) -> None:
    """And what had no room is tried once more at the end."""
    with open_store(limits, boot_s=Ticks()) as store:
        store.append(new())
        store.note(hour())
        fill_the_disk(store)
        store.append(new(text="x" * 5000))
        assert isinstance(store.blocked, DiskFullError)
        assert store.hours(*EVER) == [hour()]
        free_the_disk(store)
    assert filed(limits) == [hour()]
    with open_store(limits) as store:
        assert numbers(store) == [1, 2]


def test_only_so_much_waits_in_memory(limits: StoreLimits) -> None:
    """What was noted first goes."""
    with open_store(limits) as store:
        for at in range(PENDING_MAX + 5):
            store.note(hour(at))
        assert len(store.hours(*EVER)) == PENDING_MAX
        assert store.hours(*EVER)[0] == hour(5)


def test_an_hour_has_only_so_many_names(limits: StoreLimits) -> None:
    """Beside that of the counts, which has its place; those that are there go on."""
    with open_store(limits) as store:
        store.note(*(hour(0, f"name-{n:03}.x") for n in range(NAMES_MAX + 9)), hour(1, "b"))
        store.append(new())
        store.note(hour(0), hour(0, "name-000.x"), hour(0, "zzz"))
        store.append(new())
        names = {one.name: one.number for one in store.hours(TODAY_S, TODAY_S + 1)}
        assert len(names) == NAMES_MAX + 1
        assert (names[COUNTS], names["name-000.x"]) == (1, 2)
        assert "zzz" not in names


@pytest.mark.parametrize(
    "unsound",
    [
        hour(0, "x" * 141),
        hour(0, "two\nlines"),
        hour(0, "\ud800"),
        replace(hour(), total=math.nan),
        replace(hour(), high=math.inf),
        replace(hour(), first_s=-1.0),
        hour(number=-1),
        replace(hour(), start_s=2**50),
        Outage(math.nan, "link"),
        Outage(5.0, "x" * 141),
        Spell(TODAY_S, -5.0, 5.0, 0.0),
    ],
    ids=repr,
)
def test_what_no_row_can_hold_is_passed_over(
    limits: StoreLimits, unsound: Hour | Outage | Spell
) -> None:
    """It stops nothing, and the others are kept."""
    with open_store(limits) as store:
        store.note(hour(1), unsound, hour(2))
        assert len(everything(store)) == 2
        store.append(new())
        assert len(filed(limits)) == 2


def test_a_cause_is_kept_whatever_its_letters(limits: StoreLimits) -> None:
    """In words that can be shown, on one line, cut to a fair length."""
    with open_store(limits) as store:
        store.note(Outage(5.0, "sensor", None, "a\nb\ud800c\x1b 寒い" + "x" * 500))
        (found,) = store.outages(*EVER)
        assert found.cause == "a b c  寒い" + "x" * 131
        store.append(new())
        assert store.outages(*EVER) == [found]


def test_what_is_too_old_goes_in_slices(limits: StoreLimits) -> None:
    """Of each table, and so does what is of no time that can be, every few hours."""
    ticks = Ticks()
    with open_store(replace(limits, history_days=10.0), boot_s=ticks) as store:
        old = [hour(-24 * 11 - at) for at in range(PENDING_MAX)]
        kept = [hour(-24 * 9), Outage(TODAY_S - 9.0 * DAY_S, "link"), Spell(TODAY_S, 5, 6, 0)]
        ahead = [hour(24 * 3), Outage(TODAY_S + 3.0 * DAY_S, "link"), Spell(2**33, 5, 6, 0)]
        for notes in (old, kept, ahead, [Outage(5.0, "link"), Spell(5, 5, 6, 0)]):
            store.note(*notes)
            store.append(new())
        assert len(everything(store)) == PENDING_MAX + 8
        store.note_clock(NOW, is_set=True)
        store.note(hour(-1))
        store.append(new())
        assert len(store.hours(*EVER)) == PENDING_MAX - SLICE_ROWS + 2
        assert len(everything(store)) == PENDING_MAX - SLICE_ROWS + 4
        store.note(hour(-2))
        store.append(new())
        assert len(everything(store)) == PENDING_MAX - SLICE_ROWS + 5
        ticks.now_s += PRUNE_S
        store.note(hour(-3))
        store.append(new())
        assert everything(store) == [kept[0], hour(-3), hour(-2), hour(-1), *kept[1:]]


def test_while_the_clock_is_not_set_nothing_is_too_old(limits: StoreLimits) -> None:
    """A clock of 2040 costs nothing."""
    with open_store(limits, boot_s=Ticks()) as store:
        store.note(hour())
        store.append(new())
        store.note_clock(replace(NOW, wall_s=NOW.wall_s + 5000 * DAY_S), is_set=False)
        store.note(hour(1))
        store.append(new())
        assert len(filed(limits)) == 2


def test_with_no_days_none_is_kept(limits: StoreLimits) -> None:
    """What there was is gone."""
    with open_store(limits) as store:
        store.note(hour())
    with open_store(replace(limits, history_days=0.0)) as store:
        store.note(hour())
        assert everything(store) == []
        assert store.flush_due_s() == math.inf
        store.append(new())
        assert store.hours(*EVER) == []
    assert filed(limits) == []


def test_it_takes_no_more_than_a_quarter_of_the_file(limits: StoreLimits) -> None:
    """The oldest of the table with the most rows go."""
    with open_store(replace(limits, max_mib=0.4)) as store:
        store.note(Outage(5.0, "link", 6.0, "x"), Spell(5, 5, 6, 0))
        for at in range(0, 2000, 100):
            store.note(*(hour(n) for n in range(at, at + 100)))
            store.append(new())
            store.acknowledge(store.newest_seq)
        found = store.hours(*EVER)
        assert 200 < len(found) <= 410
        assert found == [hour(at) for at in range(2000 - len(found), 2000)]
        assert len(everything(store)) == len(found) + 2
        assert store._write_behind.figures.bytes < 0.25 * 0.4 * 2**20
    assert in_tables(limits) == len(found) + 2


def test_when_the_file_is_full_it_goes_first(limits: StoreLimits) -> None:
    """Oldest first, and nothing of it is told as dropped; then records go, as ever."""
    with open_store(replace(limits, max_mib=0.4)) as store:
        store.note(*(hour(at) for at in range(300)), Outage(5.0, "link"))
        store.append(new("sensors/dead"))
        store.set_aside(1, "no")
        counts = [300]
        while counts[-1]:
            assert store.dropped == 0
            store.append(new(text="x" * 2000))
            left = store.hours(*EVER)
            counts.append(len(left))
            assert left == [hour(at) for at in range(300 - counts[-1], 300)]
        assert len(set(counts)) > 2
        for _ in range(100):
            store.append(new(text="x" * 2000))
        assert everything(store) == []
        assert set(store.dropped_for) == {"dead", "bytes"}
        store.note(hour())
        store.append(new())
        assert store.hours(*EVER) == [hour()]


def test_a_file_from_before_gains_the_tables_when_there_is_something(limits: StoreLimits) -> None:
    """Its version stays, so that an agent that knows of no history opens it as ever."""
    with open_store(limits) as store:
        store.append(new())
    with closing(sqlite3.connect(limits.path)) as db, closing(database.connect(None)) as fresh:
        schema = "SELECT name, sql FROM sqlite_schema"
        assert set(db.execute(schema)) == set(fresh.execute(schema))
        assert past(limits.path, *EVER) == Past((), (), (), 0, "")
    with open_store(limits) as store:
        assert everything(store) == []
        store.note(hour())
    with closing(sqlite3.connect(limits.path)) as db, closing(database.connect(None)) as fresh:
        assert set(db.execute(schema)) > set(fresh.execute(schema))
        assert db.execute("PRAGMA user_version").fetchone() == (2,)
    with open_store(limits) as store:
        assert (store.reset, numbers(store), everything(store)) == ("", [1], [hour()])


@pytest.mark.parametrize(
    "change",
    [
        "DROP TABLE hours",
        "ALTER TABLE hours ADD COLUMN more",
        "ALTER TABLE hours DROP COLUMN low",
        "DROP TABLE hours; CREATE TABLE hours (start_s INTEGER PRIMARY KEY)",
        "DROP TABLE spells; CREATE VIEW spells AS SELECT 1 AS day_s",
        "CREATE TRIGGER no BEFORE INSERT ON hours BEGIN SELECT raise(ABORT, 'no'); END",
    ],
)
def test_tables_that_are_not_as_they_should_be_stop_nothing(
    limits: StoreLimits, change: str
) -> None:
    """What is there may be lost, the records are not, nor is the file."""
    with open_store(limits) as store:
        store.note(hour(1), hour(2), Outage(5.0, "link"))
        store.append(new())
    with closing(sqlite3.connect(limits.path)) as db:
        db.executescript(change)
    past(limits.path, *EVER)
    for seq in (2, 3):
        with open_store(limits) as store:
            assert store.reset == ""
            everything(store)
            store.note(hour(3), hour(4), Spell(TODAY_S, 5, 6, 0))
            store.append(new())
            assert store.blocked is None
            assert numbers(store)[-1] == seq
            everything(store)


CELLS = st.one_of(
    st.none(),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(),
    st.binary(max_size=9),
    st.text(max_size=9),
    st.sampled_from([hour(1).start_s, COUNTS, "link", 1e300, 2**53, -1, "x" * 10_000]),
)
PLACES = [(table, name) for table in TABLES.values() for name in table.columns]


@pytest.fixture(scope="module")
def template() -> Iterator[Path]:
    """A file with a history, in memory, where commits take no time."""
    shm = Path("/dev/shm")  # noqa: S108 -- see above
    with tempfile.TemporaryDirectory(dir=shm if shm.is_dir() else None) as made:
        path = Path(made) / "template.db"
        with open_store(StoreLimits(path=path)) as store:
            store.note(*(hour(at, name) for at in range(3) for name in (COUNTS, "a.b_c")))
            store.note(Outage(TODAY_S + 1.5, "link", TODAY_S + 2.5, "x"))
            store.note(Outage(TODAY_S + 3.5, "agent"))
            store.note(Spell(TODAY_S, TODAY_S + 1.5, TODAY_S + 9.5, 3.5))
            store.append(new())
        yield path


@settings(max_examples=int(os.environ.get("EX", "80")))
@given(place=st.sampled_from(PLACES), row=st.integers(0, 5), cell=CELLS)
def test_any_value_in_any_cell_stops_nothing(
    template: Path, place: tuple[Table, str], row: int, cell: object
) -> None:
    """The row is passed over or as sound as any, the others are there, and all goes on."""
    limits = StoreLimits(path=template.with_name("store.db"))
    shutil.copy(template, limits.path)
    table, column = place
    before = filed(limits)
    with closing(sqlite3.connect(limits.path)) as db, db:
        keys = db.execute(f"SELECT {', '.join(table.key)} FROM {table.name}").fetchall()  # noqa: S608
        where = " AND ".join(f"{name} = ?" for name in table.key)
        change = f"UPDATE OR REPLACE {table.name} SET {column} = ? WHERE {where}"  # noqa: S608
        try:
            db.execute(change, (cell, *keys[row % len(keys)]))
        except (sqlite3.IntegrityError, UnicodeEncodeError):  # a key is never nothing
            return
    lost = [span for span in before if span not in filed(limits)]
    assert len(lost) <= 2  # the row, and one whose key it has taken
    with open_store(limits) as store:
        store.note_clock(NOW, is_set=True)
        seen = everything(store)
        store.note(
            replace(hour(), total=2.0), hour(7), Outage(TODAY_S + 3.5, "agent", TODAY_S + 4.5)
        )
        store.append(new())
        assert (store.blocked, store.reset, numbers(store)) == (None, "", [1, 2])
        assert hour(7) in store.hours(*EVER)
        for span in seen:
            store.note(span)
    assert filed(limits)


def test_the_past_is_read_beside_a_running_agent(limits: StoreLimits) -> None:
    """As far as it is in the file, with the total and what is kept of the quiet now."""
    with pytest.raises(StoreMissingError):
        past(limits.path, *EVER)
    with open_store(limits) as store:
        outage, spell = Outage(TODAY_S + 0.5, "link"), Spell(TODAY_S, 5, 6, 0)
        store.note(hour(0), hour(5), outage, spell)
        store.append(new(COUNTS), detections=7, quiet='{"a":1}')
        store.note(hour(1))
        found = past(limits.path, TODAY_S, TODAY_S + HOUR_S)
        assert found == Past((hour(0),), (outage,), (spell,), 7, '{"a":1}')


def test_no_commit_costs_more_when_there_is_more(limits: StoreLimits) -> None:
    """In SQLite's own steps, once the rows are counted."""
    taken = []
    for number in (10, 1000):
        with open_store(replace(limits, path=limits.path.with_name(str(number)))) as store:
            for at in range(0, number, 10):
                store.note(*(hour(n) for n in range(at, at + 10)))
                store.flush()
            store.note_clock(NOW, is_set=True)
            for at in range(2):
                store.note(hour(number + at))
                cost = steps(store._write_behind.db, lambda: store.append(new()))
            taken.append(cost)
    assert taken[0] == taken[1]


class HistoryMachine(RuleBasedStateMachine):
    """The history against a dictionary: after any sequence of calls both say the same."""

    def __init__(self) -> None:
        super().__init__()
        shm = Path("/dev/shm")  # noqa: S108 -- commits take no time there
        self.directory = Path(tempfile.mkdtemp(dir=shm if shm.is_dir() else None))
        self.limits = StoreLimits(path=self.directory / "store.db")
        self.ticks = Ticks()
        self.filed: dict[object, Hour | Outage | Spell] = {}
        self.found: dict[object, Hour | Outage | Spell] = {}

    @initialize()
    def begin(self) -> None:
        """An empty store."""
        self.store = open_store(self.limits, boot_s=self.ticks)

    @rule(
        at=st.integers(0, 2),
        name=st.sampled_from([COUNTS, "a.b_c"]),
        low=st.none() | st.integers(-9, 9),
        high=st.none() | st.integers(-9, 9),
        odd=st.booleans(),
    )
    def note_hour(self, at: int, name: str, low: int | None, high: int | None, odd: bool) -> None:  # noqa: FBT001
        """Adds up."""
        span = Hour(TODAY_S + at * HOUR_S, name, 1, 0.5, low, high, odd=odd)
        self.store.note(span)
        was = self.found.get((at, name), Hour(span.start_s, name))
        assert isinstance(was, Hour)
        least = [one for one in (was.low, low) if one is not None]
        most = [one for one in (was.high, high) if one is not None]
        self.found[at, name] = replace(
            was,
            number=was.number + 1,
            total=was.total + 0.5,
            low=min(least) if least else None,
            high=max(most) if most else None,
            odd=was.odd or odd,
        )

    @rule(at=st.integers(0, 2), kind=st.sampled_from(["link", "agent"]), lasts=st.booleans())
    def note_outage(self, at: int, kind: str, lasts: bool) -> None:  # noqa: FBT001
        """Takes the place of the same."""
        ended_s = None if lasts else TODAY_S + at + 0.5
        self.found[at, kind] = span = Outage(TODAY_S + at, kind, ended_s, "x")
        self.store.note(span)

    @rule(length_s=st.integers(0, 9))
    def note_spell(self, length_s: int) -> None:
        """So does this."""
        self.found["spell"] = span = Spell(TODAY_S, TODAY_S, TODAY_S + length_s, 0)
        self.store.note(span)

    @rule()
    def append(self) -> None:
        """A record of any kind takes it along."""
        self.store.append(new())
        self.filed = dict(self.found)

    @rule()
    def append_without_room(self) -> None:
        """Nothing of it counts."""
        fill_the_disk(self.store)
        self.store.append(new(text="x" * 2000))
        free_the_disk(self.store)
        self.ticks.now_s += NOTED_S

    @rule()
    def flush(self) -> None:
        """What waits is written."""
        self.store.flush()
        self.filed = dict(self.found)

    @rule()
    def restart(self) -> None:
        """And so it is at the end."""
        self.store.close()
        self.filed = dict(self.found)
        self.store = open_store(self.limits, boot_s=self.ticks)

    @precondition(lambda self: self.filed != self.found)
    @rule()
    def power_cut(self) -> None:
        """What waits is lost."""
        crash(self.store)
        self.found = dict(self.filed)
        self.store = open_store(self.limits, boot_s=self.ticks)

    @invariant()
    def same(self) -> None:
        """All that can be asked."""
        assert set(everything(self.store)) == set(self.found.values())
        assert set(filed(self.limits)) == set(self.filed.values())

    def teardown(self) -> None:
        """Remove the file."""
        self.store.close()
        shutil.rmtree(self.directory)


TestHistoryMachine = HistoryMachine.TestCase

TestHistoryMachine.settings = settings(max_examples=20, stateful_step_count=20)
