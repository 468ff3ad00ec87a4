# ruff: noqa: ANN401  # moto has no types
"""Fleet provisioning by claim: AWS IoT's side of it.

The rules: https://docs.aws.amazon.com/iot/latest/developerguide/fleet-provision-api.html and
provision-wo-cert.html, pre-provisioning-hook.html. Payloads are JSON; there is no CBOR here.
"""

from __future__ import annotations

import json
import re
import secrets
import threading
import time
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cryptography.hazmat.primitives.asymmetric import ec
from moto.iot.exceptions import IoTClientError

from tests.tools.cloud.authority import certificate_id, write
from tests.tools.cloud.control_plane import CLAIM_S, OWNERSHIP_S
from tests.tools.cloud.faults import Sent
from tests.tools.cloud.fleet_documents import claim_policy, template_body
from tests.tools.cloud.hook import HookCall, ask
from tests.tools.cloud.mosquitto import CloudError
from tests.tools.cloud.rejections import (
    THROTTLED,
    RejectedError,
    bad_token,
    by_fault,
    invalid,
)
from tests.tools.cloud.templates import CERTIFICATE_ID, Template, carry_out, check

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from agent.model import Json
    from tests.tools.cloud.authority import Authority
    from tests.tools.cloud.control_plane import ControlPlane
    from tests.tools.cloud.fleet_link import FleetLink, Request
    from tests.tools.cloud.hook import Hook

OPERATIONS = {
    "$aws/certificates/create/json": "CreateKeysAndCertificate:mqtt",
    "$aws/certificates/create-from-csr/json": "CreateCertificateFromCsr:mqtt",
}
PROVISION = re.compile(r"\$aws/provisioning-templates/([^/]+)/provision/json")
REGISTER = "RegisterThing:mqtt"
TEMPLATE_NAME = re.compile(r"[0-9A-Za-z_-]{1,36}")


@dataclass(frozen=True, slots=True)
class _Token:
    certificate_id: str
    until_s: float


class Fleet:
    """Templates, claims and a hook, as a test sets them, and the answers to devices.

    `hook(HookCall)` decides on each RegisterThing; None lets all through. `requests_per_s` is the
    limit of each operation in a second of AWS's clock, 0 for none. CloudError where the broker
    lacks its plugin.
    """

    def __init__(
        self,
        control_plane: ControlPlane,
        link: FleetLink,
        *,
        devices: Authority,
        arn: str,
        lacking: str,
    ) -> None:
        self._control_plane = control_plane
        self._faults = control_plane.faults
        self._link = link
        self._devices = devices
        self._arn = arn
        self._lacking = lacking
        self._templates: dict[str, Template] = {}
        self._tokens: dict[str, _Token] = {}
        self._begun: dict[str, deque[float]] = {}
        self.hook: Hook | None = None
        self.requests_per_s = 0
        self._denied: list[Request] = []
        self._lock = threading.Lock()
        link.on_request, link.on_denied = self._on_request, self._on_denied

    def create_template(
        self,
        name: str,
        *,
        body: Mapping[str, Any] | None = None,
        device_configuration: Mapping[str, str] | None = None,
        **properties: Any,
    ) -> Template:
        """Have a template, in place of one of that name.

        Without a `body`, a thing `device-<SerialNumber>` with a policy that lets it do what our
        agent needs; `properties` are those of the thing (ThingName, ThingTypeName, ThingGroups,
        AttributePayload) and PolicyName.
        """
        self._check()
        body = body or template_body(self._arn, properties)
        if not TEMPLATE_NAME.fullmatch(name):
            raise ValueError(f"no name of a template: {name}")
        check(body)
        self._templates[name] = Template(name, body, device_configuration or {})
        return self._templates[name]

    def clear(self) -> None:
        """Forget templates, hook, limit and what was denied; certificates stay."""
        self._templates.clear()
        self._denied.clear()
        self.hook, self.requests_per_s = None, 0

    def delete_template(self, name: str) -> None:
        """Have no such template any more."""
        del self._templates[name]

    def claim(
        self, directory: Path, *, template: str = "", temporary: bool = False
    ) -> tuple[Path, Path]:
        """Write a claim's certificate and key there; by default for the newest template.

        A permanent one is in the account, with a policy; a temporary one is not, and lives for five
        minutes (CreateProvisioningClaim).
        """
        self._check()
        template = template or next(reversed(self._templates))
        policy = json.dumps(claim_policy(self._arn, template))
        key = ec.generate_private_key(ec.SECP256R1())
        if temporary:
            pem = self._devices.issue_device(key.public_key())
            self._control_plane.add_claim(pem, [policy])
        else:
            with self._control_plane.changing() as iot:
                pem = type(iot).issue(key.public_key())
                certificate = iot.register_certificate(pem, None, True, "ACTIVE")  # noqa: FBT003
                if f"claim-{template}" not in iot.policies:
                    iot.create_policy(f"claim-{template}", policy)
                iot.attach_policy(f"claim-{template}", certificate.arn)
        files = directory / "claim-certificate.pem.crt", directory / "claim-private.pem.key"
        return write(pem, key, *files)

    def provisioning_claim(self, directory: Path, *, template: str = "") -> str:
        """What `aws iot create-provisioning-claim` prints, with a new temporary claim."""
        certificate_file, key_file = self.claim(directory, template=template, temporary=True)
        pem = certificate_file.read_text()
        return json.dumps(
            {
                "certificateId": certificate_id(pem),
                "certificatePem": pem,
                "keyPair": {"PublicKey": "", "PrivateKey": key_file.read_text()},
                "expiration": self._faults.now_s + CLAIM_S,
            }
        )

    def wait_denied(self, count: int = 1, *, timeout_s: float = 60) -> list[Request]:
        """What devices did where no policy allows it, once there are `count`."""
        deadline_s = time.monotonic() + timeout_s
        while len(self._denied) < count:
            if time.monotonic() > deadline_s:
                raise TimeoutError(f"{len(self._denied)} of {count} denials")
            time.sleep(0.005)
        return list(self._denied)

    def _check(self) -> None:
        if self._lacking:
            raise CloudError(self._lacking)

    def _on_denied(self, request: Request) -> None:
        self._denied.append(request)
        if self._control_plane.is_claim(request.common_name):
            self._link.kick(request.client_id)  # as AWS ends the connection

    def _on_request(self, request: Request) -> None:
        claim = self._control_plane.certificate_of(request.common_name)
        operation = OPERATIONS.get(request.topic, "")
        if PROVISION.fullmatch(request.topic):
            operation = REGISTER
        if operation:
            self._serve(request, operation, claim)

    def _serve(self, request: Request, operation: str, claim: str) -> None:
        """One request, with the fault that is due."""
        begun = self._faults.begin(Sent(operation, request.topic, request.payload), claim)
        fault = begun.fault
        if self._faults.stopping.wait(fault.hang_s):
            return
        if fault.reset and not fault.after_effect:
            self._faults.end(begun, 0, "reset")
            self._link.kick(request.client_id)
            return
        status, code, answer = 200, "", {}
        try:
            self._throttle(operation)
            if fault.status:
                raise by_fault(fault)
            answer = self._effect(request, operation, claim)
        except RejectedError as error:
            status, code = error.status, error.code
            answer = {"statusCode": status, "errorCode": code, "errorMessage": error.text}
        self._faults.end(begun, status, "lost" if fault.reset else code)
        if fault.reset:
            self._link.kick(request.client_id)
            return
        word = "accepted" if status == 200 else "rejected"
        self._link.answer(request.client_id, f"{request.topic}/{word}", answer)

    def _throttle(self, operation: str) -> None:
        if not self.requests_per_s:
            return
        with self._lock:
            times = self._begun.setdefault(operation, deque())
            now_s = self._faults.now_s
            while times and now_s - times[0] >= 1:
                times.popleft()
            if len(times) >= self.requests_per_s:
                raise THROTTLED
            times.append(now_s)

    def _effect(self, request: Request, operation: str, claim: str) -> dict[str, Json]:
        try:
            content = json.loads(request.payload or b"{}")
        except ValueError as error:
            raise RejectedError(400, "InvalidPayload", f"Payload is not JSON: {error}") from error
        if not isinstance(content, dict):
            raise RejectedError(400, "InvalidPayload", "Payload is not a JSON object")
        if operation == REGISTER:
            return self._register(request, content, claim)
        with self._control_plane.changing() as iot:
            if operation == "CreateKeysAndCertificate:mqtt":
                certificate, pair = iot.create_keys_and_certificate(set_as_active=False)
                return {**self._pending(certificate), "privateKey": pair["PrivateKey"]}
            csr = content.get("certificateSigningRequest")
            try:
                certificate = iot.create_certificate_from_csr(
                    csr if isinstance(csr, str) else "", set_as_active=False
                )
            except IoTClientError as error:
                raise RejectedError(
                    400, "InvalidCertificateSigningRequest", str(error.message)
                ) from error
            return self._pending(certificate)

    def _pending(self, certificate: Any) -> dict[str, Json]:
        self._control_plane.make_pending(certificate)
        token = secrets.token_urlsafe(300)
        self._tokens[token] = _Token(certificate.certificate_id, self._faults.now_s + OWNERSHIP_S)
        return {
            "certificateOwnershipToken": token,
            "certificateId": certificate.certificate_id,
            "certificatePem": certificate.certificate_pem,
        }

    def _register(
        self, request: Request, content: Mapping[str, Any], claim: str
    ) -> dict[str, Json]:
        found = PROVISION.fullmatch(request.topic)
        template = self._templates.get(found[1]) if found else None
        if template is None:
            raise RejectedError(404, "ResourceNotFound", "The template does not exist")
        owned = self._owned(content.get("certificateOwnershipToken"))
        parameters = content.get("parameters") or {}
        if not isinstance(parameters, dict) or not all(
            isinstance(each, str) for each in parameters.values()
        ):
            raise invalid("Parameters must be an object whose values are strings")
        if CERTIFICATE_ID in parameters:
            raise invalid(f"{CERTIFICATE_ID} is given by the service")
        with self._control_plane.changing() as iot:
            certificate = iot.certificates.get(owned.certificate_id)
        if certificate is None:
            raise bad_token("Certificate of the ownership token does not exist")
        call = HookCall(
            claim,
            certificate.certificate_id,
            certificate.certificate_pem,
            f"{self._arn}:provisioningtemplate/{template.name}",
            request.client_id,
            dict(parameters),
        )
        parameters |= ask(self.hook, call)
        plan = template.plan({**parameters, CERTIFICATE_ID: owned.certificate_id})
        with self._control_plane.changing() as iot:
            carry_out(plan, iot, certificate)
        return {
            "deviceConfiguration": dict(template.device_configuration),
            "thingName": plan.thing,
        }

    def _owned(self, token: object) -> _Token:
        if not isinstance(token, str) or not token:
            raise bad_token("Certificate ownership token cannot be empty.")
        owned = self._tokens.get(token)
        if owned is None:
            raise bad_token("Certificate ownership token is not valid.")
        if owned.until_s <= self._faults.now_s:
            raise bad_token("Certificate ownership token has expired.")
        return owned
