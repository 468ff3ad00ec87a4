"""Wiring: asks a person what is wired to the board, and tries the pin of a motion sensor."""

from __future__ import annotations

import re
from itertools import count

from agent.cli.draft import holder_of
from agent.cli.findings import PLACES, trouble_with
from agent.cli.sensor_flags import ARGUMENT, built_in, problem
from agent.cli.units import plain
from agent.config import MOTION, SensorConfig
from agent.sensors.discovery import USUAL_PIN as PIN
from agent.value import replace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Container, Mapping
    from typing import Any

    from agent.cli.findings import Board
    from agent.cli.sensor_flags import Table
    from agent.config import Config
    from agent.sensors.discovery import Device

NONE = "none"
NO = ("n", "no", NONE)

#: Answers to whether a pin is taken: it is, it is not, none is.
TAKEN = {"y": True, "yes": True, "n": False, "no": False, NONE: None}

#: Pins that tell the board of what is plugged onto it (the HAT specification).
OF_THE_HAT = (0, 1)

#: Names for what is found, by driver or device; what is not here has its device's.
NAMES = {
    **dict.fromkeys(("onewire", "bme280", "bmp280", "bme680", "dht11"), "room"),
    "cpu_thermal": "processor",
    "nvme": "disk",
    "pwmfan": "fan",
    "system": "board",
    "bh1750": "light",
    "rp1_adc": "board-voltages",
}


class Dialogue:
    """Questions about sensors; the answers are [[sensors]] entries.

    `ask` puts a question and gives the line typed, `say` shows a line, `walk` tries a detector and
    says whether it has seen something.
    """

    def __init__(
        self,
        config: Config,
        found: Board,
        *,
        ask: Callable[[str], str],
        say: Callable[[str], object],
        walk: Callable[[SensorConfig], bool],
    ) -> None:
        self._config = config
        self._board = found
        self._ask, self._say, self._walk = ask, say, walk

    def tables(self) -> dict[str, Table]:
        """Sensors that the person wants added or changed, by name; may be empty."""
        self._say("What is wired to this board?")
        if self._config.sensors:
            self._say(f"Sensors so far: {', '.join(map(_described, self._config.sensors))}")
        chosen = self._devices()
        return {**chosen, **self._motion(chosen)}

    def _devices(self) -> dict[str, Table]:
        new: list[Device] = []
        for device in self._board.devices:
            had = next((one.name for one in self._config.sensors if _is(one, device)), "")
            if not had:
                new.append(device)
            place, note = ("", f" (the sensor {had})") if had else (str(len(new)), "")
            self._say(f"  {place:>2} {_titled(device)}: {device.says}{note}")
        tables: dict[str, Table] = {}
        for number in self._numbers(len(new)) if new else ():
            device = new[number - 1]
            name = self._name(_titled(device), device, tables)
            tables[name] = {"name": name, "driver": device.driver, **device.options}
        return tables

    def _numbers(self, most: int) -> list[int]:
        while True:
            answer = self._ask("Add which of these, such as 1 2, or all (Enter: none): ").lower()
            if answer == "all":
                return list(range(1, most + 1))
            words = [] if answer in NO else answer.replace(",", " ").split()
            if all(re.fullmatch(r"[1-9]\d{0,3}", word) and int(word) <= most for word in words):
                return sorted({int(word) for word in words})
            self._say(f"  expected numbers from 1 to {most}")

    def _name(self, title: str, device: Device, taken: Mapping[str, Table]) -> str:
        names = {*taken, *_names(self._config)}
        default = _free(NAMES.get(device.driver) or _default(device), names)
        while True:
            answer = self._ask(f"Name of {title} [{default}]: ") or default
            wrong = f"{answer} is another sensor's" if answer in names else ""
            if not (wrong := wrong or problem("", "name", answer)):
                return answer
            self._say(f"  {wrong}")

    def _motion(self, chosen: Mapping[str, Table]) -> dict[str, Table]:
        """The motion sensor, tried out; the present one if there is one."""
        if not self._board.pins:
            self._say(f"No pins are seen here. {self._board.trouble}".rstrip())
            if self._board.hint:
                self._say(f"  {self._board.hint}")
            return {}
        present: Any = _motion_sensor(self._config)
        name = present.name if present else _free(MOTION, {*chosen, *_names(self._config)})
        at = present.options.pin if present else None if _names(self._config) else PIN
        default = str(at) if at in PLACES else NONE
        self._say_pins()
        otherwise = f"it stays at GPIO {at}" if present else NONE
        while (pin := self._pin(name, default, otherwise)) is not None:
            options = replace(present.options, pin=pin) if present else built_in("gpio")(pin=pin)
            self._say(f"GPIO {pin} is pin {PLACES[pin]} of the header.")
            seen = self._walk(SensorConfig(name=name, driver="gpio", options=options))
            taken = self._is_taken(pin, seen=seen)
            if taken:
                return {name: {"name": name, "driver": "gpio", "pin": pin}}
            if taken is None:
                break
            default = NONE
        return {}

    def _say_pins(self) -> None:
        pins = self._board.pins
        held = [f"{pin.number} ({pin.holder})" for pin in pins if pin.used]
        free = [pin.number for pin in pins if not pin.used and pin.number not in OF_THE_HAT]
        more = f"; held: {', '.join(held)}" if held else ""
        self._say(f"Free GPIO pins: {' '.join(map(str, free))}{more}")

    def _is_taken(self, pin: int, *, seen: bool) -> bool | None:
        """True if the person takes it, False for another, None for none at all."""
        means = "yes, n: another pin" if seen else "another pin, y: take it all the same"
        while True:
            answer = self._ask(f"Take GPIO {pin}? (Enter: {means}) ").lower()
            if not answer:
                return seen
            if answer in TAKEN:
                return TAKEN[answer]
            self._say(f"  expected y, n or {NONE}")

    def _pin(self, name: str, default: str, otherwise: str) -> int | None:
        while True:
            means = f" (Enter: {otherwise})" if default == NONE else f", or {NONE} [{default}]"
            answer = self._ask(f"GPIO of the motion sensor{means}: ") or default
            if answer.lower() in NO:
                return None
            number = re.sub(r"(?i)^gpio ?", "", answer)
            if not re.fullmatch(r"\d{1,2}", number, re.ASCII) or int(number) not in PLACES:
                self._say(f"  expected a GPIO number from 0 to {max(PLACES)}, or {NONE}")
                continue
            pin = int(number)
            other = holder_of(self._config, name, f"GPIO{pin}")
            if other:
                self._say(f"  GPIO {pin} is taken by the sensor {other}")
            elif trouble := trouble_with(pin, self._board.pins):
                self._say(f"  {trouble.text}: {trouble.hint}")
            else:
                return pin


def _motion_sensor(config: Config) -> SensorConfig | None:
    """The motion sensor, if it is at a pin: by its name, or as the only one counted at a high line.

    Anything else that is counted may be a door or a button.
    """
    named = [one for one in config.sensors if one.name == MOTION]
    counted = [one for one in config.sensors if one.name in config.count.sensor]
    found = named or [one for one in counted if getattr(one.options, "active", "") == "high"]
    at_pin = [one for one in found if getattr(one.options, "pin", None) is not None]
    return at_pin[0] if len(found) == len(at_pin) == 1 else None


def _names(config: Config) -> set[str]:
    return {one.name for one in config.sensors}


def _is(sensor: SensorConfig, device: Device) -> bool:
    """True if the sensor reads the device; what it does not say may be any."""
    own = [getattr(sensor.options, key, "") for key in device.options]
    pairs = zip(own, device.options.values(), strict=True)
    return sensor.driver == device.driver and all(mine in {"", theirs} for mine, theirs in pairs)


def _titled(device: Device) -> str:
    at = f" at {device.options['at']}" if "at" in device.options else ""
    own = device.options.get("id") or device.options.get("device", "")
    return f"{device.driver} {own}".rstrip() + at


def _described(sensor: SensorConfig) -> str:
    value = getattr(sensor.options, ARGUMENT.get(sensor.driver, ""), None)
    if isinstance(value, float):
        value = plain(value)
    return f"{sensor.name} ({sensor.driver}{'' if value in {None, ''} else f' {value}'})"


def _default(device: Device) -> str:
    """A name for the device: the one that people give it, else its own."""
    own = device.options.get("device", device.driver).partition("@")[0]
    return NAMES.get(own) or re.sub(r"[^a-z0-9_-]+", "-", own.lower()).strip("-") or device.driver


def _free(name: str, taken: Container[str]) -> str:
    """`name`, with a number behind it if it is taken."""
    names = (name if number == 1 else f"{name}-{number}" for number in count(1))
    return next(one for one in names if one not in taken)
