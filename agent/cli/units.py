"""Units of quantities as people write them: `temperature_c` is in °C."""

from __future__ import annotations

import re
from decimal import Decimal

#: The sign of each base unit that a quantity's name ends with.
SIGNS = {
    "a": "A",
    "bytes": "bytes",
    "c": "°C",
    "db": "dB",
    "dbm": "dBm",
    "f": "F",
    "hz": "Hz",
    "j": "J",
    "kg": "kg",
    "l": "l",
    "lx": "lx",
    "m": "m",
    "m_per_s": "m/s",
    "m_per_s2": "m/s²",
    "ohm": "Ω",
    "pa": "Pa",
    "pct": "%",
    "ppm": "ppm",
    "rad_per_s": "rad/s",
    "rpm": "rpm",
    "s": "s",
    "t": "T",
    "ug_per_m3": "µg/m³",
    "v": "V",
    "w": "W",
}

#: A number is shown with so many digits behind the point, or in all if it is small.
DECIMALS = 3
DIGITS = 4


def sign(quantity: str) -> str:
    """The sign of the unit that the name of `quantity` ends with; empty if it has none known.

    A number may stand behind it. What is per something has no other unit than that.
    """
    words = re.sub(r"_\d+$", "", quantity.lower()).split("_")
    ends = ["_".join(words[first:]) for first in range(1, len(words))]
    found = next((end for end in ends if end in SIGNS), "")
    per = "per" in words and "per" not in found.split("_")
    return "" if per else SIGNS.get(found, "")


def plain(value: float) -> str:
    """The number as a person writes it, never with an exponent: 21206401024, 21.4, 0.00012."""
    exact = Decimal(repr(value + 0))  # -0.0 is 0
    if exact == exact.to_integral_value():
        return f"{exact.to_integral_value():f}"
    places = max(DECIMALS, DIGITS - 1 - exact.adjusted())
    return f"{round(exact, places):f}".rstrip("0").rstrip(".")
