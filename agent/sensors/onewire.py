"""Driver `onewire`: DS18B20 thermometers and their kin, read by the kernel's w1_therm.

Files and families: the kernel's Documentation/w1/slaves/w1_therm.rst.
"""

from __future__ import annotations

import re

from agent import board
from agent.config.fields import text as words
from agent.errors import NoDataError, SensorError
from agent.sensors import sysfs
from agent.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pathlib import Path

    from agent.clock import Clock

FAMILIES = ("10", "22", "28", "3b", "42")
ID = rf"({'|'.join(FAMILIES)})-[0-9a-f]{{12}}"

#: A thermocouple's converter, MAX31850, is of the DS1825's family: bit 7 of byte 4 tells it from
#: that, bit 0 of byte 0 a fault of its thermocouple (data sheet, and as w1_therm has it).
THERMOCOUPLES = "3b"
THERMOCOUPLE_BIT = 0x80
FAULT_BIT = 0x01
THERMOCOUPLE_SPAN_C = (-270.0, 1800.0)

#: Span of a DS18B20 and its kin (data sheet). Without the power to measure it says 0x07ff.
SPAN_C = (-55.0, 125.0)
UNMEASURED_C = 127.937

#: Before its first measurement it says 85 °C, and has 0x0C as byte 6 (data sheet), which it never
#: has at 85 °C. A DS18S20 may: that byte is a remainder there. Copies have what they like.
POWER_ON_C = 85.0
POWER_ON_BYTE = 0x0C
REMAINDERS = "10"

#: Where that byte does not tell, 85 °C is believed only if it was nearly as hot before.
NEAR_C = 5.0

_SLAVE = re.compile(r"((?:[0-9a-f]{2} ){9}): crc=[0-9a-f]{2} (YES|NO)\s[^=]*t=(-?\d+)", re.ASCII)
WIRING = "check the wiring, its length, the power, and the 4.7 kOhm pull-up to 3.3 V"
_HINT = f"add dtoverlay=w1-gpio to {board.CONFIG_TXT} and restart; check the 4.7 kOhm pull-up"

#: All that it reads.
QUANTITIES = ("temperature_c",)


class Options(Value, kw_only=True):
    """Keys of its `[[sensors]]` table; without `id` the only thermometer on the bus is meant."""

    id: str = words("", ID, "an id such as 28-0000072b5c8e")


class OneWire:
    """One thermometer. A read measures, which takes three quarters of a second."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._last_c: float | None = None

    def read(self) -> dict[str, float]:
        """`temperature_c`. Raises NoDataError where it did not measure, else SensorError."""
        family = self._directory.name[:2]
        slave = self._directory / "w1_slave"
        scratchpad = b""
        if slave.exists():
            celsius, scratchpad = _slave(sysfs.text(slave))
        else:
            celsius = sysfs.number(self._directory / "temperature") / 1000
        # The file with the temperature alone does not tell the two of the family apart.
        thermocouple = family == THERMOCOUPLES and (
            not scratchpad or bool(scratchpad[4] & THERMOCOUPLE_BIT)
        )
        if thermocouple and scratchpad and scratchpad[0] & FAULT_BIT:
            raise NoDataError("its thermocouple is open or short", hint=WIRING)
        low, high = THERMOCOUPLE_SPAN_C if thermocouple else SPAN_C
        # In words, since systemd is shown ASCII alone.
        if celsius == UNMEASURED_C or not low <= celsius <= high:
            raise NoDataError(f"it says {celsius:g} degrees, which it cannot measure", hint=WIRING)
        near = self._last_c is not None and abs(celsius - self._last_c) <= NEAR_C
        power_on = scratchpad[6:7] == bytes([POWER_ON_BYTE]) and family != REMAINDERS
        if celsius == POWER_ON_C and not (thermocouple and scratchpad) and (power_on or not near):
            raise NoDataError("it says 85 degrees, as after a loss of power", hint=WIRING)
        self._last_c = celsius
        return {"temperature_c": celsius}

    def close(self) -> None:
        """Do nothing: no file is open between two reads."""


def _slave(content: str) -> tuple[float, bytes]:
    """The temperature in `w1_slave`, and the scratchpad's nine bytes. Raises as `OneWire.read`."""
    found = _SLAVE.search(content)
    if not found:
        raise SensorError(f"w1_slave has {content[:40]!r}, not a measurement", hint=WIRING)
    scratchpad = bytes.fromhex(found[1])
    if not scratchpad.strip(b"\xff"):
        raise NoDataError("only ones come: it does not answer", hint=WIRING)
    if found[2] == "NO":
        raise NoDataError("the checksum is wrong", hint=WIRING)
    if not any(scratchpad):  # a line held low, whose checksum is right: 0
        raise NoDataError("only zeros come: it is unplugged, or its line is short", hint=WIRING)
    return int(found[3]) / 1000, scratchpad


def open_driver(options: Options, *, clock: Clock, root: Path = board.ROOT) -> OneWire:
    """The thermometer that `options` name, below `root`. Raises SensorError if it is not there."""
    del clock
    bus = root / "sys/bus/w1/devices"
    known = sorted(path.name for path in bus.glob("*-*") if re.fullmatch(ID, path.name))
    if options.id in known or (not options.id and len(known) == 1):
        return OneWire(bus / (options.id or known[0]))
    seen = ", ".join(known) or "none"
    if options.id:
        raise SensorError(f"{options.id} is not on the bus; there are: {seen}", hint=_HINT)
    if known:
        raise SensorError(f"there are several thermometers: {seen}", hint="say which with `id`")
    raise SensorError("there is no thermometer on the 1-Wire bus", hint=_HINT)
