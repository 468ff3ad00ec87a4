"""The only detector is counted whatever its name, or the file's owner is told."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from agent import sensors
from agent.config import load
from agent.errors import ConfigError
from tests.unit.config.conftest import write

if TYPE_CHECKING:
    from pathlib import Path

    from agent.config import Config

#: Keys that make an entry's sensor a detector, or none.
KEYS = {
    "gpio": 'driver = "gpio"\npin = {pin}',
    "made-up": 'driver = "simulated"\ndetections_per_s = 2',
    "none": 'driver = "simulated"',
    "system": 'driver = "system"',
    "plug-in": 'driver = "other"',
    "tried": 'driver = "simulated"\ndetections_per_s = 2\ntest = true',
}


def plug_in_too(driver: str) -> type | None:
    """The options of the drivers built in, and of a plug-in, which checks its own."""
    return dict if driver == "other" else sensors.options_of(driver)


def counting(directory: Path, count: str, **kinds: str) -> Config:
    """The configuration of sensors of these kinds, by their names."""
    entries = [
        f'[[sensors]]\nname = "{name}"\n{KEYS[kind].replace("{pin}", str(pin))}\n'
        for pin, (name, kind) in enumerate(kinds.items(), 20)
    ]
    path = write(directory, count + "\n" + "".join(entries))
    return load(path, options_of=plug_in_too, environment={}, hostname="attic", root=directory)


WINDOW = "[count]\nwindow_s = 5"


@pytest.mark.parametrize("count", ["", "[count]", WINDOW, '[count]\nsensor = ""'])
@pytest.mark.parametrize(
    ("kinds", "counted"),
    [
        ({"pir": "gpio"}, "pir"),
        ({"pir": "made-up"}, "pir"),
        ({"room": "none", "pir": "gpio", "board": "system"}, "pir"),
        ({"door": "gpio", "motion": "gpio"}, "motion"),
        ({"door": "gpio", "motion": "plug-in"}, "motion"),
        ({"motion": "system", "door": "gpio"}, "door"),
        ({"radar": "plug-in", "room": "none"}, "radar"),
        ({"radar": "plug-in", "door": "gpio"}, "door"),
    ],
)
def test_the_one_that_must_be_meant_is_counted(
    tmp_path: Path, count: str, kinds: dict[str, str], counted: str
) -> None:
    """It is called motion, or is the only one; nobody is warned."""
    config = counting(tmp_path, count, **kinds)
    assert config.count.sensor == (counted,)
    assert config.count.asked == ("window_s" in count)
    assert config.warnings == ()


@pytest.mark.parametrize(
    ("kinds", "why"),
    [
        (
            {"hall": "gpio", "kitchen": "made-up"},
            'hall and kitchen detect; name one or both: sensor = ["hall", "kitchen"]',
        ),
        (
            {"hall": "gpio", "room": "none", "kitchen": "gpio", "attic": "gpio"},
            'hall, kitchen and attic detect; name those to count: sensor = ["hall", "kitchen",',
        ),
        (
            {"radar": "plug-in", "beam": "plug-in"},
            'radar and beam may detect; name one or both: sensor = ["radar", "beam"]',
        ),
        ({"room": "none", "board": "system"}, "room and board do not detect"),
        ({"motion": "none"}, "motion does not detect"),
        ({}, "there is no [[sensors]] entry"),
        ({f"s{n}": "none" for n in range(10)}, "s0, s1, s2, s3, s4, s5, s6, s7 and 2 more do"),
    ],
)
def test_none_is_counted_where_nobody_can_tell_which(
    tmp_path: Path, kinds: dict[str, str], why: str
) -> None:
    """The warning says what there is, and what to type."""
    config = counting(tmp_path, WINDOW, **kinds)
    assert config.count.sensor == ()
    (warning,) = config.warnings
    assert warning.startswith(f"count.sensor: no sensor is counted: {why}")


@pytest.mark.parametrize(
    ("kinds", "counted"),
    [
        ({"motion": "tried", "hall": "gpio"}, ("hall",)),
        ({"attic": "tried", "hall": "gpio"}, ("hall",)),
        ({"attic": "tried", "radar": "plug-in"}, ("attic",)),
        ({"attic": "tried"}, ("attic",)),
        ({"attic": "tried", "motion": "tried"}, ("motion",)),
        ({"attic": "tried", "hall": "gpio", "door": "gpio"}, ()),
    ],
)
def test_one_that_is_tried_out_is_meant_only_where_nothing_else_is(
    tmp_path: Path, kinds: dict[str, str], counted: tuple[str, ...]
) -> None:
    """What it detects would not be counted anyway, which is told before it runs."""
    config = counting(tmp_path, "", **kinds)
    assert config.count.sensor == counted
    told = [one for one in config.warnings if one.startswith("sensors: ")]
    assert told == [
        f"sensors: {name}: test is true, so what it detects is not counted"
        for name, kind in kinds.items()
        if kind == "tried"
    ]


@pytest.mark.parametrize("sensor", ['[""]', '["hall", ""]'])
def test_an_empty_name_in_a_list_is_a_mistake(tmp_path: Path, sensor: str) -> None:
    """Alone it counts as not given; in a list somebody forgot to write one."""
    with pytest.raises(ConfigError, match=r"count\.sensor: an empty string is no name; for none"):
        counting(tmp_path, f"[count]\nsensor = {sensor}", hall="gpio")


def test_who_does_not_ask_for_a_count_is_not_warned_of_none(tmp_path: Path) -> None:
    """A greenhouse of thermometers is well; two detectors are a question all the same."""
    for kinds in ({}, {"room": "none", "board": "system"}, {"a": "plug-in", "b": "plug-in"}):
        assert counting(tmp_path, "", **kinds).warnings == ()
    assert counting(tmp_path, "", hall="gpio", kitchen="gpio").warnings


def test_an_empty_list_counts_none(tmp_path: Path) -> None:
    """That is how two buttons are only read."""
    config = counting(tmp_path, "[count]\nsensor = []", hall="gpio", kitchen="gpio")
    assert (config.count.sensor, config.warnings) == ((), ())


@pytest.mark.parametrize(
    ("named", "counted", "why"),
    [
        (
            '"motion"',
            (),
            'no sensor is counted: motion does not detect, but pir does; name it: sensor = ["pir"]',
        ),
        ('["pir", "motion"]', ("pir",), "not all are counted: motion does not detect"),
    ],
)
def test_one_that_is_named_and_cannot_detect_is_told(
    tmp_path: Path, named: str, counted: tuple[str, ...], why: str
) -> None:
    """It is left out of the count; the others are counted."""
    config = counting(tmp_path, f"[count]\nsensor = {named}", motion="system", pir="gpio")
    assert config.count.sensor == counted
    assert config.warnings == (f"count.sensor: {why}",)


WRONG = "button (for SOS) does not detect, but pir does"
BUTTON = '[[sensors]]\nname = "button"\ndriver = "gpio"\npin = 5\nrole = "sos"\n'


@pytest.mark.parametrize(
    ("named", "counted", "why"),
    [
        ("", ("pir",), ""),
        (
            'sensor = "button"',
            (),
            f'no sensor is counted: {WRONG}; name it: sensor = ["pir"]',
        ),
        (
            'sensor = ["pir", "button", "board"]',
            ("pir",),
            "not all are counted: button (for SOS) and board do not detect",
        ),
    ],
)
def test_the_presses_of_an_sos_button_are_not_counted(
    tmp_path: Path, named: str, counted: tuple[str, ...], why: str
) -> None:
    """It is no question which detector is meant, and one that is named is told."""
    config = counting(tmp_path, f"[count]\n{named}\n{BUTTON}", pir="gpio", board="system")
    assert config.count.sensor == counted
    assert config.warnings == ((f"count.sensor: {why}",) if why else ())
