"""The inbox tells our own records, commands and garbage apart on the count topic."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.facts import Mode
from agent.uplink.inbox import TOTAL_MAX, Echo, Foreign, SetMode, SetTotal, classify

EPOCH = "9f2c"
NOW_S = 1_795_500_000.0


def test_our_own_record_is_an_echo() -> None:
    """Epoch and number are enough; the other fields do not matter."""
    text = b'{"Timestamp": 1, "detect_count": 0, "epoch": "9f2c", "seq": 42}'

    assert classify(text, epoch=EPOCH, now_s=NOW_S) == Echo(42)


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
    assert classify(text.encode(), epoch=EPOCH, now_s=NOW_S) == command


@pytest.mark.parametrize(
    ("text", "name", "until_s"),
    [
        ('{"mode": "away", "until": 1795503600, "id": "a"}', "away", NOW_S + 3600),
        ('{"mode": "test", "until": 1795503600.5, "id": "a", "by": "Kim"}', "test", NOW_S + 3600.5),
        ('{"mode": "visitor", "until": "2026-11-24T07:00Z", "id": "a"}', "visitor", NOW_S + 3600),
        ('{"mode": "off", "id": "a"}', "", 0.0),
        ('{"mode": "off", "until": null, "id": "a"}', "", 0.0),
    ],
)
def test_commands_set_the_mode(text: str, name: str, until_s: float) -> None:
    """With an end, in seconds or as text; off needs none."""
    since_s = NOW_S if name else 0.0
    command = SetMode(Mode(name, until_s, since_s, "cloud"), "a")
    assert classify(text.encode(), epoch=EPOCH, now_s=NOW_S) == command


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('{"mode": "away", "until": 1795500000, "id": "a"}', "the end is over already"),
        ('{"mode": "away", "until": 1895500000, "id": "a"}', "more than 366 days away"),
        ('{"mode": "away", "id": "a"}', "until when"),
        ('{"mode": "away", "until": true, "id": "a"}', "until when"),
        ('{"mode": "away", "until": 1e999, "id": "a"}', "until when"),
        ('{"mode": "away", "until": "18:00", "id": "a"}', "no time such as"),
        ('{"mode": "holiday", "until": 1795503600, "id": "a"}', "is no mode"),
        ('{"mode": null, "until": 1795503600, "id": "a"}', "is no mode"),
        ('{"mode": "away", "until": 1795503600}', "no id"),
        ('{"mode": "off", "set": 1, "id": "a"}', "not one alone of mode, reset, set"),
        ('{"mode": "off", "reset": true, "id": "a"}', "not one alone of mode, reset, set"),
        ('{"until": 1795503600, "id": "a"}', "not one alone of mode, reset, set"),
    ],
)
def test_a_mode_that_cannot_be_is_foreign(text: str, reason: str) -> None:
    """And says why; a time of day alone could be of any day when it arrives."""
    verdict = classify(text.encode(), epoch=EPOCH, now_s=NOW_S)
    assert isinstance(verdict, Foreign)
    assert reason in verdict.reason


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
    verdict = classify(payload, epoch=EPOCH, now_s=NOW_S)

    assert isinstance(verdict, Foreign)
    assert verdict.reason


WORDS = ["set", "reset", "mode", "until", "id", "epoch"]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(codec="utf-8")),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(WORDS), inner),
)


@given(st.binary() | JSON.map(lambda value: json.dumps(value).encode()))
def test_no_bytes_make_it_raise(payload: bytes) -> None:
    """Anyone who may publish can send anything."""
    verdict = classify(payload, epoch=EPOCH, now_s=NOW_S)

    assert isinstance(verdict, Echo | SetTotal | SetMode | Foreign)
    if isinstance(verdict, SetTotal):
        assert 0 <= verdict.value <= TOTAL_MAX
