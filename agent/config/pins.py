"""Pins that two want: two sensors, or a sensor and a driver of the kernel's by config.txt."""

from __future__ import annotations

import re
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from agent.config.settings import SensorConfig

#: Settings of the firmware, where Raspberry Pi OS has them since bookworm, and before.
CONFIG_TXT = ("boot/firmware/config.txt", "boot/config.txt")

#: Overlays that take a pin by `gpiopin`, and which without (the firmware's overlays/README).
OVERLAYS = re.compile(r"w1-gpio(-\w+)*|dht11")
PIN = 4

OTHER = "use another pin for one of them"


def warnings(sensors: Sequence[SensorConfig], root: Path) -> list[str]:
    """Warnings of pins that two want; the first of them has it. `root` is where /boot is.

    A driver's options tell by an attribute `occupies` what line they take.
    """
    found: list[str] = []
    holders: dict[str, str] = {}
    if any(one.driver == "onewire" for one in sensors):
        holders[f"GPIO{PIN}"] = "1-Wire, unless config.txt gives it another pin"
    for path in CONFIG_TXT:
        with suppress(OSError):
            text = (root / path).read_text("utf-8", "replace")
            given = {f"GPIO{pin}": f"dtoverlay={name} in /{path}" for name, pin in overlays(text)}
            if any(holder.startswith("dtoverlay=w1") for holder in given.values()):
                holders.clear()  # it says which pin 1-Wire has
            holders |= given
            break
    for sensor in sensors:
        line = getattr(sensor.options, "occupies", None)
        if isinstance(line, str):
            holder = holders.setdefault(line, f"the sensor {sensor.name}")
            if holder != f"the sensor {sensor.name}":
                found.append(f"sensors: {sensor.name} is at {line}, which {holder} has: {OTHER}")
    return found


def overlays(text: str) -> Iterator[tuple[str, int]]:
    """Overlay and pin of each line of a config.txt that takes one, whatever section it is in."""
    overlay, pin = "", PIN
    for line in text.splitlines():
        key, _, value = line.partition("#")[0].strip().partition("=")
        words = [word.strip() for word in value.split(",")]
        if key.strip() == "dtoverlay":
            if OVERLAYS.fullmatch(overlay):
                yield overlay, pin
            overlay, *words = words
            pin = PIN
        elif key.strip() != "dtparam":  # which goes on with the overlay before it
            continue
        for word in words:
            if said := re.fullmatch(r"gpiopin=(\d{1,3})", word):
                pin = int(said[1])
    if OVERLAYS.fullmatch(overlay):
        yield overlay, pin
