"""A pace is the same for the agent, by its sensors, and for its peers, by their mode."""

from __future__ import annotations

import json

from bench.peers.payloads import keepalive_s, payloads
from bench.wire import EACH_MINUTE, EACH_MINUTE_QUICK, NOTHING


def test_a_peer_keeps_the_pace_of_the_agent() -> None:
    """Interval and keep-alive are those of the agent's sensor and configuration."""
    for pace in (EACH_MINUTE, EACH_MINUTE_QUICK):
        (sensor,) = pace.sensors
        assert pace.mode.split() == ["each", f"{sensor['interval_s']:g}", str(pace.keepalive_s)]
        assert keepalive_s(pace.mode) == pace.keepalive_s
        assert json.loads(next(payloads(pace.mode)))["seq"] == 1


def test_nobody_publishes_where_only_the_connect_is_measured() -> None:
    """A thermometer would be read at the start, a detector that nobody passes is not."""
    assert list(payloads(NOTHING.mode)) == []
    assert [sensor.get("interval_s") for sensor in NOTHING.sensors] == [None]
    assert keepalive_s(NOTHING.mode) == NOTHING.keepalive_s


def test_other_modes_publish_as_many_as_they_say() -> None:
    """One and stay, or so many, with the keep-alive of everybody."""
    assert [len(list(payloads(mode))) for mode in ("sit", "drain 7 0")] == [1, 7]
    assert keepalive_s("sit") == keepalive_s("drain 7 0") == 60
