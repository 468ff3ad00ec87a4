"""Certificate of the device: the one that is there if it is good, else a new one; attached."""

from __future__ import annotations

from contextlib import suppress

from agent.errors import CloudError, RefusedError
from agent.identity import Identity, certificates
from agent.provisioning import openssl, steps
from agent.provisioning.policy import policy_name
from agent.value import Value, replace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection
    from collections.abc import Set as AbstractSet
    from pathlib import Path

    from agent.config import Provisioning
    from agent.identity import Generations, NewCertificate
    from agent.provisioning.cloud import Caller, Cloud
    from agent.provisioning.retry import Retry


class Wanted(Value):
    """Content of an identity beside its certificate, and what `about` it is configured.

    `key` is the PEM text of the one to use; "" where a new one is to be made.
    """

    thing: str
    caller: Caller
    endpoint: steps.Endpoint
    serial: str
    about: Provisioning
    key: str = ""

    @property
    def policy(self) -> str:
        """The policy that its certificate has to have: its own, unless another one is named."""
        return self.about.policy or policy_name(self.thing)

    def reaches(self, identity: Identity) -> bool:
        """True if the AWS key in use is for the account and region of `identity`."""
        return (identity.account, identity.region) == (self.caller.account, self.caller.region)


def check_admitted(
    cloud: Cloud, thing: str, ids: AbstractSet[str], shut_out: Collection[str]
) -> None:
    """Raise RefusedError if AWS says that one of the certificates is `shut_out`."""
    for certificate_id in sorted(steps.whole_ids(cloud, thing, ids)):
        known = steps.find_certificate(cloud, certificate_id)
        if known and known.status in shut_out:
            raise RefusedError(
                f"this device has been shut out: certificate {certificate_id} is {known.status}",
                hint="it may have been done on purpose, at AWS; if it was not,"
                " `sudo pi-iot-agent provision --reactivate` lets the device in again",
            )


def certificate(
    cloud: Cloud, retry: Retry, generations: Generations, wanted: Wanted, *, refuse: bool
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
    identity = retry.run("certificate", lambda: new_certificate(cloud, generations, wanted))
    where = "in hardware" if wanted.key else "on disk"
    retry.done(
        "certificate",
        f"certificate {identity.certificate_id}, new and inactive, its key is {where}",
    )
    return generations.pending, identity, True


def _check_policies(cloud: Cloud, generations: Generations, wanted: Wanted) -> None:
    """Raise RefusedError if the certificate in use has other policies in place of ours."""
    ids = generations.certificate_ids(generations.current)
    for certificate_id in sorted(steps.whole_ids(cloud, wanted.thing, ids)):
        known = steps.find_certificate(cloud, certificate_id)
        policies = steps.policies_of(cloud, known.arn) if known else []
        if {*policies} - {policy_name(wanted.thing)} and wanted.policy not in policies:
            raise RefusedError(
                f"certificate {certificate_id} has {', '.join(policies)} in place of our policy",
                hint="it may have been done on purpose, at AWS; if it was not,"
                " `sudo pi-iot-agent provision --reset-policy` makes a new certificate with ours",
            )


def _keep(cloud: Cloud, generations: Generations, wanted: Wanted) -> tuple[Path, Identity] | None:
    """The generation to go on with: what is in use, else what an earlier run was making ready.

    It has to be sound, made on this board, and its certificate one that AWS would let in: a copy on
    another board has the same key. What is pending beside one that is in use was to replace it, has
    not proven itself, and is stale from now on.
    """
    kept = None
    for link in (generations.current, generations.pending):
        if not kept and (identity := usable(cloud, generations, link, wanted)):
            kept = link, identity
    if not kept or kept[0] != generations.pending:
        generations.drop_pending()
    return kept


def usable(cloud: Cloud, generations: Generations, link: Path, wanted: Wanted) -> Identity | None:
    """The identity in a generation, if it is sound, of this board, and AWS would let it in."""
    identity = generations.sound(link)
    if wanted.key and not generations.has_key(link, wanted.key):
        return None
    if not identity or not wanted.reaches(identity) or identity.serial not in ("", wanted.serial):
        return None
    known = steps.find_certificate(cloud, identity.certificate_id)
    if known and known.usable and _fingerprint(known.pem) == generations.fingerprint(link):
        return replace(identity, certificate_arn=known.arn)
    return None


def new_certificate(cloud: Cloud, generations: Generations, wanted: Wanted) -> Identity:
    """The identity of a new certificate, on disk as pending.

    The call is noted until it is answered: an answer that is lost leaves a certificate behind.
    """
    key = wanted.key or _key(generations, wanted.about)
    calls_s, now_s = generations.noted_s(), wanted.endpoint.now_s()
    generations.note([*calls_s, now_s])
    try:
        new = steps.signed_certificate(cloud, key) if key else steps.new_certificate(cloud)
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
        method=wanted.about.method,
    )
    _save(cloud, generations, new, identity)
    generations.note(calls_s)
    return identity


def _key(generations: Generations, about: Provisioning) -> str:
    """The key to have certified, on disk before anybody is asked; "" where AWS is to make one."""
    if about.method == "keys":
        return ""
    with suppress(ValueError):  # else it is spoiled
        if key := generations.next_key():
            openssl.public_key(key)
            return key
    key = openssl.new_key(about.key_type)
    generations.note_key(key)
    return key


def attach_policy(cloud: Cloud, retry: Retry, identity: Identity, *, anyway: bool) -> None:
    """Attach our policy; where others have taken its place, perhaps on purpose, only `anyway`.

    One that [provisioning] names takes the place of the device's own.
    """
    arn, ours, own = identity.certificate_arn, identity.policy, policy_name(identity.thing)
    there = [] if anyway else retry.run("attach-policy", lambda: steps.policies_of(cloud, arn))
    if (others := sorted({*there} - {own})) and ours not in there:
        retry.done(
            "attach-policy",
            f"the certificate has the policy {', '.join(others)} in place of ours; left as it is,"
            " since that may be on purpose"
            " (`sudo pi-iot-agent provision --reset-policy` attaches ours)",
        )
        return
    retry.run("attach-policy", lambda: steps.attach_policy(cloud, ours, arn))
    retry.done("attach-policy", "policy attached to the certificate")
    if own in there and own != ours:
        retry.run("attach-policy", lambda: steps.detach_policy(cloud, own, arn))
        retry.done("attach-policy", f"policy {own} detached")


def attach(
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
