"""Windows of detections: each by the clock, and the open one over several counted sensors."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.model import Moment
from agent.sampling.counting import CountWindow, Report, next_window, open_window
from agent.sensors import Detections
from tests.fakes import START_S

if TYPE_CHECKING:
    from agent.model import NewRecord

NONE = Detections(0, 0.0)


def moment(wall_s: float, boot_s: float) -> Moment:
    """An instant of one boot."""
    return Moment(wall_s, boot_s, "boot")


def closed(opened: Moment, seen: Detections, now: Moment, window_s: int = 600) -> NewRecord:
    """The report of a window that one sensor watched from its opening on, and that ends now."""
    counted = CountWindow(["hall"], opened, window_s=window_s)
    counted.joins("hall", opened)
    counted.saw("hall", seen, now)
    return counted.close(now).record


def test_a_window_ends_at_a_multiple_of_its_length() -> None:
    """The end is aligned to the wall clock and known on the boot clock."""
    window = open_window(moment(1_795_500_123.5, 50.0), 600)

    assert window.end_s == 1_795_500_600
    assert window.end_s % 600 == 0
    assert window.closes_boot_s == 526.5


def test_the_report_of_a_whole_window_has_every_field_of_the_contract() -> None:
    """Its Timestamp is the aligned end, and it observed exactly the window's length."""
    began, ended = moment(1_795_500_000.0, 50.0), moment(1_795_500_600.4, 650.4)
    report = closed(began, Detections(3, 41.2), ended)

    assert (report.kind, report.timestamp_s) == ("count", 1_795_500_600)
    assert report.body == {
        "detect_count": 3,
        "active_ms": 41_200,
        "observed_ms": 600_000,
        "window_s": 600,
        "quality": "ok",
        "next_by": 1_795_501_260,
    }
    assert all(not isinstance(value, float) for value in report.body.values())


@pytest.mark.parametrize(("window_s", "next_by"), [(5, 20), (60, 130), (105, 220.5), (600, 1260)])
def test_consumers_wait_for_a_tenth_of_a_window_but_at_least_ten_seconds(
    window_s: int, next_by: float
) -> None:
    """next_by = Timestamp + window_s + max(10, window_s / 10)."""
    report = closed(moment(0.0, 0.0), NONE, moment(window_s, window_s), window_s)

    assert report.body["next_by"] == next_by


def test_a_window_opened_in_its_middle_is_partial() -> None:
    """The first one after a start says how long it observed."""
    report = closed(moment(1_000_500.0, 9.0), NONE, moment(1_000_800.0, 309.0))

    assert report.timestamp_s == 1_000_800
    assert (report.body["quality"], report.body["observed_ms"]) == ("partial", 300_000)


def test_a_window_broken_off_is_partial_with_its_own_timestamp() -> None:
    """A stop reports what was observed, under the end that the window would have had."""
    report = closed(moment(600.0, 0.0), NONE, moment(700.0, 100.0))

    assert report.timestamp_s == 1200
    assert (report.body["quality"], report.body["observed_ms"]) == ("partial", 100_000)


def test_nothing_is_active_longer_than_it_was_observed() -> None:
    """active_ms never exceeds observed_ms."""
    report = closed(moment(600.0, 0.0), Detections(1, 90.0), moment(610.0, 10.0))

    assert report.body["active_ms"] == report.body["observed_ms"] == 10_000


@pytest.mark.parametrize("late_s", [0.0, 0.004, 3.0, 400.0])
def test_windows_adjoin_however_late_they_are_closed(late_s: float) -> None:
    """The next window begins where the last one ended, and can be whole."""
    first = open_window(moment(600.0, 0.0), 600)
    second = next_window(first, moment(1200.0 + late_s, 600.0 + late_s))

    assert (second.end_s, second.opened_boot_s, second.closes_boot_s) == (1800, 600.0, 1200.0)
    assert second.whole


@pytest.mark.parametrize("slewed_s", [-0.9, 0.9])
def test_a_clock_that_is_slewed_makes_no_partial_windows(slewed_s: float) -> None:
    """A second in a window is a time server at work: whole windows stay whole."""
    first = open_window(moment(600.0, 0.0), 600)
    second = next_window(first, moment(1200.0 + slewed_s, 600.0))

    assert (second.end_s, second.whole) == (1800, True)
    assert second.closes_boot_s == pytest.approx(1200.0 - slewed_s)


@pytest.mark.parametrize("slewed_s", [-0.9, 0.9])
def test_all_of_a_window_is_its_length_by_the_wall_clock(slewed_s: float) -> None:
    """Though it took a little more or less by the other."""
    counted = watching("hall")
    for end_s in (600.0, 1200.0):
        ended = Moment(START_S + end_s + slewed_s, counted.closes_boot_s, "boot")
        counted.saw("hall", NONE, ended)
        report = told(counted.close(ended))
        assert (report["observed_ms"], report["quality"]) == (600_000, "ok")


@pytest.mark.parametrize("jump_s", [-86_400.0, -59.0, -1.5, 1.5, 59.0, 3600.0, 86_400.0])
def test_after_a_jump_of_the_clock_the_next_window_is_aligned_anew(jump_s: float) -> None:
    """It is partial, and closes at the latest after its length."""
    now = moment(1200.0 + 864_000 + jump_s, 600.0)
    window = next_window(open_window(moment(864_600.0, 0.0), 600), now)

    assert window == open_window(now, 600)
    assert 0 < window.closes_boot_s - 600.0 <= 600


def test_a_short_window_strays_less() -> None:
    """A quarter of the window is the most that the clock may stray."""
    assert not next_window(open_window(moment(0.0, 0.0), 2), moment(2.6, 2.0)).whole
    assert next_window(open_window(moment(0.0, 0.0), 2), moment(2.4, 2.0)).whole


def test_after_a_long_sleep_the_windows_slept_through_are_left_out() -> None:
    """Nobody observed them, so nobody reports them; those of a stall are reported one by one."""
    first = open_window(moment(600.0, 0.0), 600)
    assert next_window(first, moment(4700.0, 4100.0)).end_s == 1800
    window = next_window(first, moment(4900.0, 4300.0))

    assert (window.end_s, window.whole) == (5400, False)


@given(
    wall_s=st.floats(0, 4e9),
    boot_s=st.floats(0, 1e8),
    window_s=st.integers(5, 86_400),
    spent_s=st.floats(0, 200_000),
    jumped_s=st.floats(-1e6, 1e6),
)
def test_no_clock_makes_a_window_absurd(
    *, wall_s: float, boot_s: float, window_s: int, spent_s: float, jumped_s: float
) -> None:
    """Whatever the clocks do, ends are aligned, and observed time is within the window."""
    window = open_window(moment(wall_s, boot_s), window_s)
    later = moment(max(0.0, wall_s + spent_s + jumped_s), boot_s + spent_s)
    body = closed(moment(wall_s, boot_s), NONE, later, window_s).body

    assert window.end_s % window_s == 0
    assert 0 < window.end_s - wall_s <= window_s
    assert isinstance(body["observed_ms"], int)
    assert 0 <= body["observed_ms"] <= window_s * 1000
    if later.boot_s >= window.closes_boot_s:
        following = next_window(window, later)
        assert following.end_s % window_s == 0
        assert following.closes_boot_s - later.boot_s <= window_s + 1


def at(seconds: float) -> Moment:
    """So many seconds after the beginning of a window, which was when the machine started."""
    return Moment(START_S + seconds, seconds, "boot")


def watching(*names: str, tested: tuple[str, ...] = ()) -> CountWindow:
    """Sensors that watch from the very beginning of a window."""
    counted = CountWindow(names, at(0.0), window_s=600, tested=tested)
    for name in names:
        counted.joins(name, at(0.0))
    return counted


def told(report: Report) -> dict[str, object]:
    """The fields that say who saw what."""
    constant = {"window_s", "next_by"}
    return {name: value for name, value in report.record.body.items() if name not in constant}


def test_without_sensors_no_window_is_ever_over() -> None:
    """Nothing is due; so too where all of them turn out not to detect."""
    assert CountWindow([], at(0.0), window_s=600).due_s(1e9) == float("inf")
    counted = watching("hall")
    counted.ignores("hall")
    assert (counted.due_s(1e9), "hall" in counted) == (float("inf"), False)


def test_one_sensor_needs_no_by_sensor() -> None:
    """Its report is that of the contract."""
    counted = watching("hall")
    counted.saw("hall", Detections(2, 30.0), at(60.0))
    counted.saw("hall", Detections(1, 11.2), at(600.1))

    assert told(counted.close(at(600.1))) == {
        "detect_count": 3,
        "active_ms": 41_200,
        "observed_ms": 600_000,
        "quality": "ok",
    }
    assert counted.closes_boot_s == pytest.approx(1200.0)


def test_a_window_is_awaited_until_each_sensor_was_asked_after_its_end() -> None:
    """An answer from before the end does not tell of all of it."""
    counted = watching("hall", "yard")
    counted.saw("hall", Detections(0, 0.0), at(599.9))
    counted.saw("yard", Detections(0, 0.0), at(600.0))

    assert (counted.awaited("hall"), counted.awaited("yard")) == (True, False)
    counted.leaves("hall")
    assert not counted.awaited("hall")


def test_a_sensor_that_comes_late_makes_the_window_partial() -> None:
    """What it did not watch is not known; the next window is whole."""
    counted = watching("hall", "yard")
    counted.leaves("yard")
    counted.joins("yard", at(200.0))
    for name in ("hall", "yard"):
        counted.saw(name, Detections(1, 1.0), at(600.0))

    assert told(counted.close(at(600.0))) == {
        "detect_count": 2,
        "active_ms": 1000,
        "observed_ms": 400_000,
        "quality": "partial",
        "by_sensor": {"hall": 1, "yard": 1},
    }
    for name in ("hall", "yard"):
        counted.saw(name, Detections(0, 0.0), at(1200.0))
    assert told(counted.close(at(1200.0)))["quality"] == "ok"


def test_a_sensor_that_is_gone_is_a_fault_and_what_it_saw_before_stays() -> None:
    """In the next window, of which it saw nothing, it is not listed: zero is not unknown."""
    counted = watching("hall", "yard")
    counted.saw("yard", Detections(5, 2.0), at(100.0))
    counted.leaves("yard")
    counted.saw("hall", Detections(1, 1.0), at(600.0))

    assert told(counted.close(at(600.0))) == {
        "detect_count": 6,
        "active_ms": 2000,
        "observed_ms": 100_000,
        "quality": "sensor_fault",
        "by_sensor": {"hall": 1, "yard": 5},
    }
    counted.saw("hall", Detections(2, 1.0), at(1200.0))
    second = told(counted.close(at(1200.0)))
    assert (second["by_sensor"], second["observed_ms"]) == ({"hall": 2}, 600_000)
    assert second["quality"] == "sensor_fault"


UNKNOWN = {"detect_count": None, "active_ms": None, "observed_ms": 0, "quality": "sensor_fault"}


def test_a_window_that_nobody_watched_is_reported_as_unknown() -> None:
    """From the very start: what was not observed is not zero, and silence is another fact."""
    counted = CountWindow(["hall"], at(0.0), window_s=600)
    counted.leaves("hall")  # it cannot be opened
    for end_s in (600.0, 1200.0):
        assert counted.due_s(end_s) == end_s
        report = counted.close(at(end_s))
        assert (report.watched, report.blank) == (False, False)
        assert report.record.timestamp_s == START_S + end_s
        assert told(report) == UNKNOWN
    counted.joins("hall", at(1300.0))
    counted.saw("hall", Detections(1, 0.5), at(1800.0))
    assert told(counted.close(at(1800.0))) == {
        "detect_count": 1,
        "active_ms": 500,
        "observed_ms": 500_000,
        "quality": "partial",
    }
    counted.leaves("hall")
    counted.leaves("hall")
    assert told(counted.close(at(2400.0))) == UNKNOWN


@pytest.mark.parametrize("tested", [(), ("yard",)])
def test_of_several_that_are_gone_nothing_is_known(tested: tuple[str, ...]) -> None:
    """Nor does one that is being tried out make up for the one that is gone."""
    counted = watching("hall", "yard", tested=tested)
    counted.leaves("hall")
    if not tested:
        counted.leaves("yard")
    counted.close(at(600.0))
    if tested:
        counted.saw("yard", Detections(4, 1.0), at(1200.0))
    report = told(counted.close(at(1200.0)))

    assert {name: report[name] for name in UNKNOWN} == UNKNOWN
    assert report["by_sensor"] == {}
    assert report.get("test_count") == (4 if tested else None)


def test_one_that_watches_on_but_was_never_asked_watched_nothing() -> None:
    """It hangs, though nobody has given it up yet."""
    counted = watching("hall")
    counted.close(at(600.0))
    assert told(counted.close(at(1200.0))) == UNKNOWN
    counted.saw("hall", Detections(2, 1.0), at(1900.0))
    assert told(counted.close(at(1900.0)))["detect_count"] == 2


def test_a_sensor_watches_on_from_window_to_window() -> None:
    """Asked once in each, it has watched all of each, and so has another."""
    counted = watching("hall", "yard")
    for end_s in (600.0, 1200.0, 1800.0, 2400.0):
        assert counted.watches("hall")
        assert counted.watches("yard")
        assert counted.awaited("hall") is True
        for name in ("hall", "yard"):
            counted.saw(name, Detections(1, 1.0), at(end_s))
        report = told(counted.close(at(end_s)))
        assert (report["quality"], report["observed_ms"]) == ("ok", 600_000)
        assert report["by_sensor"] == {"hall": 1, "yard": 1}
    counted.saw("hall", Detections(1, 1.0), at(2500.0))
    counted.leaves("yard")  # before it was asked: it has watched none of this window
    assert told(counted.close(at(2600.0)))["by_sensor"] == {"hall": 1}


def test_what_is_seen_after_the_end_belongs_to_the_next_window() -> None:
    """While the window waits for another sensor; each one's share ends at its own time."""
    counted = watching("hall", "yard")
    counted.saw("hall", Detections(3, 1.0), at(600.0))
    counted.saw("hall", Detections(5, 2.0), at(610.0))
    assert counted.due_s(610.0) > 610.0
    counted.saw("yard", Detections(1, 1.0), at(611.0))
    assert counted.due_s(611.0) == 600.0

    assert told(counted.close(at(611.0)))["by_sensor"] == {"hall": 3, "yard": 1}
    for name in ("hall", "yard"):
        counted.saw(name, Detections(1, 1.0), at(1200.0))
    second = told(counted.close(at(1200.0)))
    assert second["by_sensor"] == {"hall": 6, "yard": 1}
    assert (second["observed_ms"], second["quality"]) == (600_000, "ok")


@pytest.mark.parametrize(("asked_s", "first"), [(590.0, True), (598.0, False)])
def test_what_was_seen_across_the_end_counts_where_most_of_the_time_lies(
    asked_s: float, *, first: bool
) -> None:
    """More cannot be known of a sensor that was asked before the end and well after it."""
    counted = watching("hall")
    counted.saw("hall", Detections(0, 0.0), at(asked_s))
    counted.saw("hall", Detections(4, 2.0), at(605.0))

    report = told(counted.close(at(605.0)))
    assert report["detect_count"] == (4 if first else 0)
    assert (report["observed_ms"], report["quality"]) == (600_000, "ok")
    counted.saw("hall", Detections(0, 0.0), at(1200.0))
    report = told(counted.close(at(1200.0)))
    assert report["detect_count"] == (0 if first else 4)
    assert (report["observed_ms"], report["quality"]) == (600_000, "ok")


def test_what_is_seen_after_a_long_stall_counts_when_it_was_most_likely_seen() -> None:
    """The sampler itself was held up, for longer than the window took."""
    counted = watching("hall")
    counted.saw("hall", Detections(1, 1.0), at(599.0))
    counted.close(at(630.0))
    counted.saw("hall", Detections(4, 1.0), at(2000.0))
    assert told(counted.close(at(2000.0)))["detect_count"] == 0
    assert told(counted.close(at(2100.0)))["detect_count"] == 4


def test_one_that_comes_while_a_window_waits_watches_from_then_on() -> None:
    """Not from the end of that window."""
    counted = CountWindow(["hall"], at(0.0), window_s=600)
    counted.joins("hall", at(604.0))
    assert counted.close(at(605.0)).blank
    counted.saw("hall", NONE, at(1200.0))
    report = told(counted.close(at(1200.0)))
    assert (report["observed_ms"], report["quality"]) == (596_000, "partial")


@pytest.mark.parametrize(("window_s", "waits_s"), [(5, 2.5), (60, 5.0), (600, 30.0)])
def test_a_sensor_that_hangs_delays_the_report_a_little(window_s: int, waits_s: float) -> None:
    """Consumers have it before `next_by`, and never do two windows wait."""
    counted = CountWindow(["hall", "yard"], at(0.0), window_s=window_s)
    for name in ("hall", "yard"):
        counted.joins(name, at(0.0))
    counted.saw("yard", Detections(1, 1.0), at(2.0))
    counted.saw("hall", Detections(2, 1.0), at(window_s))
    assert counted.due_s(window_s) == window_s + waits_s

    report = told(counted.close(at(window_s + waits_s)))
    assert report["by_sensor"] == {"hall": 2, "yard": 1}
    assert (report["observed_ms"], report["quality"]) == (2000, "partial")
    counted.saw("yard", Detections(9, 1.0), at(window_s + waits_s + 0.1))  # it hung, no more
    counted.saw("hall", Detections(0, 0.0), at(2 * window_s))
    counted.saw("yard", Detections(0, 0.0), at(2 * window_s))
    report = told(counted.close(at(2 * window_s)))
    assert report["by_sensor"] == {"hall": 0, "yard": 9}
    assert (report["observed_ms"], report["quality"]) == (window_s * 1000, "partial")
    for name in ("hall", "yard"):
        counted.saw(name, Detections(1, 0.1), at(3 * window_s))
    assert told(counted.close(at(3 * window_s)))["quality"] == "ok"


def test_one_that_comes_or_goes_while_a_window_waits_does_so_in_the_next() -> None:
    """What it watched of the one that is over stays as it was."""
    counted = watching("hall", "yard", "door")
    counted.leaves("door")
    counted.saw("hall", Detections(1, 1.0), at(600.0))
    counted.joins("door", at(604.0))
    counted.saw("hall", Detections(1, 1.0), at(605.0))
    counted.leaves("hall")
    counted.saw("yard", Detections(1, 1.0), at(606.0))

    first = told(counted.close(at(606.0)))
    assert first["by_sensor"] == {"hall": 1, "yard": 1}
    assert first["observed_ms"] == 600_000
    for name in ("yard", "door"):
        counted.saw(name, Detections(0, 0.0), at(1200.0))
    second = told(counted.close(at(1200.0)))
    assert second["by_sensor"] == {"hall": 1, "yard": 0, "door": 0}
    assert (second["observed_ms"], second["quality"]) == (5000, "sensor_fault")


def test_a_copy_of_the_open_window_has_all_that_was_seen() -> None:
    """Else a crash while it waits would lose what was seen since its end."""
    counted = watching("hall", "yard")
    assert [one.watched for one in counted.so_far(at(0.0))] == [False]
    counted.saw("hall", Detections(1, 1.0), at(600.0))
    counted.saw("hall", Detections(2, 1.0), at(605.0))
    first, second = counted.so_far(at(605.0))

    assert (first.watched, second.watched) == (True, True)
    assert told(first)["by_sensor"] == {"hall": 1}
    assert told(second)["by_sensor"] == {"hall": 2}
    report = counted.close(at(630.0))
    assert (report.window, told(report)["by_sensor"]) == (first.window, {"hall": 1})
    (left,) = counted.so_far(at(631.0))
    assert (left.window, left.record.timestamp_s) == (second.window, second.record.timestamp_s)
    assert told(left)["by_sensor"] == {"hall": 2}


def test_a_window_whose_sensors_are_being_opened_yet_is_blank() -> None:
    """Nobody could observe it, and nobody is at fault; of several, the others' report goes out."""
    counted = CountWindow(["hall"], at(599.5), window_s=600)
    assert counted.close(at(600.0)).blank
    counted.joins("hall", at(600.5))
    counted.saw("hall", Detections(1, 1.0), at(1200.0))
    report = counted.close(at(1200.0))
    assert (report.blank, told(report)["quality"]) == (False, "partial")

    counted = CountWindow(["hall", "yard"], at(590.0), window_s=600)
    counted.joins("hall", at(591.0))
    counted.saw("hall", Detections(2, 1.0), at(600.0))
    report = counted.close(at(600.0))
    assert (report.blank, told(report)["by_sensor"]) == (False, {"hall": 2})
    assert told(report)["quality"] == "partial"
    counted.leaves("yard")  # its opening has failed
    counted.saw("hall", Detections(2, 1.0), at(1200.0))
    assert told(counted.close(at(1200.0)))["quality"] == "sensor_fault"


def test_one_that_came_while_a_window_waited_has_been_opened() -> None:
    """If it then hangs, nothing is known of the next window."""
    counted = CountWindow(["hall"], at(599.5), window_s=600)
    counted.joins("hall", at(600.5))
    assert counted.close(at(601.0)).blank
    assert told(counted.close(at(1230.0))) == UNKNOWN


def test_one_that_was_opened_once_is_not_being_opened_for_the_first_time() -> None:
    """Of a window in which it came late nothing is known, and that is told."""
    counted = watching("hall")
    counted.saw("hall", Detections(1, 1.0), at(100.0))
    counted.leaves("hall")
    counted.close(at(600.0))
    counted.joins("hall", at(1200.5))
    assert told(counted.close(at(1201.0))) == UNKNOWN


@pytest.mark.parametrize("jump_s", [-59.0, 59.0, -1.5, 1.5])
def test_a_step_of_the_clock_right_at_the_end_shortens_the_next_window(jump_s: float) -> None:
    """It ends aligned, is partial, and has what was seen since the last one ended."""
    counted = watching("hall", "yard")
    counted.saw("hall", Detections(1, 1.0), at(600.0))
    counted.saw("hall", Detections(2, 1.0), at(601.0))
    stepped = Moment(START_S + 602.0 + jump_s, 602.0, "boot")
    counted.saw("yard", Detections(0, 0.0), stepped)
    assert told(counted.close(stepped))["quality"] == "ok"

    closes_s = counted.closes_boot_s
    assert (START_S + closes_s + jump_s) % 600 == pytest.approx(0.0)
    for name in ("hall", "yard"):
        counted.saw(name, Detections(1, 1.0), at(closes_s))
    report = told(counted.close(at(closes_s)))
    assert report["by_sensor"] == {"hall": 3, "yard": 1}
    assert report["quality"] == "partial"
    assert report["observed_ms"] == pytest.approx((closes_s - 602.0) * 1000, abs=1)


def test_two_spans_of_one_window_add_up() -> None:
    """A sensor that fails and comes back within a window has one report, not two."""
    counted = watching("hall")
    counted.saw("hall", Detections(1, 1.0), at(100.0))
    counted.leaves("hall")
    counted.joins("hall", at(400.0))
    counted.saw("hall", Detections(2, 1.0), at(600.5))

    assert told(counted.close(at(600.5))) == {
        "detect_count": 3,
        "active_ms": 2000,
        "observed_ms": 300_000,
        "quality": "partial",
    }


def test_a_sensor_not_to_be_believed_is_a_fault() -> None:
    """What it says is reported all the same."""
    counted = watching("hall")
    counted.saw("hall", Detections(9, 1.0), at(600.0))

    report = told(counted.close(at(600.0), suspects={"hall", "another"}))
    assert (report["detect_count"], report["quality"]) == (9, "sensor_fault")
    counted.saw("hall", Detections(9, 1.0), at(1200.0))
    assert told(counted.close(at(1200.0), suspects={"another"}))["quality"] == "ok"


@pytest.mark.parametrize("others", [(), ("yard",)])
def test_what_is_detected_in_a_test_is_no_life(others: tuple[str, ...]) -> None:
    """It stands beside the count, and the time of the test was not watched."""
    counted = watching("hall", *others, tested=("hall",))
    counted.saw("hall", Detections(7, 3.0), at(600.0))
    for name in others:
        counted.saw(name, Detections(2, 1.0), at(600.0))
    report = told(counted.close(at(600.0)))

    assert report["test_count"] == 7
    assert report["detect_count"] == (2 if others else 0)
    assert report["observed_ms"] == (600_000 if others else 0)
    assert report["quality"] == "partial"
    assert report.get("by_sensor") == ({"yard": 2} if others else None)


def test_edges_that_were_lost_are_told_and_spoil_the_window() -> None:
    """Something happened that nobody could count; without any nothing is said of them."""
    counted = CountWindow(["hall", "yard"], at(0.0), window_s=600)
    counted.joins("hall", at(0.0))
    counted.joins("yard", at(0.0))
    counted.saw("hall", Detections(3, 1.0, 6, lost=7), at(300.0))
    counted.saw("hall", NONE, at(600.0))
    counted.saw("yard", Detections(1, 0.5, 2, lost=2), at(600.0))
    spoiled = counted.close(at(600.0)).record.body
    assert (spoiled["quality"], spoiled["lost_edges"], spoiled["detect_count"]) == ("partial", 9, 4)
    for name in ("hall", "yard"):
        counted.saw(name, NONE, at(1200.0))
    whole = counted.close(at(1200.0)).record.body
    assert whole["quality"] == "ok"
    assert "lost_edges" not in whole


@given(
    steps=st.lists(
        st.tuples(
            st.sampled_from(["hall", "yard"]),
            st.sampled_from(["joins", "leaves", "saw", "close"]),
            st.floats(0.0, 700.0),
        ),
        max_size=40,
    )
)
def test_every_detection_is_reported_once(steps: list[tuple[str, str, float]]) -> None:
    """However sensors come and go, sums agree and nothing is watched longer than there was."""
    counted = CountWindow(["hall", "yard"], at(0.0), window_s=600)
    now_s, seen, reported = 0.0, 0, 0

    def report() -> int:
        body = counted.close(at(now_s)).record.body
        parts = body["by_sensor"]
        assert isinstance(parts, dict)
        if body["detect_count"] is None:
            assert (parts, body["observed_ms"], body["active_ms"]) == ({}, 0, None)
            return 0
        watched_ms, active_ms = body["observed_ms"], body["active_ms"]
        assert 0 <= int(str(active_ms)) <= int(str(watched_ms)) <= 600_000
        assert body["detect_count"] == sum(int(str(n)) for n in parts.values())
        return int(str(body["detect_count"]))

    for name, step, seconds in steps:
        now_s += seconds
        if step == "joins" and not counted.watches(name):
            counted.joins(name, at(now_s))
        elif step == "leaves":
            counted.leaves(name)
        elif step == "saw" and counted.watches(name):
            counted.saw(name, Detections(3, 0.5), at(now_s))
            seen += 3
        if step == "close" or now_s >= counted.due_s(now_s):
            reported += report()
    while reported < seen:
        before = reported
        reported += report()
        assert reported > before
    assert reported == seen


def test_a_window_knows_when_its_first_and_last_detections_were() -> None:
    """Each by the share that has counted it, one of before its end within it; none else."""
    window = CountWindow(
        ["hall", "stairs", "bath"], moment(600.0, 0.0), window_s=600, tested=["bath"]
    )
    for name in ("hall", "stairs", "bath"):
        window.joins(name, moment(600.0, 0.0))
    assert window.close(moment(1200.0, 600.0)).seen_boot_s is None
    window.saw("bath", Detections(1, 0.0), moment(1210.0, 610.0))
    window.saw("hall", Detections(2, 0.0), moment(1300.0, 700.0))
    window.saw("stairs", NONE, moment(1400.0, 800.0))
    window.saw("stairs", Detections(0, 1.0), moment(1500.0, 900.0))
    window.saw("hall", Detections(1, 0.0), moment(1801.0, 1201.0))  # most of that time is before
    window.saw("hall", Detections(1, 0.0), moment(1802.0, 1202.0))
    assert [one.seen_boot_s for one in window.so_far(moment(1802.0, 1202.0))] == [
        (700.0, 1200.0),
        (1202.0, 1202.0),
    ]
    assert window.close(moment(1803.0, 1203.0)).seen_boot_s == (700.0, 1200.0)
    assert window.close(moment(2400.0, 1800.0)).seen_boot_s == (1202.0, 1202.0)
