"""A value class is used as a frozen dataclass with slots is."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import ClassVar

import pytest

from agent.value import Value, asdict, field, fields, replace


class Span(Value):
    """A field that is needed, one with a default, and a rule between them."""

    unit: ClassVar[str] = "s"
    begin_s: float
    end_s: float = 60.0

    def __post_init__(self) -> None:
        if self.end_s < self.begin_s:
            raise ValueError("ends before it begins")

    @property
    def length_s(self) -> float:
        """What is between."""
        return self.end_s - self.begin_s


class Key(Value):
    """A secret in the middle, which has no default."""

    id: str
    secret: str = field(secret=True, metadata={"check": len})
    spans: tuple[Span, ...] = ()


class Tally(Value, frozen=False):
    """One that counts on."""

    count: int = 0


class Twin(Value):
    """Fields of another class."""

    begin_s: float
    end_s: float


def test_fields_are_given_in_order_or_by_name() -> None:
    """A default stands for what is not given."""
    assert Span(1.0) == Span(1.0, 60.0) == Span(end_s=60.0, begin_s=1.0) == Span(1.0, end_s=60.0)
    assert (Span(1.0).begin_s, Span(1.0).end_s, Span(1.0).length_s) == (1.0, 60.0, 59.0)
    assert Span.unit == Span(1.0).unit == "s"


@pytest.mark.parametrize(
    ("given", "named", "told"),
    [
        ((), {}, "begin_s is missing"),
        ((), {"end_s": 2.0}, "begin_s is missing"),
        ((1.0, 2.0, 3.0), {}, "cannot take more values than it has fields"),
        ((1.0,), {"begin_s": 1.0}, "cannot take begin_s"),
        ((1.0,), {"ends": 1.0, "x": 2}, "cannot take ends, x"),
    ],
)
def test_what_does_not_fit_is_named(
    given: tuple[object, ...], named: dict[str, object], told: str
) -> None:
    """A defect of ours is found at the value that it makes."""
    kind: type[Value] = Span
    with pytest.raises(TypeError, match=f"^Span: {told}$"):
        kind(*given, **named)


def test_the_fields_of_a_base_are_not_inherited() -> None:
    """Nor quietly lost."""
    with pytest.raises(TypeError, match="Named: its base has fields"):

        class Named(Span):
            name: str = ""


def test_a_value_is_frozen() -> None:
    """No field can be set, taken away or added."""
    span = Span(1.0)
    with pytest.raises(AttributeError, match="Span is frozen: end_s"):
        span.end_s = 2.0  # type: ignore[misc]
    with pytest.raises(AttributeError, match="Span keeps its fields: end_s"):
        del span.end_s
    with pytest.raises(AttributeError, match="Span is frozen: other"):
        span.other = 2.0  # type: ignore[assignment]
    assert span == Span(1.0)
    assert not hasattr(span, "__dict__")


def test_one_that_is_not_frozen_can_be_set_and_has_no_hash() -> None:
    """It has slots all the same."""
    tally = Tally()
    tally.count += 1
    assert tally == Tally(1)
    assert Tally() == Tally(0)
    with pytest.raises(TypeError, match="unhashable"):
        hash(tally)
    with pytest.raises(AttributeError):
        tally.other = 1  # type: ignore[assignment]


def test_equal_are_those_of_one_class_with_equal_fields() -> None:
    """They are one in a set; another class with such fields is something else."""
    assert len({Span(1.0), Span(1.0), Span(2.0)}) == 2
    assert Span(1.0) != Span(2.0)
    assert Span(1.0) != Twin(1.0, 60.0)
    assert Span(1.0) != (1.0, 60.0)


def test_a_rule_between_fields_holds() -> None:
    """For one that is changed too, since that is a new one."""
    with pytest.raises(ValueError, match="before"):
        Span(61.0)
    with pytest.raises(ValueError, match="before"):
        replace(Span(1.0), begin_s=61.0)


def test_a_changed_one_is_another() -> None:
    """What is not said stays."""
    span = Span(1.0)
    assert replace(span, end_s=2.0) == Span(1.0, 2.0)
    assert span == Span(1.0)
    with pytest.raises(TypeError, match="ends"):
        replace(span, ends=2.0)  # type: ignore[call-arg]  # which mypy knows, too


def test_a_secret_is_not_shown() -> None:
    """Neither in a log nor in a traceback."""
    assert repr(Key("AKIA", "s3cret")) == "Key(id='AKIA', spans=())"


def test_a_value_becomes_a_dictionary_with_the_values_in_it() -> None:
    """As JSON needs it."""
    assert asdict(Key("a", "b", (Span(1.0),))) == {
        "id": "a",
        "secret": "b",
        "spans": ({"begin_s": 1.0, "end_s": 60.0},),
    }


def test_a_field_knows_its_default_and_what_was_said_of_it() -> None:
    """`...` is none."""
    key, span = fields(Key), fields(Span(1.0))
    assert [one.default for one in (*key, *span)] == [..., ..., (), ..., 60.0]
    assert key[1].metadata == {"check": len}
    assert not key[0].metadata


def test_a_value_can_be_taken_apart_by_match() -> None:
    """In order, and by name."""
    match Span(1.0, 2.0):
        case Span(begin_s, end_s=2.0):
            assert begin_s == 1.0
        case _:
            pytest.fail("not matched")


def test_it_loads_nothing_that_dataclasses_loads() -> None:
    """That is what it is for."""
    program = "import sys, agent.value; print(*sys.modules, sep='\\n')"
    loaded = subprocess.run(
        [sys.executable, "-c", program],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    assert not {"dataclasses", "inspect", "ast", "dis"}.intersection(loaded)
