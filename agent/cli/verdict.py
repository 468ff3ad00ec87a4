"""Verdict of an examination on one thing: how it is, what was found, and what to do."""

from __future__ import annotations

from agent import __version__
from agent.value import Value, asdict

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from agent.health.conditions import Condition
    from agent.model import Json

OK, WARN, FAIL = "OK", "WARN", "FAIL"


class Finding(Value):
    """The verdict on one thing; `hint` says what to do, which nobody must where it is OK.

    `what` is the code of a condition where there is one for it.
    """

    verdict: str
    what: str
    text: str
    hint: str = ""


def of(condition: Condition, verdict: str, text: str, hint: str = "") -> Finding:
    """The finding that a condition stands; its own hint is told where there is none better."""
    return Finding(verdict, condition.code, text, hint or condition.hint)


def document(thing: str, findings: Iterable[Finding]) -> dict[str, Json]:
    """The findings as JSON has them."""
    found: list[Json] = [asdict(one) for one in findings]
    failed = any(isinstance(one, dict) and one["verdict"] == FAIL for one in found)
    return {"version": __version__, "thing": thing, "findings": found, "failed": failed}
