"""Records become the JSON that consumers read."""

from __future__ import annotations

import json

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from agent.model import COUNT, Moment, Reading, Record, encode, plain_number, reading_record

MOMENT = Moment(wall_s=1795500600.1234567, boot_s=12.5, boot_id="6c2f")


def test_a_reading_becomes_a_record_of_its_sensor() -> None:
    """The kind names the sensor; the time has milliseconds; the values are the body."""
    new = reading_record(Reading("room", {"temperature_c": 21.4}, MOMENT))
    assert new.kind == "sensors/room"
    assert new.timestamp_s == 1795500600.123
    assert new.body == {"temperature_c": 21.4}
    assert new.moment is MOMENT


def test_the_payload_is_time_body_and_identity() -> None:
    """Consumers find Timestamp, the body's fields, epoch and seq in one flat object."""
    record = Record("9f2c", 42, COUNT, 1795500600.0, b'{"detect_count":3,"quality":"ok"}')
    assert record.topic("living-room") == "living-room/count"
    assert record.payload() == (
        b'{"Timestamp":1795500600,"detect_count":3,"quality":"ok","epoch":"9f2c","seq":42}'
    )
    bare = Record("9f2c", 43, COUNT, 1795500600.5, b"{}")
    assert bare.payload() == b'{"Timestamp":1795500600.5,"epoch":"9f2c","seq":43}'


def test_a_record_cannot_be_changed() -> None:
    """What was numbered stays as it was."""
    record = Record("9f2c", 42, COUNT, 1795500600.0, b"{}")
    with pytest.raises(AttributeError, match="frozen"):
        record.seq = 43  # type: ignore[misc]


@pytest.mark.parametrize(("value", "text"), [(3.0, "3"), (3, "3"), (-0.5, "-0.5"), (1e3, "1000")])
def test_a_whole_number_reads_as_one(value: float, text: str) -> None:
    """Rules that compare integers meet integers."""
    assert json.dumps(plain_number(value)) == text


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_what_json_does_not_have_is_refused(value: float) -> None:
    """NaN and infinities would make a text that no consumer can read."""
    with pytest.raises(ValueError, match="JSON compliant"):
        encode({"temperature_c": value})


def test_half_a_character_is_refused() -> None:
    """A lone surrogate is no UTF-8: a ValueError, like all that cannot be said."""
    with pytest.raises(ValueError, match="surrogates"):
        encode({"name": "\udcff"})


@given(
    st.dictionaries(
        st.text(st.characters(exclude_categories=["Cs"])),
        st.one_of(
            st.none(),
            st.booleans(),
            st.integers(),
            st.floats(allow_nan=False, allow_infinity=False),
            st.text(st.characters(exclude_categories=["Cs"])),
        ),
    )
)
def test_what_is_encoded_reads_back_the_same(value: dict[str, bool | float | str | None]) -> None:
    """UTF-8 JSON on one line, with nothing lost; a payload is the same as one that is encoded."""
    text = encode(value)
    assert b"\n" not in text
    assert json.loads(text) == value
    assume(value.keys().isdisjoint(("Timestamp", "epoch", "seq")))
    whole = encode({"Timestamp": 1.25, **value, "epoch": "9f2c", "seq": 42})
    assert Record("9f2c", 42, COUNT, 1.25, text).payload() == whole
