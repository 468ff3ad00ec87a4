"""Diagnosis of a lost connection: the condition that tells of it beside `offline`, and a hint.

The daemon and `doctor` say it in the same words.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from agent.health import conditions
from agent.mqtt.answers import NOT_AUTHORIZED as REASON_NOT_AUTHORIZED
from agent.mqtt.answers import (
    NOT_LET_IN,
    SESSION_TAKEN_OVER,
    ConnectRefusedError,
    ServerEndedError,
    UnansweredError,
)

if TYPE_CHECKING:
    from agent.errors import LinkLostError
    from agent.health.conditions import Condition
    from agent.identity import Identity

#: Longest time until AWS IoT heeds a new policy ("AWS IoT Core policies": 6 to 8 minutes).
POLICY_SETTLES_S = 600.0


class Cause(NamedTuple):
    """Cause of a lost connection: `condition` is None where `offline` says it all."""

    condition: Condition | None
    hint: str


def cause_of(
    lost: LinkLostError, *, identity: Identity | None, wall_s: float, advice: str = ""
) -> Cause:
    """The cause of `lost`; `identity` is None for a device with a certificate of its owner's.

    `advice` is what to do about the broker's name, where no broker has said anything.
    """
    reason = lost.reason if isinstance(lost, ConnectRefusedError | ServerEndedError) else None
    if reason == SESSION_TAKEN_OVER:
        return Cause(conditions.TAKEN_OVER, lost.hint)
    if reason is not None and reason in NOT_LET_IN:
        if reason == REASON_NOT_AUTHORIZED:
            return Cause(conditions.NOT_AUTHORIZED, _policy_hint(identity, wall_s) or lost.hint)
        return Cause(conditions.NOT_AUTHORIZED, lost.hint)
    if advice and reason is None:
        return Cause(None, advice)
    if isinstance(lost, UnansweredError):
        return Cause(None, _policy_hint(identity, wall_s) or lost.hint)
    return Cause(None, lost.hint)


def _policy_hint(identity: Identity | None, wall_s: float) -> str:
    if identity is None:
        return "the certificate must be active and have a policy that allows iot:Connect"
    age_s = wall_s - identity.created
    if 0 <= age_s < POLICY_SETTLES_S:
        return (
            f"the policy is {age_s // 60:.0f} min old, and AWS takes up to 10 min to heed a new "
            "one: it is tried again by itself"
        )
    return ""
