"""Findings on this board: devices and pins, as the service's user sees them and tells them."""

from __future__ import annotations

import json
import re

from agent import board
from agent.cli.units import plain, sign
from agent.errors import SensorError
from agent.sensors import discovery
from agent.sensors.discovery import Device, Pin
from agent.value import Value, asdict, replace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from agent.clock import Clock

#: So many quantities of a device are shown.
SHOWN = 3

#: Longest text of somebody else's that is shown, in characters.
LINE_MAX = 200

#: Keys that say which device it is.
KEYS = ("id", "device", "at")

#: Places on the header by GPIO number (BCM).
PLACES = {gpio: place for place, gpio in board.HEADER.items()}


class Board(Value):
    """Devices and pins that are there: devices that can be read, and the pins of the header.

    Where no pin is seen, `trouble` and `hint` say why, and what to do.
    """

    devices: tuple[Device, ...] = ()
    pins: tuple[Pin, ...] = ()
    trouble: str = ""
    hint: str = ""


def parsed(text: str) -> Board:
    """The Board in `text`, which may be anybody's; what does not fit is left out."""
    try:
        document = json.loads(text)
        devices = [Device(**one) for one in document["devices"]]
        pins = [Pin(**one) for one in document["pins"]]
        why = [_line(str(document.get(key, ""))) for key in ("trouble", "hint")]
    except (ValueError, TypeError, KeyError, RecursionError):
        return Board()
    return Board(
        tuple(replace(one, says=_line(one.says)) for one in devices if _is_device(one)),
        tuple(replace(one, consumer=_line(one.consumer)) for one in pins if _is_pin(one)),
        *why,
    )


def looked(clock: Clock, *, root: Path = board.ROOT) -> str:
    """The Board that is found here, as text."""
    found = replace(_pins(root), devices=tuple(discovery.devices(clock, said, root=root)))
    return json.dumps(asdict(found))


def pins(*, root: Path = board.ROOT) -> str:
    """The pins alone, as text."""
    return json.dumps(asdict(_pins(root)))


def said(values: Mapping[str, float | str]) -> str:
    """The first quantities that are numbers, as `read` writes them."""
    numbers = [(name, value) for name, value in values.items() if not isinstance(value, str)]
    shown = [f"{name} {plain(value)} {sign(name)}".rstrip() for name, value in numbers[:SHOWN]]
    return ", ".join(shown) or "no value at this moment"


def trouble_with(pin: object, pins: Iterable[Pin]) -> SensorError | None:
    """The reason why nobody but its holder can use the pin; None if there is none known."""
    return next((one.trouble for one in pins if one.number == pin), None)


def _pins(root: Path) -> Board:
    try:
        return Board(pins=tuple(discovery.pins(root=root)))
    except SensorError as error:
        return Board(trouble=error.text, hint=error.hint)


def _is_device(device: Device) -> bool:
    options: object = device.options
    return (
        device.driver in tuple(discovery.DRIVERS)
        and isinstance(device.says, str)
        and isinstance(options, dict)
        and all(key in KEYS and _is_word(value) for key, value in options.items())
    )


def _is_word(value: object) -> bool:
    return isinstance(value, str) and bool(re.fullmatch(r"[!-~]{1,64}", value))


def _is_pin(pin: Pin) -> bool:
    is_number = isinstance(pin.number, int) and not isinstance(pin.number, bool)
    return is_number and pin.number in PLACES and isinstance(pin.consumer, str)


def _line(text: str) -> str:
    """`text` on one line, and not too long."""
    return " ".join(text.split())[:LINE_MAX]
