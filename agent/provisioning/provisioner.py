"""Provisioning from top to bottom: from an AWS key to a certificate that the device uses."""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from agent import files
from agent.errors import CloudError
from agent.health.progress import Report
from agent.identity.credentials import SYSTEM_BUNDLES, Identity, certificates
from agent.identity.generations import Generations
from agent.provisioning import roots, steps
from agent.provisioning.policy import policy_document, policy_name

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from agent.config.settings import Config
    from agent.identity.generations import NewCertificate
    from agent.provisioning.cloud import Caller, Cloud
    from agent.provisioning.retry import Attempts

HOLDER = "another `pi-iot-agent provision` or `deprovision`"


def provision(
    config: Config,
    cloud: Cloud,
    attempts: Attempts,
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
    number = steps.legal_serial(serial)
    generations = Generations(config.paths.certs, thing)

    def done(step: str, text: str) -> None:
        attempts.say(Report(step, text))

    files.make_directory(config.paths.certs)
    with files.lock(config.paths.certs / ".lock", HOLDER):
        generations.prepare()

        caller = attempts.run("account", cloud.caller)
        done("account", f"account {caller.account}, region {caller.region}, as {caller.arn}")

        endpoint = attempts.run("endpoint", lambda: steps.endpoint(cloud))
        done("endpoint", f"endpoint {endpoint}")

        outcome = attempts.run(
            "thing", lambda: steps.register_thing(cloud, thing, number, take_over=take_over)
        )
        done("thing", f"thing {thing}, {outcome}")

        document = policy_document(caller)
        outcome = attempts.run("policy", lambda: steps.put_policy(cloud, policy, document))
        done("policy", f"policy {policy}, {outcome}")

        kept = attempts.run("certificate", lambda: _keep(cloud, generations, caller))
        if kept:
            link, identity = kept
            identity = replace(identity, endpoint=endpoint, policy=policy)
            done("certificate", f"certificate {identity.certificate_id}, there already")
        else:
            link = generations.pending
            new = attempts.run("certificate", lambda: steps.new_certificate(cloud))
            identity = Identity(
                thing=thing,
                account=caller.account,
                region=caller.region,
                endpoint=endpoint,
                certificate_arn=new.arn,
                certificate_id=new.id,
                policy=policy,
                created=int(wall_s()),
            )
            _save(cloud, generations, new, identity)
            done("certificate", f"certificate {new.id}, new and inactive, its key is on disk")

        arn, certificate_id = identity.certificate_arn, identity.certificate_id
        attempts.run("attach-policy", lambda: steps.attach_policy(cloud, policy, arn))
        done("attach-policy", "policy attached to the certificate")

        attempts.run("attach-thing", lambda: steps.attach_thing(cloud, thing, arn))
        done("attach-thing", "thing attached to the certificate")

        attempts.run("activate", lambda: steps.set_active(cloud, certificate_id, active=True))
        done("activate", "certificate activated")

        found = attempts.run("roots", lambda: roots.fetch(bundles, url=roots_url))
        generations.complete(link, identity, found)
        done("roots", f"trusted roots: {len(found)} of Amazon's")

        if link == generations.pending:
            generations.switch()
        done("ready", f"ready: {generations.current}")


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
