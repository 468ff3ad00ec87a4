"""Diagnosis of a lost connection: the condition that tells of it beside `offline`, and a hint.

The daemon and `doctor` say it in the same words.
"""

from __future__ import annotations

from agent.health import conditions
from agent.mqtt.answers import NOT_AUTHORIZED as REASON_NOT_AUTHORIZED
from agent.mqtt.answers import (
    NOT_LET_IN,
    SESSION_TAKEN_OVER,
    ConnectRefusedError,
    ServerEndedError,
    UnansweredError,
)
from agent.net import CertificateRefusedError
from agent.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from agent.errors import LinkLostError
    from agent.health.conditions import Condition
    from agent.identity import Identity

#: AWS registers a certificate within seconds, and a function of the owner's (JITR) in a minute.
REGISTERED_WITHIN_S = 180.0

AT_FIRST = (
    "AWS drops the first connection of a certificate that your own CA has signed and registers it "
    "meanwhile (JITP, JITR)"
)
NEVER = (
    "AWS has never let this certificate in: look there whether its CA is registered and active in "
    "this region, with automatic registration; whether the CA's template fails (JITP: the subject "
    "of the certificate must have each of its parameters) or your function (JITR), by its metrics "
    "and log; else whether the certificate is active and has a policy that allows iot:Connect"
)
OURS = "the certificate must be active and have a policy that allows iot:Connect"

#: Longest time until AWS IoT heeds a new policy ("AWS IoT Core policies": 6 to 8 minutes).
POLICY_SETTLES_S = 600.0


class Cause(Value):
    """Cause of a lost connection: `condition` is None where `offline` says it all."""

    condition: Condition | None
    hint: str


def cause_of(
    lost: LinkLostError,
    *,
    identity: Identity | None,
    wall_s: float,
    advice: str = "",
    withheld_s: float | None = None,
) -> Cause:
    """The cause of `lost`; `identity` is None for a device with a certificate of its owner's.

    `advice` is what to do about the broker's name, where no broker has said anything. `withheld_s`
    is how long such a certificate has been turned away that was never let in, None for any other.
    """
    reason = lost.reason if isinstance(lost, ConnectRefusedError | ServerEndedError) else None
    if reason == SESSION_TAKEN_OVER:
        return Cause(conditions.TAKEN_OVER, lost.hint)
    if reason is not None and reason in NOT_LET_IN:
        if reason == REASON_NOT_AUTHORIZED:
            return Cause(conditions.NOT_AUTHORIZED, _policy_hint(identity, wall_s) or lost.hint)
        return Cause(conditions.NOT_AUTHORIZED, lost.hint if identity else OURS)
    if advice and reason is None:
        return Cause(None, advice)
    return Cause(None, _turned_away(lost, identity, wall_s, withheld_s) or lost.hint)


def _turned_away(
    lost: LinkLostError, identity: Identity | None, wall_s: float, withheld_s: float | None
) -> str:
    """The hint where a broker turns a certificate away without a word of MQTT; "" elsewhere."""
    if withheld_s is not None:
        early = withheld_s < REGISTERED_WITHIN_S
        return f"{AT_FIRST}: it is tried again within seconds" if early else NEVER
    if identity is None and isinstance(lost, CertificateRefusedError):
        return OURS
    return _policy_hint(identity, wall_s) if isinstance(lost, UnansweredError) else ""


def _policy_hint(identity: Identity | None, wall_s: float) -> str:
    if identity is None:
        return OURS
    age_s = wall_s - identity.created
    if 0 <= age_s < POLICY_SETTLES_S:
        return (
            f"the policy is {age_s // 60:.0f} min old, and AWS takes up to 10 min to heed a new "
            "one: it is tried again by itself"
        )
    return ""
