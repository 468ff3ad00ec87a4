"""Pins that two want: two sensors, or a sensor and a driver of the kernel's by config.txt."""

from __future__ import annotations

import re
from contextlib import suppress
from typing import TYPE_CHECKING

from agent.board import CONFIG_TXT, HEADER, W1_PIN

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from agent.config.settings import SensorConfig

#: Settings of the firmware, now and before bookworm.
PATHS = (CONFIG_TXT, "/boot/config.txt")

#: Overlays that take a pin by `gpiopin`, and which without (the firmware's overlays/README).
OVERLAYS = re.compile(r"w1-gpio(-\w+)*|dht11")

HEADER_LAST = max(HEADER.values())

OTHER = "use another pin for one of them"


def warnings(sensors: Sequence[SensorConfig], root: Path) -> list[str]:
    """Warnings of pins that two want, the first of whom has it, and of those that no header has.

    A driver's options tell by an attribute `occupies` what line they take, and may have a `pin`.
    `root` is where /boot is.
    """
    found: list[str] = []
    holders = _drivers_of_the_kernel(sensors, root)
    for sensor in sensors:
        own = f"the sensor {sensor.name}"
        if line := getattr(sensor.options, "occupies", ""):
            if (holder := holders.setdefault(line, own)) != own:
                found.append(f"sensors: {sensor.name} is at {line}, which {holder} has: {OTHER}")
            pin = getattr(sensor.options, "pin", None) or 0
            if pin > HEADER_LAST:
                there = f" (its pin {pin} is GPIO{HEADER[pin]})" if pin in HEADER else ""
                meant = "if it is meant, give chip and line"
                found.append(f"sensors: {sensor.name}: no header has GPIO{pin}{there}; {meant}")
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
        holders.setdefault(f"GPIO{W1_PIN}", "1-Wire, unless config.txt gives it another pin,")
    return holders


def overlays(text: str) -> Iterator[tuple[str, int]]:
    """Overlay and pin of each line of a config.txt that takes one, whatever section it is in."""
    overlay, pin = "", W1_PIN
    for line in text.splitlines():
        key, _, value = line.partition("#")[0].strip().partition("=")
        words = [word.strip() for word in value.split(",")]
        if key.strip() == "dtoverlay":
            if OVERLAYS.fullmatch(overlay):
                yield overlay, pin
            overlay, *words = words
            pin = W1_PIN
        elif key.strip() != "dtparam":  # which goes on with the overlay before it
            continue
        for word in words:
            if said := re.fullmatch(r"gpiopin=(\d{1,3})", word):
                pin = int(said[1])
    if OVERLAYS.fullmatch(overlay):
        yield overlay, pin
