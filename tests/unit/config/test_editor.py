"""One key of a TOML text changes; everything else stays as its owner wrote it."""

from __future__ import annotations

import re
import tomllib
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.config.editor import UneditableError, with_sensor, with_value, without
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
        ('thing = { name = "dog" } # he\n', 'thing = { name = "cat" } # he\n'),
        ("thing = {}\n", 'thing = {name = "cat"}\n'),
        ("thing.x = 1\n[aws]\n", 'thing.x = 1\nthing.name = "cat"\n[aws]\n'),
        (
            "[thing]\nx = 1\n\n# The account.\n[aws]\n",
            '[thing]\nx = 1\nname = "cat"\n\n# The account.\n[aws]\n',
        ),
        ("\ufeff[thing]", '\ufeff[thing]\nname = "cat"\n'),
        ("a = 1\r\n", 'a = 1\r\n\r\n[thing]\r\nname = "cat"\r\n'),
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
    "text",
    [
        "thing = 5\n",
        "[[thing]]\nx = 1\n",
        "thing = []",
        "[thing",
        "\0",
        "a = " + "[" * 5000,
    ],
)
def test_what_only_a_person_should_change_is_refused(text: str) -> None:
    """A person is asked rather than the text spoiled, whatever it is."""
    with pytest.raises(UneditableError):
        with_value(text, (*NAME, "first"), "cat")
    with pytest.raises(UneditableError):
        without(text, NAME)


def test_a_table_that_would_vanish_with_its_last_key_is_refused() -> None:
    """The document would be another one than was wanted."""
    with pytest.raises(UneditableError):
        without('thing.name = "dog"\n', NAME)


@pytest.mark.parametrize(
    "value", ["a", 'a "b" \\ \n\x7f\x1b', "\xe4", 21, 0.25, True, ["a", "b"], []]
)
def test_a_value_of_each_kind_is_written(value: object) -> None:
    """And read back as it was given."""
    for text in ("", "[thing]\nname = 1\n", '[thing]\n# name = ""\n', "thing = {}"):
        assert tomllib.loads(with_value(text, NAME, value)) == {"thing": {"name": value}}


MOTION = """\
# Mine.
[[sensors]] # one
name = "motion"
driver = "gpio" # on the header
pin = 17
interval_s = 5
# debounce_ms = 50

# The account.
[aws]
region = "eu-west-1"

[[sensors]]
name = "room"
driver = "thermal"
"""


@pytest.mark.parametrize(
    ("table", "before", "after"),
    [
        ({"driver": "gpio", "pin": 21}, "pin = 17\n", "pin = 21\n"),
        ({"pin": 21}, "pin = 17\n", "pin = 21\n"),
        ({"debounce_ms": 9}, "# debounce_ms = 50\n", "debounce_ms = 9\n"),
        ({"bias": "off"}, "interval_s = 5\n", 'interval_s = 5\nbias = "off"\n'),
        ({"pin": None, "line": None}, "pin = 17\n", ""),
        (
            {"driver": "system"},
            'driver = "gpio" # on the header\npin = 17\n',
            'driver = "system" # on the header\n',
        ),
        (
            {"driver": "iio", "device": "dht11"},
            'driver = "gpio" # on the header\npin = 17\ninterval_s = 5\n',
            'driver = "iio" # on the header\ninterval_s = 5\ndevice = "dht11"\n',
        ),
    ],
)
def test_a_sensor_is_changed_where_it_stands(
    table: dict[str, object], before: str, after: str
) -> None:
    """Its other keys and all remarks stay; another driver takes the keys of the last one along."""
    assert with_sensor(MOTION, {"name": "motion", **table}) == MOTION.replace(before, after)


def test_a_sensor_that_is_not_there_is_added_at_the_end() -> None:
    """Also to a file without any, and once only."""
    table = {"name": "door", "driver": "gpio", "pin": 4, "bias": None}
    lines = '[[sensors]]\nname = "door"\ndriver = "gpio"\npin = 4\n'
    assert with_sensor("", table) == lines
    added = with_sensor(MOTION, table)
    assert added == f"{MOTION}\n{lines}"
    assert with_sensor(added, table) == added
    assert with_sensor(SHIPPED.read_text(), table) == f"{SHIPPED.read_text()}\n{lines}"


def test_a_sensor_in_a_list_is_changed_and_none_is_added_to_it() -> None:
    """That is for a person to write."""
    text = 'sensors = [ # mine\n  { name = "a", driver = "gpio", pin = 4 },\n]\n'
    changed = with_sensor(text, {"name": "a", "pin": 5})
    assert changed == text.replace("4", "5")
    with pytest.raises(UneditableError):
        with_sensor(text, {"name": "b", "driver": "gpio"})


@given(documents(), st.sampled_from([{"pin": 4}, {"pin": None, "name": "dog"}, {"driver": "iio"}]))
def test_only_the_sensor_changes(text: str, keys: dict[str, object]) -> None:
    """Every other value is the same, and every remark is still there, or the text is refused."""
    table = {"name": "cat", "driver": "gpio", **keys}
    before = parsed(text)
    try:
        after = parsed(changed := with_sensor(text, table))
    except UneditableError:  # two of one name
        sensors = before["sensors"]
        assert isinstance(sensors, list)
        assert [one.get("name") for one in sensors].count(table["name"]) > 1
        return
    old, new = before.pop("sensors", []), after.pop("sensors")
    assert before == after
    assert isinstance(old, list)
    assert isinstance(new, list)
    (mine,) = (one for one in new if one.get("name") == table["name"])
    assert mine.items() >= {key: value for key, value in table.items() if value}.items()
    assert [one for one in new if one != mine] == [
        one for one in old if one.get("name") != table["name"]
    ]
    assert changed.count("# a remark") >= text.count("# a remark") - 3 * (mine not in old)
    assert with_sensor(changed, table) == changed


@given(st.text("[]{}=.,#\"'\n\r ab1", max_size=40))
def test_whatever_a_text_is_nothing_but_a_refusal_comes_of_it(noise: str) -> None:
    """A text is changed as was wanted, or refused."""
    for text in (noise, f'{noise}\n[thing]\n{noise}\n[[sensors]]\nname = "cat"\n{noise}'):
        with suppress(UneditableError):
            thing = parsed(with_value(text, NAME, "cat"))["thing"]
            assert isinstance(thing, dict)
            assert thing["name"] == "cat"
        with suppress(UneditableError):
            with_sensor(text, {"name": "cat", "driver": "gpio"})
        with suppress(UneditableError):
            without(text, NAME)


def there_and_back(text: str) -> str:
    """The text after the key was put in and taken out."""
    return without(with_value(text, NAME, "cat"), NAME)


def test_a_text_twice_as_long_costs_twice_the_work() -> None:
    """Whether it is long by its tables or by one list."""
    for head, row, tail in (("list = [\n", "[1, 2],\n", "]\n"), ("", "[[x]]\na = 1\n", "")):
        few, more = (steps_of(there_and_back, head + row * count + tail) for count in (100, 200))
        assert more < 2.2 * few
