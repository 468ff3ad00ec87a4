"""A digest is made once for each day, when it is due or as soon as can be."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.config import Count, Digest
from agent.facts.day import day_of, of_local
from agent.facts.digest import Digests
from agent.facts.hours import Hours
from agent.facts.summary import body_of
from agent.health.health import Health
from agent.model import Reading, encode
from agent.store import COUNTS, Hour, Outage, Spell, open_store
from agent.value import replace
from tests.fakes import FakeClock, config

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from agent.facts.made import Made
    from agent.model import Json

DAY_S, HOUR_S = 86_400, 3600
NOON_S = 1_806_231_600.0  # Sunday, 28 March 2027, 13:00 in Berlin: its summer time begins


@pytest.fixture(autouse=True)
def berlin(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The local clock of Berlin."""
    monkeypatch.setenv("TZ", "CET-1CEST,M3.5.0,M10.5.0/3")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


class Desk:
    """Where digests are made, of a history that a test writes."""

    def __init__(self, directory: Path, at: str = "07:00", window_s: int = 600) -> None:
        self.clock = FakeClock(NOON_S)
        plain = config(directory, count=Count(sensor=("motion",), window_s=window_s))
        limits = replace(plain.store, path=directory / "store.db")
        self.config = replace(plain, store=limits, digest=Digest(at=at))
        self.store = open_store(limits, wall_s=self.clock.wall_s, boot_s=self.clock.boot_s)
        self.restart()

    def restart(self) -> None:
        """Begin anew with the same store."""
        self.hours = Hours(self.store)
        self.digests = Digests(self.config, self.store, Health(), self.hours)

    def note(self, days: int) -> None:
        """Have a history of the day that is so many days from now."""
        start_s = day_of(self.clock.wall_s(), days=days).start_s
        self.store.note(Hour(start_s, COUNTS, number=6, total=2, observed_s=3600.0))

    def tend(self, *, is_set: bool = True) -> list[str]:
        """The days whose digests are made now, one by one, kept as the recorder does."""
        days = []
        while made := self.digests.tend(self.clock.now(), is_set=is_set):
            (one,) = made
            self.store.append(one.record, detections=None, urgent=False, **one.facts)
            days.append(str(one.record.body["day"]))
        return days

    def at(self, clock: str, *, days: int = 0) -> None:
        """Move both clocks to a local time."""
        hour, minute = map(int, clock.split(":"))
        wall_s = of_local(day_of(NOON_S, days=days), hour * 60 + minute)
        self.clock.pass_by(wall_s - self.clock.wall_s())


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    """A desk at noon."""
    desk = Desk(tmp_path)
    yield desk
    desk.store.close()


def test_a_history_that_is_too_short_has_no_digest(desk: Desk) -> None:
    """One that is late would say that nobody looked, where only the history was cut."""
    desk.note(-1)
    limits = replace(desk.config.store, history_days=8.0)
    desk.config = replace(desk.config, store=limits)
    desk.restart()
    desk.clock.pass_by(DAY_S)

    assert desk.tend() == []


def test_the_digest_of_a_day_is_made_at_seven_on_the_next(desk: Desk) -> None:
    """Not a second before, once, and the process need not be woken before that."""
    desk.note(0)
    assert desk.tend() == []
    now = desk.clock.now()
    assert desk.digests.due_s(now) == now.boot_s + 18 * HOUR_S
    desk.at("06:59", days=1)
    desk.clock.pass_by(59)
    assert desk.tend() == []
    desk.clock.pass_by(1)
    assert desk.tend() == ["2027-03-28"]
    now = desk.clock.now()
    assert desk.tend() == []
    assert desk.digests.due_s(now) == now.boot_s + DAY_S
    desk.restart()
    assert desk.tend() == []


def test_seven_missed_days_are_made_the_oldest_first(desk: Desk) -> None:
    """Those before them are not, nor those without any history."""
    for days in (-9, -8, -7, -6, -4, -1):
        desk.note(days)
    assert desk.tend() == ["2027-03-21", "2027-03-22", "2027-03-24", "2027-03-27"]


def test_a_day_in_which_the_device_was_off_has_a_digest(desk: Desk) -> None:
    """It says so: nobody looked, and why."""
    day = day_of(NOON_S, days=-1)
    desk.store.note(Outage(day.start_s - 60.0, "agent", day.end_s + 60.0, "power cut"))
    made: list[Made] = desk.digests.tend(desk.clock.now(), is_set=True)
    (one,) = made
    body = one.record.body
    assert (body["detect_count"], body["observed_share"], body["longest_quiet"]) == (None, 0, None)
    assert body["outages"] == [
        {
            "kind": "agent",
            "from": day.start_s - 60,
            "to": day.end_s + 60,
            "cause": "power cut",
        }
    ]


def test_nothing_is_made_while_the_clock_is_not_set(desk: Desk) -> None:
    """Nobody is woken for it either; once it is set, all that is due comes."""
    desk.note(-1)
    assert desk.tend(is_set=False) == []
    assert desk.digests.due_s(desk.clock.now()) == math.inf
    assert desk.tend() == ["2027-03-27"]


def test_a_clock_that_jumps_makes_no_digest_twice(desk: Desk) -> None:
    """Back over days, forth again: one a day, and none is left out after the correction."""
    desk.note(-1)
    assert desk.tend() == ["2027-03-27"]
    desk.clock.jump(-3 * DAY_S)
    assert desk.tend() == []
    desk.clock.jump(3 * DAY_S)
    assert desk.tend() == []
    desk.note(0)
    desk.at("08:00", days=1)
    assert desk.tend() == ["2027-03-28"]


def test_a_clock_that_was_far_ahead_does_not_end_all_digests(desk: Desk) -> None:
    """The days that follow its correction have theirs."""
    desk.clock.jump(400 * DAY_S)
    desk.note(-1)
    assert len(desk.tend()) == 1
    desk.clock.jump(-400 * DAY_S)
    desk.note(-1)
    assert desk.tend() == ["2027-03-27"]
    desk.note(0)
    desk.at("07:00", days=1)
    assert desk.tend() == ["2027-03-28"]


@pytest.mark.parametrize(
    ("window_s", "at", "made"),
    [(600, "00:00", "00:01"), (3600, "00:03", "00:06"), (86_400, "01:00", "04:24")],
)
def test_a_digest_waits_for_the_last_count_of_its_day(
    tmp_path: Path, window_s: int, at: str, made: str
) -> None:
    """And for as long after it as a sensor is waited for; windows are aligned to UTC."""
    desk = Desk(tmp_path, at=at, window_s=window_s)
    desk.note(0)
    assert desk.tend() == []
    desk.at(made, days=1)
    desk.clock.pass_by(-1)
    assert desk.tend() == []
    desk.clock.pass_by(1)
    assert desk.tend() == ["2027-03-28"]
    desk.store.close()


def test_what_nobody_knows_is_null(desk: Desk) -> None:
    """An hour in which somebody looked and saw nothing has 0, another has null."""
    day = day_of(NOON_S)
    start_s = day.hours[4]
    desk.store.note(
        Hour(start_s, COUNTS, number=6, observed_s=3600.0),
        Hour(day.hours[5], COUNTS, number=6, odd=True),
        Spell(day.start_s, start_s, start_s + 3600.5, 3600.25),
    )
    body = body_of(
        day,
        hours=desk.store.hours(day.start_s, day.end_s),
        spells=desk.store.spells(day.start_s, day.end_s),
    )
    hours = body["hours"]
    assert isinstance(hours, list)
    assert len(hours) == 23
    assert hours[3:6] == [
        {"start": day.hours[3], "detect_count": None, "observed_ms": 0},
        {"start": day.hours[4], "detect_count": 0, "observed_ms": 3_600_000},
        {"start": day.hours[5], "detect_count": None, "observed_ms": 0, "odd": True},
    ]
    assert (body["detect_count"], body["observed_share"]) == (0, 0.043)
    assert (body["first_detection"], body["last_detection"]) == (None, None)
    assert body["longest_quiet"] == {
        "from": start_s,
        "to": start_s + 3600.5,
        "for_s": 3600.5,
        "observed_s": 3600.25,
    }


CAUSES = st.text(max_size=200)
NUMBERS = st.floats(-1e300, 1e300)


@given(
    names=st.lists(CAUSES, max_size=80),
    causes=st.lists(CAUSES, max_size=80),
    values=st.tuples(NUMBERS, NUMBERS, NUMBERS),
)
def test_a_digest_is_small_whatever_happened(
    names: list[str], causes: list[str], values: tuple[float, float, float]
) -> None:
    """It has less than 8 KiB, is JSON, and says what is left out."""
    day = day_of(NOON_S)
    low, high, total = values
    rows = [
        Hour(start_s, name, number=3, total=total, low=low, high=high)
        for name in {*names} - {COUNTS}
        for start_s in day.hours[:3]
    ]
    outages = [
        Outage(day.start_s + n, "link", day.start_s + 2.0 * n, it) for n, it in enumerate(causes)
    ]
    body = body_of(day, hours=rows, outages=outages)
    health: dict[str, Json] = {"health": {"conditions": ["records-dropped"] * 20}}
    assert len(encode({**body, **health})) < 8192
    quantities, told, left_out = body["quantities"], body["outages"], body.get("left_out", {})
    assert isinstance(quantities, dict)
    assert isinstance(told, list)
    assert isinstance(left_out, dict)
    left = int(str(left_out.get("outages", 0))), int(str(left_out.get("quantities", 0)))
    assert len(told) + left[0] == len(causes)
    assert len(quantities) + left[1] == len({*names} - {COUNTS})


def test_a_clock_that_goes_back_for_weeks_makes_no_day_twice(desk: Desk) -> None:
    """All dates that the history may go back to are remembered."""
    made = []
    for days in range(1, 61):
        desk.note(0)
        desk.at("08:00", days=days)
        made += desk.tend()
    desk.clock.jump(-30 * DAY_S)
    for _ in range(3):
        desk.note(0)
        desk.restart()
        made += desk.tend()
        desk.clock.pass_by(DAY_S)
    assert len(made) == len(set(made)) == 60


def test_what_was_read_since_the_last_count_is_in_the_digest(desk: Desk) -> None:
    """A device that counts nothing notes its readings every ten minutes only."""
    desk.hours.read(Reading("room", {"temperature_c": 21.5}, desk.clock.now()), odd=False)
    desk.at("07:00", days=1)
    (made,) = desk.digests.tend(desk.clock.now(), is_set=True)
    quantities = made.record.body["quantities"]
    assert isinstance(quantities, dict)
    assert [*quantities] == ["room.temperature_c"]
