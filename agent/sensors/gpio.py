"""Driver `gpio`: motion sensors, light barriers, reed switches, buttons at a line of the kernel's.

The kernel debounces, keeps the time of each change and numbers them, so nothing runs here while
nothing happens, and what could not be kept is known.
"""

from __future__ import annotations

import fcntl
import time

from agent import board
from agent.config.fields import choice, number, text
from agent.config.lines import chip, header_pin, offset_or_name
from agent.errors import NoDataError, SensorError
from agent.model import DAY_S
from agent.sensors import gpio_chips, gpio_line, sysfs
from agent.sensors.gpio_chips import Wanted
from agent.sensors.plausibility import Limits
from agent.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from typing import ClassVar

    from agent.clock import Clock
    from agent.sensors.gpio_chips import Requested
    from agent.sensors.gpio_line import Event, Ioctl, Line

#: What the service must be allowed to open, and the group that may (systemd.resource-control(5)).
DEVICES = ("char-gpiochip",)
GROUPS = ("gpio",)

#: So often in a row may the level be out of reach: a chip on a bus, such as an I2C expander, is
#: asked over that bus.
REFUSALS_MAX = 3

#: The level is looked at this often at least: Linux 6.1 wakes nobody when a chip goes.
LOOK_S = 60.0

BUS = "check the wiring of the bus that the chip is at; dmesg says more"

_BIASES = {
    "pull-up": gpio_line.PULL_UP,
    "pull-down": gpio_line.PULL_DOWN,
    "off": gpio_line.BIAS_OFF,
}
_OLD_PULLS = {"up": "pull-up", "down": "pull-down", "none": "off"}

#: A local time, as 07:00.
TIME = r"([01]?\d|2[0-3]):[0-5]\d"

#: All that it reads.
QUANTITIES = ("active",)


class Options(Value, kw_only=True):
    """Keys of its `[[sensors]]` table: a `pin` of the header by its GPIO (BCM) number, or a line.

    `chip` is a name such as gpiochip4, a path or a label, `line` an offset or the line's name.
    Without `bias` the line is drawn to where it does not detect, so that a loose wire is silent.
    `pull` is what `bias` was called before. With the role "sos" it is a button that calls for help;
    an LED at `led_pin` then shows whether the call has arrived, and is dark at `led_night`
    otherwise.
    """

    detects: ClassVar[bool] = True
    #: Keys that go where one is given anew.
    replaces: ClassVar[dict[str, tuple[str, ...]]] = {
        "pin": ("chip", "line"),
        "chip": ("pin",),
        "line": ("pin",),
        "bias": ("pull",),
        "pull": ("bias",),
    }

    pin: int | None = header_pin(53)
    chip: str = chip()
    line: int | str | None = offset_or_name()
    active: str = choice("high", "high", "low")
    bias: str = choice("", "pull-up", "pull-down", "off")
    pull: str = choice("", "up", "down", "none")
    debounce_ms: float = number(50.0, 0, 60_000)
    active_max_s: float = number(3600.0, 1, 31 * DAY_S)
    max_per_min: float = number(600.0, 1, 1e6)
    role: str = choice("", "sos")
    led_pin: int | None = header_pin(53)
    led_active: str = choice("high", "high", "low")
    led_night: str = text("22:00-07:00", f"off|{TIME}-{TIME}", 'times as 22:00-07:00, or "off"')

    def __post_init__(self) -> None:
        if self.pin is None and self.line is None:
            raise ValueError("pin: is missing; for a chip that is not the header's: chip and line")
        if self.pin is not None and (self.chip or self.line is not None):
            key = "line" if self.line is not None else "chip"
            raise ValueError(f"{key}: does not go with pin; give pin, or chip and line")
        if isinstance(self.line, int) and not self.chip:
            raise ValueError("chip: is missing; it goes with the number of a line")
        if self.bias and self.pull:
            raise ValueError("pull: is the older name of bias; give bias alone")
        if self.led_pin is not None and self.role != "sos":
            raise ValueError('led_pin: goes with role = "sos" alone')
        if self.led_pin is not None and self.led == self.occupies:
            raise ValueError("led_pin: is the pin of the button; the LED takes another")

    @property
    def led(self) -> str:
        """The line of its LED, as `occupies` has the other; empty without one."""
        return "" if self.led_pin is None else f"GPIO{self.led_pin}"

    @property
    def occupies(self) -> str:
        """The line, so that two of one are known: by its name on the header, if it is there."""
        if self.pin is not None or (self.chip in gpio_chips.HEADER and isinstance(self.line, int)):
            return f"GPIO{self.line if self.pin is None else self.pin}"
        if self.chip in gpio_chips.HEADER:
            return str(self.line)
        return (
            f"{self.chip.removeprefix('/dev/')} line {self.line}" if self.chip else str(self.line)
        )

    @property
    def flags(self) -> int:
        """Flags to request the line with."""
        low = self.active == "low"
        bias = self.bias or _OLD_PULLS.get(self.pull) or ("pull-up" if low else "pull-down")
        return _BIASES[bias] | (gpio_line.ACTIVE_LOW if low else 0)


class Gpio:
    """A requested line; one thread at a time.

    `monotonic_s` is CLOCK_MONOTONIC, which the kernel stamps with.
    """

    def __init__(
        self,
        requested: Requested,
        options: Options,
        clock: Clock,
        monotonic_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self.limits = Limits(options.active_max_s, options.max_per_min)
        self._line, self._where = requested.line, requested.where
        self.instant = requested.instant
        self._clock = clock
        self._monotonic_s = monotonic_s
        self._debounce_s = options.debounce_ms / 1000
        self._count = self._edges = self._lost = 0
        self._active_s = 0.0
        self._refusals = 0
        self._number = 0  # of the event before
        self._differs = False  # the level from what was told, when it was looked at
        self._known_s = monotonic_s()  # the level that is read now knows all that was before
        self._told_s = clock.boot_s()  # until when active time was told
        self._active = self._level()
        self._leveled_s = monotonic_s()

    def read(self) -> dict[str, float]:
        """`active`: 1 while it detects, else 0. Raises NoDataError or SensorError."""
        return {"active": float(self._level())}

    def drain(self) -> tuple[int, float, int, int]:
        """Detections since the last call, active seconds, changes, and changes that were lost.

        The active time of a level is told once it is steady. Where the level is out of reach, what
        the events tell comes first. Raises SensorError.
        """
        try:
            events = self._line.events()
        except OSError as error:
            raise gpio_chips.told(self._where, error) from error
        level = self._level_or_none(told=bool(events))
        # The kernel's stamp is the end of the debounce time; a level counts from when it began.
        steady_s = self._clock.boot_s() - self._debounce_s
        monotonic_s = self._monotonic_s()
        for event in events:
            self._take(event, steady_s - (monotonic_s - event.at_s))
        self._reach(steady_s)
        if level is not None:
            self._compare(level, told=bool(events))
        drained = self._count, self._active_s, self._edges, self._lost
        self._count, self._active_s, self._edges, self._lost = 0, 0.0, 0, 0
        return drained

    def quiet_s(self) -> float:
        """Seconds until the level is to be looked at; events end the wait by the descriptor."""
        return LOOK_S

    def fileno(self) -> int:
        """Descriptor that is readable when there is something to drain; -1 once closed."""
        return self._line.fileno()

    def close(self) -> None:
        """Give the line back; more than once does no harm."""
        self._line.close()

    def _take(self, event: Event, at_s: float) -> None:
        """Note an event, which was at `at_s` of the boot clock."""
        gap = (event.number - self._number - 1) % 2**32
        self._number = event.number
        self._lost += gap
        if event.at_s < self._known_s:
            return
        # The kernel looks at the level only after the interrupt: two edges can be one event.
        known = event.at_s <= self._leveled_s  # it came while the first level was read
        too_short = not (event.active or self._active or gap or known)
        self._reach(at_s)
        self._edges += 1
        self._count += event.active or too_short
        self._active = event.active

    def _compare(self, level: bool, *, told: bool) -> None:  # noqa: FBT001 -- it is what is compared
        """Notice a change without an event: a level that differs twice with none in between.

        For a moment the level may well be ahead of what is told.
        """
        differed, self._differs = self._differs, level != self._active
        if self._differs and differed and not told:
            self._active, self._differs = level, False
            self._lost += 1

    def _reach(self, until_s: float) -> None:
        """Tell the active time until then."""
        if self._active:
            self._active_s += max(0.0, until_s - self._told_s)
        self._told_s = max(self._told_s, until_s)

    def _level_or_none(self, *, told: bool) -> bool | None:
        """The level; None where there may be one at the next look, or events to be `told` first."""
        try:
            level = self._level()
        except SensorError as error:
            self._refusals += 1
            passes = isinstance(error, NoDataError) and self._refusals < REFUSALS_MAX
            if not (passes or told):
                raise
            return None
        self._refusals = 0
        return level

    def _level(self) -> bool:
        try:
            return self._line.active()
        except OSError as error:
            if error.errno in sysfs.PASSING:
                raise NoDataError(f"{self._where}: {error.strerror}", hint=BUS) from error
            raise gpio_chips.told(self._where, error) from error


def open_driver(
    options: Options,
    *,
    clock: Clock,
    root: Path = board.ROOT,
    ioctl: Ioctl = fcntl.ioctl,
    monotonic_s: Callable[[], float] = time.monotonic,
) -> Gpio:
    """Request the line of a chip below `root`. Raises SensorError, with chip and line."""
    wanted = Wanted(options.pin, options.chip, options.line)
    debounce_us = round(options.debounce_ms * 1000)
    requested = gpio_chips.request(
        wanted, options.flags, debounce_us=debounce_us, root=root, ioctl=ioctl
    )
    try:
        return Gpio(requested, options, clock, monotonic_s)
    except BaseException:
        requested.line.close()
        raise


def open_lamp(options: Options, *, root: Path = board.ROOT, ioctl: Ioctl = fcntl.ioctl) -> Line:
    """Request the line of the LED of an SOS button, which is dark then. Raises SensorError."""
    flags = gpio_line.OUTPUT | (gpio_line.ACTIVE_LOW if options.led_active == "low" else 0)
    wanted = Wanted(options.led_pin, "", None)
    return gpio_chips.request(wanted, flags, debounce_us=0, root=root, ioctl=ioctl).line
