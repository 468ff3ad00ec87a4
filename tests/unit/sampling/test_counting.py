"""The open window over several counted sensors."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.model import Moment
from agent.sampling.counting import CountWindow
from agent.sensors import Detections

if TYPE_CHECKING:
    from agent.model import NewRecord

START_S = 1_795_500_000.0


def at(seconds: float) -> Moment:
    """So many seconds after the beginning of a window, which was when the machine started."""
    return Moment(START_S + seconds, seconds, "boot")


def watching(*names: str, tested: tuple[str, ...] = ()) -> CountWindow:
    """Sensors that watch from the very beginning of a window."""
    counted = CountWindow(names, window_s=600, tested=tested)
    for name in names:
        counted.joins(name, at(0.0))
    return counted


def told(record: NewRecord | None) -> dict[str, object]:
    """The fields that say who saw what."""
    assert record
    constant = {"window_s", "next_by"}
    return {name: value for name, value in record.body.items() if name not in constant}


def test_without_sensors_there_is_no_window() -> None:
    """Nothing is due, and nothing reported."""
    counted = CountWindow(["hall"], window_s=600)

    assert counted.closes_boot_s == float("inf")
    assert counted.close(at(0.0)) is None


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


def test_when_nobody_watches_nothing_is_reported() -> None:
    """The first that comes back opens a window anew."""
    counted = watching("hall")
    counted.leaves("hall")
    counted.leaves("hall")
    assert counted.close(at(600.0)) is None
    assert counted.closes_boot_s == float("inf")

    counted.joins("hall", at(700.0))
    assert counted.closes_boot_s == 1200.0
    counted.saw("hall", Detections(1, 0.5), at(1200.0))
    assert told(counted.close(at(1200.0)))["observed_ms"] == 500_000


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
    counted = CountWindow(["hall", "yard"], window_s=600)
    now_s, seen, reported = 0.0, 0, 0
    for name, step, seconds in steps:
        now_s += seconds
        if step == "joins" and not counted.watches(name):
            counted.joins(name, at(now_s))
        elif step == "leaves":
            counted.leaves(name)
        elif step == "saw" and counted.watches(name):
            counted.saw(name, Detections(3, 0.5), at(now_s))
            seen += 3
        if step == "close" or now_s >= counted.closes_boot_s:
            record = counted.close(at(now_s))
            if record:
                parts = record.body["by_sensor"]
                assert isinstance(parts, dict)
                assert record.body["detect_count"] == sum(int(str(n)) for n in parts.values())
                reported += int(str(record.body["detect_count"]))
                watched_ms, active_ms = record.body["observed_ms"], record.body["active_ms"]
                assert 0 <= int(str(active_ms)) <= int(str(watched_ms)) <= 600_000
    if record := counted.close(at(now_s)):
        reported += int(str(record.body["detect_count"]))
    assert reported == seen
