"""Fleet provisioning from top to bottom: from a claim certificate to one of the device's own.

Nothing here needs an AWS key. The template at AWS decides the thing's name, its policy and groups.
"""

from __future__ import annotations

import re
import time
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from agent.config import Thing, problem_with
from agent.errors import RefusedError
from agent.identity import (
    CLAIM,
    SYSTEM_BUNDLES,
    Credentials,
    Generations,
    Identity,
    NewCertificate,
    remember_name,
)
from agent.mqtt import BETWEEN_CONNECTS_S
from agent.provisioning import claim_files, claimed, openssl, roots
from agent.provisioning.claim import ANSWER_S, Claim, Request
from agent.provisioning.claimed import Claimed
from agent.provisioning.rejection import (
    CREATE,
    FROM_CSR,
    PARAMETERS,
    TOKEN,
    TokenEndedError,
    topic_of,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path

    from agent.config import Config
    from agent.model import Json
    from agent.provisioning.retry import Retry

#: The `key_type` of a key that AWS makes and sends, for those who cannot have it otherwise.
MADE_BY_AWS = "made-by-aws"

CERTIFICATE_ID = r"[0-9a-f]{64}"
Taken = TypeVar("Taken")

REGION = re.compile(r"\.iot\.([a-z0-9-]+)\.amazonaws\.com(\.cn)?$")


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
    `Generations.locked`. Raises CloudError, LinkLostError, CredentialsError for ca_file, OSError.
    """
    generations = Generations(config.paths.certs, config.thing.name)
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
    bundles: Iterable[Path] = SYSTEM_BUNDLES,
    roots_url: str = roots.URL,
    answer_s: float = ANSWER_S,
    wall_s: Callable[[], float] = time.time,
) -> Generations:
    """Have a new, registered certificate as `pending` of the name that the template gives.

    The device does not use it before `Generations.switch`. What an earlier run has made ready is
    gone on with. A name other than `only`, if given, is refused. Called and raises as `provision`.
    """
    certs, endpoint = config.paths.certs, config.mqtt.endpoint
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
        with Claim(config, credentials, answer_s=answer_s) as claim:
            made = _Registration(config, retry, claim, serial or "", wall_s).registered()
        _check_name(config, made, only)
        generations = Generations(certs, made.thing)
        generations.prepare()
        identity = _save(generations, made)
    generations.complete(generations.pending, identity, trusted)
    if generations.thing != config.thing.name:
        remember_name(certs, generations.thing)
    claimed.forget(certs)
    return generations


@dataclass(frozen=True, slots=True)
class _Registration:
    """Steps over MQTT, each of whose results is on the disk before the next."""

    config: Config
    retry: Retry
    claim: Claim
    serial: str
    wall_s: Callable[[], float]

    def registered(self) -> Claimed:
        """Key, certificate and the thing's name; what is there already is gone on with."""
        certs, key_type = self.config.paths.certs, self.config.provisioning.key_type
        nothing = Claimed(self.serial, self.config.mqtt.endpoint, key_type)
        known = claimed.read(certs, nothing, now_s=self.wall_s())
        if not known.key and key_type != MADE_BY_AWS:
            known = claimed.write(certs, replace(known, key=openssl.new_key(key_type)))
            self.retry.done("key", f"key made here, {key_type}; it is on disk")
        if known.certificate and not known.thing:
            try:
                return self._register(known)
            except TokenEndedError as ended:
                self.retry.done("register", f"{ended.text}; a new one is made")
                known = claimed.write(certs, known.without_certificate())
        if not known.certificate:
            known = self._certify(known)
        return known if known.thing else self._register(known)

    def _certify(self, known: Claimed) -> Claimed:
        """A certificate for our key, or for one that AWS makes; good for an hour."""
        request = Request(CREATE, {})
        if known.key_type != MADE_BY_AWS:
            body: dict[str, Json] = {
                "certificateSigningRequest": openssl.signing_request(known.key)
            }
            request = Request(FROM_CSR, body)
        found = self._ask("certificate", request, partial(_certified, known))
        found = replace(found, asked_s=int(self.wall_s()))
        self.retry.done("certificate", f"certificate {found.certificate_id}, new, for an hour")
        return claimed.write(self.config.paths.certs, found)

    def _register(self, known: Claimed) -> Claimed:
        """The thing of that certificate, which is active then, as the template has it."""
        provisioning = self.config.provisioning
        parameters: dict[str, Json] = {"SerialNumber": self.serial} if self.serial else {}
        parameters.update(provisioning.parameters or {})
        request = Request(
            topic_of(provisioning.template), {TOKEN: known.token, PARAMETERS: parameters}
        )
        thing = self._ask("register", request, partial(_named, provisioning.template))
        self.retry.done(
            "register", f"registered as {thing} by the template {provisioning.template}"
        )
        return claimed.write(self.config.paths.certs, replace(known, thing=thing))

    def _ask(
        self, step: str, request: Request, take: Callable[[Mapping[str, Json]], Taken]
    ) -> Taken:
        return self.retry.run(
            step, lambda: self.claim.ask(request, take), at_least_s=BETWEEN_CONNECTS_S
        )


def _certified(known: Claimed, answer: Mapping[str, Json]) -> Claimed:
    """`known` with the certificate of an answer. Raises ValueError unless it is for our key."""
    names = ["certificateId", "certificatePem", TOKEN]
    if known.key_type == MADE_BY_AWS:
        names.append("privateKey")
    which, pem, token, *made = (answer.get(name) for name in names)
    if not all(isinstance(one, str) and one for one in (which, pem, token, *made)):
        raise ValueError(f"it lacks some of {', '.join(names)}")
    key = str(made[0]) if made else known.key
    if not re.fullmatch(CERTIFICATE_ID, str(which)):
        raise ValueError("certificateId is none")
    if not openssl.belongs(key, str(pem)):
        raise ValueError("it is a certificate for another key")
    return replace(
        known, key=key, certificate=str(pem), certificate_id=str(which), token=str(token)
    )


def _named(template: str, answer: Mapping[str, Json]) -> str:
    """The thing's name in an answer. Raises RefusedError where a device cannot have it."""
    name = answer.get("thingName")
    if not name:
        raise RefusedError(
            f"the template {template} registers no thing",
            hint="give it a resource of the type AWS::IoT::Thing: its name is the device's",
        )
    if problem := problem_with(Thing, "thing", "name", name):
        raise RefusedError(
            f"the template {template} gives a name that is none: {problem}",
            hint="have it make another ThingName",
        )
    return str(name)


def _check_name(config: Config, made: Claimed, only: str) -> None:
    """Raise RefusedError if a new certificate of `only` is now another thing's."""
    if only and made.thing != only:
        claimed.forget(config.paths.certs)
        raise RefusedError(
            f"the template calls this device {made.thing}, and it is {only}: the new certificate"
            f" {made.certificate_id} is not used, and stays at AWS",
            hint="have the template give one name to one SerialNumber, and delete that certificate",
        )


def _save(generations: Generations, made: Claimed) -> Identity:
    """The identity of what was made, on disk as pending; a run that was killed did it by half."""
    region = REGION.search(made.endpoint)
    identity = Identity(
        thing=made.thing,
        account="",
        region=region[1] if region else "",
        endpoint=made.endpoint,
        certificate_arn="",
        certificate_id=made.certificate_id,
        policy="",
        created=made.asked_s,
        serial=made.serial,
        method=CLAIM,
    )
    for half in generations.stale():
        if made.certificate_id in generations.certificate_ids(half):
            generations.remove(half)
    if made.certificate_id not in generations.certificate_ids(generations.pending):
        public = openssl.public_key(made.key)
        new = NewCertificate("", made.certificate_id, made.certificate, made.key, public)
        generations.save(new, identity)
    return identity


def _credentials(config: Config, trusted: Mapping[str, str]) -> Credentials:
    """What a session with the claim certificate needs."""
    ca_file = config.mqtt.ca_file
    return Credentials(
        *claim_files.paths(config),
        () if ca_file is None else (ca_file,),
        None,
        "".join(trusted.values()),
    )
