"""Belonging of a certificate at AWS: whether it is this device's own, to be removed."""

from __future__ import annotations

from agent.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection
    from collections.abc import Set as AbstractSet


class Rule(Value):
    """Rule by which a certificate that a file names is the device's own.

    A file may name any, and the claim of a whole fleet lies here too. So what AWS shows at no thing
    has to be one of the `held`, whose PEM lies here, and to have nothing that is not ours. With
    `only_ours` what other things have is left; else it is detached from this one. `policies` may be
    on it besides, and with `any_policy` all may.
    """

    held: frozenset[str] = frozenset()
    only_ours: bool = True
    any_policy: bool = False
    policies: frozenset[str] = frozenset()

    def why_left(
        self, certificate_id: str, thing: str, things: Collection[str], foreign: AbstractSet[str]
    ) -> str:
        """Reason to leave a certificate as it is; "" if there is none.

        AWS shows it at `things`, and with `foreign` policies: those that `thing` does not need.
        """
        others = sorted({*things} - {thing})
        more = sorted(foreign - self.policies)
        if others and (self.only_ours or thing not in things):
            return f"it is attached to {', '.join(others)}"
        if not things and certificate_id not in self.held:
            return f"nothing but a file here says that it is of {thing}"
        if more and not (things and self.any_policy):
            return f"it has the policy {', '.join(more)}"
        return ""


#: For what AWS shows at the thing alone, and with no policy but ours.
OURS = Rule()
