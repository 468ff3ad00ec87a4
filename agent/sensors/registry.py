"""Registry of drivers: those built in, and plug-ins found by their entry point."""

from __future__ import annotations

import importlib
from contextlib import suppress

from agent.errors import SensorError
from agent.sensors.sensor import Driver, Sensor, failed
from agent.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from agent.clock import Clock
    from agent.config import SensorConfig

PLUG_INS = "pi_iot_agent.sensors"
BUILT_IN = {
    "exec": "agent.sensors.exec",
    "gpio": "agent.sensors.gpio",
    "hwmon": "agent.sensors.hwmon",
    "iio": "agent.sensors.iio",
    "onewire": "agent.sensors.onewire",
    "simulated": "agent.sensors.simulated",
    "system": "agent.sensors.system",
    "thermal": "agent.sensors.thermal",
}


class Needs(Value):
    """Devices that a drop-in of the unit must allow, as `DeviceAllow=` names them, and groups."""

    devices: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()


def needs(driver: str) -> Needs:
    """Needs of a driver, by its constants DEVICES and GROUPS; those of a plug-in nobody knows."""
    if driver not in BUILT_IN:
        return Needs()
    module = importlib.import_module(BUILT_IN[driver])
    return Needs(getattr(module, "DEVICES", ()), getattr(module, "GROUPS", ()))


def quantities(driver: str) -> tuple[str, ...]:
    """All quantities that a driver can give, by its constant QUANTITIES; none where that varies."""
    if driver not in BUILT_IN:
        return ()
    found: tuple[str, ...] = getattr(importlib.import_module(BUILT_IN[driver]), "QUANTITIES", ())
    return found


def options_of(driver: str) -> type:
    """The Options of a driver, a value class, `dict` for a plug-in.

    Raises KeyError(driver, *known drivers) for a name that nobody has.
    """
    if driver in BUILT_IN:
        options: type = importlib.import_module(BUILT_IN[driver]).Options
        return options
    if driver in (plug_ins := _plug_ins()):
        return dict
    raise KeyError(driver, *sorted({*BUILT_IN, *plug_ins}))


def open_sensor(config: SensorConfig, *, clock: Clock) -> Sensor:
    """Open the sensor that `config` describes. Raises SensorError when it cannot be."""
    driver: Driver | None = None
    try:
        driver = _opener(config.driver)(config.options, clock=clock)
        return Sensor(config.name, driver, built_in=config.driver in BUILT_IN)
    except Exception as error:
        if driver:
            with suppress(Exception):
                driver.close()
        raise failed(config.name, error) from error


def _opener(driver: str) -> Callable[..., Driver]:
    if driver in BUILT_IN:
        found: Callable[..., Driver] = importlib.import_module(BUILT_IN[driver]).open_driver
    else:
        try:
            load = _plug_ins()[driver]
        except KeyError:
            hint = "install the package that has it, or remove this sensor"
            raise SensorError(f"there is no driver {driver}", hint=hint) from None
        found = load()
    return found


def _plug_ins() -> dict[str, Callable[[], Callable[..., Driver]]]:
    """Name and loader of each plug-in."""
    from importlib.metadata import entry_points  # noqa: PLC0415 -- 20 ms that few configs need

    return {entry.name: entry.load for entry in entry_points(group=PLUG_INS)}
