"""Meanings of the fields of a payload, one line each."""

from __future__ import annotations

from agent.cli.units import sign
from agent.model import COUNT
from agent.uplink.announcement import STATUS

#: Of fields that mean the same wherever they are.
_SHARED = {
    "epoch": "random name of the store's file, made with it",
    "seq": "number of the record; with epoch it names it for ever",
    "dropped": "records that were given up since the store was made",
    "quality": "how far this is to be believed",
    "not_before": "it was after this, where the clock was never set, epoch seconds",
    "not_after": "it was before this, where the clock was never set, epoch seconds",
}

_COUNT = {
    "Timestamp": "end of the window, epoch seconds",
    "detect_count": "detections in the window, of all counted sensors together",
    "active_ms": "how long a sensor was active in it, milliseconds",
    "observed_ms": "how long the sensors watched, milliseconds",
    "window_s": "length of the window, seconds",
    "next_by": "time by which the next count is due, epoch seconds",
    "total": "running total of the detections",
    "by_sensor": "detections of each sensor, by the names that you gave them",
    "test_count": "detections of sensors that are being tried out",
    "lost_edges": "changes of a pin that came faster than they could be read",
}

_STATUS = {
    "Timestamp": "when it was sent, epoch seconds",
    "state": "online or offline",
    "reason": "why it is so, such as power cut, crash, upgrade, network or stopped",
    "away_s": "how long no agent ran, or was connected, seconds",
    "version": "version of the agent",
    "queued": "records that wait to be sent",
    "session_present": "whether the broker still knew the session",
    "skipped": "first and last number of records that a crash has taken",
    "under_voltage": "whether the board had too little voltage since it started",
}

_SENSOR = {
    "Timestamp": "when it was read, epoch seconds",
    "model": "model of the board",
    "serial": "serial number of the board",
}


def meaning(kind: str, field: str) -> str:
    """The meaning of a field of the messages of `kind`; a quantity is what its sensor measures."""
    own = {COUNT: _COUNT, STATUS: _STATUS}.get(kind, _SENSOR)
    if found := own.get(field) or _SHARED.get(field):
        return found
    if kind in (COUNT, STATUS):
        raise KeyError(field)
    unit = sign(field)
    return "what the sensor measures or detects" + (f", in {unit}" if unit else "")
