"""Windows of detections, and what comes back on the count topic."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.model import Moment
from agent.sampling.counting import close_window, next_window, open_window
from agent.sensors import Detections
from agent.uplink.inbox import (
    TOTAL_MAX,
    Echo,
    Foreign,
    SetTotal,
    classify,
)

EPOCH = "9f2c"
NONE = Detections(0, 0.0)


def at(wall_s: float, boot_s: float) -> Moment:
    """An instant of one boot."""
    return Moment(wall_s, boot_s, "boot")


def test_a_window_ends_at_a_multiple_of_its_length() -> None:
    """The end is aligned to the wall clock and known on the boot clock."""
    window = open_window(at(1_795_500_123.5, 50.0), 600)

    assert window.end_s == 1_795_500_600
    assert window.end_s % 600 == 0
    assert window.closes_boot_s == 526.5


def test_the_report_of_a_whole_window_has_every_field_of_the_contract() -> None:
    """Its Timestamp is the aligned end, and it observed exactly the window's length."""
    window = open_window(at(1_795_500_000.0, 50.0), 600)
    report = close_window(window, Detections(3, 41.2), at(1_795_500_600.4, 650.4))

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
    report = close_window(open_window(at(0.0, 0.0), window_s), NONE, at(window_s, window_s))

    assert report.body["next_by"] == next_by


def test_a_window_opened_in_its_middle_is_partial() -> None:
    """The first one after a start says how long it observed."""
    report = close_window(open_window(at(1_000_500.0, 9.0), 600), NONE, at(1_000_800.0, 309.0))

    assert report.timestamp_s == 1_000_800
    assert (report.body["quality"], report.body["observed_ms"]) == ("partial", 300_000)


def test_a_window_broken_off_is_partial_with_its_own_timestamp() -> None:
    """A stop reports what was observed, under the end that the window would have had."""
    report = close_window(open_window(at(600.0, 0.0), 600), NONE, at(700.0, 100.0))

    assert report.timestamp_s == 1200
    assert (report.body["quality"], report.body["observed_ms"]) == ("partial", 100_000)


def test_nothing_is_active_longer_than_it_was_observed() -> None:
    """active_ms never exceeds observed_ms."""
    report = close_window(open_window(at(600.0, 0.0), 600), Detections(1, 90.0), at(610.0, 10.0))

    assert report.body["active_ms"] == report.body["observed_ms"] == 10_000


@pytest.mark.parametrize("late_s", [0.0, 0.004, 3.0, 400.0])
def test_windows_adjoin_however_late_they_are_closed(late_s: float) -> None:
    """The next window begins where the last one ended, and can be whole."""
    first = open_window(at(600.0, 0.0), 600)
    second = next_window(first, at(1200.0 + late_s, 600.0 + late_s))

    assert (second.end_s, second.opened_boot_s, second.closes_boot_s) == (1800, 600.0, 1200.0)
    assert close_window(second, NONE, at(1800.0, 1200.0)).body["observed_ms"] == 600_000


@pytest.mark.parametrize("slewed_s", [-0.9, 0.9])
def test_a_clock_that_is_slewed_makes_no_partial_windows(slewed_s: float) -> None:
    """A second in a window is a time server at work: whole windows stay whole."""
    first = open_window(at(600.0, 0.0), 600)
    second = next_window(first, at(1200.0 + slewed_s, 600.0))

    assert (second.end_s, second.whole) == (1800, True)
    assert second.closes_boot_s == pytest.approx(1200.0 - slewed_s)
    ended = at(1800.0, second.closes_boot_s)
    assert close_window(second, NONE, ended).body["observed_ms"] == 600_000


@pytest.mark.parametrize("jump_s", [-86_400.0, -1.5, 1.5, 3600.0, 86_400.0])
def test_after_a_jump_of_the_clock_the_next_window_is_aligned_anew(jump_s: float) -> None:
    """It is partial, and closes at the latest after its length."""
    now = at(1200.0 + 864_000 + jump_s, 600.0)
    window = next_window(open_window(at(864_600.0, 0.0), 600), now)

    assert window == open_window(now, 600)
    assert 0 < window.closes_boot_s - 600.0 <= 600


def test_a_short_window_strays_less() -> None:
    """A quarter of the window is the most that the clock may stray."""
    assert not next_window(open_window(at(0.0, 0.0), 2), at(2.6, 2.0)).whole
    assert next_window(open_window(at(0.0, 0.0), 2), at(2.4, 2.0)).whole


def test_after_a_long_sleep_the_windows_slept_through_are_left_out() -> None:
    """Nobody observed them, so nobody reports them."""
    window = next_window(open_window(at(600.0, 0.0), 600), at(4000.0, 3400.0))

    assert (window.end_s, window.whole) == (4200, False)


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
    window = open_window(at(wall_s, boot_s), window_s)
    later = at(max(0.0, wall_s + spent_s + jumped_s), boot_s + spent_s)
    body = close_window(window, NONE, later).body

    assert window.end_s % window_s == 0
    assert 0 < window.end_s - wall_s <= window_s
    assert isinstance(body["observed_ms"], int)
    assert 0 <= body["observed_ms"] <= window_s * 1000
    if later.boot_s >= window.closes_boot_s:
        following = next_window(window, later)
        assert following.end_s % window_s == 0
        assert following.closes_boot_s - later.boot_s <= window_s + 1


def test_our_own_record_is_an_echo() -> None:
    """Epoch and number are enough; the other fields do not matter."""
    text = b'{"Timestamp": 1, "detect_count": 0, "epoch": "9f2c", "seq": 42}'

    assert classify(text, epoch=EPOCH) == Echo(42)


@pytest.mark.parametrize(
    ("text", "command"),
    [
        ('{"set": 118, "id": "a"}', SetTotal(118, "a")),
        ('{"set": 0, "id": "a", "by": "Kim"}', SetTotal(0, "a")),
        ('{"reset": true, "id": "b"}', SetTotal(0, "b")),
        ("7", SetTotal(7, None)),
        (" 0\n", SetTotal(0, None)),
        (f"{TOTAL_MAX}", SetTotal(TOTAL_MAX, None)),
        (json.dumps({"set": 1, "id": "x" * 256}), SetTotal(1, "x" * 256)),
        ('{"set": 1, "id": "\\ud83d\\ude00"}', SetTotal(1, "\U0001f600")),
    ],
)
def test_commands_set_the_total(text: str, command: SetTotal) -> None:
    """A set, a reset, or a bare number, which has no id."""
    assert classify(text.encode(), epoch=EPOCH) == command


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"\xff\xfe",
        b"\xef\xbb\xbf7",
        b"hello",
        b"NaN",
        b"Infinity",
        b"true",
        b"null",
        b"[]",
        b'"7"',
        b"-1",
        b"7.0",
        b"1e3",
        b"9007199254740992",
        b"9" * 5000,
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b"{}",
        b'{"set": 1}',
        b'{"set": 1, "id": ""}',
        b'{"set": 1, "id": 7}',
        b'{"set": 1, "id": null}',
        b'{"set": true, "id": "a"}',
        b'{"set": 1.5, "id": "a"}',
        b'{"set": "1", "id": "a"}',
        b'{"set": -1, "id": "a"}',
        b'{"set": 9007199254740992, "id": "a"}',
        b'{"set": NaN, "id": "a"}',
        b'{"reset": 1, "id": "a"}',
        b'{"reset": false, "id": "a"}',
        b'{"reset": true}',
        b'{"set": 1, "reset": true, "id": "a"}',
        b'{"set": 1, "id": "\\ud800"}',
        b'{"set": 1, "id": "' + b"x" * 257 + b'"}',
        b'{"epoch": "other", "seq": 1}',
        b'{"epoch": "9f2c"}',
        b'{"epoch": "9f2c", "seq": "1"}',
        b'{"epoch": "9f2c", "seq": true}',
        b'{"epoch": "9f2c", "seq": 1.0}',
        b'{"epoch": ["9f2c"], "seq": 1}',
    ],
    ids=lambda payload: repr(payload[:40]),
)
def test_anything_else_is_foreign(payload: bytes) -> None:
    """It is told why, and changes nothing."""
    verdict = classify(payload, epoch=EPOCH)

    assert isinstance(verdict, Foreign)
    assert verdict.reason


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(codec="utf-8")),
    lambda inner: (
        st.lists(inner) | st.dictionaries(st.sampled_from(["set", "reset", "id", "epoch"]), inner)
    ),
)


@given(st.binary() | JSON.map(lambda value: json.dumps(value).encode()))
def test_no_bytes_make_it_raise(payload: bytes) -> None:
    """Anyone who may publish can send anything."""
    verdict = classify(payload, epoch=EPOCH)

    assert isinstance(verdict, Echo | SetTotal | Foreign)
    if isinstance(verdict, SetTotal):
        assert 0 <= verdict.value <= TOTAL_MAX
