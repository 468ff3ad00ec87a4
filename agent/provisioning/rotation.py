"""Rotation: a new key and certificate beside those in use, which it replaces once it is let in.

A rotation grants nothing that the certificate in use has not: the new one gets the policies that
this one carries, whoever attached them.
"""

from __future__ import annotations

from agent.errors import RefusedError
from agent.identity import SYSTEM_BUNDLES, Generations
from agent.provisioning import handover, roots, steps
from agent.provisioning.certificate import Wanted, new_certificate, usable
from agent.provisioning.provisioner import key_in_hardware

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from agent.config import Config
    from agent.identity import Identity
    from agent.provisioning.cloud import Cloud
    from agent.provisioning.retry import Retry

PROVISION_HINT = "`sudo pi-iot-agent provision` mends that, unless it was done on purpose, at AWS"


def make_ready(
    config: Config,
    cloud: Cloud,
    retry: Retry,
    *,
    serial: str | None,
    bundles: Iterable[Path] = SYSTEM_BUNDLES,
    roots_url: str = roots.URL,
) -> None:
    """Have a new certificate, active and attached, be pending beside the one in use.

    One that an earlier run has begun is gone on with. Called while `Generations.locked`. Raises
    CloudError, CredentialsError, OSError. `handover.switch` has it prove itself.
    """
    generations = Generations(config.paths.certs, config.thing.name)
    used = handover.in_use(generations, serial)
    key = key_in_hardware(config)  # which has to stay: only its certificate is new
    caller = retry.run("account", cloud.caller)
    retry.done("account", f"account {caller.account}, region {caller.region}, as {caller.arn}")
    endpoint = retry.run("endpoint", lambda: steps.endpoint(cloud))
    about = config.provisioning
    wanted = Wanted(config.thing.name, caller, endpoint, serial or "", about, key)
    policies = retry.run("certificate", lambda: _policies(cloud, wanted, used))
    retry.done("certificate", f"certificate {used.certificate_id}, in use, is to be replaced")

    link = generations.pending
    identity = retry.run("certificate", lambda: usable(cloud, generations, link, wanted))
    if identity is None:
        generations.drop_pending()
        identity = retry.run("certificate", lambda: new_certificate(cloud, generations, wanted))
    new, arn = identity.certificate_id, identity.certificate_arn
    where = "in hardware" if key else "on disk"
    retry.done("certificate", f"certificate {new}, new, its key is {where}")

    def attach() -> None:
        for policy in policies:
            steps.attach_policy(cloud, policy, arn)

    retry.run("attach-policy", attach)
    retry.done("attach-policy", f"policy attached to it: {', '.join(policies)}")
    retry.run("attach-thing", lambda: steps.attach_thing(cloud, identity.thing, arn))
    retry.done("attach-thing", "thing attached to it")
    retry.run("activate", lambda: steps.set_active(cloud, new, active=True))
    retry.done("activate", "certificate activated")

    found = retry.run("roots", lambda: roots.fetch(bundles, url=roots_url))
    generations.complete(link, identity, found)
    generations.remove(generations.key)  # which that certificate has
    retry.done("ready", f"certificate {new} is ready, and has to prove itself")


def _policies(cloud: Cloud, wanted: Wanted, used: Identity) -> list[str]:
    """The policies of the certificate in use. Raises RefusedError where it may not connect."""
    which = f"certificate {used.certificate_id}"
    known = steps.find_certificate(cloud, used.certificate_id)
    if known is None:
        where = f"{wanted.caller.account}, region {wanted.caller.region}"
        hint = "use an AWS key of the account and region that the device is registered in"
        if wanted.reaches(used):
            hint = "it was deleted there; `sudo pi-iot-agent provision` has a new one made"
        raise RefusedError(f"{which}: not known to AWS in account {where}", hint=hint)
    if known.status != steps.ACTIVE:
        raise RefusedError(
            f"this device has been shut out: {which} is {known.status}; it is not replaced",
            hint="it may have been done on purpose, at AWS; if it was not,"
            " `sudo pi-iot-agent provision --reactivate` lets the device in again",
        )
    owner = steps.owner_of(cloud, wanted.thing)
    if owner not in ("", wanted.serial):
        what = "AWS has no such thing" if owner is None else f"it is of the board {owner}"
        raise RefusedError(f"thing {wanted.thing}: {what}", hint=PROVISION_HINT)
    if used.certificate_id not in steps.certificates_of(cloud, wanted.thing):
        raise RefusedError(f"{which} is not attached to {wanted.thing}", hint=PROVISION_HINT)
    if not (policies := steps.policies_of(cloud, known.arn)):
        raise RefusedError(f"{which} has no policy", hint=PROVISION_HINT)
    return policies
