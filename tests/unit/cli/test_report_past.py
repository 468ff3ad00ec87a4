"""What the service's user tells of the past is taken as anybody's word."""

from __future__ import annotations

import json
import re
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.cli.report_chart import Screen, chart
from agent.cli.report_days import report
from agent.cli.report_page import page
from agent.cli.report_past import Past, decoded, encoded
from agent.cli.report_words import JAPANESE, Words
from agent.errors import AgentError
from agent.store import COUNTS, Hour, Outage, Spell
from agent.store.inspection import Past as Kept
from tests.unit.cli.report_case import NOW_S, past

if TYPE_CHECKING:
    from agent.model import Json

STATUS: dict[str, Json] = {
    "last_detection": NOW_S - 60,
    "quiet_for_s": 60,
    "mode": "away",
    "mode_until": NOW_S + 60,
    "pid": 7,
}

#: What a row may have in a place where it should not.
STRANGE: list[object] = [None, True, "x", -1, 1e300, float("nan"), float("inf"), [], {}, "\x1b[2J"]


def test_what_is_told_is_what_was_kept() -> None:
    """Hours, outages and spells as they are, and of the status what a report shows."""
    known = past(3)
    kept = Kept(known.hours, known.outages, known.spells, 7, "{}")
    found = decoded(encoded("cat", kept, STATUS, since_s=0))
    assert found == Past(
        *("cat", known.hours, known.outages, known.spells),
        last_s=NOW_S - 60,
        quiet_s=60,
        runs=True,
        mode="away",
        mode_until_s=NOW_S + 60,
    )
    assert not decoded(encoded("cat", kept, {}, since_s=0)).runs


def test_readings_of_days_that_are_not_shown_are_not_told() -> None:
    """Counts are, for the rhythm."""
    known = past(3)
    kept = Kept(known.hours, (), (), 0, "")
    hours = decoded(encoded("cat", kept, {}, since_s=NOW_S - 86_400)).hours
    assert {one.name for one in hours if one.start_s < NOW_S - 86_400} == {COUNTS}
    assert len({one.name for one in hours}) == 4


def told(**parts: object) -> Past:
    """The past of a text with these parts."""
    status = dict.fromkeys(STATUS | {"quiet_observed_s": None})
    whole = {"thing": "cat", "hours": [], "outages": [], "spells": [], "runs": True}
    return decoded(json.dumps({**whole, "status": status, **parts}))


HOUR = [3600, COUNTS, 6, 1.0, 0.5, 2.0, 3601.0, 3602.0, 3600.0, 4.0, False]


@pytest.mark.parametrize("place", range(len(HOUR)))
@pytest.mark.parametrize("strange", STRANGE, ids=repr)
def test_a_spoiled_row_spoils_nothing(place: int, strange: object) -> None:
    """It is left out, or what is left of it can be shown; the others are there."""
    row = [*HOUR[:place], strange, *HOUR[place + 1 :]]
    *rest, sound = told(hours=[row, HOUR[:-1], None, HOUR]).hours
    assert sound == Hour(3600, COUNTS, 6, 1.0, 0.5, 2.0, 3601.0, 3602.0, 3600.0, 4.0)
    if rest:
        assert report(Past("cat", tuple(rest), (), ()), 1, 7200)


def test_spoiled_outages_and_spells_are_left_out() -> None:
    """One that ends before it begins is none."""
    outages = [[10, "link", 5, "x"], [10, "link", None, "x"], [-1, "link", 5, ""], [1], None]
    assert told(outages=outages).outages == (Outage(10, "link", None, "x"),)
    spells = [[0, 5, 9, 4], [0, "5", 9, 4], [0.5, 5, 9, 4], 7]
    assert told(spells=spells).spells == (Spell(0, 5, 9, 4),)


def test_text_moves_no_cursor_and_turns_no_line() -> None:
    """Controls of a terminal, ends of lines and marks that turn the direction are shown as such."""
    (outage,) = told(outages=[[10, "a\x1b[2J", 20, "b\nc\td\u202ee" + "x" * 999]]).outages
    assert outage.kind == r"a\x1b[2J"
    assert outage.cause.startswith(r"b c d\u202eexxx")
    assert len(outage.cause) <= 200
    assert told(thing="\u200bcat\r").thing == r"?cat\x0d"


@pytest.mark.parametrize("text", ["", "null", "[]", "{}", "[" * 9999, '{"thing": 1}'])
def test_what_is_no_past_at_all_is_told_in_words(text: str) -> None:
    """No traceback."""
    with pytest.raises(AgentError, match="cannot be used"):
        decoded(text)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=11) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=40,
)


@settings(max_examples=30)
@given(st.fixed_dictionaries({}, optional=dict.fromkeys(("thing", "hours", "outages"), JSON)))
def test_any_json_is_a_past_or_told_in_words(parts: dict[str, object]) -> None:
    """Whatever a hostile service says."""
    with suppress(AgentError):
        shown(told(**parts))


NUMBER = st.floats(-1e15, 1e15, allow_nan=False) | st.sampled_from([0, 1, -0.0, 5e-324, 1e-9])
ROW = st.tuples(
    st.integers(NOW_S - 9 * 86_400, NOW_S + 4000),
    st.sampled_from([COUNTS, "room.temperature_c", "pi.memory_bytes", "x.", "."]),
    *(
        st.integers(0, 10**15) | NUMBER,
        NUMBER,
        *(st.none() | NUMBER,) * 4,
        NUMBER,
        NUMBER,
        st.booleans(),
    ),
)


@settings(max_examples=30)
@given(st.lists(ROW, max_size=8), st.integers(1, 12))
def test_any_numbers_can_be_shown(rows: list[tuple[object, ...]], days: int) -> None:
    """However large, small or contrary they are."""
    shown(told(hours=rows), days)


def shown(past: Past, days: int = 7) -> None:
    """Draw it."""
    if found := report(past, days, NOW_S):
        words = Words(JAPANESE)
        assert chart(found, words, Screen())
        assert not re.search(r'"[^"]*\b(nan|inf)\b[^"]*"', page(found, words))
