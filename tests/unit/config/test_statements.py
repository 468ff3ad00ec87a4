"""A TOML text is cut where its statements end, and each key knows its line."""

from __future__ import annotations

import tomllib

import pytest

from agent.config.statements import lines, statements
from tests.unit.config.conftest import steps_of

#: Values, many over several lines, each with what looks like the end of something.
VALUES = [
    '"""\n[thing]\n\\""" # \n"""',
    '""""quoted"""""',
    "'''\n\\'''",
    "'''\n# 'x'\n'''''",
    '""',
    "''",
    '"\\\\"',
    "'\\'",
    '"# ["',
    "'# ['",
    '[ # ]\n  "]", # it\'s "\n  [1,\n2],\n]',
    '{ a = [1, 2], b = "}" }',
]


@pytest.mark.parametrize("value", VALUES)
@pytest.mark.parametrize("eol", ["\n", "\r\n"])
def test_a_text_is_cut_where_its_statements_end(value: str, eol: str) -> None:
    """Not in a value over several lines; the pieces together are the text."""
    text = f"# it's [\n\nfirst = 1 # {{ \"\nkey = {value} # '\nlast = 2 # \\\n[[t]] # [\nend = 0"
    text = text.replace("\n", eol)
    found = list(statements(text))
    assert "".join(one.text for one in found) == text
    assert [one.key[0] for one in found if one.key] == ["first", "key", "last", "t", "end"]
    assert tomllib.loads(found[3].text) == {"key": tomllib.loads(text)["key"]}
    assert lines(text)["t[0].end"] == text.count("\n") + 1


def test_each_key_has_its_line() -> None:
    """Also in nested tables, in a table on one line, and where a name is unusual."""
    text = """sensors = [] # 1
thing.name = "x"
[mqtt]
"odd key" = 1 # 4
[[room]]
[room.band]
t = 1 # 7
[[room]]
band = { t = 1 } # 9
[[room.door]]
[[room.door]]
pin = 1 # 12
"""
    assert lines(text) == {
        "sensors": 1,
        "thing": 2,
        "thing.name": 2,
        "mqtt": 3,
        'mqtt."odd key"': 4,
        "room": 5,
        "room[0]": 5,
        "room[0].band": 6,
        "room[0].band.t": 7,
        "room[1]": 8,
        "room[1].band": 9,
        "room[1].band.t": 9,
        "room[1].door": 10,
        "room[1].door[0]": 10,
        "room[1].door[1]": 11,
        "room[1].door[1].pin": 12,
    }


@pytest.mark.parametrize("text", ["[thing", "a = [", 'a = "', 'a = """', "a", "]", "a = 'x\n"])
def test_what_is_no_toml_is_refused(text: str) -> None:
    """Whatever it lacks."""
    with pytest.raises(tomllib.TOMLDecodeError):
        list(statements(text))


@pytest.mark.parametrize("row", ["[1, 2],\n", "'''x''',\n", "1, # it's\n"])
def test_a_text_twice_as_long_costs_twice_the_work(row: str) -> None:
    """Each statement is looked at once, however many lines it has."""
    few, more = (steps_of(lines, f"a = [\n{row * count}]") for count in (100, 200))
    assert more < 2.2 * few
