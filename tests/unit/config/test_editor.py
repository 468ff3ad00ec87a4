"""One key of a TOML text changes; everything else stays as its owner wrote it."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.config.editor import UneditableError, with_value, without
from tests.unit.config.conftest import steps_of

NAME = ("thing", "name")
SHIPPED = Path(__file__).parents[3] / "etc/agent.toml"

#: Values in every way of writing; some look like what is to be changed.
VALUES = [
    "1",
    "nan",
    "0x1F",
    "true",
    '"text"',
    "'literal # no comment'",
    '"a \\" quote and [thing]"',
    '"""\n[thing]\nname = "trap"\n"""',
    "'''\n# name = \"trap\"\n'''",
    '[\n  "a", # one\n  "[thing]",\n]',
    '{ name = "inner" }',
    "2026-11-24T00:00:00Z",
]
COMMENTS = ["", "# a remark", '# name = ""', '  # [[sensors]]\n  # name = "motion"', "#"]


@st.composite
def documents(draw: st.DrawFn) -> str:
    """A valid TOML text with tables, arrays of tables, traps and remarks."""
    eol = draw(st.sampled_from(["\n", "\r\n"]))
    lines: list[str] = []

    def statements(keys: list[str]) -> None:
        for key in draw(st.lists(st.sampled_from(keys), unique=True, max_size=3)):
            lines.append(draw(st.sampled_from(COMMENTS)))
            indent = draw(st.sampled_from(["", "  "]))
            value = draw(st.sampled_from(VALUES))
            plain = "\n" not in value and not value.startswith("{")
            remark = draw(st.sampled_from(["", " # a remark", "  #"])) if plain else ""
            lines.append(f"{indent}{key} = {value}{remark}")
        lines.append(draw(st.sampled_from(COMMENTS)))

    statements(["name", "other", '"quoted key"'])
    for header in draw(st.permutations(["[thing]", "[aws]", "[[sensors]]", "[[sensors]]"])):
        if draw(st.booleans()):
            lines.append(header)
            statements(["name", '"odd name"', "other", "more"])
    text = "\n".join(lines)
    return text.replace("\n", eol) + draw(st.sampled_from(["", eol]))


def parsed(text: str) -> dict[str, object]:
    """The document, in which nan equals nan."""
    return tomllib.loads(text, parse_float=str)


@given(documents())
def test_only_the_key_changes(text: str) -> None:
    """Every other value is the same, and every remark is still there, in its order."""
    wanted = parsed(text)
    table = wanted.setdefault("thing", {})
    assert isinstance(table, dict)
    table["name"] = "cat"
    changed = with_value(text, NAME, "cat")
    assert parsed(changed) == wanted
    assert with_value(changed, NAME, "cat") == changed
    remarks = re.findall("# a remark", text)
    assert re.findall("# a remark", changed) == remarks
    assert ("\r\n" in text) <= ("\r\n" in changed)
    assert len(changed.splitlines()) >= len(text.splitlines()) - 3


@given(documents())
def test_a_key_is_taken_out_and_nothing_else(text: str) -> None:
    """What was put in is gone, and all the rest is as before."""
    changed = without(with_value(text, NAME, "cat"), NAME)
    wanted = parsed(text)
    table = wanted.setdefault("thing", {})
    assert isinstance(table, dict)
    table.pop("name", None)
    assert parsed(changed) == wanted


def test_the_shipped_configuration_gets_its_lines_in_place() -> None:
    """The commented default line becomes the setting; no other line differs."""
    before = SHIPPED.read_text()
    after = with_value(with_value(before, NAME, "cat"), ("aws", "region"), "eu-west-1")
    changes = [
        (old, new)
        for old, new in zip(before.splitlines(), after.splitlines(), strict=True)
        if old != new
    ]
    assert changes == [
        ('# name = ""', 'name = "cat"'),
        ('# region = ""', 'region = "eu-west-1"'),
    ]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("", '[thing]\nname = "cat"\n'),
        ("[aws]", '[aws]\n\n[thing]\nname = "cat"\n'),
        ("[thing]", '[thing]\nname = "cat"\n'),
        ("[thing] # me\n\n[aws]\n", '[thing] # me\nname = "cat"\n\n[aws]\n'),
        ("[thing]\n  name='dog' # he\n", '[thing]\n  name="cat" # he\n'),
        ("[thing]\nname = 5#five\n", '[thing]\nname = "cat"#five\n'),
        ('[thing]\nname = """\ndog"""\n', '[thing]\nname = "cat"\n'),
        ('thing.name = "dog" # he\n', 'thing.name = "cat" # he\n'),
        ('["thing"]\n"name" = "dog"\n', '["thing"]\n"name" = "cat"\n'),
        ("[thing]\r\n", '[thing]\r\nname = "cat"\r\n'),
        (
            '[thing]\n# [[sensors]]\n# name = "m"\n',
            '[thing]\nname = "cat"\n# [[sensors]]\n# name = "m"\n',
        ),
        ('[thing]\n#name="x"\n#name="y"\n', '[thing]\nname = "cat"\n#name="y"\n'),
    ],
)
def test_a_value_goes_where_a_person_would_write_it(before: str, after: str) -> None:
    """In the key's own line, in that of its commented default, below its table, or at the end."""
    assert with_value(before, NAME, "cat") == after


@pytest.mark.parametrize(
    "text", ['thing = { name = "dog" }\n', "thing = {}\n", "thing = 5\n", "thing.x = 1\n", "[thing"]
)
def test_an_unusual_way_of_writing_is_refused(text: str) -> None:
    """A person is asked rather than the text spoiled."""
    with pytest.raises((UneditableError, tomllib.TOMLDecodeError)):
        with_value(text, NAME, "cat")
    with pytest.raises((UneditableError, tomllib.TOMLDecodeError)):
        without(text, NAME)


def there_and_back(text: str) -> str:
    """The text after the key was put in and taken out."""
    return without(with_value(text, NAME, "cat"), NAME)


def test_a_text_twice_as_long_costs_twice_the_work() -> None:
    """Whether it is long by its tables or by one list."""
    for head, row, tail in (("list = [\n", "[1, 2],\n", "]\n"), ("", "[[x]]\na = 1\n", "")):
        few, more = (steps_of(there_and_back, head + row * count + tail) for count in (100, 200))
        assert more < 2.2 * few
