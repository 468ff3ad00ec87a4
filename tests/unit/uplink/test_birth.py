"""After a start the cloud is told for how long the agent was gone, and why."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from agent.config import StoreLimits
from agent.model import Moment, NewRecord
from agent.sensors.system import under_voltage
from agent.store import open_store
from agent.uplink import note_start, note_stop

if TYPE_CHECKING:
    from pathlib import Path

    from agent.uplink.birth import Birth

T = 1_795_500_000.0


def moment(seconds: float, boot_id: str = "a") -> Moment:
    """Some seconds into a boot, whose wall clock is right."""
    return Moment(T + seconds + (5000 if boot_id == "b" else 0), 100.0 + seconds, boot_id)


def live(directory: Path, start: Moment, *, end: Moment | None = None, version: str = "1") -> Birth:
    """One life of the agent; without `end` it is killed. What its start says of the one before."""
    store = open_store(StoreLimits(path=directory / "store.db"))
    store.note_clock(start, is_set=True)
    found = note_start(store, start, directory, window=None, version=version)
    store.append(NewRecord("sensors/room", start.wall_s, start))
    if end:
        note_stop(store, end)
        store.close()
    else:
        store._write_behind._db.close()
    return found


def away_s(directory: Path, found: Birth) -> float | None:
    """How long it was gone."""
    with open_store(StoreLimits(path=directory / "store.db")) as store:
        return found.away_s(store)


def test_the_first_start_has_nothing_before_it(tmp_path: Path) -> None:
    """Neither reason nor time."""
    found = live(tmp_path, moment(0), end=moment(10))
    assert (found.reason, found.since) == ("first start", None)
    assert away_s(tmp_path, found) is None


@pytest.mark.parametrize(
    ("orderly", "boot_id", "result", "reason"),
    [
        (True, "a", "success", "restart"),
        (True, "b", "", "reboot"),
        (False, "b", "", "power cut"),
        (False, "a", "", "crash"),
        (False, "a", "signal", "crash"),
        (False, "a", "core-dump", "crash"),
        (False, "a", "watchdog", "watchdog"),
        (False, "a", "oom-kill", "out of memory"),
    ],
)
def test_the_reason_follows_from_what_was_left_behind(
    tmp_path: Path,
    orderly: bool,  # noqa: FBT001 -- a parameter of the test
    boot_id: str,
    result: str,
    reason: str,
) -> None:
    """A note in the store, the boot, and what systemd says."""
    live(tmp_path, moment(0), end=moment(10) if orderly else None)
    if result:
        (tmp_path / "ended").write_text(f"{result}\n")
    again = moment(40, boot_id)
    found = live(tmp_path, again)
    assert found.reason == reason
    gone_s = 30.0 if orderly else 40.0
    assert away_s(tmp_path, found) == gone_s + (5000 if boot_id == "b" else 0)
    assert not (tmp_path / "ended").exists()


def test_another_version_is_an_upgrade(tmp_path: Path) -> None:
    """Newer or older."""
    live(tmp_path, moment(0), end=moment(10))
    assert live(tmp_path, moment(12), version="99").reason == "upgrade"


def test_an_end_is_told_once(tmp_path: Path) -> None:
    """The next crash is a crash."""
    live(tmp_path, moment(0), end=moment(10))
    live(tmp_path, moment(20))
    assert live(tmp_path, moment(30)).reason == "crash"


def test_under_voltage_is_what_the_firmware_says(tmp_path: Path) -> None:
    """Since the start of the board; unknown where there is no such firmware."""
    assert under_voltage(tmp_path) is None
    flags = tmp_path / "sys/devices/platform/soc/soc:firmware/get_throttled"
    flags.parent.mkdir(parents=True)
    for text, low in (("50005", True), ("0", False)):
        flags.write_text(f"{text}\n")
        assert under_voltage(tmp_path) is low


def test_a_lost_store_is_no_first_start(tmp_path: Path) -> None:
    """Why the process before ended is not known then."""
    live(tmp_path, moment(0), end=moment(10))
    (tmp_path / "store.db").write_bytes(b"garbage" * 1000)
    assert live(tmp_path, moment(20)).reason == "unknown"
