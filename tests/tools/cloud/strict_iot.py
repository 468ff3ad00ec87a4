# ruff: noqa: ANN401  # moto has no types
"""moto's model of AWS IoT, corrected where AWS is stricter or does more."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from moto.iot import exceptions
from moto.iot.models import FakeEndpoint, IoTBackend

from tests.tools.cloud.policies import MalformedPolicyError, parse

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.tools.cloud.faults import Faults

THING_NAME = re.compile(r"[a-zA-Z0-9:_-]{1,128}")
POLICY_NAME = re.compile(r"[\w+=,.@-]{1,128}", re.ASCII)
ATTRIBUTE_NAME = re.compile(r"[a-zA-Z0-9_.,@/:#-]{1,128}")
ATTRIBUTE_VALUE = re.compile(r"[a-zA-Z0-9_.,@/:#=\[\]-]{0,800}")
ATTRIBUTES, TYPED_ATTRIBUTES = 3, 50
CSR_LIMIT = 4096
RSA_BITS = 2048
CURVES = ("secp256r1", "secp384r1", "secp521r1")


class MalformedPolicyException(exceptions.IoTClientError):  # type: ignore[misc]
    """What CreatePolicy and CreatePolicyVersion say of a document that they cannot use."""

    def __init__(self, text: str) -> None:
        super().__init__("MalformedPolicyException", text)


class StrictIot(IoTBackend):  # type: ignore[misc]
    """The methods' names and parameters are moto's.

    `issue(public_key)` signs and returns PEM; `data_endpoint` is the one stable endpoint; `faults`
    knows how far the clock is ahead. They are set on a subclass, since moto makes the instances.
    """

    issue: Callable[[Any], str]
    data_endpoint: str
    faults: Faults

    def create_keys_and_certificate(self, set_as_active: bool) -> Any:  # noqa: FBT001  # as moto
        """Made at the time that the clock shows."""
        certificate, pair = super().create_keys_and_certificate(set_as_active)
        _date(certificate)
        certificate.creation_date += timedelta(seconds=self.faults.ahead_s)
        return certificate, pair

    def register_certificate(
        self,
        certificate_pem: str,
        ca_certificate_pem: str | None,
        set_as_active: bool,  # noqa: FBT001  # as moto
        status: str,
    ) -> Any:
        """With the dates of the certificate itself."""
        certificate = super().register_certificate(
            certificate_pem, ca_certificate_pem, set_as_active, status
        )
        _date(certificate)
        return certificate

    def _generate_certificate_pem(self, domain_name: str, subject: Any, key: Any = None) -> str:
        """Signed by our CA, instead of by the device's own key."""
        del domain_name, subject
        return type(self).issue(key.public_key())

    def create_certificate_from_csr(self, csr: str, set_as_active: Any) -> Any:
        """With the CSR's own key, at the clock's time; `set_as_active` arrives as text."""
        certificate = self.register_certificate(
            type(self).issue(_csr_key(csr)),
            ca_certificate_pem=None,
            set_as_active=str(set_as_active).lower() == "true",
            status="INACTIVE",
        )
        certificate.creation_date += timedelta(seconds=self.faults.ahead_s)
        return certificate

    def describe_endpoint(self, endpoint_type: str) -> Any:
        """The same each time; other types than `iot:Data-ATS` lead nowhere."""
        found = FakeEndpoint(endpoint_type, self.region_name)
        wanted = endpoint_type == "iot:Data-ATS"
        found.endpoint = self.data_endpoint if wanted else "not-the-ats-endpoint.invalid"
        return found

    def create_thing(
        self,
        thing_name: str,
        thing_type_name: str,
        attribute_payload: dict[str, Any] | None,
        billing_group_name: str | None = None,
    ) -> Any:
        """Again with the same properties it succeeds, with others it is a conflict."""
        if not THING_NAME.fullmatch(thing_name):
            raise exceptions.InvalidRequestException(
                f"1 validation error detected: Value '{thing_name}' at 'thingName' failed to "
                f"satisfy constraint: Member must satisfy regular expression pattern: "
                "[a-zA-Z0-9:_-]+"
            )
        attributes = (attribute_payload or {}).get("attributes") or {}
        _check_attributes(attributes, thing_type_name)
        for thing in self.things.values():
            if thing.thing_name != thing_name:
                continue
            kind = thing.thing_type.thing_type_name if thing.thing_type else None
            if (thing.attributes, kind) == (attributes, thing_type_name):
                return thing
            raise exceptions.ResourceAlreadyExistsException(
                f"Thing {thing_name} already exists in account with different attributes",
                thing_name,
                thing.arn,
            )
        return super().create_thing(
            thing_name, thing_type_name, attribute_payload, billing_group_name
        )

    def update_thing(
        self,
        thing_name: str,
        thing_type_name: str,
        attribute_payload: dict[str, Any] | None,
        remove_thing_type: bool,  # noqa: FBT001  # as moto
    ) -> None:
        """Attributes are checked."""
        thing = self.describe_thing(thing_name)
        payload = attribute_payload or {}
        new = payload.get("attributes") or {}
        all_of_them = {**thing.attributes, **new} if payload.get("merge") else new
        kept = {name: value for name, value in all_of_them.items() if value}
        kind = thing_type_name or (None if remove_thing_type else thing.thing_type)
        _check_attributes(kept, kind)
        super().update_thing(thing_name, thing_type_name, attribute_payload, remove_thing_type)

    def delete_thing(self, thing_name: str) -> None:
        """One that is not there is no error."""
        if any(thing.thing_name == thing_name for thing in self.things.values()):
            super().delete_thing(thing_name)

    def create_policy(self, policy_name: str, policy_document: Any) -> Any:
        """Names and documents are checked."""
        if not POLICY_NAME.fullmatch(policy_name):
            raise exceptions.InvalidRequestException(f"Policy name {policy_name} is invalid")
        _check(policy_document)
        return super().create_policy(policy_name, policy_document)

    def create_policy_version(
        self, policy_name: str, policy_document: Any, set_as_default: Any
    ) -> Any:
        """Documents are checked."""
        _check(policy_document)
        return super().create_policy_version(policy_name, policy_document, set_as_default)

    def update_certificate(self, certificate_id: str, new_status: str) -> None:
        """Only to a status that an owner may give; what is revoked stays so.

        https://docs.aws.amazon.com/iot/latest/developerguide/revoke-ca-cert.html
        """
        if new_status not in ("ACTIVE", "INACTIVE", "REVOKED"):
            raise exceptions.InvalidRequestException(f"Cannot change to {new_status}")
        if self.describe_certificate(certificate_id).status == "REVOKED" != new_status:
            raise exceptions.CertificateStateException(
                "Certificate is revoked, and its status cannot be changed.", certificate_id
            )
        super().update_certificate(certificate_id, new_status)


def _date(certificate: Any) -> None:
    found = x509.load_pem_x509_certificate(certificate.certificate_pem.encode())
    certificate.validity_not_before = found.not_valid_before_utc
    certificate.validity_not_after = found.not_valid_after_utc


def _check_attributes(attributes: dict[str, str], kind: object) -> None:
    """InvalidRequestException for too many (CreateThing, AWS IoT API), or of another form."""
    limit = TYPED_ATTRIBUTES if kind else ATTRIBUTES
    if len(attributes) > limit:
        raise exceptions.InvalidRequestException(
            f"A thing has at most {limit} attributes, and {TYPED_ATTRIBUTES} with a thing type"
        )
    for name, value in attributes.items():
        if not (ATTRIBUTE_NAME.fullmatch(name) and ATTRIBUTE_VALUE.fullmatch(value)):
            raise exceptions.InvalidRequestException(f"Attribute {name} or its value is invalid")


def _check(document: Any) -> None:
    try:
        parse(str(document))
    except MalformedPolicyError as error:
        raise MalformedPolicyException(str(error)) from error


def _csr_key(csr: str) -> Any:
    """The public key of a PEM CSR that AWS would sign; InvalidRequestException otherwise."""
    try:
        request = x509.load_pem_x509_csr(csr.encode())
        key = request.public_key()
    except (ValueError, TypeError) as error:
        raise exceptions.InvalidRequestException(f"CSR cannot be read: {error}") from error
    strong = (isinstance(key, rsa.RSAPublicKey) and key.key_size >= RSA_BITS) or (
        isinstance(key, ec.EllipticCurvePublicKey) and key.curve.name in CURVES
    )
    if not strong or not request.is_signature_valid or len(csr) > CSR_LIMIT:
        raise exceptions.InvalidRequestException(
            "CSR is invalid: RSA from 2048 bits on or P-256, P-384, P-521, signed by its own key, "
            f"at most {CSR_LIMIT} characters"
        )
    return key
