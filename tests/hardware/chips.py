"""GPIO chips whose lines a test drives: the kernel's gpio-sim.

Documentation/admin-guide/gpio/gpio-sim.rst tells of its files.
"""

from __future__ import annotations

import os
import select
import time
from pathlib import Path
from typing import TYPE_CHECKING, Self

from tests.hardware import lines

if TYPE_CHECKING:
    from collections.abc import Mapping

CONFIG = Path("/sys/kernel/config/gpio-sim")
DRIVER = Path("/sys/bus/platform/drivers/gpio-sim")
DEVICES = Path("/sys/devices/platform")
RASPBERRY_PI_4 = "pinctrl-bcm2711"
LINES = 58
#: The last line is the rig's own: what has happened before its edge arrived has arrived too.
MARK = LINES - 1
PATIENCE_S = 10


class Chip:
    """A chip with 58 lines, some with names; a context manager, after which it is gone.

    A request with a bias moves the line's level, as on a board: `set` it after that.
    """

    def __init__(
        self,
        names: Mapping[int, str] | None = None,
        *,
        label: str = RASPBERRY_PI_4,
        name: str = "rig",
    ) -> None:
        self._config = CONFIG / name
        self._bank = self._config / "bank"
        self._names = names or {}
        self._label = label
        self._mark = -1
        self._high = False

    def __enter__(self) -> Self:
        """Plug it in."""
        self._bank.mkdir(parents=True)
        (self._bank / "num_lines").write_text(str(LINES))
        (self._bank / "label").write_text(self._label)
        for offset, name in self._names.items():
            (self._bank / f"line{offset}").mkdir()
            (self._bank / f"line{offset}/name").write_text(name)
        (self._config / "live").write_text("1")
        self._appeared()
        return self

    def __exit__(self, *_: object) -> None:
        """Take it away for good."""
        self._forget_mark()
        (self._config / "live").write_text("0")
        for directory in [*self._bank.glob("line*"), self._bank, self._config]:
            directory.rmdir()

    @property
    def path(self) -> Path:
        """The chip's device; its number is another after each `plug` under an open request."""
        return Path("/dev", (self._bank / "chip_name").read_text().strip())

    @property
    def number(self) -> int:
        """N of its path, /dev/gpiochipN."""
        return int(self.path.name.removeprefix("gpiochip"))

    def unplug(self) -> None:
        """Take the chip away from under its users."""
        self._forget_mark()
        (DRIVER / "unbind").write_text(self._device)

    def plug(self) -> None:
        """Bring it back."""
        (DRIVER / "bind").write_text(self._device)
        self._appeared()

    def pull(self, offset: int) -> str:
        """What the line is drawn to from outside or by its bias: `pull-up` or `pull-down`."""
        return self._pull(offset).read_text().strip()

    def high(self, offset: int) -> bool:
        """True if the line is high at this moment, as an output is that somebody drives."""
        return (self._sysfs / f"sim_gpio{offset}" / "value").read_text().strip() == "1"

    def set(self, offset: int, *, high: bool) -> None:
        """Set a line's level; returns when those who wait for the edge have been given it."""
        self._pull(offset).write_text("pull-up" if high else "pull-down")
        self._high = not self._high
        self._pull(MARK).write_text("pull-up" if self._high else "pull-down")
        marked, _, _ = select.select([self._mark], [], [], PATIENCE_S)
        assert marked, "an edge does not arrive"
        os.read(self._mark, 16 * lines.EVENT_SIZE)

    def pulse(self, offset: int, *, for_s: float = 0.0, low: bool = False) -> None:
        """Set a line high for so long at least, and low again; the other way round if `low`."""
        self.set(offset, high=not low)
        time.sleep(for_s)
        self.set(offset, high=low)

    @property
    def _device(self) -> str:
        return (self._config / "dev_name").read_text().strip()

    def _pull(self, offset: int) -> Path:
        return self._sysfs / f"sim_gpio{offset}" / "pull"

    def _appeared(self) -> None:
        self._sysfs = DEVICES / self._device / self.path.name
        self._mark = lines.hold(self.path, MARK, "rig", lines.INPUT | lines.RISING | lines.FALLING)
        self._high = False

    def _forget_mark(self) -> None:
        if self._mark >= 0:
            os.close(self._mark)
            self._mark = -1
