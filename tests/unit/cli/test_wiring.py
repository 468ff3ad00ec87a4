"""A person is asked what is wired to the board; the answers are sensors."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.cli import findings
from agent.cli.findings import PLACES, Board, parsed
from agent.cli.wiring import Dialogue
from agent.config import Config, SensorConfig, load
from agent.sensors import options_of
from agent.sensors.discovery import Device, Pin
from tests.fakes import FakeClock
from tests.tools import boards

PINS = tuple(Pin(number, number == 4, "onewire@0" if number == 4 else "") for number in range(28))
THERMOMETER = Device("onewire", {"id": "28-0119433bc5ff"}, "temperature_c 20.75")
INSIDE = Device("iio", {"device": "bme280", "at": "1-0076"}, "temperature_c 18.76")
BOARD = Device("system", {}, "cpu_load_pct 10")
FOUND = Board((THERMOMETER, INSIDE, BOARD), PINS)


def configured(toml: str) -> Config:
    """The configuration in `toml`."""
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "agent.toml"
        path.write_text('[thing]\nname = "cat"\n' + toml)
        return load(path, options_of=options_of, environment={})


class Person:
    """Somebody who answers what a test has written down, and remembers what was shown and tried."""

    def __init__(self, *answers: str, seen: bool = True) -> None:
        self._answers = list(answers)
        self._seen = seen
        self.questions: list[str] = []
        self.shown: list[str] = []
        self.tried: list[SensorConfig] = []

    def ask(self, question: str) -> str:
        """The next answer."""
        self.questions.append(question)
        return self._answers.pop(0)

    def walk(self, sensor: SensorConfig) -> bool:
        """True if it is seen."""
        self.tried.append(sensor)
        return self._seen

    def tables(self, toml: str = "", found: Board = FOUND) -> dict[str, dict[str, object]]:
        """The sensors that come of a dialogue; each answer has been asked for."""
        dialogue = Dialogue(
            configured(toml), found, ask=self.ask, say=self.shown.append, walk=self.walk
        )
        answers = dialogue.tables()
        assert not self._answers
        return answers


def test_enter_adds_no_device_and_the_motion_sensor_at_its_usual_pin() -> None:
    """It is tried before it is taken; where it is on the header is told."""
    person = Person("", "", "")
    assert person.tables() == {"motion": {"name": "motion", "driver": "gpio", "pin": 21}}
    assert person.shown == [
        "What is wired to this board?",
        "   1 onewire 28-0119433bc5ff: temperature_c 20.75",
        "   2 iio bme280 at 1-0076: temperature_c 18.76",
        "   3 system: cpu_load_pct 10",
        f"Free GPIO pins: {' '.join(str(n) for n in range(2, 28) if n != 4)}; held: 4 (onewire@0)",
        "GPIO 21 is pin 40 of the header.",
    ]
    assert person.questions[1] == "GPIO of the motion sensor, or none [21]: "
    assert [(one.name, one.driver) for one in person.tried] == [("motion", "gpio")]


def test_what_is_found_is_added_under_names_that_people_give() -> None:
    """Two of a kind are numbered; a name that is taken or none is asked again."""
    person = Person("all", "", "", "room", "a b", "pi", "none")
    assert person.tables() == {
        "room": {"name": "room", "driver": "onewire", "id": "28-0119433bc5ff"},
        "room-2": {"name": "room-2", "driver": "iio", "device": "bme280", "at": "1-0076"},
        "pi": {"name": "pi", "driver": "system"},
    }
    assert "  room is another sensor's" in person.shown
    assert person.tried == []


@pytest.mark.parametrize("answer", ["4", "0", "x", "1 x", "-1", "²"])
def test_a_number_that_is_not_there_is_asked_again(answer: str) -> None:
    """With those that are."""
    person = Person(answer, "", "none")
    assert person.tables() == {}
    assert "  expected numbers from 1 to 3" in person.shown


def test_a_second_run_shows_what_is_there_and_changes_it() -> None:
    """What is configured is not offered again; the motion sensor keeps its name and other keys."""
    person = Person("", "20", "")
    tables = person.tables(
        """
        [[sensors]]
        name = "pir"
        driver = "gpio"
        pin = 17
        debounce_ms = 20
        [[sensors]]
        name = "kitchen"
        driver = "onewire"
        [[sensors]]
        name = "state"
        driver = "system"
        """
    )
    assert tables == {"pir": {"name": "pir", "driver": "gpio", "pin": 20}}
    assert "Sensors so far: pir (gpio 17), kitchen (onewire), state (system)" in person.shown
    assert "     onewire 28-0119433bc5ff: temperature_c 20.75 (the sensor kitchen)" in person.shown
    assert "   1 iio bme280 at 1-0076: temperature_c 18.76" in person.shown
    assert person.questions[1] == "GPIO of the motion sensor, or none [17]: "
    (tried,) = person.tried
    assert tried.options == options_of("gpio")(pin=20, debounce_ms=20)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ("4", "GPIO 4 is in use by onewire@0: dtoverlay=w1-gpio in"),
        ("20", "GPIO 20 is taken by the sensor door"),
        ("28", "expected a GPIO number from 0 to 27"),
        ("pin 40", "expected a GPIO number"),
        ("²", "expected a GPIO number"),
    ],
)
def test_a_pin_that_cannot_be_is_told_before_it_is_tried(answer: str, words: str) -> None:
    """And asked for again."""
    door = '[[sensors]]\nname = "door"\ndriver = "gpio"\npin = 20\n'
    hall = '[[sensors]]\nname = "hall"\ndriver = "gpio"\npin = 19\n'
    person = Person("", answer, "GPIO 5", "")
    assert person.tables(door + hall)["motion"]["pin"] == 5
    assert any(words in line for line in person.shown)
    assert len(person.tried) == 1


@pytest.mark.parametrize(
    ("consumer", "holder"), [("", "the kernel"), ("?", "something without a name"), ("led", "led")]
)
def test_who_holds_a_pin_is_told_in_words(consumer: str, holder: str) -> None:
    """In the list, and where it is wanted."""
    person = Person("", "5", "none")
    pins = (Pin(5, used=True, consumer=consumer), Pin(6, used=False, consumer=""))
    person.tables(found=Board((BOARD,), pins))
    assert f"Free GPIO pins: 6; held: 5 ({holder})" in person.shown
    assert any(f"GPIO 5 is in use by {holder}: use another" in line for line in person.shown)


def test_a_door_contact_is_no_motion_sensor() -> None:
    """It stays where it is though it is the only one counted; nothing is added by Enter alone."""
    door = '[[sensors]]\nname = "door"\ndriver = "gpio"\npin = 20\nactive = "low"\n'
    assert Person("", "21", "").tables(door) == {
        "motion": {"name": "motion", "driver": "gpio", "pin": 21}
    }
    person = Person("", "")
    assert person.tables(door) == {}
    assert person.questions[1] == "GPIO of the motion sensor (Enter: none): "


@pytest.mark.parametrize(
    ("names", "counted", "pins", "moved"),
    [
        ("motion", '"door"', (17, 20), "motion"),
        ("hall", '"hall"', (17, 20), "hall"),
        ("hall", '["hall", "door"]', (17, 20), "hall"),
        ("hall", '"door"', (17, 20), "motion"),
        ("hall", "[]", (17, 20), "motion"),
    ],
)
def test_the_motion_sensor_is_the_one_of_that_name_or_the_one_counted_at_a_high_line(
    names: str, counted: str, pins: tuple[int, int], moved: str
) -> None:
    """Any other stays at its pin."""
    toml = f"[count]\nsensor = {counted}\n"
    for name, pin, active in ((names, pins[0], "high"), ("door", pins[1], "low")):
        toml += f'[[sensors]]\nname = "{name}"\ndriver = "gpio"\npin = {pin}\n'
        toml += f'active = "{active}"\n'
    assert Person("", "22", "").tables(toml) == {
        moved: {"name": moved, "driver": "gpio", "pin": 22}
    }


def test_a_second_run_with_enter_alone_adds_nothing() -> None:
    """Nor where a pin is tried, and nobody walks past; what there is stays, and that is said."""
    assert Person("", "").tables('[[sensors]]\nname = "board"\ndriver = "system"\n') == {}
    assert Person("", "", "", "", seen=False).tables() == {}
    person = Person("", "", "", "", seen=False)
    assert person.tables('[[sensors]]\nname = "motion"\ndriver = "gpio"\npin = 17\n') == {}
    assert person.questions[-1] == "GPIO of the motion sensor (Enter: it stays at GPIO 17): "


@pytest.mark.parametrize("no", ["n", "No", "NO", "no"])
def test_another_pin_may_be_tried(no: str) -> None:
    """Until one is taken; Enter then means none."""
    person = Person("none", "5", no, "6", "")
    assert person.tables()["motion"]["pin"] == 6
    assert len(person.tried) == 2
    assert Person("", "5", no, "").tables() == {}


@pytest.mark.parametrize("yes", ["y", "Yes", "YES"])
def test_a_pin_that_shows_nothing_is_taken_only_by_yes(yes: str) -> None:
    """The question says so; as it says that Enter takes one that was seen."""
    person = Person("", "", yes, seen=False)
    assert person.tables()["motion"]["pin"] == 21
    assert person.questions[-1] == "Take GPIO 21? (Enter: another pin, y: take it all the same) "
    person = Person("", "", yes)
    assert person.tables()["motion"]["pin"] == 21
    assert person.questions[-1] == "Take GPIO 21? (Enter: yes, n: another pin) "


@pytest.mark.parametrize("seen", [False, True])
def test_no_motion_sensor_may_be_wanted_after_the_trial(*, seen: bool) -> None:
    """By the word that the question before has."""
    assert Person("", "", "None", seen=seen).tables() == {}


@pytest.mark.parametrize("answer", ["x", "maybe", "21", "nope", "yess"])
def test_what_is_neither_yes_nor_no_is_asked_again(answer: str) -> None:
    """It takes no pin, and leaves none."""
    person = Person("", "", answer, "n", "none")
    assert person.tables() == {}
    assert "  expected y, n or none" in person.shown


@pytest.mark.parametrize("no", ["n", "NO", "none"])
def test_no_is_said_in_several_ways(no: str) -> None:
    """Nothing comes of it."""
    assert Person(no, no).tables() == {}


def test_without_pins_no_motion_sensor_is_asked_for() -> None:
    """The reason is told, and what to do."""
    person = Person()
    assert person.tables(found=Board()) == {}
    assert person.shown[1:] == ["No pins are seen here."]
    person = Person()
    found = Board(trouble="GPIO 21: this user may not open it", hint="run this with sudo")
    assert person.tables(found=found) == {}
    assert person.shown[1:] == [
        "No pins are seen here. GPIO 21: this user may not open it",
        "  run this with sudo",
    ]


def test_a_motion_sensor_at_another_chip_keeps_its_name() -> None:
    """The new one has another."""
    line = '[[sensors]]\nname = "motion"\ndriver = "gpio"\nchip = "gpiochip4"\nline = 1\n'
    assert list(Person("", "21", "").tables(line)) == ["motion-2"]
    assert Person("", "").tables(line) == {}


def test_a_motion_sensor_at_a_pin_that_is_not_on_the_header_stays_by_enter() -> None:
    """As on a compute module, whose board leads out others."""
    person = Person("", "")
    assert person.tables('[[sensors]]\nname = "motion"\ndriver = "gpio"\npin = 40\n') == {}
    assert person.questions[-1] == "GPIO of the motion sensor (Enter: it stays at GPIO 40): "


def test_every_place_of_the_header_is_told_once() -> None:
    """28 pins, 40 places; the tables of the boards have these."""
    assert sorted(PLACES) == list(range(28))
    assert (PLACES[2], PLACES[4], PLACES[14], PLACES[21], PLACES[0]) == (3, 7, 8, 40, 27)
    assert len(set(PLACES.values())) == 28


def test_what_is_found_passes_through_text(tmp_path: Path) -> None:
    """As the service's user tells it to root."""
    boards.unpack("pi-4", tmp_path)
    found = parsed(findings.looked(FakeClock(), root=tmp_path))
    assert [one.driver for one in found.devices] == 2 * ["onewire"] + 2 * ["iio"] + [
        "hwmon",
        "system",
    ]
    assert "20.75" in found.devices[0].says
    assert found.pins == parsed(findings.pins(root=tmp_path)).pins == ()
    assert found.trouble == "GPIO 21: this machine has no GPIO chip"
    assert found.hint == "a pin needs a board that has some, or a chip by USB"


def test_what_does_not_fit_is_left_out() -> None:
    """A driver that runs programs, keys that do more than name a device, pins that are none."""
    says = "1\nDone.\n" + "x" * 500
    told = {
        "devices": [
            {"driver": "exec", "options": {}, "says": "1"},
            {"driver": "iio", "options": {"command": "/bin/sh"}, "says": "1"},
            {"driver": "iio", "options": {"device": "a\nb"}, "says": "1"},
            {"driver": "iio", "options": {"device": 1}, "says": "1"},
            {"driver": "iio", "options": {"device": "bme280"}, "says": says},
        ],
        "pins": [
            {"number": 40, "used": False, "consumer": ""},
            {"number": True, "used": False, "consumer": ""},
            {"number": 4, "used": True, "consumer": "a\nb"},
        ],
        "trouble": ["a\nb"],
        "hint": "c\nd",
    }
    assert parsed(json.dumps(told)) == Board(
        (Device("iio", {"device": "bme280"}, f"1 Done. {'x' * 192}"),),
        (Pin(4, used=True, consumer="a b"),),
        trouble="['a\\nb']",
        hint="c d",
    )


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=8,
)
devices = st.fixed_dictionaries(
    {"driver": st.sampled_from(["iio", "exec"]) | values, "options": values, "says": values}
)
pins = st.fixed_dictionaries(
    {"number": st.integers(0, 40) | values, "used": values, "consumer": values}
)


told = {"devices": st.lists(devices), "pins": st.lists(pins), "trouble": values, "hint": values}


@given(st.text() | st.fixed_dictionaries(told))
def test_whatever_the_services_user_says_is_taken_as_anybodys_word(told: object) -> None:
    """Only devices of drivers that read the kernel come of it, and pins of the header."""
    found = parsed(told if isinstance(told, str) else json.dumps(told))
    assert {one.driver for one in found.devices} <= {"iio", "onewire", "hwmon", "system"}
    assert {one.number for one in found.pins} <= set(PLACES)
    shown = [*(one.says for one in found.devices), *(one.consumer for one in found.pins)]
    shown += [found.trouble, found.hint]
    assert not any("\n" in line for line in shown)
