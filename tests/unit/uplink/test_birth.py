"""After a start the cloud is told for how long the agent was gone, and why."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from agent import __version__
from agent.config import StoreLimits
from agent.daemon.lifetime import note_start, note_stop
from agent.model import Moment, NewRecord
from agent.sensors.power import under_voltage
from agent.store import open_store

if TYPE_CHECKING:
    from pathlib import Path

    from agent.uplink.birth import Birth

T = 1_795_500_000.0


def moment(seconds: float, boot_id: str = "a") -> Moment:
    """Some seconds into a boot, whose wall clock is right."""
    return Moment(T + seconds + (5000 if boot_id == "b" else 0), 100.0 + seconds, boot_id)


def live(
    directory: Path,
    start: Moment,
    *,
    end: Moment | None = None,
    version: str = "1",
    upgrade: bool = False,
) -> Birth:
    """One life of the agent; without `end` it is killed. What its start says of the one before."""
    store = open_store(StoreLimits(path=directory / "store.db"))
    store.note_clock(start, is_set=True)
    found = note_start(store, start, directory, window=None, version=version)
    store.append(NewRecord("sensors/room", start.wall_s, start))
    if end:
        note_stop(store, end, directory, upgrade=upgrade)
        store.close()
    else:
        store._write_behind.db.close()
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


@pytest.mark.parametrize("boot_id", ["a", "b"])
def test_an_end_for_an_upgrade_is_told_by_the_next(tmp_path: Path, boot_id: str) -> None:
    """Though its own version is the same: another build, or a way back; once."""
    live(tmp_path, moment(0), end=moment(10), upgrade=True)
    assert live(tmp_path, moment(12, boot_id), end=moment(20, boot_id)).reason == "upgrade"
    assert live(tmp_path, moment(22, boot_id)).reason == "restart"


@pytest.mark.parametrize(("boot_id", "reason"), [("a", "upgrade"), ("b", "power cut")])
def test_another_version_after_a_sudden_end_is_an_upgrade(
    tmp_path: Path, boot_id: str, reason: str
) -> None:
    """One that crashed or hung was replaced; a power cut in the midst of it is told as that."""
    live(tmp_path, moment(0))
    (tmp_path / "ended").write_text("watchdog")
    assert live(tmp_path, moment(12, boot_id), version="99").reason == reason


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


def memory_live(
    directory: Path,
    start: Moment,
    *,
    end: Moment | None = None,
    version: str = "1",
    upgrade: bool = False,
) -> Birth:
    """One life of the agent whose card gives no file."""
    (directory / "block").touch()
    with open_store(StoreLimits(path=directory / "block" / "store.db")) as store:
        assert store.memory_only
        found = note_start(store, start, directory, window=None, version=version)
        if end:
            note_stop(store, end, directory, upgrade=upgrade)
        return found


def test_an_orderly_end_without_a_file_is_a_restart(tmp_path: Path) -> None:
    """Whether the next process has a file or not, and whatever that file knows of older times."""
    live(tmp_path, moment(0))
    memory_live(tmp_path, moment(20), end=moment(30))
    again = memory_live(tmp_path, moment(35), end=moment(40))
    back = live(tmp_path, moment(45))
    assert [(one.reason, away_s(tmp_path, one)) for one in (again, back)] == [("restart", 5.0)] * 2


@pytest.mark.parametrize(
    ("result", "reason"),
    [("", "crash"), ("signal", "crash"), ("watchdog", "watchdog"), ("oom-kill", "out of memory")],
)
def test_a_sudden_end_without_a_file_is_none_in_order(
    tmp_path: Path, result: str, reason: str
) -> None:
    """The file knows of an orderly stop, but that was another process's."""
    live(tmp_path, moment(0), end=moment(10))
    memory_live(tmp_path, moment(20))
    if result:
        (tmp_path / "ended").write_text(result)
    found = live(tmp_path, moment(50))
    assert (found.reason, away_s(tmp_path, found)) == (reason, 30.0)
    assert live(tmp_path, moment(60), end=moment(70)).reason == "crash"
    assert live(tmp_path, moment(80)).reason == "restart"


def test_an_upgrade_without_a_file_is_an_upgrade(tmp_path: Path) -> None:
    """The version is noted beside the boot."""
    memory_live(tmp_path, moment(0), end=moment(10))
    assert live(tmp_path, moment(12), version="99").reason == "upgrade"


def test_an_end_for_an_upgrade_without_a_file_is_told(tmp_path: Path) -> None:
    """Though the version is the same; and a note of an older version is read."""
    memory_live(tmp_path, moment(0), end=moment(10), upgrade=True)
    assert memory_live(tmp_path, moment(12), end=moment(20)).reason == "upgrade"
    note = tmp_path / "in-memory"
    note.write_text(note.read_text().rstrip("\n"))
    assert memory_live(tmp_path, moment(22)).reason == "restart"


def test_what_was_noted_in_another_boot_says_nothing(tmp_path: Path) -> None:
    """Of a runtime directory that outlives the boot; the file is right there."""
    live(tmp_path, moment(0))
    memory_live(tmp_path, moment(20), end=moment(30))
    assert live(tmp_path, moment(40, "b")).reason == "power cut"


def test_the_return_to_the_file_is_noted_in_the_file(tmp_path: Path) -> None:
    """So the next process knows of it even where the runtime directory is gone."""
    live(tmp_path, moment(0))
    memory_live(tmp_path, moment(20))
    (tmp_path / "in-memory").unlink()
    with open_store(StoreLimits(path=tmp_path / "store.db")) as store:
        note_stop(store, moment(30), tmp_path, running="a 1")
    found = live(tmp_path, moment(35))
    assert (found.reason, away_s(tmp_path, found)) == ("restart", 5.0)


def test_numbers_that_were_lost_are_told_until_the_cloud_knows(tmp_path: Path) -> None:
    """Each birth has them, until one was acknowledged: a refused one told nobody."""
    limits = StoreLimits(path=tmp_path / "store.db", commit_after_s=60)
    store = open_store(limits)
    store.append(NewRecord("sensors/room", T, moment(0)))
    store._write_behind.db.close()  # killed
    with open_store(limits) as store:
        skipped = store.skipped
        assert skipped
        birth = note_start(store, moment(9), tmp_path, window=None, version=__version__)

        def told() -> object:
            facts = birth.facts(store, session_present=False, offline_s=None, under_voltage=None)
            return facts.get("skipped")

        assert [told(), told()] == [list(skipped)] * 2
        store.told_skipped()
        assert told() is None
