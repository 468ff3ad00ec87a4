"""DS18B20 thermometers on a simulated 1-Wire bus, which the kernel's own w1_therm reads."""

from __future__ import annotations

import time
from pathlib import Path

from tests.hardware import modules

MODULE = "w1-sim"
DEVICES = Path("/sys/bus/w1/devices")
COUNT = 2
PATIENCE_S = 60

WRONG_CHECKSUM, ALL_ONES, ALL_ZEROS, POWER_LOST, OFF_THE_BUS = 2, 4, 8, 16, 1


class Bus:
    """The bus with its two thermometers; its module stays loaded."""

    def __init__(self) -> None:
        modules.load(MODULE, f"count={COUNT}")
        self.set()
        self.ids = self.wait(COUNT)

    def set(self, *celsius: float, fault: int = 0) -> None:
        """Set what they measure, and a fault that the first of them has."""
        milli = [round(each * 1000) for each in celsius or (20.0, 20.0)]
        modules.change(MODULE, milli=milli, fault=[fault, 0])

    def wait(self, count: int) -> list[str]:
        """Ids, once the kernel knows so many thermometers; it looks at the bus now and then."""
        until_s = time.monotonic() + PATIENCE_S
        while len(ids := sorted(path.name for path in DEVICES.glob("28-*"))) != count:
            assert time.monotonic() < until_s, ids
            time.sleep(0.05)
        for name in ids:  # milliseconds instead of three quarters of a second
            (DEVICES / name / "conv_time").write_text("20")
        return ids
