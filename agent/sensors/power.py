"""Power of the board: whether it has enough voltage, and is throttled.

Files: get_throttled of the Raspberry Pi's firmware driver, whose bits are those of
`vcgencmd get_throttled`, and hwmon's alarm.
"""

from __future__ import annotations

import re

from agent import board
from agent.sensors import sysfs

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pathlib import Path

#: Path of the file of the firmware's driver, on boards with and without an address in the name.
THROTTLED = ("sys/devices/platform/soc*/soc*:firmware/get_throttled",)
BITS = {
    "under_voltage": 0,
    "frequency_capped": 1,
    "throttled": 2,
    "temperature_limited": 3,
    "under_voltage_since_boot": 16,
    "throttled_since_boot": 18,
}


def power(root: Path) -> dict[str, float]:
    """Flags of the power supply and of throttling, 0 or 1; empty where nothing tells."""
    for pattern in THROTTLED:
        for path in sorted(root.glob(pattern)):
            if re.fullmatch(r"(0x)?[0-9a-fA-F]{1,8}", found := sysfs.optional_text(path)):
                bits = int(found, 16)
                return {name: bits >> bit & 1 for name, bit in BITS.items()}
    for name, path in sysfs.named(root / "sys/class/hwmon", "hwmon*", "name"):
        if name == "rpi_volt" and (alarm := sysfs.optional_text(path / "in0_lcrit_alarm")):
            return {"under_voltage": float(alarm == "1")}
    return {}


def under_voltage(root: Path = board.ROOT) -> bool | None:
    """True if the board had too little voltage since it started; None where nothing tells.

    Where hwmon alone tells, it is the present alarm.
    """
    told = power(root)
    known = told.get("under_voltage_since_boot", told.get("under_voltage"))
    return None if known is None else bool(known)
