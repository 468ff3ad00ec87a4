"""Figures of the report as people read them: counts, shares, readings in units that they know."""

from __future__ import annotations

from agent.cli.units import plain, sign

#: Units that people know better, and how many of them one of ours is.
FRIENDLY = {"Pa": (0.01, "hPa"), "bytes": (1e-6, "MB")}


def amount(number: float) -> str:
    """A count with its thousands apart: 1,234."""
    return f"{number:,.0f}"


def share(part: float) -> str:
    """A part of the whole in per cent; never rounded up to all, nor down to none."""
    percent = round(part * 100)
    if part < 1:
        percent = min(percent, 99)
    if part > 0:
        percent = max(percent, 1)
    return f"{percent} %"


def scale(name: str) -> tuple[float, str]:
    """The factor and the sign of the unit in which people tell the quantity `name`."""
    unit = sign(name)
    return FRIENDLY.get(unit, (1.0, unit))


def value(number: float, name: str) -> str:
    """A reading of the quantity `name` with its unit: 21.4 °C."""
    factor, unit = scale(name)
    return f"{plain(_rounded(number * factor))} {unit}".rstrip()


def _rounded(number: float) -> float:
    """A reading to a tenth, or to three digits where it is small."""
    return round(number, 1) if abs(number) >= 1 else float(f"{number:.3g}")
