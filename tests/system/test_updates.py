"""Updates that come by themselves, and the way back. tests/upgrades has the rarer ends."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.system import package as packages
from tests.system.package import newer

if TYPE_CHECKING:
    from pathlib import Path

    from tests.system.repository import Repository
    from tests.system.updated import Updated

pytestmark = pytest.mark.timeout(900)  # the first use of a box may have to make its root

GOOD, BAD, BETTER = "0.2.0", "0.3.0", "0.4.0"


def test_a_good_version_comes_by_itself_and_nothing_is_lost(
    updated: Updated, repository: Repository, tmp_path: Path
) -> None:
    """One start, a farewell and a birth that tell why, no number missing; a purge takes it all."""
    repository.publish(newer(updated.package, tmp_path, GOOD))
    updated.take_up(repository)
    cursor = updated.cursor()

    said = updated.upgrade()
    outcome = updated.wait_judged(GOOD)

    assert outcome["went"] == "kept", f"{said}\n{outcome}\n{updated.box.report()}"
    assert updated.version == GOOD
    assert updated.starts(cursor) == 1
    updated.wait_sent()
    assert updated.missing() == []
    farewell, birth = [message for message in updated.told() if message["reason"] == "upgrade"]
    assert [farewell["state"], birth["state"]] == ["offline", "online"]
    assert updated.is_clean()

    updated.purge()
    assert updated.leftovers() == []


def test_a_version_that_crashes_is_taken_back_and_the_next_one_comes(
    updated: Updated, repository: Repository, tmp_path: Path
) -> None:
    """Told in condition and birth; not installed a second time; what comes after it is."""
    repository.publish(newer(updated.package, tmp_path, BAD, packages.crash_at_once))
    before = updated.version
    updated.take_up(repository)

    updated.upgrade()
    outcome = updated.wait_judged(BAD)

    assert outcome["went"] == "rolled-back", outcome
    assert updated.version == before
    updated.wait_online()
    assert BAD in updated.wait_condition("rolled-back")["text"]
    assert updated.told()[-1]["rolled_back"]["version"] == BAD
    assert updated.is_clean()
    updated.upgrade()
    assert updated.version == before

    repository.publish(newer(updated.package, tmp_path, BETTER))
    updated.upgrade()
    assert updated.wait_judged(BETTER)["went"] == "kept"
    assert updated.version == BETTER
    updated.wait_sent()
    assert updated.missing() == []
