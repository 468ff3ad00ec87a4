"""What the real sampler sees becomes facts, and a start goes on from them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from agent.errors import SensorError
from tests.fakes import START_S, House

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from agent.model import Json


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    """A house with a sensor that works."""
    house = House(tmp_path)
    house.start()
    yield house
    house.stop()


def told(house: House) -> list[tuple[Json, Json, Json]]:
    """Detections, last detection from the start, and quiet of each count."""
    found: list[tuple[Json, Json, Json]] = []
    for one in house.records():
        if one.kind == "count":
            last = one.body["last_detection"]
            since_s = last - START_S if isinstance(last, int) else last
            found.append((one.body["detect_count"], since_s, one.body["quiet_for_s"]))
    return found


def rest(house: House, seconds: int) -> None:
    """Let time pass in which nothing is detected, twenty seconds at a time."""
    for _ in range(seconds // 20):
        house.clock.pass_by(20.0)
        house.sampler.step()


def power_cut(house: House, off_s: float) -> None:
    """End at once, and lose what is in memory: the runtime directory is."""
    house.crash()
    (house.directory / "window.json").unlink()
    house.clock.reboot(off_s)
    house.start()


def test_each_count_tells_how_quiet_it_is(house: House) -> None:
    """As of its end, by the last detection that it or one before it has."""
    house.live(20, detections=3)
    rest(house, 580)
    rest(house, 600)
    house.live(20, detections=1)
    rest(house, 580)
    assert told(house) == [(3, 4, 596), (0, 4, 1196), (1, 1202, 598)]
    shown = house.facts.shown()
    assert (shown["last_detection"], shown["quiet_for_s"]) == (START_S + 1202, 598)


def test_a_count_tells_of_its_own_detections_though_it_is_late(house: House) -> None:
    """The sensor is asked at its end, and again before it is reported."""
    house.live(590, detections=1)
    house.clock.pass_by(10.004)
    house.detector.seen = 1
    house.sampler.step()
    house.live(2, detections=1)
    house.live(598)
    first, second = told(house)
    assert first == (2, 600, 0)
    assert second == (1, 602, 598)


def test_a_restart_goes_on(house: House) -> None:
    """The windows that it divides too: what is to come of one that is broken off is quiet yet."""
    house.live(20, detections=2)
    rest(house, 280)
    house.stop()
    house.clock.pass_by(30)
    house.start()
    house.live(270)
    assert told(house) == [(2, 2, 598), (0, 2, 598)]


def test_a_crash_loses_no_detection(house: House) -> None:
    """The window that was open is reported by the next process, with what it knew."""
    rest(house, 600)
    house.live(20, detections=5)
    rest(house, 100)
    house.crash()
    house.clock.pass_by(600)
    house.start()
    rest(house, 480)
    assert told(house)[:2] == [(0, None, None), (5, 606, 594)]
    assert told(house)[-1] == (0, 606, 1194)


def test_a_power_cut_leaves_what_was_kept(house: House) -> None:
    """The detection that ended a long spell, though its window is lost with the memory."""
    house.live(20, detections=1)
    rest(house, 1180)
    house.live(20, detections=1)
    rest(house, 280)
    power_cut(house, off_s=900)
    assert house.facts.shown()["last_detection"] == START_S + 1202
    rest(house, 600)
    assert told(house)[-1] == (0, 1202, 1798)
    assert house.records()[-1].body["quiet_observed_s"] == pytest.approx(560, abs=40)


def test_after_a_power_cut_nothing_is_known_until_the_clock_is_set(house: House) -> None:
    """Then it is, and counts of before are moved to where they belong."""
    house.live(20, detections=1)
    rest(house, 580)
    house.clock.was_set = False
    power_cut(house, off_s=0)
    rest(house, 600)
    assert told(house)[-1] == (0, None, None)
    house.live(20, detections=1)
    rest(house, 580)
    assert told(house)[-1] == (1, None, 598)
    house.clock.jump(6 * 3600)
    house.clock.was_set = True
    rest(house, 600)
    last_s = 1202 + 6 * 3600
    assert told(house)[-1] == (0, last_s, 1198)
    assert house.facts.shown()["last_detection"] == START_S + last_s


def test_a_dead_sensor_is_no_quiet(house: House) -> None:
    """Time goes on since the last detection, and none of it is observed."""
    house.live(20, detections=1)
    rest(house, 580)
    house.detector.trouble = SensorError("motion: no such chip", hint="plug it in")
    rest(house, 1800)
    (*_, body) = [one.body for one in house.records() if one.kind == "count"]
    assert body["detect_count"] is None
    assert body["quiet_for_s"] == 2398
    assert body["quiet_observed_s"] == pytest.approx(660, abs=70)
    assert house.facts._quiet.observed_s() < 700


def test_a_sensor_in_a_test_is_nobody(house: House) -> None:
    """What it detects changes nothing; what nobody has seen is not known."""
    assert house.facts.shown()["last_detection"] is None
    rest(house, 600)
    assert told(house) == [(0, None, None)]


def test_facts_wake_nobody_more_often_than_once_a_minute(house: House) -> None:
    """An idle agent looks, notes and decides when it is awake anyway."""
    house.live(10, detections=1)
    now_s = house.clock.boot_s()
    assert house.facts.due_s() - now_s >= 60
