"""Registration by a claim: the steps over MQTT, from a new key to the thing's name."""

from __future__ import annotations

import re
from functools import partial

from agent.config import Thing, problem_with
from agent.errors import CloudError, LinkLostError, RefusedError
from agent.mqtt import BETWEEN_CONNECTS_S
from agent.provisioning import claimed, openssl
from agent.provisioning.claim import Claim, Request
from agent.provisioning.claimed import Claimed
from agent.provisioning.rejection import (
    CREATE,
    FROM_CSR,
    PARAMETERS,
    TOKEN,
    TokenEndedError,
    topic_of,
)
from agent.value import Value, replace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from agent.config import Config
    from agent.model import Json
    from agent.provisioning.retry import Retry

#: The `key_type` of a key that AWS makes and sends, for those who cannot have it otherwise.
MADE_BY_AWS = "made-by-aws"

CERTIFICATE_ID = r"[0-9a-f]{64}"


class Registration(Value):
    """Steps over MQTT, each of whose results is on the disk before the next.

    `wall_s` is by this machine's clock.
    """

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
        if known.certificate and not known.thing:
            try:
                return self._register(known)
            except TokenEndedError as ended:
                self.retry.done("register", f"{ended.text}; a new one is made")
                known = (claimed.found(certs) or known).without_certificate()
                return self._made(claimed.write(certs, known))
        return known if known.thing else self._made(known)

    def _made(self, known: Claimed) -> Claimed:
        """A registered certificate, which is not there yet; of the key that is there, if one is."""
        if not known.key and known.key_type != MADE_BY_AWS:
            key = openssl.new_key(known.key_type)
            known = claimed.write(self.config.paths.certs, replace(known, key=key))
            self.retry.done("key", f"key made here, {known.key_type}; it is on disk")
        return self._register(self._certify(known))

    def _certify(self, known: Claimed) -> Claimed:
        """A certificate for our key, or for one that AWS makes; good for an hour."""
        request = Request(CREATE, {})
        if known.key_type != MADE_BY_AWS:
            body: dict[str, Json] = {
                "certificateSigningRequest": openssl.signing_request(known.key)
            }
            request = Request(FROM_CSR, body)
        found = self.retry.run(
            "certificate",
            lambda: self.claim.ask(request, partial(_certified, known)),
            at_least_s=BETWEEN_CONNECTS_S,
        )
        found = replace(found, asked_s=int(self.wall_s()))
        self.retry.done("certificate", f"certificate {found.certificate_id}, new, for an hour")
        return claimed.write(self.config.paths.certs, found)

    def _register(self, known: Claimed) -> Claimed:
        """The thing of that certificate, which is active then, as the template has it."""
        certs, template = self.config.paths.certs, self.config.provisioning.template
        body: dict[str, Json] = {TOKEN: known.token, PARAMETERS: sent(self.config, self.serial)}

        def sending() -> None:
            claimed.write(certs, replace(known, registering=True))

        def ask() -> Mapping[str, Json]:
            lost = (claimed.found(certs) or known).registering  # an answer to an earlier request
            request = Request(topic_of(template), body)
            try:
                return self.claim.ask(request, dict, sending=sending)
            except CloudError as error:
                if not lost and not isinstance(error.__cause__, LinkLostError):
                    claimed.write(certs, known)  # AWS says that there is no thing
                raise

        answer = self.retry.run("register", ask, at_least_s=BETWEEN_CONNECTS_S)
        thing = _named(template, answer)
        self.retry.done("register", f"registered as {thing} by the template {template}")
        return claimed.write(certs, replace(known, thing=thing))


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


def sent(config: Config, serial: str) -> dict[str, Json]:
    """The parameters that a template gets of this device."""
    own: dict[str, Json] = {"SerialNumber": serial} if serial else {}
    return own | dict(config.provisioning.parameters or {})
