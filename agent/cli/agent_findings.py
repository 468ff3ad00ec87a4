"""Findings of a running agent, in its own words, without what was found already."""

from __future__ import annotations

from agent.cli.status import MOST_TOLD, conditions_of
from agent.cli.verdict import FAIL, OK, WARN, Finding
from agent.health import conditions

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from agent.model import Json

#: Why there is no connection: the first that stands is the cause, and those behind it follow.
CAUSES = [
    one.code
    for one in (
        conditions.NO_AWS_CREDENTIALS,
        conditions.PROVISIONING_REFUSED,
        conditions.PROVISIONING_FAILING,
        conditions.CA_FILE_INVALID,
        conditions.CREDENTIALS_INVALID,
        conditions.NOT_AUTHORIZED,
        conditions.TAKEN_OVER,
        conditions.UNPROVISIONED,
        conditions.OFFLINE,
    )
]

#: Those that follow from any other fault.
CONSEQUENCES = {conditions.UNPROVISIONED.code, conditions.OFFLINE.code}

#: Those that follow where there can be no connection for another reason.
FOLLOWING = CONSEQUENCES | {
    one.code
    for one in (
        conditions.NO_AWS_CREDENTIALS,
        conditions.PROVISIONING_FAILING,
        conditions.CREDENTIALS_INVALID,
        conditions.NOT_AUTHORIZED,
    )
}


#: A connection that was lost so long ago may be back in a moment.
JUST_S = 30.0


def of_agent(
    status: Mapping[str, Json], told: Collection[Finding], *, blocked: bool
) -> Iterator[Finding]:
    """Its connection and its conditions, without those that were `told` already.

    A cause is told once: so what follows from it is left out, and all that tells of no connection
    if it is known to be `blocked`.
    """
    mine = [one for one in conditions_of(status)[:MOST_TOLD] if not _is_told(one, told)]
    how = f"{status.get('state')}, {status.get('queued')} records wait"
    if status.get("state") == "online":
        yield Finding(OK, "connection", f"the agent holds it: {how}")
    else:
        mine = [one for one in mine if not blocked or one.get("code") not in FOLLOWING]
        cause = cause_of(mine)
        if cause:
            code, text, hint = (str(cause.get(key, "")) for key in ("code", "text", "hint"))
            yield Finding(FAIL, code, f"{text} (the agent is {how})", hint)
        elif blocked:
            yield Finding(OK, "agent", f"it runs, and is {how}")
        else:
            hint = "see `pi-iot-agent status` in a minute"
            yield Finding(FAIL, "connection", f"the agent runs and has none: {how}", hint)
        mine = [one for one in mine if one is not cause and one.get("code") not in CONSEQUENCES]
    for one in mine:
        code, text, hint = (str(one.get(key, "")) for key in ("code", "text", "hint"))
        if one.get("severity") == conditions.INFO:  # which is no trouble of that name
            yield Finding(OK, "agent", text, hint)
        else:
            failed = one.get("severity") == conditions.ERROR
            yield Finding(FAIL if failed else WARN, code, text, hint)
    if not mine and status.get("state") == "online":
        yield Finding(OK, "agent", "it reports nothing that a person should mend")


def is_returning(status: Mapping[str, Json], now_s: float) -> bool:
    """True if it has no connection since some seconds only, and tells no cause that would stay."""
    if status.get("state") not in {"starting", "connecting", "offline"}:
        return False
    cause = cause_of(conditions_of(status)) or {"code": conditions.OFFLINE.code, "since": now_s}
    since_s = cause.get("since")
    young = isinstance(since_s, int | float) and 0 <= now_s - since_s < JUST_S
    return young and cause.get("code") == conditions.OFFLINE.code


def _is_told(condition: Mapping[str, Json], told: Collection[Finding]) -> bool:
    """True if a finding says the same; each warning of a configuration is one of its own."""
    code, text = condition.get("code"), str(condition.get("text"))
    if code != conditions.CONFIG_WARNING.code:
        return any(one.what == code or (one.verdict != OK and one.text in text) for one in told)
    return any(text == one.text or (one.hint and text.endswith(one.hint)) for one in told)


def cause_of(found: Collection[dict[str, Json]]) -> dict[str, Json] | None:
    """The condition that tells why there is no connection; None if none does."""
    causes = [one for one in found if one.get("code") in CAUSES]
    return min(causes, key=lambda one: CAUSES.index(str(one["code"])), default=None)
