"""Rules are read with one limit each, and every key that does not go with it is told."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from agent.config.editor import with_sensor, with_value
from agent.config.rules import words
from tests.unit.config.conftest import GPIO, SENSOR, check_told, problems, read, write

if TYPE_CHECKING:
    from pathlib import Path

    from agent.config.rule import Rule

HEAT = 'name = "heat"\nsensor = "room"\nquantity = "temperature_c"\n'


def rule(directory: Path, content: str) -> Rule:
    """The only rule in `content`, beside a sensor called room."""
    (found,) = read(write(directory, f"{SENSOR}[[rules]]\n{content}")).rules
    return found


@pytest.mark.parametrize(
    ("content", "kind", "limit", "said"),
    [
        (
            'name = "a"\nquiet_for_s = 14400\nhours = "07:00-22:00"',
            "quiet",
            14400,
            "nobody seen for 4 h between 07:00 and 22:00",
        ),
        ('name = "a"\nquiet_for_s = 5400', "quiet", 5400, "nobody seen for 90 min"),
        ('name = "a"\nhours = ""\noffline_for_s = 61', "offline", 61, "offline for 61 s"),
        (f"{HEAT}above = 30", "above", 30, "temperature_c of room above 30"),
        (f"{HEAT}below = 0\nfor_s = 600", "below", 0, "temperature_c of room below 0 for 10 min"),
    ],
)
def test_a_rule_has_one_limit_that_makes_its_kind(
    tmp_path: Path, content: str, kind: str, limit: float, said: str
) -> None:
    """A limit of zero too; and it can be said in words."""
    found = rule(tmp_path, content)
    assert (found.kind, found.limit, words(found)) == (kind, limit, said)


@pytest.mark.parametrize(
    ("quantity", "given", "hysteresis"),
    [
        ("temperature_c", "", 0.5),
        ("wbgt_c", "", 0.5),
        ("humidity_pct", "", 2.0),
        ("pressure_pa", "", 2000.0),
        ("temperature_c", "hysteresis = 0", 0.0),
    ],
)
def test_a_value_has_to_come_back_by_what_suits_its_unit(
    tmp_path: Path, quantity: str, given: str, hysteresis: float
) -> None:
    """Unless the rule says how far."""
    content = f'name = "a"\nsensor = "room"\nquantity = "{quantity}"\nabove = 100000\n{given}'
    assert rule(tmp_path, content).hysteresis == hysteresis


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("quiet_for_s = 60", "rules[0].name: is missing"),
        ('name = "a"', "rules[0].name: the rule has no limit; give one of quiet_for_s, offline_f"),
        (
            'name = "a"\nquiet_for_s = 60\noffline_for_s = 60',
            "rules[0].offline_for_s: stands beside quiet_for_s; a rule has one limit",
        ),
        (f"{HEAT}above = 3\nbelow = 2", "rules[0].below: stands beside above"),
        (f'{HEAT}above = 3\nhours = "07:00-22:00"', "rules[0].hours: goes with quiet_for_s, not"),
        (
            'name = "a"\nquiet_for_s = 60\nfor_s = 5',
            "rules[0].for_s: goes with above or below, not with quiet_for_s",
        ),
        ('name = "a"\nquantity = "x_c"\nabove = 1', "rules[0].sensor: is missing; it goes with"),
        ('name = "a"\nsensor = "room"\nabove = 1', "rules[0].quantity: is missing; it goes with"),
        (
            'name = "a"\nsensor = "rom"\nquantity = "x_c"\nabove = 1',
            'rules[0].sensor: no sensor has the name "rom"; known: "room"',
        ),
        (f'{HEAT}above = "30"', "rules[0].above: expected a number"),
        (f"{HEAT}above = nan", "rules[0].above: must be from"),
        ('name = "a"\nquiet_for_s = 59', "rules[0].quiet_for_s: must be from 60"),
        (
            'name = "a"\nquite_for_s = 60\noffline_for_s = 60',
            "rules[0].quite_for_s: unknown key; did you mean quiet_for_s?",
        ),
        (
            'name = "a"\nquiet_for_s = 60\nhours = "7-22"',
            "rules[0].hours: expected hours such as 07:00-22:00",
        ),
        (
            'name = "a"\nquiet_for_s = 60\nhours = "24:00-07:00"',
            "rules[0].hours: expected hours such as",
        ),
        (
            'name = "a"\nquiet_for_s = 60\nhours = "7:00-07:00"',
            'rules[0].hours: "7:00-07:00" is no time at all; for all day leave it out',
        ),
        (
            'name = "a"\nquiet_for_s = 28800\nhours = "22:00-06:00"',
            "rules[0].quiet_for_s: 28800 is not within hours, which are 8 h",
        ),
        (
            'name = "a"\nquiet_for_s = 86400\nhours = "0:00-24:00"',
            "rules[0].quiet_for_s: 86400 is not within hours, which are 24 h",
        ),
        (
            'name = "a"\nquiet_for_s = 60\ncommand = "a b"',
            "rules[0].command: expected a list of strings",
        ),
        (
            'name = "a"\nquiet_for_s = 60\ncommand_timeout_s = 5',
            "rules[0].command_timeout_s: goes with command",
        ),
        (
            'name = "a"\nquiet_for_s = 60\n[[rules]]\nname = "a"\nquiet_for_s = 61',
            'rules[1].name: "a" is the name of rules[0] too',
        ),
    ],
)
def test_a_rule_that_cannot_be_obeyed_is_told_with_its_key(
    tmp_path: Path, content: str, problem: str
) -> None:
    """And with its line."""
    assert "(line " in check_told(tmp_path, f"{SENSOR}[[rules]]\n{content}", problem)


def test_all_that_is_wrong_with_rules_is_told_at_once(tmp_path: Path) -> None:
    """With what is wrong elsewhere, each once."""
    found = problems(
        tmp_path,
        'sensors = 5\n[digest]\nat = "25:00"\n'
        '[[rules]]\nname = "a b"\nquiet_for_s = 1\nfor_s = "x"',
    )
    assert [one.partition(":")[0] for one in found] == [
        "sensors",
        "digest.at",
        "rules[0].name",
        "rules[0].quiet_for_s",
        "rules[0].for_s",
        "rules[0].for_s",
    ]


@pytest.mark.parametrize("content", ["rules = 5", "rules = [5]", "[rules]\nname = 'a'"])
def test_what_is_no_rule_is_told(tmp_path: Path, content: str) -> None:
    """Whatever stands in its place."""
    check_told(tmp_path, content, "rules")


def test_a_second_header_in_one_bracket_is_explained(tmp_path: Path) -> None:
    """As that of a sensor is."""
    told = check_told(tmp_path, "[rules]\nname = 'a'\n[rules]\nname = 'b'", "line 3")
    assert "each rule begins with [[rules]], in two brackets" in told


def test_there_are_no_more_rules_than_commands_may_run(tmp_path: Path) -> None:
    """A list without end is a mistake."""
    content = "".join(f'[[rules]]\nname = "r{n}"\noffline_for_s = 60\n' for n in range(33))
    check_told(tmp_path, content, "rules: are 33, and may be 32")


def test_a_rule_of_quiet_without_anything_counted_is_warned_of(tmp_path: Path) -> None:
    """It would never begin, and nobody would know."""
    rule = '[[rules]]\nname = "still"\nquiet_for_s = 3600\n'
    (warning,) = read(write(tmp_path, SENSOR + rule)).warnings
    assert warning == "rules: still: no sensor is counted, so nothing is known of quiet"
    assert read(write(tmp_path, f"{GPIO}pin = 4\n{rule}")).warnings == ()


def test_an_edit_of_something_else_leaves_rules_alone(tmp_path: Path) -> None:
    """As they were written."""
    rules = '# mine\n[[rules]]\nname="cold" # brr\nsensor = "room"\nquantity="x_c"\nbelow= 5.0\n'
    text = f"{SENSOR}{rules}"
    edited = with_sensor(text, {"name": "hall", "driver": "gpio", "pin": 4})
    edited = with_value(edited, ("thing", "name"), "attic")
    assert rules in edited
    assert len(read(write(tmp_path, edited)).rules) == 1
