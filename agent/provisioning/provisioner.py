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
    from collections.abc import Iterable
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
        retry.run("certificate", lambda: _check_admitted(cloud, generations))

    outcome = retry.run(
        "thing", lambda: steps.register_thing(cloud, thing, wanted.serial, take_over=take_over)
    )
    retry.done("thing", f"thing {thing}, {outcome}")

    document, correct = policy_document(caller), reset_policy or not registered
    outcome = retry.run(
        "policy", lambda: steps.put_policy(cloud, policy, document, correct=correct)
    )
    retry.done("policy", f"policy {policy}, {outcome}")

    link, identity = _certificate(cloud, retry, generations, wanted)
    _attach(cloud, retry, generations, identity)

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


def _check_admitted(cloud: Cloud, generations: Generations) -> None:
    """Raise RefusedError if the certificate that the device uses has been shut out at AWS."""
    ids = generations.certificate_ids(generations.current)
    for certificate_id in sorted(steps.whole_ids(cloud, generations.thing, ids)):
        known = steps.find_certificate(cloud, certificate_id)
        if known and known.status in steps.SHUT_OUT:
            raise RefusedError(
                f"this device has been shut out: certificate {certificate_id} is {known.status}",
                hint="it may have been done on purpose, at AWS; if it was not,"
                " `pi-iot-agent provision --reactivate` lets the device in again",
            )


def _certificate(
    cloud: Cloud, retry: Retry, generations: Generations, wanted: _Wanted
) -> tuple[Path, Identity]:
    """The generation to go on with and its identity: one that is good, else a new one, inactive."""
    kept = retry.run("certificate", lambda: _keep(cloud, generations, wanted))
    if kept:
        link, identity = kept
        retry.done("certificate", f"certificate {identity.certificate_id}, there already")
        return link, replace(
            identity, endpoint=wanted.endpoint.host, policy=wanted.policy, serial=wanted.serial
        )
    identity = retry.run("certificate", lambda: _new(cloud, generations, wanted))
    retry.done(
        "certificate",
        f"certificate {identity.certificate_id}, new and inactive, its key is on disk",
    )
    return generations.pending, identity


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


def _attach(cloud: Cloud, retry: Retry, generations: Generations, identity: Identity) -> None:
    """Attach policy and thing to the certificate, note what else the thing has, and activate it."""
    arn, certificate_id = identity.certificate_arn, identity.certificate_id
    retry.run("attach-policy", lambda: steps.attach_policy(cloud, identity.policy, arn))
    retry.done("attach-policy", "policy attached to the certificate")

    retry.run("attach-thing", lambda: steps.attach_thing(cloud, identity.thing, arn))
    retry.done("attach-thing", "thing attached to the certificate")

    alone = retry.run("attach-thing", lambda: _is_alone(cloud, identity))
    calls_s = generations.noted_s()
    if calls_s or not alone:
        generations.note(calls_s)
    else:
        generations.remove(generations.unproven)

    retry.run("activate", lambda: steps.set_active(cloud, certificate_id, active=True))
    retry.done("activate", "certificate activated")


def _is_alone(cloud: Cloud, identity: Identity) -> bool:
    """True if the thing has no other certificate; False where that may not be asked."""
    try:
        return set(steps.certificates_of(cloud, identity.thing)) <= {identity.certificate_id}
    except RefusedError:
        return False


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
