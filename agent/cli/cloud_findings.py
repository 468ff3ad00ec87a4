"""Findings at AWS: what it knows of the certificate, where an AWS key is here to ask with.

Nothing is changed there. Each call is tried once, and the first that fails ends it.
"""

from __future__ import annotations

import time
from contextlib import suppress

from agent import board
from agent.cli import verdict
from agent.cli.verdict import FAIL, OK, WARN, Finding
from agent.errors import CloudError
from agent.health import conditions
from agent.provisioning.cloud import Cloud
from agent.provisioning.failures import NotFoundError
from agent.provisioning.steps import SERIAL
from agent.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from agent.config import Config
    from agent.identity import Identity
    from agent.provisioning.cloud import Answer

#: After so long no further call is begun, each of which takes 20 s at most.
PATIENCE_S = 20.0

WHAT = "AWS"

#: The variables of a policy that stand for the thing that a certificate is attached to.
BY_THING = "iot:Connection.Thing."


class _Hints(Value):
    """Advice on a certificate that is not in use, has no policy, or no thing."""

    activate: str
    allow: str
    attach: str


OURS = _Hints(
    "somebody may have shut this device out on purpose; if not, "
    "`sudo pi-iot-agent provision --reactivate`",
    "`sudo pi-iot-agent provision` attaches its policy",
    "`sudo pi-iot-agent provision` attaches it",
)
OWN = _Hints(
    "activate it there, unless somebody has shut this device out on purpose",
    "attach a policy to it that allows iot:Connect",
    "attach it, if its policy goes by the thing's name",
)

MAKE = "`sudo pi-iot-agent provision` makes a new one"

#: Of a certificate whose authority is registered at AWS by its owner.
WAITING = "it is activated by the owner's rule or template there, after its first connection"


def of_aws(
    config: Config,
    certificate_id: str,
    identity: Identity | None,
    *,
    monotonic_s: Callable[[], float] = time.monotonic,
) -> Iterator[Finding]:
    """Status, policies and thing of the certificate; a failure to ask is a warning in words.

    `identity` is None for an owner's certificate. Loads boto3, so no daemon imports this.
    """
    try:
        with Cloud(config) as cloud:
            asked = _Bounded(cloud, monotonic_s)
            yield from _asked(asked, config.thing.name, certificate_id, identity)
    except CloudError as error:
        yield Finding(WARN, WHAT, error.text, error.hint)


class _Bounded:
    """Calls that read, until the time is over."""

    def __init__(self, cloud: Cloud, monotonic_s: Callable[[], float]) -> None:
        self.region = cloud.region
        self._cloud = cloud
        self._monotonic_s = monotonic_s
        self._until_s = monotonic_s() + PATIENCE_S

    def call(self, operation: str, resource: str, **parameters: object) -> Answer:
        """The answer. Raises CloudError."""
        if self._monotonic_s() > self._until_s:
            raise CloudError(
                f"AWS answers too slowly to ask for {resource} too", hint="try again later"
            )
        return self._cloud.call(operation, resource, **parameters)

    def account(self) -> str:
        """The account of the AWS key. Raises CloudError."""
        return self._cloud.caller().account


def _asked(
    cloud: _Bounded, thing: str, certificate_id: str, identity: Identity | None
) -> Iterator[Finding]:
    resource = f"cert/{certificate_id}"
    hints = OURS if identity else OWN
    try:
        found = cloud.call("describe_certificate", resource, certificateId=certificate_id)
    except NotFoundError:
        yield _unknown(cloud, certificate_id, identity)
        return
    described = found["certificateDescription"]
    status, arn = str(described["status"]), str(described["certificateArn"])
    if status != "ACTIVE":
        hint = WAITING if status == "PENDING_ACTIVATION" else hints.activate
        text = f"the certificate is {status} at AWS"
        yield verdict.of(conditions.CREDENTIALS_INVALID, FAIL, text, hint)
        return
    listed = cloud.call("list_attached_policies", resource, target=arn)
    policies = sorted(str(one["policyName"]) for one in listed.get("policies") or [])
    if not policies:
        text = "at AWS the certificate has no policy"
        yield verdict.of(conditions.NOT_AUTHORIZED, FAIL, text, hints.allow)
        return
    things = cloud.call("list_principal_things", resource, principal=arn).get("things") or []
    if thing not in things:
        text = f"at AWS the certificate is not attached to the thing {thing}"
        if _go_by_things(cloud, policies):
            yield verdict.of(conditions.NOT_AUTHORIZED, FAIL, text, hints.attach)
            return
        yield Finding(WARN, WHAT, text, hints.attach)
    else:
        yield from _serial(cloud, thing)
    yield Finding(OK, WHAT, f"the certificate is ACTIVE, with the policy {' and '.join(policies)}")


def _go_by_things(cloud: _Bounded, policies: Iterable[str]) -> bool:
    """True if a certificate without its thing is not let in, as far as AWS tells.

    That is by a variable of the policy ("Thing policy variables").
    """
    with suppress(CloudError):
        for name in policies:
            found = cloud.call("get_policy", f"policy/{name}", policyName=name)
            if BY_THING in str(found["policyDocument"]):
                return True
    return False


def _unknown(cloud: _Bounded, certificate_id: str, identity: Identity | None) -> Finding:
    """The finding on a certificate that is not there: a fault if this key would have to know it."""
    text = f"does not know the certificate {certificate_id} in {cloud.region}"
    if identity and identity.region in {"", cloud.region}:
        if identity.account in {"", (account := cloud.account())}:
            return verdict.of(conditions.CREDENTIALS_INVALID, FAIL, f"AWS {text}", MAKE)
        text += f"; the AWS key is of the account {account}, the device of {identity.account}"
    return Finding(WARN, WHAT, text, "use an AWS key of the device's account, and its [aws] region")


def _serial(cloud: _Bounded, thing: str) -> Iterator[Finding]:
    """A warning if the thing is another board's."""
    found = cloud.call("describe_thing", f"thing/{thing}", thingName=thing)
    theirs, here = (found.get("attributes") or {}).get(SERIAL, ""), board.serial()
    if theirs and here and theirs != here:
        text = f"thing/{thing} has the serial number {theirs}, this board has {here}"
        yield verdict.of(conditions.IDENTITY_COPIED, WARN, text)
