"""WBGT, the wet bulb globe temperature by which heatstroke is warned of, estimated for a room.

By the regression of Ono and Tonouchi (Japanese Journal of Biometeorology 50(4), 147-157, 2014),
for which sun and wind are zero here. From 20 to 40 C and 20 to 95 % it lies within 0.6 of 0.7 Tw +
0.3 Ta, which ISO 7243 has where there is no sun, with Tw by Stull (Journal of Applied Meteorology
and Climatology 50, 2267-2269, 2011). In the cold it says nothing.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from agent.model import Moment

#: Name of the quantity in a rule, and what it is made of.
WBGT = "wbgt_c"
TEMPERATURE, HUMIDITY = "temperature_c", "humidity_pct"

#: Both are of one reading, or of two that are no further apart.
APART_S = 300.0


def wbgt_c(temperature_c: float, humidity_pct: float) -> float:
    """WBGT of still air without sun, degrees Celsius, rounded to a tenth."""
    product = temperature_c * humidity_pct
    return round(0.735 * temperature_c + 0.0374 * humidity_pct + 0.00292 * product - 4.064, 1)


class Air:
    """The newest temperature and humidity of one sensor."""

    def __init__(self) -> None:
        self._newest: dict[str, tuple[float, float]] = {}

    def take(self, values: Mapping[str, float | str], moment: Moment) -> float | None:
        """The WBGT with what these values add; None where nothing is new, or one is unknown."""
        new = {name: values[name] for name in (TEMPERATURE, HUMIDITY) if name in values}
        for name, value in new.items():
            if isinstance(value, int | float):
                self._newest[name] = value, moment.boot_s
        if not new or len(self._newest) < len((TEMPERATURE, HUMIDITY)):
            return None
        (temperature_c, one_s), (humidity_pct, other_s) = (
            self._newest[name] for name in (TEMPERATURE, HUMIDITY)
        )
        return wbgt_c(temperature_c, humidity_pct) if abs(one_s - other_s) <= APART_S else None
