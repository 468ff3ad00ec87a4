"""Meanings of the fields of a payload, one line each."""

from __future__ import annotations

from agent.cli.units import sign
from agent.facts import DIGEST, EVENTS
from agent.model import COUNT
from agent.uplink.announcement import STATUS

#: How quiet it is, in counts and the status.
_QUIET = {
    "last_detection": "when a counted sensor last detected, epoch seconds",
    "quiet_for_s": "how long ago that was, seconds",
    "quiet_observed_s": "for how much of that time the sensors watched, seconds",
}

#: Of fields that mean the same wherever they are.
_SHARED = {
    "epoch": "random name of the store's file, made with it",
    "seq": "number of the record; with epoch it names it for ever",
    "dropped": "records that were given up since the store was made",
    "quality": "how far this is to be believed",
    "not_before": "it was after this, where the clock was never set, epoch seconds",
    "not_after": "it was before this, where the clock was never set, epoch seconds",
    "mode": "away, visitor or test, while somebody has said so",
}

_COUNT = {
    **_QUIET,
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
    **_QUIET,
    "mode_until": "when the mode ends, epoch seconds",
    "Timestamp": "when it was sent, epoch seconds",
    "state": "online or offline",
    "reason": "why it is so, such as power cut, crash, upgrade, network or stopped",
    "away_s": "how long no agent ran, or was connected, seconds",
    "version": "version of the agent",
    "queued": "records that wait to be sent",
    "session_present": "whether the broker still knew the session",
    "skipped": "first and last number of records that a crash has taken",
    "rolled_back": "version that was taken back after an upgrade, and why",
    "under_voltage": "whether the board had too little voltage since it started",
}

_DIGEST = {
    "Timestamp": "when it was made, epoch seconds",
    "day": "the local day that it is of",
    "starts": "start of that day, epoch seconds",
    "ends": "its end, epoch seconds",
    "detect_count": "detections in it, of all counted sensors together",
    "observed_ms": "how long the sensors watched, milliseconds",
    "observed_share": "share of the day in which they did, from 0 to 1",
    "first_detection": "when the first was, epoch seconds",
    "last_detection": "when the last was, epoch seconds",
    "longest_quiet": "the longest time without a detection: from, to, how long, observed",
    "hours": "of each hour its detections, how long was watched, what is usual",
    "quantities": "of each that the sensors measure: lowest, highest, mean, readings",
    "outages": "when the device, its connection or a sensor failed, and why",
    "left_out": "number of quantities and outages for which there was no room",
    "health": "version, records that wait and were given up, uptime, conditions",
}

_EVENT = {
    "Timestamp": "when it was, epoch seconds",
    "event": "begin or end of a rule, or sos",
    "rule": "name of the rule, which you gave",
    "kind": "quiet, above, below or offline",
    "since": "since when it has been so, epoch seconds",
    "limit": "limit of the rule",
    "value": "value that has passed it",
    "lasted_s": "how long the rule held, seconds",
    "reason": "why it has ended",
    "sensor": "the sensor that the rule is on, or the button that was pressed",
    "quantity": "what is measured that the rule is on",
    "test": "whether the button is being tried out",
}

_SENSOR = {
    "Timestamp": "when it was read, epoch seconds",
    "model": "model of the board",
    "serial": "serial number of the board",
}


OWN = {COUNT: _COUNT, STATUS: _STATUS, EVENTS: _EVENT, DIGEST: _DIGEST}


def meaning(kind: str, field: str) -> str:
    """The meaning of a field of the messages of `kind`; a quantity is what its sensor measures."""
    own = OWN.get(kind, _SENSOR)
    if found := own.get(field) or _SHARED.get(field):
        return found
    if kind in OWN:
        raise KeyError(field)
    unit = sign(field)
    return "what the sensor measures or detects" + (f", in {unit}" if unit else "")
