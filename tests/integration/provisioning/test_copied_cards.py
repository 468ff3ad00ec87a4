"""A copy of a card never removes at AWS what the board that it was made on uses."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from agent.errors import RefusedError
from agent.health.conditions import LEFTOVER_CERTIFICATE
from agent.identity import has_replaced
from agent.provisioning.policy import policy_name
from tests.integration.provisioning.device import (
    CrashError,
    Device,
    copy_card,
    edit_identity,
    policies,
    spoil_key,
    state,
    take,
    things,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

LEFTOVER = LEFTOVER_CERTIFICATE.code

COPIES: dict[str, Callable[[Device], None]] = {
    "whole": lambda _: None,
    "older": lambda copy: edit_identity(copy, serial=""),
    "no identity": lambda copy: copy.files.identity.unlink(),
}


@pytest.fixture
def original(device: Device) -> Device:
    """The board that the card was made on, registered."""
    device.serial = "first-board"
    device.provision()
    return device


class TestRetire:
    """A copy that connects."""

    def test_a_copy_removes_nothing(self, original: Device, tmp_path: Path) -> None:
        """The original has registered anew since: it would be shut out."""
        original.generations.note([])
        copy = copy_card(original, tmp_path / "copy")
        spoil_key(original)
        original.register()
        before = original.aws.certificates()
        assert len(before) == 2
        original.aws.faults.clear()
        copy.retire()
        assert original.aws.certificates() == before
        assert not original.aws.faults.calls
        assert has_replaced(copy.certs, copy.name)
        assert "first-board" in copy.said(LEFTOVER)
        assert "--take-over" in copy.said(LEFTOVER)

    def test_an_older_copy_removes_no_other_certificate(
        self, original: Device, tmp_path: Path
    ) -> None:
        """Its identity names no board; the thing does."""
        edit_identity(original, serial="")
        original.generations.note([])
        copy = copy_card(original, tmp_path / "copy")
        spoil_key(original)
        original.register()
        before = original.aws.certificates()
        copy.retire()
        assert original.aws.certificates() == before

    def test_a_board_that_lost_the_name_again_removes_nothing_of_the_other(
        self, original: Device, tmp_path: Path
    ) -> None:
        """What it replaced may be in use there once more."""
        copy = copy_card(original, tmp_path / "copy")
        copy.register(take_over=True)
        take(original, board=str(original.serial))
        before = original.aws.certificates()
        copy.retire()
        copy.close()
        assert original.aws.certificates() == before
        assert "first-board" in copy.said(LEFTOVER)


class TestDeprovision:
    """A copy that is to be removed."""

    @pytest.mark.parametrize("spoil", COPIES.values(), ids=COPIES)
    def test_a_copy_is_refused(
        self, original: Device, tmp_path: Path, spoil: Callable[[Device], None]
    ) -> None:
        """It says which board it was made on, and how to forget it here."""
        copy = copy_card(original, tmp_path / "copy")
        spoil(copy)
        before = original.aws.certificates()
        with pytest.raises(RefusedError, match="the board first-board") as caught:
            copy.deprovision()
        copy.close()
        assert "`sudo pi-iot-agent deprovision --forget`" in caught.value.hint
        assert original.aws.certificates() == before
        assert policy_name(original.name) in policies(original.aws)
        assert copy.files.certificate.is_file()

    def test_a_copy_with_a_name_of_its_own_does_not_remove_the_other(
        self, original: Device, tmp_path: Path
    ) -> None:
        """The hint names the thing."""
        copy = copy_card(original, tmp_path / "copy", name=f"{original.name}-b")
        copy.provision()
        before = original.aws.certificates()
        with pytest.raises(RefusedError, match="first-board") as caught:
            copy.deprovision(thing=original.name)
        copy.close()
        assert f"deprovision --forget --thing {original.name}`" in caught.value.hint
        assert original.aws.certificates() == before

    def test_a_card_that_was_moved_for_good_is_removed(self, original: Device) -> None:
        """Once it has taken the name over; a run that was killed is finished by the next."""
        original.serial = "second-board"
        for crash_at in range(1, 40):
            original.register(take_over=True)
            with suppress(CrashError):
                original.deprovision(crash_at=crash_at)
                break
            original.deprovision()
            original.check_gone()
            original.serial = f"board-{crash_at}"
        original.check_gone()
        assert not original.aws.certificates()
        assert crash_at > 8

    def test_a_board_that_lost_its_name_removes_what_is_its_own(self, original: Device) -> None:
        """The thing stays with the other board."""
        take(original, board="another")
        original.deprovision()
        assert not original.own()
        assert things(original.aws, original.name)
        assert state(original, "") is None
