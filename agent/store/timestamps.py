"""When a record was made, as far as it is known by now: pure functions.

A Raspberry Pi has no clock battery: after a power cut it goes on from the time of its last
shutdown until a time server answers. The boot clock never lies, so a record keeps both times, and
the store knows of each boot whether its wall clock was set at last, and how far it then was from
the boot clock. A record's time follows from that whenever it is sent.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from agent.model import COUNT, plain_number

if TYPE_CHECKING:
    from collections.abc import Mapping

    from agent.model import Json, NewRecord

#: How far the two clocks may drift apart before it is a step: time servers slew by less.
STEP_S = 1.0

#: Consumers wait for the next report a tenth of a window longer than it takes, but at least this.
GRACE_MIN_S = 10.0

ESTIMATED = "clock_estimated"
FAULT = "sensor_fault"


@dataclass(frozen=True, slots=True)
class Boot:
    """What is known of one boot: wall time less boot time, and whether the wall clock was set."""

    offset_s: float
    is_set: bool


def stamped(new: NewRecord, boots: Mapping[str, Boot]) -> tuple[float, dict[str, Json]]:
    """The `Timestamp` and the body of a record by the best knowledge; `boots` oldest first.

    Where the clock of its boot was set, the time is exact. Where it never was, `quality` says
    `clock_estimated`, and `not_before` and `not_after` say what is certain.
    """
    body = dict(new.body)
    boot = boots.get(new.moment.boot_id)
    if boot is None:
        return new.timestamp_s, body
    if not boot.is_set:
        # What is not to be believed at all stays so.
        quality = body.get("quality") if body.get("quality") == FAULT else ESTIMATED
        return new.timestamp_s, {**body, "quality": quality, **_bounds(new.moment.boot_id, boots)}
    step_s = new.moment.boot_s + boot.offset_s - new.moment.wall_s
    if abs(step_s) <= STEP_S:
        return new.timestamp_s, body
    if new.kind == COUNT:
        return _moved_window(new.timestamp_s + step_s, body)
    return round(new.timestamp_s + step_s, 3), body


def next_by(end_s: float, window_s: float) -> int | float:
    """When a consumer should have heard of the window after the one that ends at `end_s`."""
    return plain_number(end_s + window_s + max(GRACE_MIN_S, window_s / 10))


def _moved_window(ended_s: float, body: dict[str, Json]) -> tuple[float, dict[str, Json]]:
    """A window whose end is `ended_s` now: reported for the aligned window that it is nearest to.

    One that does not fit there is `partial`, so that consumers add it to its neighbour.
    """
    window_s = body.get("window_s")
    if not isinstance(window_s, int) or window_s <= 0:
        return round(ended_s, 3), body
    end_s = math.floor(ended_s / window_s + 0.5) * window_s
    if abs(end_s - ended_s) > STEP_S and body.get("quality") == "ok":
        body["quality"] = "partial"
    return end_s, {**body, "next_by": next_by(end_s, window_s)}


def _bounds(boot_id: str, boots: Mapping[str, Boot]) -> dict[str, Json]:
    """It was after the last boot before it whose time is known had begun, and before the next."""
    known: dict[str, Json] = {}
    passed = False
    for name, boot in boots.items():
        if name == boot_id:
            passed = True
        elif boot.is_set and not passed:
            known["not_before"] = round(boot.offset_s)
        elif boot.is_set:
            known["not_after"] = round(boot.offset_s)
            break
    return known
