"""Validity of public keys: one that could sign nothing today is said why; proven is nothing."""

from __future__ import annotations

from contextlib import suppress

import pytest

from agent.updates.openpgp import KeyFileError
from agent.updates.validity import fault
from tests.unit.updates.keys import BINARY, BY_A_PART, ENDED, FOR_ENCRYPTION, REVOKED
from tests.unit.updates.machine import DAY_S, NOW_S

#: Length of the packet of such a key itself.
KEY_BYTES = 53

ENDED_S = 1_735_689_600 + DAY_S


@pytest.mark.parametrize(
    ("data", "now_s", "said"),
    [
        (BINARY, NOW_S, ""),
        (BY_A_PART, NOW_S, ""),
        (ENDED, ENDED_S - 1, ""),
        (ENDED, ENDED_S, "ended on 2025-01-02"),
        (REVOKED, NOW_S, "was revoked"),
        (FOR_ENCRYPTION, NOW_S, "is for encryption, and signs nothing"),
        (ENDED + BINARY, NOW_S, ""),
        (REVOKED + ENDED, NOW_S, "was revoked"),
    ],
)
def test_a_key_that_can_sign_nothing_is_said_why(data: bytes, now_s: float, said: str) -> None:
    """Where none of several can; by each way in which gpg makes one."""
    assert fault(data, now_s) == said


def test_a_signature_of_somebody_else_says_nothing_of_a_key() -> None:
    """As the end of another key."""
    assert fault(BINARY + REVOKED[KEY_BYTES:], NOW_S) == ""


@pytest.mark.parametrize("data", [ENDED, REVOKED, FOR_ENCRYPTION])
def test_a_damaged_key_has_a_fault_or_none_or_is_no_key(data: bytes) -> None:
    """Whichever byte of it is another one."""
    for at in range(len(data)):
        for byte in (0x00, 0xFF, data[at] ^ 0x10):
            with suppress(KeyFileError):
                said = fault(data[:at] + bytes([byte]) + data[at + 1 :], NOW_S)
                assert said.partition(" ")[0] in {"", "was", "ended", "is"}
