"""Driver `gpio`: motion sensors, light barriers, reed switches, buttons at a pin, through gpiozero.

gpiozero has a back end for each library that drives the pins. Its own choice may fall to one that
polls, or that does not know the board, so the choice is made here: lgpio, which every Raspberry Pi
can have and a Raspberry Pi 5 needs, then RPi.GPIO, which knows the boards before it. Both tell of
an edge in a thread of their own.
"""

from __future__ import annotations

import atexit
import importlib
import os
import shutil
import tempfile
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from agent import board
from agent.config.fields import choice, integer, number
from agent.errors import SensorError
from agent.model import DAY_S
from agent.sensors import sysfs
from agent.sensors.debounce import Debouncer
from agent.sensors.plausibility import Limits

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from agent.clock import Clock

BACK_ENDS = {
    "lgpio": ("gpiozero.pins.lgpio", "LGPIOFactory"),
    "RPi": ("gpiozero.pins.rpigpio", "RPiGPIOFactory"),
}
DEBIAN = {"lgpio": "python3-lgpio", "RPi": "python3-rpi.gpio"}

#: gpiozero's own way to choose a back end, which goes before ours.
CHOICE = "GPIOZERO_PIN_FACTORY"

#: A change cannot be older than this when it is told; a back end that says so has another clock.
AGE_MAX_S = 60.0

ALLOW = "allow it: sudo pi-iot-agent setup --allow"

#: What the service must be allowed to open, and the group that may (systemd.resource-control(5)).
DEVICES, GROUPS = ("char-gpiochip",), ("gpio",)

_choosing = threading.Lock()


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """Keys of its `[[sensors]]` table; pins have the numbers of GPIO (BCM), not of the header.

    Without `pull` the line is drawn to where it does not detect, so that a loose wire is silent.
    """

    pin: int = integer(..., 0, 27)
    active: str = choice("high", "high", "low")
    pull: str = choice("", "up", "down", "none")
    debounce_ms: float = number(50.0, 0, 60_000)
    active_max_s: float = number(3600.0, 1, 31 * DAY_S)
    max_per_min: float = number(600.0, 1, 1e6)


class Gpio:
    """An open pin; edges come in a thread of the back end, the rest in one thread at a time."""

    def __init__(self, options: Options, clock: Clock, device: Any) -> None:  # noqa: ANN401 -- gpiozero has no types
        self.limits = Limits(options.active_max_s, options.max_per_min)
        self._active_high = options.active == "high"
        self._clock = clock
        self._device = device
        self._pin = device.pin
        self._factory = device.pin_factory
        #: True if it answers from a register; pigpio asks another process, or machine.
        self.instant = "pigpio" not in type(self._factory).__module__
        self._lock = threading.Lock()
        self._call: Callable[[], None] = lambda: None
        self._told = 0  # changes
        self._differs_since: int | None = None  # of what was told until then, the pin's level
        self._debouncer = Debouncer(
            active=self._is_active(self._pin.state),
            now_s=clock.boot_s(),
            debounce_s=options.debounce_ms / 1000,
        )
        self._pin.edges = "both"
        self._pin.when_changed = self._changed

    def read(self) -> dict[str, float]:
        """`active`: 1 while it detects, else 0."""
        return {"active": float(self._is_active(self._pin.state))}

    def drain(self) -> tuple[int, float, int]:
        """Detections since the last call, active seconds, and edges before debouncing."""
        with self._lock:
            self._compare()
            return self._debouncer.drain(self._clock.boot_s())

    def listen(self, call: Callable[[], None]) -> None:
        """Have `call` called at each edge, in the back end's thread."""
        self._call = call

    def quiet_s(self) -> float:
        """Seconds until the level is steady and counts; infinite if it is."""
        with self._lock:
            return self._debouncer.settles_s(self._clock.boot_s())

    def close(self) -> None:
        """Give the pin back."""
        self._pin.when_changed = None
        self._device.close()

    def _compare(self) -> None:
        """Notice an edge that the back end did not tell of: its level lasts from call to call.

        For a moment the pin may well be ahead of what is told.
        """
        active = self._is_active(self._pin.state)
        if active == self._debouncer.level:
            self._differs_since = None
        elif self._differs_since != self._told:
            self._differs_since = self._told
        else:
            self._debouncer.change(active=active, now_s=self._clock.boot_s())

    def _changed(self, ticks: object, state: object) -> None:
        """Note an edge, some time after it was: `ticks` is the back end's clock at that time."""
        age_s = self._factory.ticks_diff(self._factory.ticks(), ticks)
        if not 0.0 <= age_s <= AGE_MAX_S:
            age_s = 0.0
        with self._lock:
            self._told += 1
            self._debouncer.change(
                active=self._is_active(state), now_s=self._clock.boot_s() - age_s
            )
        self._call()

    def _is_active(self, state: object) -> bool:
        return bool(state) == self._active_high


def open_driver(options: Options, *, clock: Clock, root: Path = board.ROOT) -> Gpio:
    """Open the pin. Raises SensorError, with the apt line that mends it if a library is missing."""
    try:
        gpiozero = importlib.import_module("gpiozero")
    except ImportError as error:
        hint = f"sudo apt install python3-gpiozero {DEBIAN['lgpio']}"
        raise SensorError(f"gpiozero is not installed ({error})", hint=hint) from error
    with _choosing:
        if gpiozero.Device.pin_factory is None and CHOICE not in os.environ:
            gpiozero.Device.pin_factory = _back_end(root)
    pull = options.pull or ("up" if options.active == "low" else "down")
    floating = pull == "none"
    try:
        device = gpiozero.InputDevice(
            options.pin,
            pull_up=None if floating else pull == "up",
            active_state=True if floating else None,
        )
    except gpiozero.GPIOPinInUse as error:
        hint = "give each sensor a pin of its own"
        raise SensorError(f"GPIO {options.pin} is in use: {error}", hint=hint) from error
    except Exception as error:
        text = f"GPIO {options.pin} cannot be opened: {error or type(error).__name__}"
        hint = f"a running agent holds it (sudo systemctl stop pi-iot-agent); else {ALLOW}"
        raise SensorError(text, hint=hint) from error
    try:
        return Gpio(options, clock, device)
    except BaseException:
        device.close()
        raise


def _back_end(root: Path) -> object:
    """The first back end that this board can use. Raises SensorError with what to install."""
    _give_lgpio_a_place()
    model = sysfs.optional_text(root / "proc/device-tree/model")
    usable = [name for name in BACK_ENDS if name == "lgpio" or "Raspberry Pi 5" not in model]
    reasons, missing = [], []
    for name in usable:
        module, factory = BACK_ENDS[name]
        try:
            return getattr(importlib.import_module(module), factory)()
        except ModuleNotFoundError as error:
            missing.append(name)
            reasons.append(f"{name}: {error}")
        except Exception as error:  # noqa: BLE001 -- each library has errors of its own
            reasons.append(f"{name}: {error or type(error).__name__}")
    packages = " or ".join(f"`sudo apt install {DEBIAN[name]}`" for name in missing)
    hint = ALLOW if "Raspberry Pi" in model else "the pins are those of a Raspberry Pi"
    if len(missing) == len(usable):
        hint = packages
    raise SensorError(f"no back end of gpiozero works: {'; '.join(reasons)}", hint=hint)


def _give_lgpio_a_place() -> None:
    """Have lgpio make its pipe, `.lgd-nfy0`, elsewhere than where the command was called."""
    if "LG_WD" not in os.environ:
        directory = tempfile.mkdtemp(prefix="pi-iot-agent-")
        os.environ["LG_WD"] = directory
        atexit.register(shutil.rmtree, directory, ignore_errors=True)
