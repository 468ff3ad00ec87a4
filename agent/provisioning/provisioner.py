"""Provisioning from top to bottom: from an AWS key to a certificate that the device uses."""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from agent import files
from agent.errors import CloudError
from agent.identity import SYSTEM_BUNDLES, Generations, Identity, certificates
from agent.provisioning import roots, steps
from agent.provisioning.policy import policy_document, policy_name

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from agent.config import Config
    from agent.identity import NewCertificate
    from agent.provisioning.cloud import Caller, Cloud
    from agent.provisioning.retry import Retry

HOLDER = "another `pi-iot-agent provision` or `deprovision`"


def provision(
    config: Config,
    cloud: Cloud,
    retry: Retry,
    *,
    serial: str | None,
    take_over: bool = False,
    bundles: Iterable[Path] = SYSTEM_BUNDLES,
    roots_url: str = roots.URL,
    wall_s: Callable[[], float] = time.time,
) -> None:
    """Have `config`'s thing registered and its certificate on disk, whatever is there already.

    Every step may be done again, and a run that was killed is finished by the next. A certificate
    that is sound and known to AWS is kept. What is replaced stays until `removal.retire`. Raises
    CloudError, BusyError, OSError.
    """
    thing = config.thing.name
    policy = policy_name(thing)
    generations = Generations(config.paths.certs, thing)
    files.make_directory(config.paths.certs)
    with files.lock(config.paths.certs / ".lock", HOLDER):
        generations.prepare()

        caller = retry.run("account", cloud.caller)
        retry.done("account", f"account {caller.account}, region {caller.region}, as {caller.arn}")

        endpoint = retry.run("endpoint", lambda: steps.endpoint(cloud))
        retry.done("endpoint", f"endpoint {endpoint}")

        outcome = retry.run(
            "thing", lambda: steps.register_thing(cloud, thing, serial, take_over=take_over)
        )
        retry.done("thing", f"thing {thing}, {outcome}")

        document = policy_document(caller)
        outcome = retry.run("policy", lambda: steps.put_policy(cloud, policy, document))
        retry.done("policy", f"policy {policy}, {outcome}")

        wanted = _Wanted(thing, caller, endpoint, policy)
        link, identity = _certificate(cloud, retry, generations, wanted, wall_s)
        arn, certificate_id = identity.certificate_arn, identity.certificate_id

        retry.run("attach-policy", lambda: steps.attach_policy(cloud, policy, arn))
        retry.done("attach-policy", "policy attached to the certificate")

        retry.run("attach-thing", lambda: steps.attach_thing(cloud, thing, arn))
        retry.done("attach-thing", "thing attached to the certificate")

        retry.run("activate", lambda: steps.set_active(cloud, certificate_id, active=True))
        retry.done("activate", "certificate activated")

        found = retry.run("roots", lambda: roots.fetch(bundles, url=roots_url))
        generations.complete(link, identity, found)
        retry.done("roots", f"trusted roots: {len(found)} of Amazon's")

        if link == generations.pending:
            generations.switch()
        retry.done("ready", f"ready: {generations.current}")


@dataclass(frozen=True, slots=True)
class _Wanted:
    """Content of an identity beside its certificate."""

    thing: str
    caller: Caller
    endpoint: str
    policy: str


def _certificate(
    cloud: Cloud,
    retry: Retry,
    generations: Generations,
    wanted: _Wanted,
    wall_s: Callable[[], float],
) -> tuple[Path, Identity]:
    """The generation to go on with and its identity: one that is good, else a new one, inactive."""
    caller = wanted.caller
    kept = retry.run("certificate", lambda: _keep(cloud, generations, caller))
    if kept:
        link, identity = kept
        retry.done("certificate", f"certificate {identity.certificate_id}, there already")
        return link, replace(identity, endpoint=wanted.endpoint, policy=wanted.policy)
    new = retry.run("certificate", lambda: steps.new_certificate(cloud))
    identity = Identity(
        thing=wanted.thing,
        account=caller.account,
        region=caller.region,
        endpoint=wanted.endpoint,
        certificate_arn=new.arn,
        certificate_id=new.id,
        policy=wanted.policy,
        created=int(wall_s()),
    )
    _save(cloud, generations, new, identity)
    retry.done("certificate", f"certificate {new.id}, new and inactive, its key is on disk")
    return generations.pending, identity


def _keep(cloud: Cloud, generations: Generations, caller: Caller) -> tuple[Path, Identity] | None:
    """The generation to go on with: what an earlier run was making ready, else what is in use.

    It has to be sound, and its certificate one that AWS would let in.
    """
    for link in (generations.pending, generations.current):
        identity = generations.sound(link)
        if identity and (identity.account, identity.region) == (caller.account, caller.region):
            known = steps.find_certificate(cloud, identity.certificate_id)
            if known and known.usable and _fingerprint(known.pem) == generations.fingerprint(link):
                return link, replace(identity, certificate_arn=known.arn)
        if link == generations.pending:
            generations.drop_pending()
    return None


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
