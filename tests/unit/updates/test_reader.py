"""A process sees by root's notes that an upgrade has begun, and that one was taken back."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from agent.updates import KEPT, RESTORED, ROLLED_BACK, STUCK, Outcome, Pending, Upgrades, on_trial
from agent.updates.notes import remove, write
from agent.value import replace

if TYPE_CHECKING:
    from pathlib import Path

PENDING = Pending("0.1.0", "0.2.0", ready=True, online=True, began_s=1.0)


def test_an_upgrade_has_begun_once_it_is_noted(tmp_path: Path) -> None:
    """What was noted before the process began is what it runs by; its end is none."""
    old = Upgrades(tmp_path)
    assert not old.begun()
    write(PENDING, tmp_path)
    assert old.begun()
    new = Upgrades(tmp_path)
    assert not new.begun()
    write(replace(PENDING, new="0.3.0"), tmp_path)
    assert new.begun()
    remove(Pending, tmp_path)
    assert not new.begun()


def test_the_way_back_is_an_upgrade_too(tmp_path: Path) -> None:
    """The new version, which is about to go, sees its reason in the note."""
    write(PENDING, tmp_path)
    new = Upgrades(tmp_path)
    write(replace(PENDING, back="it is not online"), tmp_path)
    assert new.begun()


@pytest.mark.parametrize(
    ("went", "told"),
    [
        (KEPT, None),
        (ROLLED_BACK, {"version": "0.2.0", "reason": "it hangs"}),
        (RESTORED, {"version": "0.2.0", "reason": "it hangs"}),
        (STUCK, {"version": "0.2.0", "reason": "it could not be taken back: it hangs"}),
    ],
)
def test_what_did_not_last_is_told_with_its_reason(tmp_path: Path, went: str, told: object) -> None:
    """While the note says so."""
    upgrades = Upgrades(tmp_path)
    assert upgrades.rolled_back() is None
    write(Outcome(went, "0.1.0", "0.2.0", "it hangs", 1.0), tmp_path)
    assert upgrades.rolled_back() == told


def test_a_version_does_not_tell_that_it_was_taken_back_itself(tmp_path: Path) -> None:
    """Unless that could not be done."""
    upgrades = Upgrades(tmp_path)
    write(Outcome(ROLLED_BACK, "0.1.0", "0.2.0", "it hangs", 1.0), tmp_path)
    assert upgrades.rolled_back("0.2.0") is None
    write(Outcome(STUCK, "0.1.0", "0.2.0", "it hangs", 1.0), tmp_path)
    assert upgrades.rolled_back("0.2.0") is not None


def test_a_reason_is_one_line_of_bounded_length(tmp_path: Path) -> None:
    """Whatever root's programs have said."""
    write(Outcome(ROLLED_BACK, "0.1.0", "0.2.0", "it hangs\n" * 900, 1.0), tmp_path)
    found = Upgrades(tmp_path).rolled_back()
    assert found is not None
    assert str(found["reason"]).startswith("it hangs it hangs")
    assert len(str(found["reason"])) <= 300


@pytest.mark.parametrize(
    ("pending", "running", "said"),
    [
        (PENDING, "", "version 0.2.0 is on trial since"),
        (PENDING, "0.2.0", "version 0.2.0 is on trial since"),
        (PENDING, "0.1.0", "version 0.2.0 is installed, and starts soon"),
        (replace(PENDING, new="0.1.0"), "0.1.0", "version 0.1.0 is on trial since"),
        (replace(PENDING, back="it hangs"), "0.1.0", "version 0.2.0 has failed, and 0.1.0 is"),
    ],
)
def test_an_upgrade_that_is_not_judged_is_told(pending: Pending, running: str, said: str) -> None:
    """As what it is at by now; with where more stands."""
    text, hint = on_trial(pending, running)

    assert text.startswith(said)
    assert "pi-iot-agent-rollback" in hint
