"""Sensors that are counted: those that `[count] sensor` names, else the one that must be meant."""

from __future__ import annotations

import json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from agent.config.settings import SensorConfig

#: Name of a sensor that is counted where none is named, whatever else detects.
MOTION = "motion"

_SHOWN = 8


def counted(
    named: Sequence[str] | None, sensors: Sequence[SensorConfig], *, asked: bool
) -> tuple[tuple[str, ...], str]:
    """The names of the sensors to count, and a warning that begins with its key, or "".

    `named` are those that the file names, None where it names none; `asked` says that it has
    something about counting. A plug-in may detect: it is counted if it is named, or if nothing
    else can be meant.
    """
    detect, perhaps, idle = (
        [one.name for one in sensors if detects(one) is answer] for answer in (True, None, False)
    )
    if named is not None:
        wrong = [name for name in named if name in idle]
        kept = tuple(name for name in named if name not in idle)
        if kept and wrong:
            return kept, f"count.sensor: not all are counted: {_idle(wrong, sensors)}"
        also = f", but {_listed(detect)} {'does' if len(detect) == 1 else 'do'}" if detect else ""
        return kept, _none(_idle(wrong, sensors) + also, detect) if wrong else ""
    tried = {one.name for one in sensors if one.test}

    def in_use(names: list[str]) -> list[str]:
        return [name for name in names if name not in tried] or names

    meant = [MOTION] if MOTION in in_use(detect + perhaps) else in_use(detect) or in_use(perhaps)
    if len(meant) == 1 or not (detect or asked):
        return (tuple(meant) if len(meant) == 1 else ()), ""
    if meant:
        return (), _none(f"{_listed(meant)} {'detect' if detect else 'may detect'}", meant)
    return (), _none(_idle(idle, sensors) if idle else "there is no [[sensors]] entry", [])


def detects(sensor: SensorConfig) -> bool | None:
    """True if the driver of `sensor` has detections to count; None for a plug-in, which may.

    The presses of an SOS button are calls, and never counted.
    """
    if isinstance(sensor.options, dict):
        return None
    return not sensor.sos and bool(getattr(sensor.options, "detects", False))


def _none(why: str, others: Sequence[str]) -> str:
    """The warning that no sensor is counted, and what to type instead."""
    which = {0: "", 1: "name it", 2: "name one or both"}.get(len(others), "name those to count")
    advice = f"; {which}: sensor = {json.dumps(list(others))}" if others else ""
    return f"count.sensor: no sensor is counted: {why}{advice}"


def _idle(names: Sequence[str], sensors: Sequence[SensorConfig]) -> str:
    """Reason why the sensors of these names are not counted."""
    buttons = {one.name for one in sensors if one.sos}
    called = [f"{name} (for SOS)" if name in buttons else name for name in names]
    return f"{_listed(called)} {'does' if len(names) == 1 else 'do'} not detect"


def _listed(names: Sequence[str]) -> str:
    """The names as a sentence has them."""
    more = len(names) - _SHOWN
    *first, last = [*names[:_SHOWN], f"{more} more"] if more > 0 else names
    return f"{', '.join(first)} and {last}" if first else last
