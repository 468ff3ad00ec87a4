"""What a quantity can be at all: a value outside comes from a broken sensor, not from the world.

A quantity is known by the end of its name, its unit; a longer end goes before a shorter one.
"""

from __future__ import annotations

#: From the coldest and hottest that sensors for a Raspberry Pi measure, generously.
RANGES = {
    "temperature_c": (-90.0, 1800.0),
    "humidity_pct": (0.0, 100.0),
    "moisture_pct": (0.0, 100.0),
    "pressure_pa": (1_000.0, 200_000.0),
    "illuminance_lx": (0.0, 250_000.0),
    "co2_ppm": (0.0, 100_000.0),
    "voc_ppm": (0.0, 100_000.0),
    "_c": (-273.15, 3_000.0),
    "_pa": (-1e9, 1e9),
    "_lx": (0.0, 1e6),
    "_ppm": (0.0, 1e6),
    "_v": (-1e5, 1e5),
    "_rpm": (0.0, 1e6),
    "_ohm": (0.0, 1e12),
    "_dbm": (-200.0, 100.0),
    "_bytes": (0.0, 1e18),
}


def plausible(quantity: str, value: float) -> bool:
    """Whether `value` can be; any number can for a quantity whose unit is not known here."""
    ends = (end for end in RANGES if quantity.endswith(end))
    longest = max(ends, key=len, default="")
    low, high = RANGES.get(longest, (float("-inf"), float("inf")))
    return low <= value <= high
