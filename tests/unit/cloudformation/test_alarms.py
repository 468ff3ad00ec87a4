"""The alarms tell what is known; what is unknown alarms nobody and is no all-clear."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from math import sin, tau
from statistics import fmean
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.cloudformation.alarms import ALARM, INSUFFICIENT, OK, Alarm, worked_out
from tests.unit.cloudformation.template import EVERYTHING, Stack

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

STACK = Stack(**EVERYTHING)
ALARMS = STACK.of_type("AWS::CloudWatch::Alarm")

#: Waking hours from 07:00 to 22:00 but the last, in Japan and, in winter, in Germany; hours in UTC.
JAPAN = frozenset({*range(22, 24), *range(12)})
GERMANY = frozenset(range(6, 20))

#: How alarms may look at hours: as the template asks, and as they did before it could ask.
BOTH = pytest.mark.parametrize("by_the_clock", [True, False])

MORNING, EVENING, DAY = 7 * 60, 22 * 60, 24 * 60


@cache
def quiet(waking: frozenset[int], hours: int = 3) -> tuple[Alarm, str]:
    """The alarm of quiet, and its expression."""
    listed = ",".join(map(str, sorted(waking)))
    stack = Stack(ThingName="cat", WakingHoursUtc=listed, QuietHours=str(hours))
    properties = stack.resources["NoMovement"]
    (expression,) = (one["Expression"] for one in properties["Metrics"] if "Expression" in one)
    return Alarm.of(properties), expression


def lived(waking: frozenset[int], series: Sequence[float | None], first_hour: int) -> list[str]:
    """States of the alarm of quiet after each hour."""
    alarm, expression = quiet(waking)
    return alarm.states(worked_out(expression, series, first_hour))


def told(
    hours: int, windows: dict[int, float], until: int, *, by_the_clock: bool
) -> list[tuple[int, str]]:
    """Changes of the alarm of quiet, by the minute, where it is waking from 07:00 to 22:00 UTC."""
    alarm, expression = quiet(frozenset(range(7, 21)), hours)
    assert alarm.by_the_clock
    outside = worked_out(expression, [0.0] * 24, 0)

    def point(values: Collection[float], begin: int) -> float | None:
        return outside[begin // 60 % 24] or max(values, default=None)

    return replace(alarm, by_the_clock=by_the_clock).changes(windows, until, point)


def lives(*moves: tuple[int, int]) -> dict[int, float]:
    """Windows of ten minutes from one morning to the next, moving between these minutes."""
    windows = range(MORNING, DAY + MORNING, 10)
    return {at: float(any(begin <= at < end for begin, end in moves)) for at in windows}


@BOTH
@pytest.mark.parametrize("hours", [1, 2, 3])
@pytest.mark.parametrize("bed", range(19 * 60, EVENING + 1, 30))
def test_who_goes_to_bed_is_not_quiet(bed: int, hours: int, *, by_the_clock: bool) -> None:
    """Whatever the alarm's hours begin at: quiet is so many waking hours, less a window."""
    changes = told(hours, lives((MORNING, bed)), DAY + MORNING, by_the_clock=by_the_clock)
    begun = [at for at, state in changes if state == ALARM]
    if EVENING - bed < hours * 60 - 10:
        assert not begun
    for at in begun:
        assert bed + hours * 60 - 10 <= at <= EVENING


@BOTH
@pytest.mark.parametrize("asleep", [8 * 60, 11 * 60 + 20, 15 * 60 + 50])
def test_who_does_not_move_is_told_of_within_the_hour(asleep: int, *, by_the_clock: bool) -> None:
    """And until somebody moves; by the clock the last hour has to be over."""
    day = lives((MORNING, asleep), (asleep + 300, EVENING))
    changes = told(3, day, DAY, by_the_clock=by_the_clock)
    ((begun, _), (ended, _)) = changes[-2:]
    assert [state for _, state in changes] == [OK, ALARM, OK]
    assert asleep + 170 <= begun <= asleep + 240
    assert asleep + 300 < ended <= asleep + 370


@pytest.mark.parametrize(
    ("needed", "points", "expected"),
    [
        (3, "0-X-X", (OK, OK, OK, OK)),
        (3, "0----", (OK, OK, OK, OK)),
        (3, "-----", (INSUFFICIENT, "kept", ALARM, OK)),
        (3, "0XX-X", (ALARM, ALARM, ALARM, ALARM)),
        (3, "--X--", (ALARM, "kept", ALARM, OK)),
        (2, "0-X-X", (ALARM, ALARM, ALARM, ALARM)),
        (2, "00X0X", (ALARM, ALARM, ALARM, ALARM)),
        (2, "0-X--", (OK, OK, ALARM, OK)),
        (2, "----0", (OK, OK, ALARM, OK)),
        (2, "---X-", (ALARM, "kept", ALARM, OK)),
    ],
)
def test_missing_points_are_treated_as_in_aws_s_tables(
    needed: int, points: str, expected: tuple[str, ...]
) -> None:
    """Both tables of the user guide, row by row: 3 of 3 and 2 of 3."""
    series = [{"0": 1.0, "X": 0.0, "-": None}[one] for one in points]
    for how, state in zip(
        ("missing", "ignore", "breaching", "notBreaching"), expected, strict=True
    ):
        alarm = Alarm(3, needed, 1.0, "LessThanThreshold", how)
        assert alarm.state(series, "kept") == state, how


def test_the_other_form_of_the_expression_would_take_silence_for_quiet() -> None:
    """Missing is 0 there: that is why the template has this form."""
    unsafe = "IF(HOUR(m1) != 5, m1, 1)"
    assert worked_out(unsafe, [None], 3) == [0.0]
    assert worked_out("IF(HOUR(m1) != 5, 1, m1)", [None, None, None], 3) == [1, 1, None]
    with pytest.raises(ValueError, match="ours"):
        worked_out("FILL(m1, 0)", [None], 3)


@pytest.mark.parametrize(("waking", "morning"), [(JAPAN, 22), (GERMANY, 6)])
def test_three_quiet_waking_hours_alarm_and_movement_ends_it(
    waking: frozenset[int], morning: int
) -> None:
    """Also where the waking hours go over midnight UTC."""
    night: list[float | None] = [0.0] * 9
    day: list[float | None] = [2.0, 0.0, 0.0, 0.0, 0.0, 1.0, *[4.0] * 9]
    states = lived(waking, [*night, *day], morning - 9)
    assert states[:12] == [OK] * 12
    assert states[12:14] == [ALARM] * 2
    assert states[14:] == [OK] * 10


@pytest.mark.parametrize(("waking", "morning"), [(JAPAN, 22), (GERMANY, 6)])
def test_a_night_is_never_quiet(waking: frozenset[int], morning: int) -> None:
    """Nobody moves from 22:00 to 07:00, and in the morning three hours have to pass."""
    states = lived(waking, [0.0] * 24, morning + 15)
    assert ALARM not in states[:11]
    assert states[11] == ALARM


@pytest.mark.parametrize("waking", [JAPAN, GERMANY, frozenset(range(24)), frozenset({0})])
@given(st.lists(st.sampled_from([None, 1.0, 5.0]), min_size=1, max_size=60), st.integers(0, 23))
def test_what_is_unknown_is_never_quiet(
    waking: frozenset[int], series: list[float | None], first_hour: int
) -> None:
    """However many hours are missing between those in which somebody moved."""
    assert ALARM not in lived(waking, series, first_hour)


@given(st.lists(st.sampled_from([None, 0.0, 1.0]), min_size=1, max_size=72), st.integers(0, 23))
def test_quiet_needs_three_waking_hours_that_were_observed(
    series: list[float | None], first_hour: int
) -> None:
    """Among the newest five, when the alarm begins."""
    states = lived(JAPAN, series, first_hour)
    for place, state in enumerate(states):
        if state == ALARM and (place == 0 or states[place - 1] != ALARM):
            looked = range(max(0, place - 4), place + 1)
            hours = [one for one in looked if (first_hour + one) % 24 in JAPAN]
            assert sum(series[one] == 0.0 for one in hours) >= 3


def test_silence_ends_no_alarm_of_quiet_before_the_waking_hours_do() -> None:
    """Quiet stays until somebody moves; or, as the text of its mail says, to the evening."""
    states = lived(GERMANY, [0.0, 0.0, 0.0, *[None] * 12], 8)
    assert states[2:12] == [ALARM] * 10
    assert states[12:] == [OK] * 3
    alarm, expression = quiet(GERMANY)
    unsafe = Alarm(3, 3, alarm.limit, alarm.comparison, "notBreaching")
    assert OK in unsafe.states(worked_out(expression, [0.0, 0.0, 0.0, *[None] * 9], 8))[3:]


def silent() -> Alarm:
    """The alarm of silence."""
    return Alarm.of(ALARMS["Silent"])


def test_silence_alarms_within_an_hour_and_late_records_end_it() -> None:
    """After five empty windows, since two that are older are looked at first."""
    states = silent().states([1, 1, 1, 1, 1, None, None, None, None, None, None, 144, 1])
    assert states[:9] == [OK] * 9
    assert states[9:11] == [ALARM] * 2
    assert states[11:] == [OK] * 2


def test_one_window_that_is_late_is_no_silence() -> None:
    """Nor are two."""
    assert set(silent().states([1, 1, None, 1, 1, None, None, 2, 1])) == {OK}


def test_silence_is_missing_points_alone() -> None:
    """A point is there or not: no value and no duplicate of one can alarm."""
    assert ALARMS["Silent"]["Statistic"] == "SampleCount"
    assert ALARMS["Silent"]["TreatMissingData"] == "breaching"
    assert all(state == OK for state in silent().states([1, 2, 1, 9, 1]))


@pytest.mark.parametrize("window", [1, 10, 15, 20, 30, 60])
def test_blindness_is_two_hours_in_which_nobody_looked(window: int) -> None:
    """However long the device's windows are; seconds are no look."""
    blind = Alarm.of(ALARMS["Blind"])
    looked = window * 60_000.0
    begin, end = 300, 720
    windows = {at: 15_000.0 if begin <= at < end else looked for at in range(0, 900, window)}
    changes = blind.changes(
        windows, 900, lambda values, _: max(values, default=None), late=window + 1
    )
    assert [state for _, state in changes] == [OK, ALARM, OK]
    assert 90 <= changes[1][0] - begin <= 190
    assert changes[2][0] - end <= window + 1


def test_silence_is_no_blindness() -> None:
    """And does not end it."""
    blind = Alarm.of(ALARMS["Blind"])
    assert set(blind.states([600e3] * 3 + [None] * 20)) == {OK}
    assert blind.states([0.0] * 6 + [None] * 20)[-1] == ALARM


@pytest.mark.parametrize(("name", "bad", "good"), [("Cold", 14.9, 15.0), ("Hot", 30.6, 30.5)])
def test_a_temperature_beyond_its_limit_alarms_until_it_is_back(
    name: str, bad: float, good: float
) -> None:
    """For two hours; a thermometer that fails ends nothing and begins nothing."""
    alarm = Alarm.of(ALARMS[name])
    assert alarm.states([good, bad, good, bad, None, bad, None, None, None, None, good]) == [
        *[OK] * 5, *[ALARM] * 5, OK
    ]  # fmt: skip
    assert ALARMS[name]["Period"] == 3600
    assert ALARMS[name]["Statistic"] == "Average"


def test_a_room_at_its_limit_is_no_stream_of_mails() -> None:
    """A heater's cycle of 90 minutes about it: a fourth of what one sliding hour makes of it."""
    alarm = Alarm.of(ALARMS["Cold"])
    room = {at: 15 + 0.6 * sin(at * tau / 90) + 0.3 * sin(at * tau / DAY) for at in range(3 * DAY)}

    def mails(alarm: Alarm) -> int:
        changes = alarm.changes(room, 3 * DAY, lambda values, _: fmean(values) if values else None)
        return len(changes)

    assert alarm.by_the_clock
    assert 4 * mails(alarm) < mails(replace(alarm, periods=1, needed=1, by_the_clock=False))


def test_every_alarm_mails_when_it_begins_and_when_it_ends() -> None:
    """With its thing's name in the subject, and in its text what to do."""
    for alarm in ALARMS.values():
        assert alarm["AlarmActions"] == alarm["OKActions"] == ["Mail"]
        assert alarm["AlarmName"].startswith("living-room: ")
        text = alarm["AlarmDescription"]
        assert text.startswith("ALARM: ")
        assert " OK: " in text
        assert len(text) <= 1024


def test_alarms_look_no_further_back_than_cloudwatch_does() -> None:
    """A day for periods below an hour, else seven ("PutMetricAlarm"); with the longest of ours."""
    for window_s in (60, 3600):
        stack = Stack(**EVERYTHING | {"WindowSeconds": str(window_s), "QuietHours": "12"})
        for alarm in stack.of_type("AWS::CloudWatch::Alarm").values():
            period_s = int(alarm.get("Period", 3600))
            span_s = period_s * int(alarm["EvaluationPeriods"])
            assert period_s % 60 == 0
            assert span_s <= (86_400 if period_s < 3600 else 7 * 86_400)


@pytest.mark.parametrize("wrong", ["24", "07", "7, 8", "7-22", "-1", "7,"])
def test_hours_that_are_none_are_refused(wrong: str) -> None:
    """Before anything is made."""
    with pytest.raises(AssertionError):
        Stack(ThingName="cat", WakingHoursUtc=wrong)


def test_messages_that_were_not_delivered_are_told() -> None:
    """By AWS's own metric of the log group, of which nothing is no trouble."""
    found = ALARMS["Undelivered"]
    assert found["Dimensions"] == [{"Name": "LogGroupName", "Value": "Failures"}]
    assert Alarm.of(found).states([None, 1.0, None, None, None]) == [OK, ALARM, ALARM, ALARM, OK]
