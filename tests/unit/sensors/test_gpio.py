"""GPIO detections, on gpiozero's own stand-in for the pins."""

from __future__ import annotations

import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from gpiozero import Device
from gpiozero.pins.mock import MockFactory
from hypothesis import given
from hypothesis import strategies as st

from agent.config import SensorConfig
from agent.errors import SensorError
from agent.sensors import Detections, Sensor, gpio, open_sensor
from agent.sensors.debounce import Debouncer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.fakes import FakeClock

ROOT = Path(__file__).parents[3]


class Pins(MockFactory):  # type: ignore[misc]  # it has no types
    """gpiozero's own, but every edge is told `late_s` after it was, whatever the machine does."""

    late_s = 0.0

    def ticks_diff(self, _later: float, _earlier: float) -> float:
        """The age of the edge that is being told."""
        return self.late_s


@pytest.fixture
def pins() -> Iterator[Pins]:
    """Pins that a test drives."""
    factory = Device.pin_factory = Pins()
    yield factory
    factory.reset()
    Device.pin_factory = None


def opened(clock: FakeClock, **options: Any) -> Sensor:  # noqa: ANN401 -- keys of any kind
    """The sensor at pin 21."""
    config = SensorConfig(name="motion", driver="gpio", options=gpio.Options(pin=21, **options))
    return open_sensor(config, clock=clock)


def drive(pins: Pins, *, high: bool) -> None:
    """Set the level of pin 21 from outside."""
    pin = pins.pin(21)
    pin.drive_high() if high else pin.drive_low()


def rounded(seen: Detections) -> Detections:
    """The same; times of a clock are sums of fractions."""
    return replace(seen, active_s=round(seen.active_s, 6))


@pytest.mark.parametrize("active", ["high", "low"])
def test_a_detection_and_its_time_are_seen(pins: Pins, clock: FakeClock, *, active: str) -> None:
    """Whichever level means that it detects."""
    high = active == "high"
    motion = opened(clock, active=active)
    assert motion.detects
    assert motion.drain() == Detections(0, 0.0)
    clock.pass_by(10.0)
    drive(pins, high=high)
    clock.pass_by(3.0)
    assert motion.read() == {"active": 1.0}
    drive(pins, high=not high)
    clock.pass_by(1.0)

    assert motion.read() == {"active": 0.0}
    assert rounded(motion.drain()) == Detections(1, 3.0, 2)
    assert motion.drain() == Detections(0, 0.0)
    motion.close()


def test_an_edge_counts_from_when_it_was(pins: Pins, clock: FakeClock) -> None:
    """The back end's thread may be late."""
    motion = opened(clock)
    clock.pass_by(10.0)
    pins.late_s = 0.75
    drive(pins, high=True)
    clock.pass_by(3.0)
    assert rounded(motion.drain()) == Detections(1, 3.75, 1)
    motion.close()


def test_a_pulse_shorter_than_the_debounce_time_is_none(pins: Pins, clock: FakeClock) -> None:
    """It is known as a change of the line all the same."""
    motion = opened(clock, debounce_ms=50)
    drive(pins, high=True)
    clock.pass_by(0.049)
    drive(pins, high=False)
    clock.pass_by(1.0)
    assert motion.drain() == Detections(0, 0.0, 2)
    drive(pins, high=True)
    clock.pass_by(0.051)
    assert rounded(motion.drain()) == Detections(1, 0.051, 1)
    motion.close()


@pytest.mark.parametrize(
    ("active", "pull", "expected"),
    [
        ("high", "", "down"),
        ("low", "", "up"),
        ("high", "up", "up"),
        ("low", "down", "down"),
        ("high", "none", "floating"),
    ],
)
def test_without_a_wire_the_line_does_not_detect(
    pins: Pins, clock: FakeClock, active: str, pull: str, expected: str
) -> None:
    """Unless the pull is chosen otherwise."""
    motion = opened(clock, active=active, pull=pull)
    assert pins.pin(21).pull == expected
    motion.close()


def test_a_line_active_from_the_beginning_is_no_detection_but_active(
    pins: Pins, clock: FakeClock
) -> None:
    """A door that stands open when the agent starts."""
    del pins
    door = opened(clock, active="high", pull="up")
    clock.pass_by(60.0)
    assert door.drain() == Detections(0, 60.0)
    door.close()


def test_a_change_that_was_not_told_is_noticed(pins: Pins, clock: FakeClock) -> None:
    """The level is compared whenever the detections are asked for."""
    motion = opened(clock)
    pins.pin(21)._state = True
    clock.pass_by(5.0)
    assert motion.drain().count == 0  # a moment later it may yet be told
    clock.pass_by(5.0)
    assert motion.drain().count == 0  # steady since now
    clock.pass_by(5.0)
    assert motion.drain() == Detections(1, 5.0)
    motion.close()


def test_edges_come_in_another_thread(pins: Pins, clock: FakeClock) -> None:
    """None is lost, however they fall between two calls."""
    motion = opened(clock, debounce_ms=0)

    def pulses() -> None:
        for _ in range(2000):
            drive(pins, high=True)
            drive(pins, high=False)

    thread = threading.Thread(target=pulses)
    thread.start()
    seen = [motion.drain()]
    while thread.is_alive():
        seen.append(motion.drain())
    thread.join()
    seen.append(motion.drain())

    assert sum(one.count for one in seen) == 2000
    motion.close()


def test_a_pin_is_given_back(pins: Pins, clock: FakeClock) -> None:
    """Open it cannot be opened twice; once closed it can."""
    del pins
    motion = opened(clock)
    with pytest.raises(SensorError, match="motion: GPIO 21 is in use") as caught:
        opened(clock)
    assert caught.value.hint
    motion.close()
    opened(clock).close()


def test_it_says_what_it_can_be_judged_by(pins: Pins, clock: FakeClock) -> None:
    """A detector at a pin is judged unless its limits are set out of reach."""
    del pins
    limits = opened(clock, active_max_s=60, max_per_min=9).limits
    assert limits
    assert (limits.active_max_s, limits.max_per_min) == (60, 9)


def run_without(*modules: str, code: str) -> str:
    """What a program prints that cannot import these."""
    block = "".join(f"sys.modules[{module!r}] = None; " for module in modules)
    program = (
        f"import sys; {block}from agent.sensors import gpio; from agent.errors import SensorError\n"
        "from agent.clock import Clock\n"
        f"try:\n    {code}\n"
        "except SensorError as error: print(error.text, '|', error.hint)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert not done.stderr
    return done.stdout


def test_without_gpiozero_it_says_what_to_install() -> None:
    """The apt line that mends it."""
    code = "gpio.open_driver(gpio.Options(pin=21), clock=Clock())"
    said = run_without("gpiozero", code=code)
    assert "gpiozero is not installed" in said
    assert said.endswith("| sudo apt install python3-gpiozero python3-lgpio\n")


@pytest.mark.parametrize(
    ("model", "hint"),
    [
        ("Raspberry Pi 5 Model B Rev 1.0", "`sudo apt install python3-lgpio`"),
        (
            "Raspberry Pi 4 Model B Rev 1.4",
            "`sudo apt install python3-lgpio` or `sudo apt install python3-rpi.gpio`",
        ),
    ],
)
def test_without_a_back_end_it_says_what_this_board_needs(
    model: str, hint: str, tmp_path: Path
) -> None:
    """A Raspberry Pi 5 needs lgpio; the boards before it can do with RPi.GPIO."""
    (tmp_path / "proc/device-tree").mkdir(parents=True)
    (tmp_path / "proc/device-tree/model").write_text(model + "\0")
    code = (
        "from pathlib import Path; "
        f"gpio.open_driver(gpio.Options(pin=21), clock=Clock(), root=Path({str(tmp_path)!r}))"
    )
    said = run_without("lgpio", "RPi", "RPi.GPIO", code=code)
    assert "no back end of gpiozero works: lgpio: " in said
    assert said.endswith(f"| {hint}\n")


def test_lgpio_leaves_nothing_where_the_command_was_called() -> None:
    """It makes a pipe in the directory that it is given, which goes with the process."""
    code = "gpio._give_lgpio_a_place(); gpio._give_lgpio_a_place(); print(gpio.os.environ['LG_WD'])"
    directory = Path(run_without(code=code).strip())
    assert directory.name.startswith("pi-iot-agent-")
    assert not directory.exists()


def test_a_machine_without_pins_is_told_so(tmp_path: Path) -> None:
    """Installing more would not help."""
    code = (
        "from pathlib import Path; gpio.BACK_ENDS = {'lgpio': ('agent.sensors.gpio', 'nothing')}; "
        f"gpio._back_end(Path({str(tmp_path)!r}))"
    )
    assert run_without(code=code).endswith("| the pins are those of a Raspberry Pi\n")


def test_gpiozeros_own_choice_of_a_back_end_goes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever sets its variable knows why."""
    monkeypatch.setenv(gpio.CHOICE, "mock")
    said = run_without(
        code="print(gpio.open_driver(gpio.Options(pin=4), clock=Clock()).drain()[0])"
    )
    assert said == "0\n"


def test_gpiozero_is_loaded_only_when_a_pin_is_opened() -> None:
    """It costs more memory than the rest of the agent's sensors; nor does it bring asyncio."""
    code = "print('gpiozero' in sys.modules); import gpiozero; print('asyncio' in sys.modules)"
    assert run_without(code=code) == "False\nFalse\n"


pulses = st.lists(st.tuples(st.integers(0, 128), st.integers(0, 128)), max_size=20)


@given(pulses, st.lists(st.integers(0, 5000), max_size=20), st.sampled_from([0, 4, 64]))
def test_detections_do_not_depend_on_when_they_are_asked_for(
    spans: list[tuple[int, int]], asked: list[int], debounce_s: int
) -> None:
    """A level counts when it was steady long enough, whoever looks at it meanwhile."""
    changes, now_s = [], 0
    for low_s, high_s in spans:
        changes += [(now_s + low_s, True), (now_s + low_s + high_s, False)]
        now_s += low_s + high_s
    end_s = now_s + 1000

    def total(asked: list[int]) -> tuple[int, float]:
        edges = Debouncer(active=False, now_s=0.0, debounce_s=debounce_s)
        events = sorted(
            [*((s, 1, up) for s, up in changes), *((s, 0, None) for s in asked)],
            key=lambda event: event[0],
        )
        drained = []
        for s, _, up in events:
            if up is None:
                drained.append(edges.drain(s))
            else:
                edges.change(active=up, now_s=s)
        drained.append(edges.drain(max(end_s, *asked, 0)))
        return sum(one[0] for one in drained), sum(one[1] for one in drained)

    once, often = total([]), total(asked)
    assert often == once
    assert once[0] <= len(spans)
    if debounce_s == 0:
        assert once[1] == sum(high_s for _, high_s in spans)
