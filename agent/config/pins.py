"""Pins that two want: two sensors, or a sensor and a driver of the kernel's by config.txt."""

from __future__ import annotations

import re
from contextlib import suppress

from agent.board import CONFIG_TXT, HEADER, W1_PIN

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from agent.config.settings import SensorConfig

#: Settings of the firmware, now and before bookworm.
PATHS = (CONFIG_TXT, "/boot/config.txt")

#: Pins that overlays take by a parameter, and without it (the firmware's overlays/README).
OVERLAYS = {
    "w1-gpio": {"gpiopin": W1_PIN},
    "w1-gpio-pi5": {"gpiopin": W1_PIN},
    "w1-gpio-pullup": {"gpiopin": W1_PIN, "extpullup": 5},
    "w1-gpio-pullup-pi5": {"gpiopin": W1_PIN, "extpullup": 5},
    "dht11": {"gpiopin": 4},
    "gpio-fan": {"gpiopin": 12},
    "gpio-ir": {"gpio_pin": 18},
    "gpio-poweroff": {"gpiopin": 26},
    "gpio-shutdown": {"gpio_pin": 3},
    "pps-gpio": {"gpiopin": 18},
}

#: What begins an overlay in config.txt, and what gives the one before it more parameters.
OVERLAY_KEYS = {"dtoverlay", "device_tree_overlay"}
PARAMETER_KEYS = {"dtparam", "device_tree_param"}

#: What the chip with the header's pins is compatible with (drivers/pinctrl: -bcm2835.c, -rp1.c).
HEADER_CHIPS = rb"brcm,bcm2(71[12]|83[5-7])-gpio|raspberrypi,rp1-gpio"

HEADER_LAST = max(HEADER.values())

OTHER = "use another pin for one of them"
OTHER_LED = "give led_pin another"


def warnings(sensors: Sequence[SensorConfig], root: Path) -> list[str]:
    """Warnings of pins that two want, the first of whom has it, and of those that no header has.

    A driver's options tell by an attribute `occupies` what line they take, and may have a `pin`;
    by `led` and `led_pin` those of an LED. `root` is where /boot is.
    """
    found: list[str] = []
    holders = _drivers_of_the_kernel(sensors, root)
    for sensor in sensors:
        lines = {"occupies": (sensor.name, "pin"), "led": (f"the LED of {sensor.name}", "led_pin")}
        for key, (what, pin_key) in lines.items():
            own = f"the sensor {sensor.name}" if key == "occupies" else what
            if not (line := _on_header(getattr(sensor.options, key, ""), root)):
                continue
            if (holder := holders.setdefault(line, own)) != own:
                found.append(f"sensors: {what} is at {line}, which {holder} has: {OTHER}")
            pin = getattr(sensor.options, pin_key, None) or 0
            if pin > HEADER_LAST:
                there = f" (its pin {pin} is GPIO{HEADER[pin]})" if pin in HEADER else ""
                meant = "if it is meant, give chip and line" if key == "occupies" else OTHER_LED
                found.append(f"sensors: {what}: no header has GPIO{pin}{there}; {meant}")
    return found


def _drivers_of_the_kernel(sensors: Sequence[SensorConfig], root: Path) -> dict[str, str]:
    """Lines that the kernel's own drivers take, and who that is."""
    holders: dict[str, str] = {}
    for path in PATHS:
        with suppress(OSError):
            text = (root / path.lstrip("/")).read_text("utf-8", "replace")
            holders = {f"GPIO{pin}": f"dtoverlay={name} in {path}" for name, pin in overlays(text)}
            break
    told = any(holder.startswith("dtoverlay=w1") for holder in holders.values())
    if not told and any(one.driver == "onewire" for one in sensors):
        holders.setdefault(f"GPIO{W1_PIN}", "1-Wire (where config.txt says no other pin)")
    return holders


def _on_header(line: str, root: Path) -> str:
    """The line by its name on the header, if its chip is known there by its number, as GPIO21."""
    named = re.fullmatch(r"(gpiochip\d+) line (?:GPIO)?(\d+)", line, re.ASCII)
    if named:
        with suppress(OSError):
            node = root / "sys/bus/gpio/devices" / named[1] / "of_node/compatible"
            if any(re.fullmatch(HEADER_CHIPS, one) for one in node.read_bytes().split(b"\0")):
                return f"GPIO{named[2]}"
    return line


def overlays(text: str) -> Iterator[tuple[str, int]]:
    """Overlay and pin, for each pin that one takes in a config.txt, whatever section it is in."""
    overlay = ""
    given: dict[str, int] = {}
    for line in text.removeprefix("\ufeff").splitlines():
        key, _, value = line.partition("#")[0].partition("=")
        words = [word.strip() for word in re.split("[,:]", value)]
        if key.strip() in OVERLAY_KEYS:
            yield from _taken(overlay, given)
            overlay, *words = words
            given = {}
        elif key.strip() not in PARAMETER_KEYS:
            continue
        for word in words:
            if said := re.fullmatch(r"(\w+)\s*=\s*(0[xX][0-9a-fA-F]{1,4}|[0-9]{1,3})", word):
                given[said[1]] = int(said[2], 0 if said[2][1:2] in {"x", "X"} else 10)
    yield from _taken(overlay, given)


def _taken(overlay: str, given: dict[str, int]) -> Iterator[tuple[str, int]]:
    for name, pin in OVERLAYS.get(overlay, {}).items():
        yield overlay, given.get(name, pin)
