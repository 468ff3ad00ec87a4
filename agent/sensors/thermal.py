"""Driver `thermal`: a thermal zone of the kernel, such as the processor's.

Files and units: the kernel's Documentation/driver-api/thermal/sysfs-api.rst.
"""

from __future__ import annotations

from agent import board
from agent.config.fields import text
from agent.errors import SensorError
from agent.sensors import sysfs
from agent.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pathlib import Path

    from agent.clock import Clock

#: All that it reads.
QUANTITIES = ("temperature_c",)


class Options(Value, kw_only=True):
    """Keys of its `[[sensors]]` table; without `zone` the only one is meant."""

    zone: str = text("", r"\S{1,64}", "the type of a zone, such as cpu-thermal")


class Thermal:
    """One zone."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self) -> dict[str, float]:
        """`temperature_c`. Raises NoDataError or SensorError."""
        return {"temperature_c": sysfs.number(self._path) / 1000}

    def close(self) -> None:
        """Do nothing: no file is open between two reads."""


def open_driver(options: Options, *, clock: Clock, root: Path = board.ROOT) -> Thermal:
    """The zone that `options` name, below `root`. Raises SensorError if it is not there."""
    del clock
    zones = list(sysfs.named(root / "sys/class/thermal", "thermal_zone*", "type"))
    if not options.zone and len(zones) == 1:
        return Thermal(zones[0][1] / "temp")
    if not options.zone and zones:
        names = ", ".join(sorted(name for name, _ in zones))
        raise SensorError(f"there are several zones: {names}", hint="say which with `zone`")
    return Thermal(sysfs.choose("thermal zone", options.zone, "", zones) / "temp")
