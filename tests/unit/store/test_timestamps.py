"""A record's time follows from what is known of its boot's clock by the time it is sent."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from agent.config import StoreLimits
from agent.model import Moment, NewRecord
from agent.store import open_store
from agent.store.timestamps import Boot, stamped
from agent.value import replace
from tests.unit.store.conftest import spoil, waiting

if TYPE_CHECKING:
    from pathlib import Path

    from agent.model import Json

T = 1_795_500_000.0


def reading(wall_s: float, boot_s: float, boot_id: str = "b") -> NewRecord:
    """A reading as it was made."""
    return NewRecord("sensors/room", wall_s, Moment(wall_s, boot_s, boot_id), {"x": 1})


def count(end_s: float, boot_s: float, *, boot_id: str = "b", quality: str = "ok") -> NewRecord:
    """A window as it was closed."""
    body: dict[str, Json] = {"window_s": 600, "quality": quality, "next_by": end_s + 660}
    return NewRecord("count", end_s, Moment(end_s, boot_s, boot_id), body)


def test_with_a_clock_that_was_set_all_along_nothing_changes() -> None:
    """Slewing by less than a second is no step."""
    for offset_s in (T - 100.0, T - 100.9):
        assert stamped(reading(T, 100.0), {"b": Boot(offset_s, is_set=True)}) == (T, {"x": 1})


def test_a_boot_that_nobody_knows_gives_an_estimate() -> None:
    """Nothing tells whether its clock was right, and nothing what came before it."""
    body = {"x": 1, "quality": "clock_estimated"}
    boots = {"other": Boot(T, is_set=True)}
    assert stamped(reading(T, 100.0), {}) == (T, body)
    assert stamped(reading(T, 100.0), boots) == (T, body)


def test_what_waits_is_stamped_when_the_clock_is_set() -> None:
    """By the boot clock, which was right all along."""
    boots = {"b": Boot(T + 7200.25, is_set=True)}
    assert stamped(reading(T + 100, 100.0), boots) == (T + 7300.25, {"x": 1})


def test_before_the_clock_is_set_the_time_is_an_estimate() -> None:
    """The payload says so, and what is certain."""
    boots = {
        "before it": Boot(T - 95_000, is_set=True),
        "older": Boot(T - 90_000, is_set=True),
        "between": Boot(T - 80_000, is_set=False),
        "b": Boot(T, is_set=False),
        "later": Boot(T + 1, is_set=False),
        "now": Boot(T + 40_000, is_set=True),
        "after it": Boot(T + 50_000, is_set=True),
    }
    body = {"x": 1, "quality": "clock_estimated"}
    bounds = {"not_before": T - 90_000, "not_after": T + 40_000}
    assert stamped(reading(T + 5, 5.0), boots) == (T + 5, {**body, **bounds})
    fault = stamped(count(T, 600.0, quality="sensor_fault"), {"b": Boot(T, is_set=False)})
    assert fault[1]["quality"] == "sensor_fault"
    alone = {"b": Boot(T, is_set=False)}
    assert stamped(reading(T + 5, 5.0), alone) == (T + 5, body)


def test_a_window_moves_to_the_nearest_aligned_one() -> None:
    """What no longer fits is partial, so that consumers add it; whole windows stay whole."""
    day = {"b": Boot(T + 86_400 - 600, is_set=True)}
    assert stamped(count(T, 600.0), day) == (
        T + 86_400,
        {"window_s": 600, "quality": "ok", "next_by": T + 86_400 + 660},
    )
    odd = {"b": Boot(T + 250 - 600, is_set=True)}
    assert stamped(count(T, 600.0), odd) == (
        T,
        {"window_s": 600, "quality": "partial", "next_by": T + 660},
    )
    _, body = stamped(count(T, 600.0, quality="sensor_fault"), odd)
    assert body["quality"] == "sensor_fault"


def test_it_has_been_quiet_for_as_long_in_the_window_that_was_moved() -> None:
    """The last detection moves along, known now if it was not; where nothing is known it stays."""
    set_later = {"b": Boot(T + 86_400 - 600, is_set=True)}
    for before, quiet_for_s, after in (
        (T - 250, 250, T + 86_400 - 250),
        (None, 250.5, T + 86_400 - 250.5),
        (None, 0, T + 86_400),
        (None, None, None),
        (T - 5, "long", T - 5),
    ):
        made = count(T, 600.0)
        quiet: dict[str, Json] = {"last_detection": before, "quiet_for_s": quiet_for_s}
        told = stamped(replace(made, body={**made.body, **quiet}), set_later)[1]
        assert (told["last_detection"], told["quiet_for_s"]) == (after, quiet_for_s)
    never = {"b": Boot(T, is_set=False)}
    told = stamped(replace(made, body={**made.body, "quiet_for_s": 5}), never)[1]
    assert "last_detection" not in told


@given(
    starts=st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=20),
    offset_s=st.floats(-1e6, 1e6),
)
def test_no_two_whole_windows_of_a_boot_fall_on_one_another(
    starts: list[float], offset_s: float
) -> None:
    """However far the clock was wrong, windows that did not overlap get different times."""
    boots = {"b": Boot(T + offset_s, is_set=True)}
    ends = {stamped(count(T + 600 * n, 600.0 * n), boots)[0] for n in range(len(starts))}
    assert len(ends) == len(starts)


def test_the_store_stamps_what_it_hands_out(tmp_path: Path) -> None:
    """In this process, and in one of a later boot; only a change is written."""
    limits = StoreLimits(path=tmp_path / "store.db")
    with open_store(limits) as store:
        store.note_clock(Moment(T, 5.0, "b"), is_set=False)
        store.append(reading(T + 5, 10.0))
        assert waiting(store, 0, 1)[0].body["quality"] == "clock_estimated"
        store.note_clock(Moment(T + 3605, 10.0, "b"), is_set=True)
        (record,) = waiting(store, 0, 9)
        assert (record.timestamp_s, record.body) == (T + 3605, {"x": 1})
        pages = store._write_behind.db.total_changes
        store.note_clock(Moment(T + 3700.4, 105.0, "b"), is_set=True)
        assert store._write_behind.db.total_changes == pages
        assert store.true_wall_s(Moment(T, 20.0, "b")) == T + 3615
    with open_store(limits) as store:
        store.note_clock(Moment(T, 5.0, "next"), is_set=False)
        store.append(reading(T + 1, 6.0, "next"))
        found = [(one.timestamp_s, one.body.get("quality")) for one in waiting(store, 0, 9)]
        assert found == [(T + 3605, None), (T + 1, "clock_estimated")]


def test_only_the_newest_boots_are_remembered(tmp_path: Path) -> None:
    """A Pi that restarts every hour must not fill its card."""
    with open_store(StoreLimits(path=tmp_path / "store.db")) as store:
        for number in range(130):
            store.note_clock(Moment(T + number, 1.0, f"boot {number}"), is_set=True)
        query = "SELECT count(*), min(number) FROM boots"
        assert store._write_behind.db.execute(query).fetchone() == (100, 31)


def test_boots_that_waiting_records_are_from_are_remembered(tmp_path: Path) -> None:
    """However many came after them; those before the oldest that waits go."""
    limits = StoreLimits(path=tmp_path / "store.db")
    with open_store(limits) as store:
        for boot in ("gone", "waits"):
            store.note_clock(Moment(T, 5.0, boot), is_set=True)
            record = store.append(reading(T - 7000, 10.0, boot))
        store.acknowledge(record.seq - 1)
        for number in range(130):
            store.note_clock(Moment(T + number, 1.0, f"boot {number}"), is_set=True)
    with open_store(limits) as store:
        assert [one.timestamp_s for one in waiting(store)] == [T + 5]
        known = store._write_behind.boots.known
        assert ("gone" in known, "waits" in known, len(known)) == (False, True, 131)
        store.acknowledge(record.seq)
        store.note_clock(Moment(T, 1.0, "last"), is_set=True)
    with open_store(limits) as store:
        assert len(store._write_behind.boots.known) == 100


def test_a_spoiled_row_makes_no_boot_unneeded(tmp_path: Path) -> None:
    """Those of the rows behind it are known yet."""
    limits = StoreLimits(path=tmp_path / "store.db")
    with open_store(limits) as store:
        store.note_clock(Moment(T, 5.0, "waits"), is_set=True)
        for _ in range(2):
            store.append(reading(T - 7000, 10.0, "waits"))
    spoil(limits.path, "boot_id = 'waity'")
    with open_store(limits) as store:
        for number in range(130):
            store.note_clock(Moment(T + number, 1.0, f"boot {number}"), is_set=True)
    with open_store(limits) as store:
        assert [one.timestamp_s for one in waiting(store)] == [T - 7000, T + 5]


def test_a_note_of_the_clock_looks_at_nothing_that_waits(tmp_path: Path) -> None:
    """However many boots and rows there are."""
    limits = StoreLimits(path=tmp_path / "store.db", commit_after_s=1e6)
    with open_store(limits) as store:
        for number in range(130):
            store.note_clock(Moment(T + number, 1.0, f"boot {number}"), is_set=True)
            for _ in range(50):
                store.append(reading(T, 10.0, f"boot {number}"))
        store.flush()
        steps = [0]

        def step() -> None:
            steps[0] += 1

        store._write_behind.db.set_progress_handler(step, 100)
        store.note_clock(Moment(T, 1.0, "the next"), is_set=True)
        assert steps[0] < 40


def test_boots_push_no_record_out_of_a_small_file(tmp_path: Path) -> None:
    """However often the device was restarted since the oldest that waits."""
    with open_store(StoreLimits(path=tmp_path / "store.db", max_mib=0.1)) as store:
        for number in range(600):
            boot = f"6f1c4a52-8b7e-4f0e-9d53-{number:012}"
            store.note_clock(Moment(T + number, 1.0, boot), is_set=True)
            if number < 20 or number > 580:
                store.append(reading(T, 10.0, boot))
        assert (store.queued, store.dropped) == (39, 0)
