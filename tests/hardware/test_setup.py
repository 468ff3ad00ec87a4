"""What is wired to the board is found by `setup`, and a pin is tried before it is taken."""

from __future__ import annotations

import os
import select
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Self

from agent.cli.findings import looked, parsed, trouble_with
from agent.clock import Clock
from tests.hardware import lines

if TYPE_CHECKING:
    from tests.hardware import onewire
    from tests.hardware.chips import Chip

ROOT = Path(__file__).parents[2]

TRIAL = """
from functools import partial
from agent.cli import service, walk
from agent.clock import Clock
from agent.config import SensorConfig
from agent.sensors.gpio import Options
sensor = SensorConfig(name="motion", driver="gpio", options=Options(pin=21, debounce_ms=0))
print("exit code", service.watch_as_service(partial(walk.trial, sensor, "GPIO 21", Clock())))
"""


DIALOGUE = """
import sys
from pathlib import Path
from agent.cli import setup
from agent.cli.draft import Draft
setup._wire(Draft(Path(sys.argv[1]), {}))
"""

DOOR = """
[thing]
name = "cat"
[[sensors]]
name = "door"
driver = "gpio"
pin = 20
active = "low"
"""


class Person:
    """Somebody who sees and answers the questions of `setup`; a context manager."""

    def __init__(self, config: Path) -> None:
        command = [sys.executable, "-u", "-c", DIALOGUE, str(config)]
        self._process = subprocess.Popen(
            command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0
        )
        self.seen = ""

    def __enter__(self) -> Self:
        """Itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """End it, whatever it does."""
        self._process.kill()
        self._process.communicate()

    def wait(self, words: str) -> None:
        """Wait until these are on the screen."""
        assert self._process.stdout
        since = len(self.seen)
        while words not in self.seen[since:]:
            ready, _, _ = select.select([self._process.stdout], [], [], 20)
            assert ready, self.seen
            piece = os.read(self._process.stdout.fileno(), 4096)
            assert piece, self.seen
            self.seen += piece.decode()

    def answer(self, question: str, answer: str = "") -> None:
        """Wait for the question, and press Enter behind the answer."""
        self.wait(question)
        assert self._process.stdin
        self._process.stdin.write(f"{answer}\n".encode())

    def end(self) -> None:
        """Wait for the end."""
        self._process.communicate(timeout=60)
        assert self._process.returncode == 0


def test_a_motion_sensor_is_added_beside_a_door(chip: Chip, tmp_path: Path) -> None:
    """Enter leaves a pin that cannot be tried, and takes one where somebody was seen."""
    config = tmp_path / "agent.toml"
    config.write_text(DOOR)
    with Person(config) as person:
        person.answer("Add which of these, such as 1 2, or all (Enter: none): ")
        person.wait("GPIO of the motion sensor (Enter: none): ")
        held = lines.hold(chip.path, 21, "led")  # since the pins were looked at
        person.answer("", "21")
        person.answer("Take GPIO 21? (Enter: another pin, y: take it all the same) ")
        os.close(held)
        person.answer("GPIO of the motion sensor (Enter: none): ", "22")
        person.wait("Walk past motion now")
        chip.pulse(22, for_s=0.2)
        person.answer("detected, 1 so far")
        person.answer("Take GPIO 22? (Enter: yes, n: another pin) ")
        person.wait("sensors door, motion; counted: door, motion")
        person.end()
    written = config.read_text()
    assert written.startswith(DOOR)
    assert '[[sensors]]\nname = "motion"\ndriver = "gpio"\npin = 22\n' in written


def test_pins_and_thermometers_are_found(chip: Chip, thermometers: onewire.Bus) -> None:
    """Each with what it says, or who holds it."""
    thermometers.set(21.5, -10.125)
    held = lines.hold(chip.path, 4, "onewire@0")
    try:
        found = parsed(looked(Clock()))
    finally:
        os.close(held)

    told = {device.options.get("id"): device.says for device in found.devices}
    assert [told[name] for name in thermometers.ids] == [
        "temperature_c 21.5 °C",
        "temperature_c -10.125 °C",
    ]
    assert [pin.number for pin in found.pins] == list(range(28))
    trouble = trouble_with(4, found.pins)
    assert trouble
    assert trouble.text == "GPIO 4 is in use by onewire@0"
    assert not trouble_with(21, found.pins)


def test_somebody_who_walks_past_sees_it_at_once(chip: Chip) -> None:
    """Enter ends the trial, and the pin is free again."""
    with subprocess.Popen(
        [sys.executable, "-u", "-c", TRIAL],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdin
        assert process.stdout
        assert process.stdout.readline() == (
            "Walk past motion now; Enter ends the test, as do 60 s without a change.\n"
        )
        assert lines.look(chip.path, 21).consumer == "pi-iot-agent"
        chip.set(21, high=True)
        assert "motion: detected, 1 so far" in process.stdout.readline()
        assert "motion: active" in process.stdout.readline()
        process.stdin.write("\n")
        process.stdin.flush()
        rest = process.stdout.read()
    assert "motion: 1 detection in" in rest
    assert rest.endswith("exit code 0\n")
    assert lines.look(chip.path, 21).consumer == ""


def test_a_pin_that_somebody_holds_is_refused(chip: Chip, tmp_path: Path) -> None:
    """Before anything is asked or written."""
    config = tmp_path / "agent.toml"
    config.write_text(text := '[provisioning]\ncredentials_file = "key"\n')
    command = [sys.executable, "-m", "agent", "setup", "--config", str(config)]
    held = lines.hold(chip.path, 4, "onewire@0")
    try:
        done = subprocess.run(
            [*command, "--sensor", "door=gpio:4"],
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    finally:
        os.close(held)
    assert (done.returncode, config.read_text()) == (2, text)
    assert "--sensor door: GPIO 4 is in use by onewire@0" in done.stderr
