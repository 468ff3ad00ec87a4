"""Pre-provisioning hooks: https://docs.aws.amazon.com/iot/latest/developerguide/pre-provisioning-hook.html."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.tools.cloud.rejections import RejectedError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    Hook = Callable[["HookCall"], "bool | tuple[bool, Mapping[str, str]]"]


@dataclass(frozen=True, slots=True)
class HookCall:
    """What a pre-provisioning hook is told; it says whether, and what parameters are overridden."""

    claim_certificate_id: str
    certificate_id: str
    certificate_pem: str
    template_arn: str
    client_id: str
    parameters: Mapping[str, str]


def ask(hook: Hook | None, call: HookCall) -> Mapping[str, str]:
    """The parameters that the hook overrides; RejectedError if it does not let the device in."""
    if hook is None:
        return {}
    verdict: bool | tuple[bool, Mapping[str, str]] = False
    with suppress(Exception):  # to AWS one that fails is one that says no
        verdict = hook(call)
    allowed, overrides = verdict if isinstance(verdict, tuple) else (verdict, {})
    if not allowed:
        raise RejectedError(403, "AccessDenied", "Pre-provisioning hook denied the request")
    return overrides
