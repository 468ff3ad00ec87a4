"""Rules begin and end exactly once, when a person would say so, whatever becomes of the process."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.config.rule import Rule
from agent.facts.modes import Mode
from agent.facts.span import span_at
from agent.model import Reading, encode
from agent.sensors import Detections
from agent.value import replace
from tests.unit.facts.conftest import BERLIN
from tests.unit.facts.watched_home import Home, local, shown

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from agent.model import Json

STILL = Rule(name="still", quiet_for_s=4 * 3600, hours="07:00-22:00")
ALWAYS = Rule(name="always", quiet_for_s=4 * 3600)
CUT_OFF = Rule(name="cut-off", offline_for_s=3600)
HEAT = Rule(
    name="heat", sensor="room", quantity="temperature_c", above=30, for_s=600, hysteresis=0.5
)


@pytest.fixture
def live(
    tmp_path: Path, zone: Callable[[str], None], request: pytest.FixtureRequest
) -> Callable[..., Home]:
    """A home in Berlin with these rules, closed at the end."""
    zone(BERLIN)

    def begin(*rules: Rule, at: str = "2026-11-27 00:00:00") -> Home:
        home = Home(tmp_path, *rules, at=at)
        request.addfinalizer(home.close)
        return home

    return begin


def test_quiet_alarms_after_its_time_within_its_hours(live: Callable[..., Home]) -> None:
    """To the second; the night before does not count, and the next detection ends it."""
    home = live(STILL, at="2026-11-26 21:00:00")
    home.seen()
    home.until("2026-11-27 10:59:59")
    assert home.events() == []
    home.live(1)
    home.until("2026-11-27 12:30:00")
    home.seen()
    begin, end = home.events()
    assert (
        begin.items()
        >= {
            "event": "begin",
            "rule": "still",
            "kind": "quiet",
            "since": local("2026-11-27 07:00:00"),
            "limit": 14400,
            "value": 14400,
        }.items()
    )
    assert (
        end.items()
        >= {
            "event": "end",
            "since": local("2026-11-27 07:00:00"),
            "value": 0,
            "lasted_s": 5.5 * 3600,
            "reason": "detection",
        }.items()
    )
    assert home.told() == [
        ("11-27 11:00:00", "still begin", ""),
        ("11-27 12:30:00", "still end", "detection"),
    ]


def test_quiet_counts_from_the_last_detection(live: Callable[..., Home]) -> None:
    """Each begins it anew, and it can alarm again."""
    home = live(STILL)
    for at in ("08:00:00", "11:59:00", "16:00:00", "22:30:00"):
        home.until(f"2026-11-27 {at}")
        home.seen()
    home.until("2026-11-28 00:00:00")
    assert home.told() == [
        ("11-27 15:59:00", "still begin", ""),
        ("11-27 16:00:00", "still end", "detection"),
        ("11-27 20:00:00", "still begin", ""),
        ("11-27 22:00:00", "still end", "hours over"),
    ]
    assert home.events()[2]["since"] == local("2026-11-27 16:00:00")


def test_a_rule_is_looked_at_in_its_very_second(live: Callable[..., Home]) -> None:
    """Whenever the minutes of the sampler begin; hours that begin and end too."""
    home = live(STILL, CUT_OFF, at="2026-11-27 06:59:17")
    home.live(16 * 3600)
    assert home.told() == [
        ("11-27 07:59:17", "cut-off begin", ""),
        ("11-27 11:00:00", "still begin", ""),
        ("11-27 22:00:00", "still end", "hours over"),
    ]


def test_quiet_without_any_detection_counts_from_the_first_look(live: Callable[..., Home]) -> None:
    """A device that has lost its memory, or whose sensor never saw anybody, is not silent."""
    home = live(ALWAYS)
    home.live(5 * 3600)
    assert home.events()[0]["since"] == local("2026-11-27 00:00:00")


def test_the_end_of_quiet_is_told_at_once(live: Callable[..., Home]) -> None:
    """The sampler looks again after the detection; one that ends nothing wakes nobody."""
    home = live(ALWAYS)
    for begun in (False, True):
        home.recorder.saw(Detections(1, 0.0), home.clock.now())
        assert (home.facts.due_s() <= home.clock.boot_s()) is begun
        home.tend()
        home.live(4 * 3600)
        home.recorder.saw(Detections(0, 0.0), home.clock.now())
        assert home.facts.due_s() > home.clock.boot_s()
    assert [one["event"] for one in home.events()] == ["begin", "end", "begin"]


def test_quiet_without_hours_counts_the_night_too(live: Callable[..., Home]) -> None:
    """And needs no clock that is set; what it does not know is null."""
    home = live(ALWAYS)
    home.clock.was_set = False
    home.seen()
    home.live(4 * 3600 + 60)
    (begin,) = home.events()
    assert (begin["event"], begin["since"], begin["value"]) == ("begin", None, 14400)


def test_hours_rest_while_the_clock_is_not_set(live: Callable[..., Home]) -> None:
    """Nobody knows whether it is day; once it is known, the time that was quiet counts."""
    home = live(STILL, at="2026-11-27 09:00:00")
    home.clock.was_set = False
    home.seen()
    home.live(5 * 3600)
    assert home.events() == []
    home.clock.was_set = True
    home.live(60)
    assert home.told() == [("11-27 14:01:00", "still begin", "")]


def test_hours_may_cross_midnight(live: Callable[..., Home]) -> None:
    """They belong to the day that they begin on."""
    home = live(Rule(name="night", quiet_for_s=6 * 3600, hours="22:00 - 6:00"))
    home.until("2026-11-28 12:00:00")
    assert home.told() == [
        ("11-28 04:00:00", "night begin", ""),
        ("11-28 06:00:00", "night end", "hours over"),
    ]


@pytest.mark.parametrize(
    ("day", "begins"),
    [("2026-03-29", "03-29 05:00:00"), ("2026-10-25", "10-25 03:00:00")],
    ids=["23 hours", "25 hours"],
)
def test_an_hour_that_is_left_out_or_twice_counts_as_it_passes(
    live: Callable[..., Home], day: str, begins: str
) -> None:
    """Hours are those of the local clock, four hours are four hours."""
    home = live(Rule(name="early", quiet_for_s=4 * 3600, hours="00:00-24:00"), at=f"{day} 00:00:00")
    home.live(5 * 3600)
    assert home.told() == [(begins, "early begin", "")]


@pytest.mark.parametrize(
    ("hours", "at", "span"),
    [
        ("07:00-22:00", "2026-11-27 06:59:59", ("11-27 07:00:00", "11-27 22:00:00")),
        ("07:00-22:00", "2026-11-27 22:00:00", ("11-28 07:00:00", "11-28 22:00:00")),
        ("22:00-06:00", "2026-11-27 05:59:59", ("11-26 22:00:00", "11-27 06:00:00")),
        ("22:00-06:00", "2026-10-25 05:00:00", ("10-24 22:00:00", "10-25 06:00:00")),
        ("00:00-24:00", "2026-11-27 23:59:59", ("11-27 00:00:00", "11-28 00:00:00")),
    ],
)
def test_a_span_is_the_one_that_is_on_or_the_next(
    zone: Callable[[str], None], hours: str, at: str, span: tuple[str, str]
) -> None:
    """By the local clock."""
    zone(BERLIN)
    found = span_at(hours, local(at))
    assert (shown(found.start_s), shown(found.end_s)) == span


def test_a_span_that_a_day_does_not_have_is_that_of_another(zone: Callable[[str], None]) -> None:
    """Summer time leaves an hour out."""
    zone(BERLIN)
    found = span_at("02:10-02:40", local("2026-03-28 12:00:00"))
    assert found.start_s < found.end_s


def test_time_that_nobody_observed_never_alarms(live: Callable[..., Home]) -> None:
    """It adds nothing, also where it lies between two times that were observed."""
    home = live(STILL)
    home.until("2026-11-27 07:00:00")
    home.seen()
    home.live(3600)
    home.watching = False
    home.live(7 * 3600)
    assert home.events() == []
    home.watching = True
    home.live(3 * 3600 + 60)
    assert home.told() == [
        ("11-27 18:01:00", "still begin", "")
    ]  # the look before it is a blind one


def test_a_rule_that_nobody_watches_for_wakes_nobody(live: Callable[..., Home]) -> None:
    """The sampler steps once a minute at most for it."""
    home = live(ALWAYS)
    home.seen()
    home.live(4 * 3600 - 5)
    home.watching = False
    home.live(120)
    assert home.facts.due_s() > home.clock.boot_s() + 60


@pytest.mark.parametrize("mode", ["away", "visitor"])
def test_quiet_rests_while_nobody_need_be_seen(live: Callable[..., Home], mode: str) -> None:
    """One that has begun ends; afterwards quiet counts from the end of the mode."""
    home = live(STILL, at="2026-11-27 07:00:00")
    home.until("2026-11-27 11:30:00")
    home.mode(mode, 3600)
    home.until("2026-11-27 18:00:00")
    assert home.told() == [
        ("11-27 11:00:00", "still begin", ""),
        ("11-27 11:30:00", "still end", "mode"),
        ("11-27 16:29:00", "still begin", ""),  # the mode was seen last a minute before its end
    ]
    assert [one.get("mode") for one in home.events()] == [None, mode, None]


def test_in_a_test_rules_work_and_events_say_so(live: Callable[..., Home]) -> None:
    """As all that is made in it."""
    home = live(STILL, at="2026-11-27 07:00:00")
    home.mode("test", 86_400)
    home.until("2026-11-27 12:00:00")
    (event,) = home.events()
    assert (event["event"], event["mode"]) == ("begin", "test")


def test_offline_begins_without_a_connection_and_ends_with_it(live: Callable[..., Home]) -> None:
    """By the boot clock: nobody need know the time."""
    home = live(CUT_OFF)
    home.facts.link.went_up()
    home.live(600)
    home.clock.was_set = False
    home.facts.link.went_down("the router is off")
    home.live(3599)
    assert home.events() == []
    home.live(1)
    home.live(7200)
    home.facts.link.went_up()
    home.live(60)
    begin, end = home.events()
    assert begin.items() >= {"kind": "offline", "since": None, "limit": 3600, "value": 3600}.items()
    assert end.items() >= {"lasted_s": 10860, "reason": "online", "value": 0}.items()


def test_a_value_has_to_last_and_to_come_back(live: Callable[..., Home]) -> None:
    """Ten minutes above the limit, and half a degree below it."""
    home = live(HEAT)
    home.warm(540, temperature_c=30.1)
    home.warm(60, temperature_c=30.0)  # not above
    home.warm(540, temperature_c=31.0)
    assert home.events() == []
    home.warm(60, temperature_c=31.5)
    home.warm(600, temperature_c=29.6)
    (begin,) = home.events()
    assert (
        begin.items()
        >= {
            "rule": "heat",
            "kind": "above",
            "sensor": "room",
            "quantity": "temperature_c",
            "limit": 30,
            "since": begin["Timestamp"] - 600,  # type: ignore[operator]
        }.items()
    )
    home.reads("room", temperature_c=29.5)
    assert home.events()[1].items() >= {"event": "end", "value": 29.5, "reason": "back"}.items()


def test_a_lower_limit_is_the_same_upside_down(live: Callable[..., Home]) -> None:
    """At once, where it need not last."""
    home = live(Rule(name="cold", sensor="room", quantity="temperature_c", below=5, hysteresis=1))
    for value in (5.0, 4.9, 5.9, 4.0, 6.0, 4.9):
        home.reads("room", temperature_c=value)
        home.reads("lazy", temperature_c=99)
    assert [(one["event"], one["value"]) for one in home.events()] == [
        ("begin", 4.9),
        ("end", 6.0),
        ("begin", 4.9),
    ]


@pytest.mark.parametrize("how", ["silent", "failing"])
def test_what_is_unknown_begins_and_ends_nothing(live: Callable[..., Home], how: str) -> None:
    """A sensor that is silent for three intervals, or fails, tells nothing of its value."""
    home = live(HEAT)

    def lose() -> None:
        if how == "failing":
            home.facts.sensor("room", "unplugged")
            home.facts.sensor("room", "")
        else:
            home.live(170)
            home.clock.pass_by(11)

    home.warm(360, temperature_c=35.0)
    lose()
    home.warm(540, temperature_c=35.0)
    assert home.events() == []
    home.warm(120, temperature_c=35.0)
    assert len(home.events()) == 1
    lose()
    home.live(7200)
    assert len(home.events()) == 1
    home.reads("room", temperature_c=20.0)
    assert len(home.events()) == 2


def test_a_value_that_was_read_once_does_not_last(live: Callable[..., Home]) -> None:
    """Nobody knows what came after it."""
    home = live(HEAT)
    home.reads("room", temperature_c=35.0)
    home.live(3600)
    assert home.events() == []


def test_a_value_that_changes_sides_is_looked_at_at_once(live: Callable[..., Home]) -> None:
    """And again when it has lasted; one that goes on as it was wakes nobody."""
    home = live(HEAT)
    for value, wakes in ((20.0, True), (20.0, False), (31.0, True), (32.0, False)):
        home.facts.read(Reading("room", {"temperature_c": value}, home.clock.now()))
        assert (home.facts.due_s() <= home.clock.boot_s()) is wakes
        home.tend()
    assert home.facts.due_s() == home.clock.boot_s() + 600


def test_a_sensor_that_reports_changes_is_silent_for_longer(live: Callable[..., Home]) -> None:
    """Its value stands until its heartbeat is overdue."""
    home = live(Rule(name="hot", sensor="lazy", quantity="x_c", above=30, for_s=3600, hysteresis=1))
    home.reads("lazy", x_c=31.0)
    home.live(3600)
    assert [one["event"] for one in home.events()] == ["begin"]


def test_wbgt_is_made_of_temperature_and_humidity(live: Callable[..., Home]) -> None:
    """Of one reading or of two that follow one another."""
    home = live(Rule(name="heat", sensor="room", quantity="wbgt_c", above=28, hysteresis=0.5))
    home.reads("room", temperature_c=35.0, humidity_pct=70.0)
    home.reads("room", temperature_c=25.0)
    assert [(one["event"], one["value"]) for one in home.events()] == [
        ("begin", 31.4),
        ("end", 22.0),
    ]


def test_a_quantity_that_never_comes_is_told(live: Callable[..., Home]) -> None:
    """A rule on a name that was mistyped would wait for ever; over once it comes."""
    home = live(HEAT)
    for _ in range(3):
        home.reads("room", model="BME280", temperatur_c=35.0)
    assert home.conditions() == {
        "config-warning": "rules: heat: room gives no temperature_c; it gives model, temperatur_c"
    }
    home.reads("room", temperature_c=20.0)
    assert home.conditions() == {}


def test_a_rule_that_cannot_begin_is_told_at_the_start(live: Callable[..., Home]) -> None:
    """A sensor that is only counted gives no reading by which it would be found out."""
    rule = Rule(name="door", sensor="button", quantity="active", above=0)
    assert live(rule).conditions() == {
        "config-warning": "rules: door: button gives no readings, "
        "since what it detects is all that is asked of it"
    }


def test_a_rule_begins_no_later_than_its_event(live: Callable[..., Home]) -> None:
    """Its since is in whole seconds, by which it is never after the event's time."""
    home = live(replace(HEAT, for_s=0))
    home.live(0.6)
    home.reads("room", temperature_c=35.0)
    (begin,) = home.events()
    assert home.clock.wall_s() % 1 == pytest.approx(0.6)
    assert begin["since"] == local("2026-11-27 00:00:00")


def test_a_rule_that_has_begun_is_shown(live: Callable[..., Home]) -> None:
    """In words, as information, and after a restart too."""
    home = live(STILL, at="2026-11-27 07:00:00")
    home.until("2026-11-27 11:30:00")
    text = "still: nobody seen for 4 h between 07:00 and 22:00, since 2026-11-27 07:00"
    assert home.conditions() == {"rule-active": text}
    home.die()
    home.start()
    assert home.conditions() == {"rule-active": text}
    home.seen()
    assert home.conditions() == {}


@pytest.mark.parametrize("power_cut", [False, True])
def test_a_rule_goes_on_over_a_crash(live: Callable[..., Home], *, power_cut: bool) -> None:
    """No second begin, and the end comes, with all the time that it lasted."""
    home = live(STILL, CUT_OFF, at="2026-11-27 07:00:00")
    home.until("2026-11-27 11:30:00")
    home.die(power_cut=power_cut)
    home.clock.pass_by(60)
    home.start()
    home.live(3600)
    home.seen()
    home.facts.link.went_up()
    home.live(60)
    assert [(one["rule"], one["event"]) for one in home.events()] == [
        ("cut-off", "begin"),
        ("still", "begin"),
        ("still", "end"),
        ("cut-off", "end"),
    ]
    assert home.events()[2]["lasted_s"] == 4.5 * 3600 + 3660


@pytest.mark.parametrize("power_cut", [False, True])
def test_quiet_goes_on_over_a_crash(live: Callable[..., Home], *, power_cut: bool) -> None:
    """The night before still does not count, the morning does, but for what was not observed."""
    home = live(STILL, at="2026-11-26 20:00:00")
    home.seen()
    home.until("2026-11-27 09:00:00")
    home.die(power_cut=power_cut)
    home.clock.pass_by(1800)
    home.start()
    home.until("2026-11-27 13:00:00")
    assert home.told() == [("11-27 11:30:00", "still begin", "")]


def test_a_detection_just_before_a_crash_ends_what_has_begun(live: Callable[..., Home]) -> None:
    """Though the event was not made yet."""
    home = live(ALWAYS, at="2026-11-27 07:00:00")
    home.seen()
    home.live(5 * 3600)
    home.recorder.saw(Detections(1, 0.5), home.clock.now())
    home.recorder.mirror(())
    home.die()
    home.start()
    assert [one["event"] for one in home.events()] == ["begin", "end"]


def test_hours_that_end_while_no_process_runs_end_the_rule(live: Callable[..., Home]) -> None:
    """It is told at the next start."""
    home = live(STILL, at="2026-11-27 07:00:00")
    home.until("2026-11-27 12:00:00")
    home.die(power_cut=True)
    home.clock.pass_by(20 * 3600)
    home.start()
    assert home.told() == [
        ("11-27 11:00:00", "still begin", ""),
        ("11-28 08:00:00", "still end", "hours over"),
    ]


@pytest.mark.parametrize(
    "rules",
    [
        (),
        (Rule(name="quiet", quiet_for_s=14400),),
        (Rule(name="always", offline_for_s=86_400),),
    ],
    ids=["removed", "renamed", "of another kind"],
)
def test_a_rule_that_is_there_no_more_ends(
    live: Callable[..., Home], rules: tuple[Rule, ...]
) -> None:
    """Whoever was told that it began is told that it is over, once."""
    home = live(ALWAYS)
    home.live(5 * 3600)
    home.die()
    home.rules = rules
    for _ in range(2):
        home.start()
        ends = [one for one in home.events() if one["event"] == "end"]
        assert [(one["rule"], one["kind"], one["reason"], one["limit"]) for one in ends] == [
            ("always", "quiet", "removed", None)
        ]
        home.die()
    home.start()


def test_a_rule_that_is_changed_goes_on(live: Callable[..., Home]) -> None:
    """A longer time or other hours do not make it another one."""
    home = live(ALWAYS)
    home.live(5 * 3600)
    home.die()
    home.rules = (Rule(name="always", quiet_for_s=86_400),)
    home.start()
    home.live(600)
    assert len(home.events()) == 1
    home.seen()
    assert len(home.events()) == 2


def test_what_a_newer_agent_has_kept_of_rules_does_no_harm(live: Callable[..., Home]) -> None:
    """One that began by it goes on, and ends once."""
    home = live(ALWAYS)
    home.live(5 * 3600)
    kept = json.loads(home.store.recall("rules"))
    for one in kept["begun"].values():
        one["more"] = {"a": None}
    home.store.remember(rules=json.dumps({**kept, "more": [1]}))
    home.die()
    home.start()
    home.live(600)
    assert len(home.events()) == 1
    home.seen()
    assert len(home.events()) == 2


@pytest.mark.parametrize(
    "text", ["{", "[]", '{"begun": {"always": 5}}', '{"begun": 1, "kept": {"still": ["a", 2]}}']
)
def test_what_is_spoiled_in_the_store_is_nothing(live: Callable[..., Home], text: str) -> None:
    """Rules begin anew."""
    home = live(ALWAYS, STILL)
    home.store.remember(rules=text)
    home.die()
    home.start()
    home.live(4 * 3600 + 60)
    assert home.told() == [("11-27 04:00:00", "always begin", "")]


@st.composite
def lives(draw: st.DrawFn) -> list[tuple[str, int]]:
    """What happens in a home, each after some minutes."""
    happens = st.sampled_from(["seen", "up", "down", "die", "cut", "blind", "looks", "away", "hot"])
    return draw(st.lists(st.tuples(happens, st.integers(1, 300)), max_size=12))


def happen(home: Home, what: str, minutes: int) -> None:
    """One of those things."""
    match what:
        case "seen":
            home.seen()
        case "up":
            home.facts.link.went_up()
        case "down":
            home.facts.link.went_down("a test")
        case "die" | "cut":
            home.die(power_cut=what == "cut")
            home.clock.pass_by(90)
            home.start()
        case "blind" | "looks":
            home.watching = what == "looks"
        case "away":
            home.mode("away", 7200)
        case _:
            home.reads("room", temperature_c=20.0 + minutes % 20)


@settings(max_examples=12)
@given(lives())
def test_begins_and_ends_take_turns(
    tmp_path_factory: pytest.TempPathFactory, life: list[tuple[str, int]]
) -> None:
    """For each rule, whatever happens, and never without what it tells of."""
    warm = Rule(name="warm", sensor="room", quantity="temperature_c", above=30, hysteresis=1)
    home = Home(tmp_path_factory.mktemp("home"), STILL, ALWAYS, CUT_OFF, warm)
    for what, minutes in life:
        home.live(minutes * 60)
        happen(home, what, minutes)
    events = home.events()
    begun = home.store.recall("rules")
    home.close()
    for rule in ("still", "always", "cut-off", "warm"):
        mine = [one for one in events if one["rule"] == rule]
        assert [one["event"] for one in mine] == (["begin", "end"] * len(mine))[: len(mine)]
        assert (f'"{rule}":{{"of"' in begun) == (len(mine) % 2 == 1)
        assert [one["since"] for one in mine[1::2]] == [one["since"] for one in mine[::2]][
            : len(mine) // 2
        ]
        assert all(number(one["lasted_s"]) >= 0 for one in mine[1::2])
        assert all(number(one["value"]) >= number(one["limit"]) for one in mine[::2])


def number(value: Json) -> float:
    """The number that it is."""
    assert isinstance(value, int | float)
    return value


def test_a_detection_of_this_boot_ends_quiet_whatever_its_clock_says(
    live: Callable[..., Home],
) -> None:
    """After a power cut the clock may be behind that of the boot before until it is set."""
    home = live(replace(ALWAYS, quiet_for_s=1800), at="2026-11-27 12:00:00")
    home.seen()
    home.die(power_cut=True)
    home.clock.jump(-3600)
    home.clock.was_set = False
    home.start()
    for _ in range(40):
        home.live(60)
        home.seen()
    assert home.events() == []


@pytest.mark.parametrize("was_set", [True, False])
def test_a_clock_that_was_ahead_for_a_while_leaves_the_hours_as_they_are(
    live: Callable[..., Home], *, was_set: bool
) -> None:
    """Set or not, and though a mode ended in that time: quiet counts from their begin, once."""
    home = live(STILL, at="2026-11-28 08:30:00")
    home.clock.was_set = was_set
    home.seen()
    home.mode("away", 3600)
    home.live(600)
    home.facts.modes.set(Mode())
    home.live(60)
    home.clock.jump(-86_400)
    home.clock.was_set = True
    home.live(60)
    home.until("2026-11-27 10:00:00")
    home.seen()
    home.until("2026-11-27 13:00:00")
    home.seen()
    home.until("2026-11-28 12:00:00")
    assert home.told() == [
        ("11-27 17:00:00", "still begin", ""),
        ("11-27 22:00:00", "still end", "hours over"),
        ("11-28 11:00:00", "still begin", ""),
    ]


def test_quiet_counts_from_the_end_of_a_mode_though_the_clock_is_set_later(
    live: Callable[..., Home],
) -> None:
    """By the clock that never steps."""
    home = live(ALWAYS, at="2026-11-27 06:00:00")
    home.clock.was_set = False
    home.seen()
    home.mode("away", 86_400)
    home.live(6 * 3600)
    home.facts.modes.set(Mode())
    home.live(600)
    home.clock.jump(36_000)
    home.clock.was_set = True
    home.live(3600)
    assert home.events() == []
    home.live(4 * 3600)
    assert [one["event"] for one in home.events()] == ["begin"]


@pytest.mark.parametrize("step_s", [3600, -3600])
def test_a_clock_that_steps_before_a_crash_makes_no_detection_and_hides_none(
    live: Callable[..., Home], step_s: int
) -> None:
    """What ends a rule is a detection that is not the one that it began after."""
    home = live(ALWAYS, at="2026-11-27 07:00:00")
    home.seen()
    home.live(4 * 3600)
    home.clock.jump(step_s)
    home.live(60)
    home.die()
    home.start()
    home.live(600)
    assert [one["event"] for one in home.events()] == ["begin"]
    home.recorder.saw(Detections(1, 0.5), home.clock.now())
    home.recorder.mirror(())
    home.die()
    home.start()
    begin, end = home.events()
    assert (end["event"], end["reason"]) == ("end", "detection")
    assert (end["since"], end["lasted_s"]) == (begin["since"], 4 * 3600 + 660)


def test_since_is_told_at_the_end_if_it_is_known_by_then(live: Callable[..., Home]) -> None:
    """It was null at the begin, where the clock was not set."""
    home = live(ALWAYS, at="2026-11-27 07:00:00")
    home.clock.was_set = False
    home.seen()
    home.live(4 * 3600)
    home.clock.jump(3600)
    home.clock.was_set = True
    home.live(60)
    home.seen()
    assert [one["since"] for one in home.events()] == [None, local("2026-11-27 08:00:00")]


@pytest.mark.parametrize("field", ["since_s", "boot_s", "for_s"])
@pytest.mark.parametrize("value", [1e18, 1e300, -1.0, 10**400])
def test_a_rule_that_has_begun_at_no_time_has_not(
    live: Callable[..., Home], field: str, value: float
) -> None:
    """A cell of the store may be spoiled; the agent starts."""
    home = live(ALWAYS)
    begun: dict[str, Json] = {
        "of": "quiet",
        "since_s": 1.0,
        "boot_s": 1.0,
        "boot_id": "b",
        "for_s": 1,
        "last": [],
    }
    text = encode({"begun": {"always": {**begun, field: value}}}).decode()
    home.store.remember(rules=text)
    home.close()
    home.start()
    home.live(600)
    assert home.told() == []
