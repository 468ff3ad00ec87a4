"""A repository that is not what it should be: nothing of it comes in, and the device says why."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from tests.system.device import UNIT
from tests.system.package import newer
from tests.system.repository import Key, Repository
from tests.system.updated import NOTES

if TYPE_CHECKING:
    from pathlib import Path

    from tests.system.updated import Updated

Spoil = Callable[[Repository], None]

pytestmark = pytest.mark.timeout(900)

NEW, NEXT = "0.2.0", "0.3.0"
DAY_S = 86400

log = logging.getLogger(__name__)


def sign_with_another_key(repository: Repository) -> None:
    """As one who has the host, but not the key."""
    with Key() as other:
        repository.sign_with(other)


def expire(repository: Repository) -> None:
    """As one who forgot to sign it anew."""
    repository.expire()


def change_the_index(repository: Repository) -> None:
    """As one who changed what is signed."""
    for path in repository.dists.rglob("Packages*"):
        if path.is_file():
            path.write_bytes(path.read_bytes() + b"\n")
    for path in repository.dists.rglob("by-hash/SHA256/*"):
        path.write_bytes(path.read_bytes() + b"\n")


SPOILT: dict[Spoil, str] = {
    sign_with_another_key: "key",
    expire: "valid",
    change_the_index: "",
}


@pytest.mark.parametrize("spoil", SPOILT, ids=lambda spoil: str(spoil.__name__))
def test_nothing_of_it_is_installed_and_it_is_told(
    updated: Updated, repository: Repository, tmp_path: Path, spoil: Spoil
) -> None:
    """The agent runs on; the trouble is in words, and a condition after fourteen days of it."""
    before, pid = updated.version, updated.main_pid
    updated.take_up(repository)
    repository.publish(newer(updated.package, tmp_path, NEW))
    repository.keep(tmp_path / "kept")
    spoil(repository)

    updated.upgrade()

    assert updated.version == before
    assert updated.main_pid == pid
    trouble = updated.note("looked")["trouble"]
    assert SPOILT[spoil] in trouble
    assert trouble
    age(updated, "since_s", "succeeded_s")
    condition = updated.wait_condition("updates-failing")
    log.info("%s: %s (%s)", spoil.__name__, condition["text"], condition["hint"])
    assert trouble[:20] in condition["text"]
    updated.settled({before})

    repository.replay(tmp_path / "kept")  # its owner signs nothing that he did not make
    repository.publish(newer(updated.package, tmp_path, NEXT))
    said = updated.upgrade()
    assert updated.version == NEXT, said


def age(device: Updated, *names: str, days: int = 15) -> None:
    """Have these times of the note on looks for updates be so much earlier."""
    looked = device.note("looked")
    earlier = {name: looked[name] - days * DAY_S for name in names if looked[name]}
    device.box.write(f"{NOTES}/looked.json", json.dumps({**looked, **earlier}))
    device.systemctl("restart", UNIT)


def test_an_index_of_old_hides_no_version(
    updated: Updated, repository: Repository, tmp_path: Path
) -> None:
    """What was signed before the newest version came is no news; it comes in all the same."""
    repository.keep(tmp_path / "kept")
    time.sleep(1.1)  # dates of an index are whole seconds
    repository.publish(newer(updated.package, tmp_path, NEW))
    updated.take_up(repository)
    assert updated.note("looked")["waiting"] == NEW

    repository.replay(tmp_path / "kept")
    updated.look()
    log.info("replayed: %s", updated.note("looked"))
    assert updated.note("looked")["waiting"] == NEW
    updated.upgrade()

    assert updated.wait_judged(NEW)["went"] == "kept"
    updated.settled({NEW})


def test_half_a_package_is_not_installed(
    updated: Updated, repository: Repository, tmp_path: Path
) -> None:
    """It waits; once it is there whole, it comes in."""
    package = newer(updated.package, tmp_path, NEW)
    repository.publish(package)
    updated.take_up(repository)
    before, whole = updated.version, package.read_bytes()
    repository.truncate(NEW)

    log.info("truncated: %s", updated.upgrade()[-300:])

    updated.settled({before})
    assert updated.note("looked")["waiting"] == NEW
    age(updated, "since_s", "waiting_since_s")
    condition = updated.wait_condition("updates-failing")
    log.info("truncated: %s (%s)", condition["text"], condition["hint"])
    assert NEW in condition["text"]

    (served,) = repository.directory.glob(f"pool/**/*_{NEW}_all.deb")
    served.write_bytes(whole)
    updated.upgrade()
    assert updated.wait_judged(NEW)["went"] == "kept"
    updated.settled({NEW})


def test_a_wrong_key_is_told_when_it_is_given(
    updated: Updated, repository: Repository, tmp_path: Path
) -> None:
    """By `setup` itself, and nothing of that repository waits."""
    repository.publish(newer(updated.package, tmp_path, NEW))
    with Key() as other:
        updated.box.copy_in(other.public, "/root/other.asc")
    given = ("--updates", repository.url, "--updates-key", "/root/other.asc")

    done = updated.box.run("pi-iot-agent", "setup", *given, check=False)

    assert "key" in f"{done.stdout}{done.stderr}", done
    log.info("setup with another key: exit code %d, %s", done.returncode, done.stdout + done.stderr)
    assert not updated.note("looked").get("waiting")
