"""A version that brings the store's file up to date, and is taken back."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import pytest

from tests.system.device import STORE
from tests.system.package import MODULES, disconnect, newer
from tests.tools.newer_agent import BREACH, NEWER_SCHEMA, STEP, bring_forward

if TYPE_CHECKING:
    from pathlib import Path

    from tests.system.repository import Repository
    from tests.system.updated import Updated

pytestmark = pytest.mark.timeout(900)

NEW, NEXT = "0.2.0", "0.3.0"

#: The version of a file.
LOOK = """
import contextlib, sqlite3, sys
with contextlib.closing(sqlite3.connect(f"file:{sys.argv[1]}?mode=ro", uri=True)) as db:
    print(db.execute("PRAGMA user_version").fetchone()[0])
"""

log = logging.getLogger(__name__)


def schema(device: Updated, path: str = STORE) -> int:
    """The version of the store's file, as the service's user sees it."""
    user = ["setpriv", "--reuid=pi-iot-agent", "--regid=pi-iot-agent", "--clear-groups"]
    return int(device.box.output(*user, "python3", "-c", LOOK, path))


def test_what_it_has_stored_is_sent_by_the_version_before(
    updated: Updated, repository: Repository, tmp_path: Path
) -> None:
    """The file goes up and stays there, both use it, and no number is missing."""

    def edit(tree: Path) -> None:
        bring_forward(tree / MODULES)
        disconnect(tree)

    repository.publish(newer(updated.package, tmp_path, NEW, edit))
    before, file = updated.version, updated.box.output("stat", "-c%i", STORE)
    updated.take_up(repository)

    updated.upgrade()
    updated.wait_status("it has stored", lambda status: status["queued"] > 3)
    assert updated.wait_judged(NEW)["went"] == "rolled-back"

    updated.settled({before})
    assert updated.box.output("stat", "-c%i", STORE) == file
    assert schema(updated) == NEWER_SCHEMA
    assert "store-reset" not in {one["code"] for one in updated.status()["conditions"]}
    updated.wait_sent()
    assert updated.missing() == []

    repository.publish(
        newer(updated.package, tmp_path, NEXT, lambda tree: bring_forward(tree / MODULES))
    )
    updated.upgrade()
    assert updated.wait_judged(NEXT)["went"] == "kept"
    updated.wait_sent()
    assert updated.box.output("stat", "-c%i", STORE) == file
    assert updated.missing() == []


def test_a_file_that_only_it_can_read_is_set_aside_and_told(
    updated: Updated, repository: Repository, tmp_path: Path
) -> None:
    """The version before begins a new one, says so, and is online."""

    def edit(tree: Path) -> None:
        bring_forward(tree / MODULES, STEP + BREACH)
        disconnect(tree)

    repository.publish(newer(updated.package, tmp_path, NEW, edit))
    before = updated.version
    updated.take_up(repository)

    updated.upgrade()
    assert updated.wait_judged(NEW)["went"] == "rolled-back"

    updated.settled({before})
    condition = updated.wait_condition("store-reset")
    log.info("unreadable: %s (%s)", condition["text"], condition["hint"])
    assert "newer version" in condition["text"]
    aside = updated.box.output("sh", "-c", f"ls {STORE}.newer-*").splitlines()[0]
    assert schema(updated, aside) == NEWER_SCHEMA
