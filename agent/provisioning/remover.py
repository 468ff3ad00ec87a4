"""Remover of what a thing has at AWS: it goes on after a failure, and says what is left and why."""

from __future__ import annotations

from contextlib import suppress
from functools import partial

from agent.errors import CloudError
from agent.health import conditions
from agent.health.progress import Progress
from agent.provisioning import steps
from agent.provisioning.belonging import OURS
from agent.provisioning.failures import NotFoundError, StillAttachedError
from agent.provisioning.lost import SETTLED_S, lost_certificates
from agent.provisioning.policy import policy_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from collections.abc import Set as AbstractSet

    from agent.provisioning.belonging import Rule
    from agent.provisioning.cloud import Cloud
    from agent.provisioning.retry import Retry
    from agent.provisioning.steps import KnownCertificate

#: AWS takes up to 5 minutes to see that a policy is attached to nothing any more (DeletePolicy).
DETACH_S = 420.0

MORE_HINT = "another device may use it; if none does, detach that at AWS, then `provision`"
AFRESH = "`sudo pi-iot-agent deprovision --forget` and `sudo pi-iot-agent provision`"


class Remover:
    """Each method says what it did, and may be called again. `raise_first` ends the work.

    `also` asks for policies that are the device's besides our own.
    `kept` has what stays at AWS, with the reason; `left` has the ids of certificates among it.
    """

    def __init__(
        self, thing: str, cloud: Cloud, retry: Retry, *, also: Callable[[], list[str]] = list
    ) -> None:
        self._thing = thing
        self._policy = policy_name(thing)
        self._also = also
        self._cloud = cloud
        self._retry = retry
        self._errors: list[CloudError] = []
        self._tried: set[str] = set()
        self._detached: set[str] = set()
        self._deleted: dict[str, Callable[[], bool]] = {}
        self.kept: dict[str, str] = {}
        self.left: set[str] = set()

    def leave(self, what: str, why: str, *, hint: str = "") -> None:
        """Say that something stays at AWS that a person should know of."""
        self.kept[what] = why
        condition = conditions.LEFTOVER_CERTIFICATE
        self._retry.say(
            Progress("leftover", f"{what} is left: {why}", condition.code, hint or condition.hint)
        )

    def raise_first(self) -> None:
        """Raise the first CloudError that something is left for."""
        for error in self._errors:
            raise error

    def _attempt(self, what: str, act: Callable[[], None]) -> bool:
        """True if `act` succeeds; else `what` is left, for the next run."""
        try:
            act()
        except CloudError as error:
            self._errors.append(error)
            self.leave(what, error.text, hint=error.hint)
            return False
        return True

    def _look(self, what: str, ask: Callable[[], Iterable[str]]) -> tuple[set[str], bool]:
        """Answer of `ask`, and True; else `what` is left."""
        found: set[str] = set()
        asked = self._attempt(what, lambda: found.update(self._retry.run("certificate", ask)))
        return found, asked

    def _say(self, step: str, text: str) -> None:
        self._retry.say(Progress(step, text))

    def _do(self, step: str, operation: str, resource: str, **parameters: object) -> None:
        """One call that removes something; what is gone already is fine."""

        def act() -> None:
            with suppress(NotFoundError):
                self._cloud.call(operation, resource, **parameters)

        self._retry.run(step, act, patience_s=DETACH_S)

    def _list(
        self, step: str, operation: str, resource: str, key: str, **which: object
    ) -> list[str]:
        """One call that lists names; what is gone already has none."""

        def act() -> list[str]:
            try:
                items = self._cloud.pages(operation, resource, key, **which)
            except NotFoundError:
                return []
            return [item["policyName"] if isinstance(item, dict) else item for item in items]

        return self._retry.run(step, act)

    def generation(
        self,
        ids: AbstractSet[str],
        *,
        but: AbstractSet[str] = frozenset(),
        rule: Rule = OURS,
        adopt: Callable[[KnownCertificate], None] | None = None,
    ) -> bool:
        """Remove the certificates of a generation; True if none is left.

        One that the `rule` does not let go is left, and said. With `adopt`, so is one that AWS does
        not know here; it is called before a removal.
        """
        what = f"certificate {', '.join(sorted(ids))}"
        whole, found = self._look(what, lambda: steps.whole_ids(self._cloud, self._thing, ids))
        removed = self._certificates(whole - but, rule=rule, adopt=adopt)
        return found & removed and not whole & self.left

    def others(self, *, but: AbstractSet[str], ours: bool) -> bool:
        """Remove the thing's certificates that the disk has not; True if no try has failed.

        What may be more than this device's own is left, and said: all unless the thing is `ours`.
        """
        what = f"what else is attached to {self._thing}"
        attached, found = self._look(what, lambda: steps.certificates_of(self._cloud, self._thing))
        mine = attached - but - self._tried
        if mine and not ours:
            self.leave(what, "the thing does not carry this board's serial number")
            return found
        return found & self._certificates(mine)

    def _certificates(
        self,
        ids: AbstractSet[str],
        *,
        rule: Rule = OURS,
        adopt: Callable[[KnownCertificate], None] | None = None,
    ) -> bool:
        """Remove each, whatever becomes of the others; True if no try has failed."""
        done = []
        self._tried |= ids
        for one in sorted(ids):
            what = f"certificate {one}"
            remove = partial(self._remove, one, what, rule=rule, adopt=adopt)
            done.append(self._attempt(what, remove))
        return all(done)

    def _remove(
        self,
        certificate_id: str,
        what: str,
        *,
        rule: Rule,
        adopt: Callable[[KnownCertificate], None] | None,
    ) -> None:
        """Deactivate, detach and delete; one of another thing's is left, or only detached."""
        step, resource = "certificate", f"cert/{certificate_id}"
        found = self._retry.run(step, lambda: steps.find_certificate(self._cloud, certificate_id))
        if found is None and adopt:
            self.left.add(certificate_id)
            why = (
                "AWS does not know it here, and its identity.json, which names the account, is lost"
            )
            self.leave(what, why, hint=f"remove it in its own account; then {AFRESH}")
            return
        if found is None:
            self._detached.add(certificate_id)
            self._say(step, f"{what}, not known to AWS (any more)")
            return
        arn, which = found.arn, {"certificateId": certificate_id}
        things = self._list(step, "list_principal_things", resource, "things", principal=arn)
        others = [thing for thing in things if thing != self._thing]
        policies = self._list(step, "list_attached_policies", resource, "policies", target=arn)
        more = {*policies} - {self._policy}
        foreign = more - {*self._also()} if more else more
        if why := rule.why_left(certificate_id, self._thing, things, foreign):
            self.left.add(certificate_id)
            self.leave(what, why, hint=MORE_HINT)
            return
        if others:
            policies = [self._policy]
        if adopt:
            adopt(found)
        # First, so that it cannot connect even where the rest is refused. AWS changes the status of
        # a revoked one no more ("Revoke a client certificate", AWS IoT developer guide).
        if not others and found.status != steps.REVOKED:
            self._do(step, "update_certificate", resource, newStatus="INACTIVE", **which)
        for policy in policies:
            self._do(step, "detach_policy", resource, policyName=policy, target=arn)
        if self._thing in things:
            attached = {"thingName": self._thing, "principal": arn}
            self._do(step, "detach_thing_principal", resource, **attached)
        self._detached.add(certificate_id)
        if others:
            self.kept[what] = f"{', '.join(others)} has it too"
            self._say(step, f"{what}, detached, kept for {', '.join(others)}")
            return
        self._do(step, "delete_certificate", resource, **which)
        self._deleted[what] = lambda: steps.find_certificate(self._cloud, certificate_id) is None
        self._say(step, f"{what}, deleted")

    def lost(self, calls_s: Sequence[float], *, but: AbstractSet[str]) -> bool:
        """Remove certificates that nobody has the key of; True if no try has failed.

        They were asked for at `calls_s`, by AWS's clock.
        """

        def remove() -> None:
            found = self._retry.run(
                "certificate",
                lambda: lost_certificates(self._cloud, calls_s, but=but),
                patience_s=2 * SETTLED_S,
                at_least_s=SETTLED_S,
            )
            for one in found:
                which = {"certificateId": one}
                self._do("certificate", "delete_certificate", f"cert/{one}", **which)
                self._say("certificate", f"certificate {one}, whose key never arrived, deleted")

        return not calls_s or self._attempt("a certificate whose key never arrived", remove)

    def policy(self) -> None:
        """Delete the device's own policy unless certificates that are not removed have it."""
        what = f"policy {self._policy}"
        self._attempt(what, lambda: self._delete_policy(what))

    def _delete_policy(self, what: str) -> None:
        step, resource, which = "policy", f"policy/{self._policy}", {"policyName": self._policy}
        if not self._retry.run(step, lambda: steps.policy_exists(self._cloud, self._policy)):
            self._say(step, f"{what}, not known to AWS (any more)")
            return
        targets = self._list(step, "list_targets_for_policy", resource, "targets", **which)
        if any(target.rpartition("/")[2] not in self._detached for target in targets):
            self.kept[what] = "other certificates have it"
            self._say(step, f"{what}, kept: other certificates have it")
            return

        spare = self._retry.run(step, lambda: steps.spare_versions(self._cloud, self._policy))
        for version in spare:
            self._do(step, "delete_policy_version", resource, policyVersionId=version, **which)
        self._do(step, "delete_policy", resource, **which)
        self._deleted[what] = lambda: not steps.policy_exists(self._cloud, self._policy)
        self._say(step, f"{what}, deleted")

    def thing(self, owner: str | None, serial: str) -> None:
        """Delete the thing if it is this board's and has no certificates that are not removed."""
        what = f"thing {self._thing}"
        if owner is None:
            self._say("thing", f"{what}, not known to AWS (any more)")
        elif owner not in ("", serial):
            self.kept[what] = f"it belongs to the board {owner}"
            self._say("thing", f"{what}, kept: it belongs to the board {owner}")
        else:
            self._attempt(what, lambda: self._delete_thing(what))

    def _delete_thing(self, what: str) -> None:
        def delete() -> bool:
            attached = steps.certificates_of(self._cloud, self._thing)
            if set(attached) - self._detached:
                return False
            if attached:
                raise StillAttachedError(f"AWS is still detaching thing/{self._thing}")
            with suppress(NotFoundError):
                self._cloud.call("delete_thing", f"thing/{self._thing}", thingName=self._thing)
            return True

        if self._retry.run("thing", delete, patience_s=DETACH_S):
            self._deleted[what] = lambda: steps.owner_of(self._cloud, self._thing) is None
            self._say("thing", f"{what}, deleted")
        else:
            self.kept[what] = "other certificates are attached to it"
            self._say("thing", f"{what}, kept: other certificates are attached to it")

    def verify(self) -> None:
        """Look at AWS whether all that was deleted is gone; say what is left, and why.

        Raises StillAttachedError where something is not gone.
        """

        def look() -> None:
            there = [what for what, gone in self._deleted.items() if not gone()]
            if there:
                raise StillAttachedError(f"AWS still has {', '.join(there)}")

        self._retry.run("verify", look, patience_s=DETACH_S)
        left = [f"{what} ({why})" for what, why in self.kept.items()]
        self._say("verify", f"left at AWS: {'; '.join(left) or 'nothing'}")
