"""Months without a network: the store stays within its bounds, and knows what it gave up.

MONTHS says for how many; the default is short.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from agent.config import StoreLimits
from agent.model import Moment, NewRecord
from agent.store import open_store
from tests.unit.store.conftest import waiting

if TYPE_CHECKING:
    from pathlib import Path

START_S = 1_795_500_000.0
DAY_S = 86_400
MINUTE_S = 60


@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    ("bounds", "reason"),
    [
        ({"max_age_days": 20.0}, "age"),
        ({"max_rows": 20_000}, "rows"),
        ({"max_mib": 0.5}, "bytes"),
    ],
)
def test_months_offline_stay_within_each_bound(
    directory: Path, bounds: dict[str, float], reason: str
) -> None:
    """The newest are kept; kept and given up make all that was taken."""
    months = int(os.environ.get("MONTHS", "1"))
    now_s = [0.0]
    limits = StoreLimits(path=directory / "store.db", commit_after_s=7200.0, **bounds)  # type: ignore[arg-type]  # floats and an int
    minutes = months * 30 * DAY_S // MINUTE_S
    with open_store(limits, boot_s=lambda: now_s[0]) as store:
        for minute in range(minutes):
            now_s[0] = float(minute * MINUTE_S)
            boot = minute * MINUTE_S // (7 * DAY_S)  # the Pi is restarted every week
            moment = Moment(START_S + now_s[0], now_s[0] % (7 * DAY_S), f"boot {boot}")
            store.note_clock(moment, is_set=True)
            store.append(
                NewRecord("sensors/room", moment.wall_s, moment, {"temperature_c": minute % 40})
            )
        store.flush()
        assert store.queued + store.dropped == minutes
        assert store.dropped_for == {reason: store.dropped}
        assert store.dropped
        newest = store.newest("sensors/room")
        assert newest
        assert newest.seq == minutes
        if reason == "age":
            (oldest,) = waiting(store, 0, 1)
            age_s = newest.timestamp_s - oldest.timestamp_s
            assert 19 * DAY_S < age_s < 20.2 * DAY_S
        size = sum(path.stat().st_size for path in directory.iterdir())
    assert size < (16 if reason == "age" else 8) * 1024 * 1024
    assert store.newest_seq == minutes
