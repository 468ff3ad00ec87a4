"""Quiet is told as of each moment, survives the process, and is never guessed."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.config import StoreLimits
from agent.facts.day import day_of
from agent.facts.quiet import FACT, Quiet
from agent.model import DAY_S, Moment
from agent.sensors import Detections
from agent.store import Store
from tests.fakes import START_S, FakeClock
from tests.unit.facts.conftest import BERLIN
from tests.unit.facts.home import Home

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from agent.model import Json


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    """A home that has just begun."""
    home = Home(tmp_path)
    home.start()
    yield home
    home.store.close()


def told(body: dict[str, Json]) -> tuple[Json, Json, Json]:
    """What a count says: last detection from the start, quiet, and what was observed of it."""
    last, quiet_s = body["last_detection"], body["quiet_for_s"]
    since_s = last - START_S if isinstance(last, int) else last
    return since_s, quiet_s, body.get("quiet_observed_s", quiet_s)


def test_nothing_is_known_before_the_first_detection(home: Home) -> None:
    """How long somebody has looked is, for a rule."""
    home.live(600)
    assert told(home.count()) == home.quiet() == (None, None, None)
    assert home.facts._quiet.observed_s() == 600


def test_quiet_grows_until_a_detection(home: Home) -> None:
    """In whole seconds, in each count and between them; one that goes on moving is not quiet."""
    home.live(120.4)
    home.detect()
    home.live(479.6)
    assert told(home.count()) == (120, 480, 480)
    home.live(600)
    assert told(home.count()) == home.quiet() == (120, 1080, 1080)
    home.live(30)
    home.detect(active_s=2.5)
    assert home.quiet() == (1230, 0, 0)


def test_a_detection_after_the_end_of_a_window_is_of_the_next(home: Home) -> None:
    """Though the window is reported late, the count says what was so at its end."""
    home.live(100)
    home.detect()
    home.live(510)
    home.detect()
    assert told(home.count(late_s=10)) == (100, 500, 500)
    home.live(590)
    assert told(home.count()) == (610, 590, 590)
    home.live(601)
    home.detect()
    assert told(home.count(late_s=1)) == (610, 1190, 1190)


def test_time_that_nobody_observed_is_told_and_is_no_quiet_to_a_rule(home: Home) -> None:
    """A sensor that does not watch, or looks that are too far apart."""
    home.detect()
    home.live(600)
    home.watching = False
    home.live(600)
    home.watching = True
    home.live(600)
    assert told(home.count()) == (0, 1800, 1140)  # it began to watch in the last minute of ten
    home.clock.pass_by(400)
    home.look()
    home.live(60)
    assert home.facts._quiet.observed_s() == 1200
    home.detect()
    assert home.facts._quiet.observed_s() == 0


def test_less_than_a_minute_that_nobody_observed_is_not_worth_a_word(home: Home) -> None:
    """As of a restart."""
    home.detect()
    home.live(1200)
    home.count()
    home.stop()
    home.clock.pass_by(50)
    home.start()
    home.live(550)
    assert "quiet_observed_s" not in home.count()
    assert home.quiet() == (0, 1800, 1800)
    home.live(12_000)
    home.clock.pass_by(200)
    home.look()
    assert home.quiet() == (0, 14_000, 13_750)


def test_less_than_a_hundredth_that_nobody_observed_is_not_worth_a_word(home: Home) -> None:
    """Of a long time."""
    home.detect()
    home.live(24_000)
    home.clock.pass_by(200)
    home.look()
    assert home.quiet() == (0, 24_200, 24_200)


def test_a_late_poll_takes_nothing_back(home: Home) -> None:
    """What it saw before the last detection is no news."""
    home.live(300)
    home.detect()
    home.live(60)
    early = Moment(START_S + 200, 1200.0, home.clock.now().boot_id)
    home.facts.saw(Detections(1, 0.0), early)
    assert home.quiet() == (300, 60, 60)
    late = Moment(START_S + 310, 1310.0, home.clock.now().boot_id)
    home.facts.saw(Detections(1, 0.0), late)
    home.live(60)
    assert home.quiet()[:2] == (310, 110)
    assert home.facts._quiet.observed_s() == 60


def test_quiet_between_two_looks_is_as_of_now(home: Home) -> None:
    """The sensors watch on."""
    home.detect()
    home.clock.pass_by(150)
    assert home.quiet() == (0, 150, 150)


def test_quiet_goes_on_after_a_crash(home: Home) -> None:
    """From the mirror, which is newer than the store."""
    home.detect()
    home.live(600)
    home.count()
    home.live(60)
    home.detect()
    home.crash()
    home.clock.pass_by(240)
    home.start()
    home.live(600)
    assert home.quiet() == (660, 840, 600)


def test_quiet_goes_on_after_a_power_cut(home: Home) -> None:
    """A detection that ends a long spell is not lost with the window that it is in."""
    home.live(1200)
    assert home.detect()
    home.live(30)
    assert not home.detect(), "once a window: the card has to last"
    home.live(500)
    home.power_cut(off_s=3600)
    home.start()
    assert home.quiet() == (1200, 4130, 0)
    home.live(600)
    assert told(home.count()) == (1200, 4730, 600)


def test_each_window_may_keep_one_at_once(home: Home) -> None:
    """If its spell was long; the store takes it along else."""
    home.detect()
    home.live(600)
    home.count()
    home.live(1)
    assert home.detect()
    home.live(599)
    home.count()
    home.live(1)
    assert not home.detect()


def test_a_store_that_commits_late_is_left_in_peace(tmp_path: Path) -> None:
    """Its owner has decided what a power cut may take."""
    home = Home(tmp_path, commit_after_s=60.0)
    home.start()
    home.live(1200)
    assert not home.detect()
    home.stop()


def test_without_a_clock_only_what_the_boot_clock_tells_is_known(home: Home) -> None:
    """After a power cut nothing, until it is set; then all of it."""
    home.detect()
    home.live(600)
    home.count()
    home.power_cut(off_s=0)
    home.clock.was_set = False
    home.start()
    home.live(600)
    assert told(home.count()) == (None, None, None)
    home.clock.jump(7200)
    home.clock.was_set = True
    home.live(60)
    assert home.quiet() == (0, 600 + 600 + 7200 + 60, 1260)


def test_a_detection_before_the_clock_was_set_is_known_by_its_age(home: Home) -> None:
    """When it was is told once the clock is set."""
    home.clock.was_set = False
    home.live(60)
    home.detect()
    home.live(540)
    assert told(home.count()) == (None, 540, 540)
    home.clock.jump(86_400)
    home.clock.was_set = True
    home.live(60)
    assert home.quiet() == (86_460, 600, 600)
    began = home.facts.kept()["began"]
    assert isinstance(began, list)
    assert began[0] == START_S + 86_460


def test_a_detection_of_a_boot_whose_clock_was_never_set_is_no_fact_of_the_next(
    home: Home,
) -> None:
    """When it was is not known, nor how long it has been quiet; what was observed counts."""
    home.clock.was_set = False
    home.live(60)
    home.detect()
    home.live(600)
    home.count()
    home.power_cut(off_s=0)
    home.clock.jump(10 * DAY_S)
    home.clock.was_set = True
    home.start()
    home.live(600)
    assert told(home.count()) == home.quiet() == (None, None, None)
    assert home.facts._quiet.observed_s() == 1200
    (spell,) = home.store.spells(0, 3e9)
    assert spell.ended_s - spell.began_s == spell.observed_s == 600
    home.detect()
    assert home.quiet()[1] == 0


def test_what_an_agent_that_knows_nothing_of_quiet_has_counted_makes_it_unknown(
    home: Home,
) -> None:
    """As one before this: somebody may have been seen then."""
    home.detect()
    home.live(600)
    home.store.remember(window="b 1", quiet_window="b 1")
    home.count()
    home.stop()
    home.mirrored = {}
    home.start()
    assert home.quiet()[0] == 0
    home.store.remember(window="b 2")
    home.stop()
    home.mirrored = {}
    home.start()
    assert home.quiet() == (None, None, None)


def test_what_was_observed_of_a_day_before_the_clock_was_set_is_of_that_day(
    tmp_path: Path,
) -> None:
    """Once it is known which."""
    home = Home(tmp_path)
    home.clock.was_set = False
    home.start()
    home.detect()
    home.live(600)
    home.clock.was_set = True
    home.live(60)
    home.count()
    assert [one.observed_s for one in home.store.spells(0, 3e9)] == [660]
    home.stop()


def test_a_clock_that_is_set_back_makes_nothing_negative(home: Home) -> None:
    """Quiet is by the boot clock; after a power cut it is at least zero."""
    home.detect()
    home.clock.jump(-3600)
    home.live(60)
    assert home.quiet() == (-3600, 60, 60)
    home.count()
    home.power_cut(off_s=-7200)
    home.start()
    assert home.quiet()[1] == 0


SPOILED = [
    "",
    "{",
    "[]",
    "null",
    '{"began":1}',
    '{"began":[1,2,3],"detected":true,"observed_s":1,"day_s":1,"before_s":0}',
    '{"began":[1,-2,"b"],"detected":true,"observed_s":1,"day_s":1,"before_s":0}',
    '{"began":[1,2,"b"],"detected":1,"observed_s":1,"day_s":1,"before_s":0}',
    '{"began":[1,2,"b"],"detected":true,"observed_s":"x","day_s":1,"before_s":0}',
    '{"began":[1e300,2,"b"],"detected":true,"observed_s":1,"day_s":1,"before_s":0}',
    '{"began":[1,2,"b"],"detected":true,"observed_s":1,"day_s":1e99,"before_s":0}',
]


@pytest.mark.parametrize("text", SPOILED)
def test_what_is_spoiled_is_not_known(home: Home, text: str) -> None:
    """In the store's fact and in the mirror; the start goes on."""
    home.store.remember(**{FACT: text})
    home.mirrored = json.loads(text) if text.startswith('{"') else {}
    home.stop()
    home.start()
    assert home.quiet() == (None, None, None)


def test_what_a_newer_agent_has_kept_besides_does_no_harm(home: Home) -> None:
    """In the store's fact and in the mirror: the agent that it was taken back to goes on."""
    home.live(60)
    home.detect()
    home.live(540)
    home.count()
    more: dict[str, Json] = {"more": {"a": None}}
    home.store.remember(**{FACT: json.dumps({**json.loads(home.store.recall(FACT)), **more})})
    for mirrored in ({}, {**home.mirrored, **more}):
        home.stop()
        home.mirrored = mirrored
        home.start()
        assert home.quiet() == (60, 540, 540)


@given(
    st.dictionaries(
        st.sampled_from(["began", "detected", "observed_s", "day_s", "before_s"]),
        st.one_of(
            st.none(),
            st.booleans(),
            st.floats(),
            st.text(max_size=3),
            st.lists(st.one_of(st.floats(), st.integers(), st.text(max_size=3)), max_size=4),
        ),
    )
)
def test_a_foreign_mirror_ends_nothing(mirrored: dict[str, Json]) -> None:
    """Whatever is in it."""
    with Store(StoreLimits(), memory_only="for a test") as store:
        quiet = Quiet(store)
        quiet.begin(mirrored, is_set=True)
        quiet.look(Moment(START_S, 10.0, "b"), watching=True, is_set=True)
        assert quiet.observed_s() >= 0


def spells(home: Home) -> list[tuple[float, float, float, float]]:
    """Day, begin, end and what was observed of each, all times from the first day's."""
    found = home.store.spells(0, 3e9)
    day_s = found[0].day_s if found else 0
    return [
        (one.day_s - day_s, one.began_s - day_s, one.ended_s - day_s, one.observed_s)
        for one in found
    ]


@pytest.fixture
def midnight(tmp_path: Path, zone: Callable[[str], None]) -> Iterator[Home]:
    """A home in Berlin whose day begins with a detection."""
    zone(BERLIN)
    home = Home(tmp_path, FakeClock(day_of(START_S).end_s))
    home.start()
    home.detect()
    yield home
    home.store.close()


def test_the_longest_spell_of_a_day_is_kept(midnight: Home) -> None:
    """One that goes on counts too."""
    home = midnight
    for quiet_s in (3600, 7200, 1800):
        home.live(quiet_s)
        home.detect()
    home.count()
    assert spells(home) == [(0, 3600, 10_800, 7200)]
    home.live(7260)
    home.count()
    assert spells(home) == [(0, 12_600, 19_860, 7260)]


def test_a_spell_over_midnight_is_of_both_days(midnight: Home) -> None:
    """Each has its part, to the second."""
    home = midnight
    home.live(DAY_S - 3630)
    home.detect()
    home.live(3630 - 25)
    home.clock.pass_by(50)  # the look is not at midnight
    home.look()
    home.live(7200)
    home.detect()
    home.count()
    first = (0, 0, DAY_S - 3630, DAY_S - 3630)
    assert spells(home) == [first, (DAY_S, DAY_S, DAY_S + 7225, 7225)]
    home.live(7500)
    home.count()
    assert spells(home) == [first, (DAY_S, DAY_S + 7225, DAY_S + 14_725, 7500)]


def test_the_spell_that_goes_on_at_midnight_is_of_the_day_that_ends(midnight: Home) -> None:
    """Though nothing is counted before the next day begins."""
    home = midnight
    home.live(DAY_S + 30)
    home.count()
    assert spells(home) == [(0, 0, DAY_S, DAY_S), (DAY_S, DAY_S, DAY_S + 30, 30)]


def test_a_clock_that_is_set_back_for_a_while_ends_no_day(midnight: Home) -> None:
    """What goes on then is no spell to the end of the day."""
    home = midnight
    home.live(DAY_S)
    home.detect()
    home.live(3600)
    home.clock.jump(-2 * 3600)
    home.look()
    home.clock.jump(2 * 3600)
    home.look()
    home.detect()
    home.count()
    assert spells(home) == [(0, 0, DAY_S, DAY_S), (DAY_S, DAY_S, DAY_S + 3600, 3600)]


def test_a_spell_goes_on_over_a_restart(midnight: Home) -> None:
    """What nobody observed is in it, and not in its length; a longer one before it stays."""
    home = midnight
    home.live(7200)
    home.detect()
    home.live(3600)
    home.count()
    home.power_cut(off_s=1800)
    home.start()
    home.live(600)
    home.count()
    assert spells(home) == [(0, 0, 7200, 7200)]
    home.live(3660)
    home.count()
    assert spells(home) == [(0, 7200, 16_860, 7860)]


def test_a_night_without_power_is_no_quiet(midnight: Home) -> None:
    """Of either day."""
    home = midnight
    home.live(DAY_S - 3600)
    home.count()
    home.power_cut(off_s=8 * 3600)
    home.start()
    home.live(600)
    home.count()
    assert spells(home) == [
        (0, 0, DAY_S - 3600, DAY_S - 3600),
        (DAY_S, DAY_S, DAY_S + 7 * 3600 + 600, 600),
    ]


def test_no_spell_is_known_while_the_clock_is_not_set(home: Home) -> None:
    """Of which day would it be?"""
    home.clock.was_set = False
    home.look()
    home.detect()
    home.live(600)
    home.count()
    assert spells(home) == []
