"""Versions that fail, each in a way of its own, and what must not be taken for one that fails."""

from __future__ import annotations

import logging
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from tests.system import package as faulty
from tests.system.device import UNIT
from tests.system.package import newer
from tests.system.updated import NOTES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.system.repository import Repository
    from tests.system.updated import Updated
    from tests.tools.cloud import LocalAws

    Edit = Callable[[Path], None]

pytestmark = pytest.mark.timeout(900)

NEW, NEXT = "0.2.0", "0.3.0"
WHILE_S = 30  # longer than an upgrade is watched here

FAULTS = [
    faulty.crash_at_once,
    faulty.hang,
    faulty.misread,
    faulty.disconnect,
    faulty.fail_to_configure,
]

#: A call that was made before the machine lost its power, by the code of the package itself.
PRESS = """
import sys
sys.path.insert(0, "/usr/lib/pi-iot-agent")
from pathlib import Path
from agent.config import StoreLimits
from agent.clock import Clock
from agent.facts import EVENTS
from agent.model import NewRecord
from agent.store import open_store
now = Clock().now()
with open_store(StoreLimits(path=Path("/var/lib/pi-iot-agent/store.db"))) as store:
    body = {"event": "sos", "sensor": "button"}
    store.append(NewRecord(EVENTS, round(now.wall_s, 3), now, body), urgent=True)
"""

log = logging.getLogger(__name__)


@contextmanager
def no_network(cloud: LocalAws) -> Iterator[None]:
    """Have nobody answer at the broker's port for as long as this is entered."""
    cloud.broker.stop()
    try:
        yield
    finally:
        cloud.broker.start()


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: str(fault.__name__))
def test_it_is_taken_back(
    updated: Updated, repository: Repository, tmp_path: Path, fault: Edit
) -> None:
    """The version before is online again, all that was seen arrives, and it is told why."""
    repository.publish(newer(updated.package, tmp_path, NEW, fault))
    before = updated.version
    updated.take_up(repository)
    started_s = time.monotonic()

    updated.upgrade()
    outcome = updated.wait_judged(NEW, timeout_s=400)

    assert outcome["went"] == "rolled-back", outcome
    log.info("%s: back after %.0f s, %s", fault.__name__, time.monotonic() - started_s, outcome)
    updated.settled({before})
    assert NEW in updated.wait_condition("rolled-back")["text"]
    assert updated.told()[-1]["rolled_back"]["version"] == NEW
    assert NEW in updated.box.output("pi-iot-agent", "status", check=False)
    updated.wait_sent()
    assert updated.missing() == []
    updated.upgrade()  # it is held
    assert updated.version == before


def test_one_that_cannot_be_installed_changes_nothing(
    updated: Updated, repository: Repository, tmp_path: Path
) -> None:
    """It depends on what is nowhere: apt leaves it; the one before says that it waits."""
    repository.publish(newer(updated.package, tmp_path, NEW, faulty.depend))
    before, pid = updated.version, updated.main_pid
    updated.take_up(repository)

    updated.upgrade()

    updated.wait_status("it waits", lambda status: status["version_waiting"] == NEW)
    updated.settled({before})
    assert updated.main_pid == pid
    assert not updated.note("outcome")
    assert NEW in updated.box.output("pi-iot-agent", "status", check=False)


def test_one_that_was_unpacked_by_hand_but_cannot_be_configured_is_taken_back(
    updated: Updated, tmp_path: Path
) -> None:
    """What it depends on is nowhere, and dpkg was told to install it all the same."""
    before = updated.version
    updated.box.copy_in(newer(updated.package, tmp_path, NEW, faulty.depend), "/root/new.deb")

    done = updated.box.run("dpkg", "-i", "/root/new.deb", check=False)
    assert done.returncode
    outcome = updated.wait_judged(NEW)

    assert outcome["went"] in {"rolled-back", "restored"}, outcome
    log.info("depend, by hand: %s", outcome)
    updated.settled({before})


def test_a_network_that_is_down_does_not_count(
    updated: Updated, repository: Repository, tmp_path: Path, cloud: LocalAws
) -> None:
    """For as long as nobody could connect nothing is judged; then it is, by whether it connects."""
    repository.publish(newer(updated.package, tmp_path, NEW))
    updated.take_up(repository)

    with no_network(cloud):
        updated.upgrade()
        time.sleep(WHILE_S)
        assert updated.version == NEW
        assert updated.note("pending")["back"] == ""
    assert updated.wait_judged(NEW)["went"] == "kept"

    updated.settled({NEW})
    updated.wait_sent()
    assert updated.missing() == []


def test_one_that_cannot_connect_is_told_from_a_network_that_is_down(
    updated: Updated, repository: Repository, tmp_path: Path, cloud: LocalAws
) -> None:
    """It is taken back, but not before somebody could connect."""
    repository.publish(newer(updated.package, tmp_path, NEW, faulty.disconnect))
    before = updated.version
    updated.take_up(repository)

    with no_network(cloud):
        updated.upgrade()
        time.sleep(WHILE_S)
        assert updated.note("pending")["back"] == ""
    assert updated.wait_judged(NEW)["went"] == "rolled-back"

    updated.settled({before})


def test_nothing_restarts_while_a_call_waits(
    updated: Updated, repository: Repository, tmp_path: Path, cloud: LocalAws
) -> None:
    """The new version is installed, but begins only when the call has arrived."""
    repository.publish(newer(updated.package, tmp_path, NEW))
    updated.take_up(repository)
    updated.systemctl("stop", UNIT)
    press = ["setpriv", "--reuid=pi-iot-agent", "--regid=pi-iot-agent", "--clear-groups"]
    updated.box.run(*press, "python3", "-c", PRESS)

    with no_network(cloud):
        updated.systemctl("start", UNIT)
        updated.wait_condition("sos-waiting")
        cursor, pid = updated.cursor(), updated.main_pid
        updated.upgrade()
        time.sleep(WHILE_S)
        assert updated.version == NEW
        assert updated.main_pid == pid
        assert updated.starts(cursor) == 0
    assert updated.wait_judged(NEW)["went"] == "kept"

    assert updated.starts(cursor) == 1
    assert updated.main_pid != pid
    (call,) = [event for event in updated.told("events") if event["event"] == "sos"]
    assert call["sensor"] == "button"
    updated.settled({NEW})
    updated.wait_sent()
    assert updated.missing() == []


def test_a_good_version_that_comes_while_a_bad_one_is_watched_stays(
    updated: Updated, repository: Repository, tmp_path: Path
) -> None:
    """What is judged is the one that runs now."""
    repository.publish(newer(updated.package, tmp_path, NEW, faulty.disconnect))
    updated.take_up(repository)
    updated.upgrade()
    assert updated.version == NEW
    repository.publish(newer(updated.package, tmp_path, NEXT))

    updated.upgrade()

    assert updated.wait_judged(NEXT)["went"] == "kept"
    updated.settled({NEXT})


def test_after_two_bad_ones_it_is_the_last_good_one_that_comes_back(
    updated: Updated, repository: Repository, tmp_path: Path
) -> None:
    """Not the first bad one, which was installed before the second; and neither is tried again."""
    before = updated.version
    repository.publish(newer(updated.package, tmp_path, NEW, faulty.disconnect))
    updated.take_up(repository)
    updated.upgrade()
    repository.publish(newer(updated.package, tmp_path, NEXT, faulty.crash_at_once))

    updated.upgrade()

    assert updated.wait_judged(NEXT)["went"] == "rolled-back"
    updated.settled({before})
    for _ in range(3):
        updated.upgrade()
        updated.box.wait("judged", lambda: not updated.note("pending"), timeout_s=180)
    settled = updated.cursor()
    updated.upgrade()
    assert updated.version == before
    assert updated.starts(settled) == 0


def test_nothing_of_the_way_back_can_be_led_by_the_service(
    updated: Updated, tmp_path: Path
) -> None:
    """All of it is root's, and nobody else can write any of it."""
    updated.box.copy_in(newer(updated.package, tmp_path, NEW), "/root/new.deb")
    updated.box.run("dpkg", "-i", "/root/new.deb")
    others = ["(", "!", "-user", "root", "-o", "-perm", "/022", ")", "!", "-type", "l"]

    assert updated.note("pending")
    assert updated.box.output("find", NOTES, *others) == ""
