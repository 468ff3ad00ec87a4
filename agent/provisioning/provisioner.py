"""Provisioning from top to bottom: from an AWS key to a certificate that the device uses."""

from __future__ import annotations

from contextlib import suppress
from functools import partial

from agent.config import KeyUri
from agent.errors import RefusedError
from agent.identity import SYSTEM_BUNDLES, Generations, remember_name, wrapped_uri
from agent.provisioning import openssl, roots, steps
from agent.provisioning import thing as things
from agent.provisioning.certificate import (
    Wanted,
    attach,
    attach_policy,
    certificate,
    check_admitted,
)
from agent.provisioning.policy import policy_document

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from agent.config import Config, Provisioning
    from agent.provisioning.cloud import Cloud
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
    about = config.provisioning
    generations = Generations(config.paths.certs, thing)
    generations.prepare()
    key = key_in_hardware(config)

    caller = retry.run("account", cloud.caller)
    retry.done("account", f"account {caller.account}, region {caller.region}, as {caller.arn}")

    endpoint = retry.run("endpoint", lambda: steps.endpoint(cloud))
    retry.done("endpoint", f"endpoint {endpoint.host}")

    wanted = Wanted(thing, caller, endpoint, serial or "", about, key)
    before = generations.identity(generations.current)
    registered = before is not None and wanted.reaches(before)
    if not reactivate:  # whoever registered it: what another account has is not known here
        ids = generations.certificate_ids(generations.current)
        retry.run("certificate", lambda: check_admitted(cloud, thing, ids, steps.SHUT_OUT))

    _check_named(cloud, retry, about)
    attached = _thing(cloud, retry, wanted, take_over=take_over)
    if not registered and not reactivate:  # an inactive one may be what a killed run has left
        ids = set(attached or ())
        retry.run("certificate", lambda: check_admitted(cloud, thing, ids, (steps.REVOKED,)))
    _policy(cloud, retry, wanted, correct=reset_policy or not registered)
    refuse = registered and not reset_policy
    link, identity, new = certificate(cloud, retry, generations, wanted, refuse=refuse)
    attach_policy(cloud, retry, identity, anyway=new or reset_policy)
    attach(cloud, retry, generations, identity, attached)

    found = retry.run("roots", lambda: roots.fetch(bundles, url=roots_url))
    generations.complete(link, identity, found)
    retry.done("roots", f"trusted roots: {len(found)} of Amazon's")

    if link == generations.pending:
        generations.switch()
    generations.remove(generations.key)  # which that certificate has
    remember_name(generations.certs, thing)
    retry.done("ready", f"ready: {generations.current}")


def key_in_hardware(config: Config) -> str:
    """The PEM text that stands for the configured key, "" without one. Raises RefusedError."""
    uri = config.mqtt.key_file
    if not isinstance(uri, KeyUri):
        return ""
    key = wrapped_uri(uri)
    openssl.public_key(key)  # before AWS is told anything
    return key


def _check_named(cloud: Cloud, retry: Retry, about: Provisioning) -> None:
    """Raise RefusedError, before anything is made, where a policy or group is named that is not."""
    if about.policy:
        retry.run("policy", lambda: steps.check_policy(cloud, about.policy))
    for group in about.thing_groups:
        retry.run("thing", partial(things.check_group, cloud, group))


def _thing(cloud: Cloud, retry: Retry, wanted: Wanted, *, take_over: bool) -> list[str] | None:
    """Have the thing be this board; the ids of its certificates, None where that is refused."""
    name, about = wanted.thing, wanted.about
    outcome = retry.run(
        "thing",
        lambda: things.register(cloud, name, wanted.serial, about, take_over=take_over),
    )
    retry.done("thing", f"thing {name}, {outcome}")
    for group in about.thing_groups:
        retry.run("thing", partial(things.join, cloud, name, group))
        retry.done("thing", f"thing {name}, in the group {group}")
    with suppress(RefusedError):
        return retry.run("thing", lambda: steps.certificates_of(cloud, name))
    return None


def _policy(cloud: Cloud, retry: Retry, wanted: Wanted, *, correct: bool) -> None:
    """Have the policy of the device; one that is named stays as it is."""
    policy, text = wanted.policy, policy_document(wanted.caller)
    if wanted.about.policy:
        retry.done("policy", f"policy {policy}, the one that [provisioning] names")
        return
    outcome = retry.run("policy", lambda: steps.put_policy(cloud, policy, text, correct=correct))
    retry.done("policy", f"policy {policy}, {outcome}")
