"""Windows of detections, and what comes back on `<thing>/count`: pure functions.

A window knows from its opening when it ends on the boot clock. Nothing waits for a wall-clock
instant, which may move away or never come.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from agent.model import COUNT, NewRecord
from agent.store.timestamps import next_by

if TYPE_CHECKING:
    from agent.model import Moment
    from agent.sensors.sensor import Detections

#: Largest integer that every JSON reader keeps exact (RFC 8259, section 6).
TOTAL_MAX = 2**53 - 1
COMMAND_ID_MAX = 256

#: How far the wall clock may stray in one window and still be taken to have run on; a quarter of a
#: shorter window.
STRAY_MAX_S = 1.0


@dataclass(frozen=True, slots=True)
class Window:
    """A span of `window_s` that ends at `end_s`, a multiple of it on the wall clock.

    `opened_boot_s` is when observing began, `closes_boot_s` when to close; `whole` says that it
    began where the window begins.
    """

    end_s: int
    window_s: int
    opened_boot_s: float
    closes_boot_s: float
    whole: bool


def open_window(now: Moment, window_s: int) -> Window:
    """The window that `now` falls into."""
    start_s = math.floor(now.wall_s / window_s) * window_s
    end_s = start_s + window_s
    closes_boot_s = now.boot_s + (end_s - now.wall_s)
    return Window(end_s, window_s, now.boot_s, closes_boot_s, whole=now.wall_s == start_s)


def next_window(window: Window, now: Moment) -> Window:
    """The window after one that closed: adjoining it, unless the clock jumped or much time went.

    A jump by whole windows, as by a day, leaves them aligned.
    """
    late_s = now.boot_s - window.closes_boot_s
    stray_s = now.wall_s - late_s - window.end_s
    jump_s = round(stray_s / window.window_s) * window.window_s
    tolerated_s = min(STRAY_MAX_S, window.window_s / 4)
    if late_s >= window.window_s or abs(stray_s - jump_s) > tolerated_s:
        return open_window(now, window.window_s)
    end_s = window.end_s + jump_s + window.window_s
    closes_boot_s = now.boot_s + (end_s - now.wall_s)
    return Window(end_s, window.window_s, window.closes_boot_s, closes_boot_s, whole=True)


def close_window(window: Window, seen: Detections, now: Moment) -> NewRecord:
    """The report of a window that ends, or is broken off, now; the store adds `total`.

    Its moment is `now` by the wall clock that the window was opened with: if that has been wrong,
    the store moves both alike.
    """
    full_ms = window.window_s * 1000
    complete = window.whole and now.boot_s >= window.closes_boot_s
    until_boot_s = min(now.boot_s, window.closes_boot_s)
    observed_ms = min(full_ms, max(0, round((until_boot_s - window.opened_boot_s) * 1000)))
    if complete:
        observed_ms = full_ms
    return NewRecord(
        kind=COUNT,
        timestamp_s=window.end_s,
        moment=replace(now, wall_s=window.end_s + now.boot_s - window.closes_boot_s),
        body={
            "detect_count": seen.count,
            "active_ms": min(observed_ms, round(seen.active_s * 1000)),
            "observed_ms": observed_ms,
            "window_s": window.window_s,
            "quality": "ok" if complete else "partial",
            "next_by": next_by(window.end_s, window.window_s),
        },
    )


@dataclass(frozen=True, slots=True)
class Echo:
    """Our own record `seq`, come back from the broker: the whole way works."""

    seq: int


@dataclass(frozen=True, slots=True)
class SetTotal:
    """A command: the running total is to be `value`; once for each `command_id`, if it has one."""

    value: int
    command_id: str | None


@dataclass(frozen=True, slots=True)
class Foreign:
    """A message that means nothing to us; `reason` says why not."""

    reason: str


def classify(payload: bytes, *, epoch: str) -> Echo | SetTotal | Foreign:
    """What a message on `<thing>/count` is. Whatever the bytes are, nothing is raised."""
    try:
        message = json.loads(payload.decode())
    except (ValueError, RecursionError):  # not UTF-8, not JSON, too deep, too many digits
        return Foreign("not a JSON text")
    if not isinstance(message, dict):
        return _set_total(message, None)
    if "epoch" in message:
        return _record(message, epoch)
    return _command(message)


def _record(message: dict[str, object], epoch: str) -> Echo | Foreign:
    seq = message.get("seq")
    if message["epoch"] == epoch and isinstance(seq, int) and not isinstance(seq, bool):
        return Echo(seq)
    return Foreign("a record that is not ours")


def _command(message: dict[str, object]) -> SetTotal | Foreign:
    command_id = message.get("id")
    if not isinstance(command_id, str) or not 0 < len(command_id) <= COMMAND_ID_MAX:
        return Foreign(f"no id of 1 to {COMMAND_ID_MAX} characters")
    if any("\ud800" <= character <= "\udfff" for character in command_id):
        return Foreign("an id that is no Unicode text")
    match message:
        case {"set": _, "reset": _}:
            return Foreign("set and reset at once")
        case {"set": value}:
            return _set_total(value, command_id)
        case {"reset": True}:
            return SetTotal(0, command_id)
    return Foreign("neither set nor reset")


def _set_total(value: object, command_id: str | None) -> SetTotal | Foreign:
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= TOTAL_MAX:
        return SetTotal(value, command_id)
    return Foreign("not an integer from 0 to 2^53-1")
