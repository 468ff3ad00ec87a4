"""Provisioning from top to bottom: from an AWS key to a certificate that the device uses."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from agent.errors import CloudError, RefusedError
from agent.identity import SYSTEM_BUNDLES, Generations, Identity, certificates, remember_name
from agent.provisioning import roots, steps
from agent.provisioning.policy import policy_document, policy_name

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable
    from collections.abc import Set as AbstractSet
    from pathlib import Path

    from agent.config import Config
    from agent.identity import NewCertificate
    from agent.provisioning.cloud import Caller, Cloud
    from agent.provisioning.retry import Retry


def provision(
    config: Config,
    cloud: Cloud,
    retry: Retry,
    *,
    serial: str | None,
    take_over: bool = False,
    reactivate: bool = False,
    reset_policy: bool = False,
    bundles: Iterable[Path] = SYSTEM_BUNDLES,
    roots_url: str = roots.URL,
) -> None:
    """Have `config`'s thing registered and its certificate on disk, whatever is there already.

    Every step may be done again, and a run that was killed is finished by the next. A certificate
    that is sound and known to AWS is kept. What is replaced stays until `removal.retire`. What
    others have done at AWS, perhaps on purpose, stays unless `take_over`, `reactivate` or
    `reset_policy` says otherwise. Called while `Generations.locked`. Raises CloudError, OSError.
    """
    thing = config.thing.name
    policy = policy_name(thing)
    generations = Generations(config.paths.certs, thing)
    generations.prepare()

    caller = retry.run("account", cloud.caller)
    retry.done("account", f"account {caller.account}, region {caller.region}, as {caller.arn}")

    endpoint = retry.run("endpoint", lambda: steps.endpoint(cloud))
    retry.done("endpoint", f"endpoint {endpoint.host}")

    wanted = _Wanted(thing, caller, endpoint, policy, serial or "")
    before = generations.identity(generations.current)
    registered = before is not None and wanted.reaches(before)
    if not reactivate and (registered or before is None):
        ids = generations.certificate_ids(generations.current)
        retry.run("certificate", lambda: _check_admitted(cloud, thing, ids, steps.SHUT_OUT))

    attached = _thing(cloud, retry, wanted, take_over=take_over)
    if not registered and not reactivate:  # an inactive one may be what a killed run has left
        ids = set(attached or ())
        retry.run("certificate", lambda: _check_admitted(cloud, thing, ids, (steps.REVOKED,)))

    text, correct = policy_document(caller), reset_policy or not registered
    outcome = retry.run("policy", lambda: steps.put_policy(cloud, policy, text, correct=correct))
    retry.done("policy", f"policy {policy}, {outcome}")

    refuse = registered and not reset_policy
    link, identity, new = _certificate(cloud, retry, generations, wanted, refuse=refuse)
    _attach_policy(cloud, retry, identity, anyway=new or reset_policy)
    _attach(cloud, retry, generations, identity, attached)

    found = retry.run("roots", lambda: roots.fetch(bundles, url=roots_url))
    generations.complete(link, identity, found)
    retry.done("roots", f"trusted roots: {len(found)} of Amazon's")

    if link == generations.pending:
        generations.switch()
    remember_name(generations.certs, thing)
    retry.done("ready", f"ready: {generations.current}")


@dataclass(frozen=True, slots=True)
class _Wanted:
    """Content of an identity beside its certificate."""

    thing: str
    caller: Caller
    endpoint: steps.Endpoint
    policy: str
    serial: str

    def reaches(self, identity: Identity) -> bool:
        """True if the AWS key in use is for the account and region of `identity`."""
        return (identity.account, identity.region) == (self.caller.account, self.caller.region)


def _thing(cloud: Cloud, retry: Retry, wanted: _Wanted, *, take_over: bool) -> list[str] | None:
    """Have the thing be this board; the ids of its certificates, None where that is refused."""
    name, serial = wanted.thing, wanted.serial
    outcome = retry.run(
        "thing", lambda: steps.register_thing(cloud, name, serial, take_over=take_over)
    )
    retry.done("thing", f"thing {name}, {outcome}")
    with suppress(RefusedError):
        return retry.run("thing", lambda: steps.certificates_of(cloud, name))
    return None


def _check_admitted(
    cloud: Cloud, thing: str, ids: AbstractSet[str], shut_out: Collection[str]
) -> None:
    """Raise RefusedError if AWS says that one of the certificates is `shut_out`."""
    for certificate_id in sorted(steps.whole_ids(cloud, thing, ids)):
        known = steps.find_certificate(cloud, certificate_id)
        if known and known.status in shut_out:
            raise RefusedError(
                f"this device has been shut out: certificate {certificate_id} is {known.status}",
                hint="it may have been done on purpose, at AWS; if it was not,"
                " `pi-iot-agent provision --reactivate` lets the device in again",
            )


def _check_policies(cloud: Cloud, generations: Generations, wanted: _Wanted) -> None:
    """Raise RefusedError if the certificate in use has other policies in place of ours."""
    ids = generations.certificate_ids(generations.current)
    for certificate_id in sorted(steps.whole_ids(cloud, wanted.thing, ids)):
        known = steps.find_certificate(cloud, certificate_id)
        policies = steps.policies_of(cloud, known.arn) if known else []
        if policies and wanted.policy not in policies:
            raise RefusedError(
                f"certificate {certificate_id} has {', '.join(policies)} in place of our policy",
                hint="it may have been done on purpose, at AWS; if it was not,"
                " `pi-iot-agent provision --reset-policy` makes a new certificate with ours",
            )


def _certificate(
    cloud: Cloud, retry: Retry, generations: Generations, wanted: _Wanted, *, refuse: bool
) -> tuple[Path, Identity, bool]:
    """The generation to go on with: one that is good, else a new one, inactive; True if new.

    With `refuse` no new one takes the place of one that others have given other policies than ours.
    """
    kept = retry.run("certificate", lambda: _keep(cloud, generations, wanted))
    if kept:
        link, identity = kept
        retry.done("certificate", f"certificate {identity.certificate_id}, there already")
        identity = replace(
            identity, endpoint=wanted.endpoint.host, policy=wanted.policy, serial=wanted.serial
        )
        return link, identity, False
    if refuse:
        retry.run("certificate", lambda: _check_policies(cloud, generations, wanted))
    identity = retry.run("certificate", lambda: _new(cloud, generations, wanted))
    retry.done(
        "certificate",
        f"certificate {identity.certificate_id}, new and inactive, its key is on disk",
    )
    return generations.pending, identity, True


def _keep(cloud: Cloud, generations: Generations, wanted: _Wanted) -> tuple[Path, Identity] | None:
    """The generation to go on with: what an earlier run was making ready, else what is in use.

    It has to be sound, made on this board, and its certificate one that AWS would let in: a copy on
    another board has the same key.
    """
    for link in (generations.pending, generations.current):
        identity = generations.sound(link)
        if identity and wanted.reaches(identity) and identity.serial in ("", wanted.serial):
            known = steps.find_certificate(cloud, identity.certificate_id)
            if known and known.usable and _fingerprint(known.pem) == generations.fingerprint(link):
                return link, replace(identity, certificate_arn=known.arn)
        if link == generations.pending:
            generations.drop_pending()
    return None


def _new(cloud: Cloud, generations: Generations, wanted: _Wanted) -> Identity:
    """The identity of a new certificate, on disk as pending.

    The call is noted until it is answered: an answer that is lost leaves a certificate behind.
    """
    calls_s, now_s = generations.noted_s(), wanted.endpoint.now_s()
    generations.note([*calls_s, now_s])
    try:
        new = steps.new_certificate(cloud)
    except RefusedError:
        generations.note(calls_s)
        raise
    identity = Identity(
        thing=wanted.thing,
        account=wanted.caller.account,
        region=wanted.caller.region,
        endpoint=wanted.endpoint.host,
        certificate_arn=new.arn,
        certificate_id=new.id,
        policy=wanted.policy,
        created=int(now_s),
        serial=wanted.serial,
    )
    _save(cloud, generations, new, identity)
    generations.note(calls_s)
    return identity


def _attach_policy(cloud: Cloud, retry: Retry, identity: Identity, *, anyway: bool) -> None:
    """Attach our policy; where others have taken its place, perhaps on purpose, only `anyway`."""
    arn, ours = identity.certificate_arn, identity.policy
    others = [] if anyway else retry.run("attach-policy", lambda: steps.policies_of(cloud, arn))
    if others and ours not in others:
        retry.done(
            "attach-policy",
            f"the certificate has the policy {', '.join(others)} in place of ours; left as it is,"
            " since that may be on purpose (`pi-iot-agent provision --reset-policy` attaches ours)",
        )
        return
    retry.run("attach-policy", lambda: steps.attach_policy(cloud, ours, arn))
    retry.done("attach-policy", "policy attached to the certificate")


def _attach(
    cloud: Cloud,
    retry: Retry,
    generations: Generations,
    identity: Identity,
    before: Collection[str] | None,
) -> None:
    """Attach the thing to the certificate, note whether it had others `before`, and activate it."""
    arn, certificate_id = identity.certificate_arn, identity.certificate_id
    retry.run("attach-thing", lambda: steps.attach_thing(cloud, identity.thing, arn))
    retry.done("attach-thing", "thing attached to the certificate")

    calls_s = generations.noted_s()
    if calls_s or before is None or {*before} - {certificate_id}:
        generations.note(calls_s)
    else:
        generations.remove(generations.unproven)

    retry.run("activate", lambda: steps.set_active(cloud, certificate_id, active=True))
    retry.done("activate", "certificate activated")


def _fingerprint(pem: str) -> str:
    return next((fingerprint for _, fingerprint in certificates(pem)), "unreadable")


def _save(cloud: Cloud, generations: Generations, new: NewCertificate, identity: Identity) -> None:
    """Put the new key on disk; where that fails, take the certificate back."""
    try:
        generations.save(new, identity)
    except OSError:
        with suppress(CloudError):
            cloud.call("delete_certificate", f"cert/{new.id}", certificateId=new.id)
        raise
