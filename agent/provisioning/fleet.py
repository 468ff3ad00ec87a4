"""Fleet provisioning from top to bottom: from a claim certificate to one of the device's own.

Nothing here needs an AWS key. The template at AWS decides the thing's name, its policy and groups.
"""

from __future__ import annotations

import json
import time

from agent.config import region_of, registered_name
from agent.errors import RefusedError
from agent.identity import (
    CLAIM,
    SYSTEM_BUNDLES,
    Credentials,
    Generations,
    Identity,
    NewCertificate,
    claim_id,
    remember_name,
)
from agent.provisioning import claim_files, claimed, openssl, roots
from agent.provisioning.claim import ANSWER_S, Claim
from agent.provisioning.claimed import Claimed
from agent.provisioning.registration import Registration, sent
from agent.value import Value, replace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path

    from agent.config import Config
    from agent.provisioning.retry import Retry

MISNAMED = (
    "have the template give one name to one SerialNumber, and delete that certificate at AWS; then"
    " `sudo pi-iot-agent rotate` asks again"
)


def provision(
    config: Config,
    retry: Retry,
    *,
    serial: str | None,
    afresh: bool = False,
    bundles: Iterable[Path] = SYSTEM_BUNDLES,
    roots_url: str = roots.URL,
    answer_s: float = ANSWER_S,
) -> str:
    """Have this device registered and its certificate on disk; the thing's name, by the template.

    A run that was killed is finished by the next. A certificate that is sound and was made on this
    board is kept unless `afresh`: only connecting tells whether AWS still knows it. Called while
    `Generations.locked`; another run may have registered since `config` was read, and its name
    counts. Raises CloudError, LinkLostError, CredentialsError for ca_file, OSError.
    """
    name = registered_name(config.paths.certs) or config.thing.name
    config = replace(config, thing=replace(config.thing, name=name))
    generations = Generations(config.paths.certs, name)
    generations.prepare()
    used = generations.sound(generations.current)
    if used and not afresh and used.serial in ("", serial or ""):
        generations.drop_pending()
        found = retry.run("roots", lambda: roots.fetch(bundles, url=roots_url))
        generations.complete(generations.current, used, found)
        retry.done("certificate", f"certificate {used.certificate_id}, there already")
    else:
        generations = prepare(
            config, retry, serial=serial, bundles=bundles, roots_url=roots_url, answer_s=answer_s
        )
        generations.switch()
    remember_name(generations.certs, generations.thing)
    retry.done("ready", f"ready: {generations.current}")
    return generations.thing


def prepare(
    config: Config,
    retry: Retry,
    *,
    serial: str | None,
    only: str = "",
    again: bool = True,
    bundles: Iterable[Path] = SYSTEM_BUNDLES,
    roots_url: str = roots.URL,
    answer_s: float = ANSWER_S,
    wall_s: Callable[[], float] = time.time,
) -> Generations:
    """Have a new, registered certificate as `pending` of the name that the template gives.

    The device does not use it before `Generations.switch`. What an earlier run has made ready is
    gone on with. A name other than `only`, if given, is refused; AWS is then asked for one `again`
    only if that is wanted, or the settings have changed: each time leaves a certificate there.
    Called and raises as `provision`.
    """
    certs, endpoint = config.paths.certs, config.mqtt.endpoint
    names = _Names(config, serial or "", only)
    if not again:
        names.check_not_refused()
    trusted = retry.run("roots", lambda: roots.fetch(bundles, url=roots_url))
    retry.done("roots", f"trusted roots: {len(trusted)} of Amazon's")

    generations = Generations(certs, config.thing.name)
    identity = generations.sound(generations.pending)
    ours = (CLAIM, serial or "", endpoint)
    if identity and (identity.method, identity.serial, identity.endpoint) == ours:
        retry.done("certificate", f"certificate {identity.certificate_id}, made before")
    else:
        credentials = _credentials(config, trusted)
        claim_files.check(credentials, now_s=wall_s())
        used = claim_id(credentials.certificate)
        with Claim(config, credentials, answer_s=answer_s) as claim:
            made = Registration(config, retry, claim, serial or "", wall_s).registered()
        names.check(made)
        generations = Generations(certs, made.thing)
        generations.prepare()
        identity = _save(generations, made, claim=used)
    generations.complete(generations.pending, identity, trusted)
    if generations.thing != config.thing.name:
        remember_name(certs, generations.thing)
    claimed.forget(certs)
    return generations


def give_up(generations: Generations) -> None:
    """Forget what a claim has begun: the device is registered otherwise.

    What may be active at AWS is written down. Raises OSError.
    """
    if known := claimed.found(generations.certs):
        for one in known.without_certificate().strays.split():
            generations.note_replaced(one)
    claimed.forget(generations.certs)


class _Names(Value):
    """The name that a device has to keep: `only`, if one is given."""

    config: Config
    serial: str
    only: str

    @property
    def _asked(self) -> Claimed:
        """A note of what was asked when it got another name."""
        about = self.config.provisioning
        asked = json.dumps([about.template, self.only, sent(self.config, self.serial)])
        nothing = Claimed(self.serial, self.config.mqtt.endpoint, about.key_type)
        return replace(nothing, misnamed=asked)

    def check_not_refused(self) -> None:
        """Raise RefusedError where the same question has brought another name before."""
        known = claimed.found(self.config.paths.certs)
        if known and known.misnamed == self._asked.misnamed:
            raise RefusedError(
                f"the template {self.config.provisioning.template} called this device by another"
                f" name than {self.only}, and is not asked again by itself",
                hint=MISNAMED,
            )

    def check(self, made: Claimed) -> None:
        """Raise RefusedError if a new certificate is another thing's; its key is destroyed then."""
        if not self.only or made.thing == self.only:
            return
        certs = self.config.paths.certs
        for one in (*made.strays.split(), made.certificate_id):
            Generations(certs, self.only).note_replaced(one)
        claimed.forget(certs)
        claimed.write(certs, self._asked)
        raise RefusedError(
            f"the template calls this device {made.thing}, and it is {self.only}: the new"
            f" certificate {made.certificate_id} is not used, and stays at AWS",
            hint=MISNAMED,
        )


def _save(generations: Generations, made: Claimed, *, claim: str) -> Identity:
    """The identity of what was made, on disk as pending; a run that was killed did it by half."""
    identity = Identity(
        thing=made.thing,
        account="",
        region=region_of(made.endpoint),
        endpoint=made.endpoint,
        certificate_arn="",
        certificate_id=made.certificate_id,
        policy="",
        created=made.asked_s,
        serial=made.serial,
        method=CLAIM,
        claim=claim,
    )
    for one in made.strays.split():
        generations.note_replaced(one)
    for half in generations.stale():
        if made.certificate_id in generations.certificate_ids(half):
            generations.remove(half)
    if made.certificate_id not in generations.certificate_ids(generations.pending):
        public = openssl.public_key(made.key)
        new = NewCertificate("", made.certificate_id, made.certificate, made.key, public)
        generations.save(new, identity)
    return identity


def _credentials(config: Config, trusted: Mapping[str, str]) -> Credentials:
    """Credentials for a session with the claim certificate."""
    ca_file = config.mqtt.ca_file
    return Credentials(
        *claim_files.paths(config),
        () if ca_file is None else (ca_file,),
        None,
        "".join(trusted.values()),
    )
