"""What a lost connection means, and which condition tells of it."""

from __future__ import annotations

import pytest

from agent.errors import LinkLostError
from agent.identity import Identity
from agent.mqtt.answers import (
    NOT_AUTHORIZED,
    SESSION_TAKEN_OVER,
    ConnectRefusedError,
    ServerEndedError,
    UnansweredError,
)
from agent.uplink.diagnosis import cause_of

NOW_S = 1_795_500_000
OLD = Identity("cat", "1", "x", "host", "arn", "id", "policy", NOW_S - 86_400)
NEW = Identity("cat", "1", "x", "host", "arn", "id", "policy", NOW_S - 130)


@pytest.mark.parametrize(
    ("lost", "code"),
    [
        (ConnectRefusedError(NOT_AUTHORIZED), "not-authorized"),
        (ConnectRefusedError(0x86), "not-authorized"),
        (ServerEndedError(NOT_AUTHORIZED), "not-authorized"),
        (ConnectRefusedError(0x89), ""),
        (ServerEndedError(SESSION_TAKEN_OVER), "taken-over"),
        (ServerEndedError(0x8B), ""),
        (UnansweredError("closed"), ""),
        (LinkLostError("reset"), ""),
    ],
)
def test_a_cause_has_its_condition(lost: LinkLostError, code: str) -> None:
    """`offline` stands in any case; some causes have one more."""
    condition = cause_of(lost, identity=OLD, wall_s=NOW_S).condition
    assert (condition.code if condition else "") == code


@pytest.mark.parametrize("lost", [ConnectRefusedError(NOT_AUTHORIZED), UnansweredError("closed")])
def test_a_fresh_policy_is_not_yet_heeded(lost: LinkLostError) -> None:
    """Minutes after the registration a refusal is no reason to do anything."""
    assert "2 min old" in cause_of(lost, identity=NEW, wall_s=NOW_S).hint
    assert "min old" not in cause_of(lost, identity=OLD, wall_s=NOW_S).hint


def test_bad_credentials_are_not_excused_by_a_fresh_policy() -> None:
    """Waiting does not mend them."""
    hint = cause_of(ConnectRefusedError(0x86), identity=NEW, wall_s=NOW_S).hint
    assert "pi-iot-agent provision" in hint


def test_an_own_certificate_is_not_for_us_to_provision() -> None:
    """Its owner gives it a policy."""
    hint = cause_of(ConnectRefusedError(NOT_AUTHORIZED), identity=None, wall_s=NOW_S).hint
    assert "iot:Connect" in hint
    assert "provision" not in hint


@pytest.mark.parametrize("lost", [LinkLostError("reset", hint="x"), UnansweredError("closed")])
def test_a_name_that_cannot_be_right_is_what_to_mend(lost: LinkLostError) -> None:
    """Unless a broker has answered under it."""
    assert cause_of(lost, identity=NEW, wall_s=NOW_S, advice="put -ats").hint == "put -ats"
    refused = cause_of(
        ConnectRefusedError(NOT_AUTHORIZED), identity=NEW, wall_s=NOW_S, advice="put -ats"
    )
    assert refused.hint != "put -ats"
