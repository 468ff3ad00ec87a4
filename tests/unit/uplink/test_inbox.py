"""The inbox tells our own records, commands and garbage apart on the count topic."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.uplink.inbox import TOTAL_MAX, Echo, Foreign, SetTotal, classify

EPOCH = "9f2c"


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
