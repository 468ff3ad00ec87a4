"""Removal at AWS: of certificates that were replaced, and of a whole device."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from agent import files
from agent.errors import CredentialsError, RefusedError
from agent.health.progress import Progress
from agent.identity import Generations
from agent.mqtt import BETWEEN_CONNECTS_S
from agent.provisioning import steps
from agent.provisioning.failures import NotFoundError, StillAttachedError
from agent.provisioning.policy import policy_name
from agent.provisioning.provisioner import HOLDER

if TYPE_CHECKING:
    from collections.abc import Callable

    from agent.config import Config
    from agent.provisioning.cloud import Caller, Cloud
    from agent.provisioning.retry import Retry

#: A new policy takes 6 to 8 minutes to be known everywhere ("AWS IoT Core policies").
PROOF_S = 600.0

#: AWS takes up to 5 minutes to see that a policy is attached to nothing any more (DeletePolicy).
DETACH_S = 420.0

ID_LENGTH = 64


def retire(config: Config, cloud: Cloud, retry: Retry, *, prove: Callable[[], None] | None) -> None:
    """Remove the certificates that were replaced, once the one in use has proven itself.

    `prove` connects with it, or raises LinkLostError; None if that has been seen already. Where it
    does not connect in ten minutes all stays as it is, for the next run. Raises also CloudError,
    BusyError, CredentialsError, OSError.
    """
    thing = config.thing.name
    generations = Generations(config.paths.certs, thing)
    with files.lock(config.paths.certs / ".lock", HOLDER):
        stale = generations.stale()
        if not stale:
            return
        used = generations.sound(generations.current)
        if used is None:
            raise CredentialsError(
                f"{generations.current}: not sound; what it replaced is kept",
                hint="run `pi-iot-agent provision`",
            )
        if prove:
            retry.run("proof", prove, patience_s=PROOF_S, at_least_s=BETWEEN_CONNECTS_S)
            retry.say(Progress("proof", "connected with the new certificate"))
        remover = _Remover(thing, cloud, retry)
        for path in stale:
            for certificate_id in sorted(remover.whole(generations.certificate_ids(path))):
                if certificate_id != used.certificate_id:
                    remover.certificate(certificate_id)
            generations.remove(path)


def deprovision(config: Config, cloud: Cloud, retry: Retry, *, serial: str | None) -> None:
    """Remove the device's certificates, policy and thing at AWS, then its files.

    The files go last: they are what a run that follows a killed one goes by. What other devices
    share is left, and said. Raises CloudError, BusyError, OSError.
    """
    thing = config.thing.name
    number = steps.legal_serial(serial)
    generations = Generations(config.paths.certs, thing)
    files.make_directory(config.paths.certs)
    with files.lock(config.paths.certs / ".lock", HOLDER):
        generations.prepare()
        known = generations.everything()
        if not known:
            retry.say(Progress("done", f"nothing is provisioned as {thing}"))
            return

        caller = retry.run("account", cloud.caller)
        retry.say(Progress("account", f"account {caller.account}, region {caller.region}"))
        _same_account(generations, caller)

        remover = _Remover(thing, cloud, retry)
        owner = retry.run("thing", lambda: steps.owner_of(cloud, thing))
        found = remover.whole(set().union(*map(generations.certificate_ids, known)))
        if owner and owner == number:  # certificates of this very board that the disk has lost
            found |= set(retry.run("thing", lambda: steps.certificates_of(cloud, thing)))
        for certificate_id in sorted(found):
            remover.certificate(certificate_id)
        remover.policy(found)
        remover.thing(found, owner, number)

        for path in known:
            generations.remove(path)
        retry.say(Progress("files", f"files removed: {generations.current}"))


def _same_account(generations: Generations, caller: Caller) -> None:
    """Raise RefusedError if the AWS key in use cannot reach what the device has."""
    identity = generations.sound(generations.current)
    if identity and (identity.account, identity.region) != (caller.account, caller.region):
        raise RefusedError(
            f"{generations.thing} is registered in account {identity.account}, region "
            f"{identity.region}; the AWS key is for {caller.account}, {caller.region}",
            hint="use a key of that account, and set [aws] region",
        )


class _Remover:
    """Removes what a thing has at AWS. Each method says what it did and may be called again."""

    def __init__(self, thing: str, cloud: Cloud, retry: Retry) -> None:
        self._thing = thing
        self._policy = policy_name(thing)
        self._cloud = cloud
        self._retry = retry

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

    def whole(self, ids: set[str]) -> set[str]:
        """The full ids, where of some only the first digits are known."""
        heads = {head for head in ids if len(head) < ID_LENGTH}
        if not heads:
            return ids
        attached = self._retry.run(
            "certificate", lambda: steps.certificates_of(self._cloud, self._thing)
        )
        found = {one for one in attached if any(one.startswith(head) for head in heads)}
        return (ids - heads) | found

    def certificate(self, certificate_id: str) -> None:
        """Detach, deactivate and delete a certificate; one of another thing's is only detached."""
        step, resource = "certificate", f"cert/{certificate_id}"
        known = self._retry.run(step, lambda: steps.find_certificate(self._cloud, certificate_id))
        if known is None:
            self._say(step, f"certificate {certificate_id}, not known to AWS (any more)")
            return
        arn = known.arn
        things = self._list(step, "list_principal_things", resource, "things", principal=arn)
        others = [thing for thing in things if thing != self._thing]
        policies = [self._policy]
        if not others:
            policies = self._list(step, "list_attached_policies", resource, "policies", target=arn)
        for policy in policies:
            self._do(step, "detach_policy", resource, policyName=policy, target=arn)
        if self._thing in things:
            which = {"thingName": self._thing, "principal": arn}
            self._do(step, "detach_thing_principal", resource, **which)
        if others:
            self._say(step, f"certificate {certificate_id}, detached, kept for {', '.join(others)}")
            return
        which = {"certificateId": certificate_id}
        self._do(step, "update_certificate", resource, newStatus="INACTIVE", **which)
        self._do(step, "delete_certificate", resource, **which)
        self._say(step, f"certificate {certificate_id}, deleted")

    def policy(self, certificate_ids: set[str]) -> None:
        """Delete the policy unless certificates other than these have it."""
        step, resource, which = "policy", f"policy/{self._policy}", {"policyName": self._policy}
        targets = self._list(step, "list_targets_for_policy", resource, "targets", **which)
        if any(target.rpartition("/")[2] not in certificate_ids for target in targets):
            self._say(step, f"policy {self._policy}, kept: other certificates have it")
            return

        def old_versions() -> list[str]:
            try:
                found = self._cloud.call("list_policy_versions", resource, **which)
            except NotFoundError:
                return []
            versions = found["policyVersions"]
            return [one["versionId"] for one in versions if not one.get("isDefaultVersion")]

        for version in self._retry.run(step, old_versions):
            self._do(step, "delete_policy_version", resource, policyVersionId=version, **which)
        self._do(step, "delete_policy", resource, **which)
        self._say(step, f"policy {self._policy}, deleted")

    def thing(self, certificate_ids: set[str], owner: str | None, serial: str) -> None:
        """Delete the thing if it is this board's and has no certificates other than these."""
        step = "thing"
        if owner is None:
            self._say(step, f"thing {self._thing}, not known to AWS (any more)")
            return
        if owner not in ("", serial):
            self._say(step, f"thing {self._thing}, kept: it belongs to the board {owner}")
            return

        def delete() -> bool:
            attached = steps.certificates_of(self._cloud, self._thing)
            if set(attached) - certificate_ids:
                return False
            if attached:
                raise StillAttachedError(f"AWS is still detaching thing/{self._thing}")
            with suppress(NotFoundError):
                self._cloud.call("delete_thing", f"thing/{self._thing}", thingName=self._thing)
            return True

        deleted = self._retry.run(step, delete, patience_s=DETACH_S)
        outcome = "deleted" if deleted else "kept: other certificates are attached to it"
        self._say(step, f"thing {self._thing}, {outcome}")
