"""Certificates that the local AWS makes are signed, named and keyed as AWS's own are."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tests.integration.cloud.conftest import error_code
from tests.integration.cloud.device import ARN

if TYPE_CHECKING:
    from tests.tools.cloud import LocalAws


def test_a_made_certificate_is_signed_by_the_device_ca_and_named_by_its_der(aws: LocalAws) -> None:
    """The id is SHA-256 of the DER, the key fits, and the chain ends in the device CA."""
    made = aws.iot.create_keys_and_certificate(setAsActive=False)
    certificate = x509.load_pem_x509_certificate(made["certificatePem"].encode())
    der = certificate.public_bytes(serialization.Encoding.DER)
    assert made["certificateId"] == hashlib.sha256(der).hexdigest()
    assert made["certificateArn"] == f"{ARN}:cert/{made['certificateId']}"
    certificate.verify_directly_issued_by(x509.load_pem_x509_certificate(aws.devices.pem.encode()))
    assert f"{certificate.not_valid_after_utc:%F %T}" == "2049-12-31 23:59:59"
    key = serialization.load_pem_private_key(made["keyPair"]["PrivateKey"].encode(), None)
    assert key.public_key() == certificate.public_key()
    assert aws.certificates()[-1].status == "INACTIVE"


@pytest.mark.parametrize("active", [False, True])
def test_a_certificate_from_a_csr_keeps_its_key(aws: LocalAws, active: bool) -> None:  # noqa: FBT001
    """Also its status is what was asked for, and asking twice gives another certificate."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "device")])
    request = x509.CertificateSigningRequestBuilder().subject_name(name).sign(key, hashes.SHA256())
    csr = request.public_bytes(serialization.Encoding.PEM).decode()
    made, again = [
        aws.iot.create_certificate_from_csr(certificateSigningRequest=csr, setAsActive=active)
        for _ in range(2)
    ]
    certificate = x509.load_pem_x509_certificate(made["certificatePem"].encode())
    assert certificate.public_key() == key.public_key()
    certificate.verify_directly_issued_by(x509.load_pem_x509_certificate(aws.devices.pem.encode()))
    der = certificate.public_bytes(serialization.Encoding.DER)
    assert made["certificateId"] == hashlib.sha256(der).hexdigest() != again["certificateId"]
    described = aws.iot.describe_certificate(certificateId=made["certificateId"])
    assert described["certificateDescription"]["status"] == ("ACTIVE" if active else "INACTIVE")


def test_a_csr_that_is_none_is_an_invalid_request(aws: LocalAws) -> None:
    """Neither text nor a weak key is signed."""
    weak = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([]))
    csr = weak.sign(ec.generate_private_key(ec.SECP256K1()), hashes.SHA256())
    for text in ("no CSR", csr.public_bytes(serialization.Encoding.PEM).decode()):
        assert error_code(aws.iot.create_certificate_from_csr, certificateSigningRequest=text) == (
            "InvalidRequestException",
            400,
        )


def test_the_end_of_a_certificate_may_be_chosen(aws: LocalAws) -> None:
    """AWS's own date is 2049; another may be set, and AWS describes what the certificate says."""
    aws.not_after = datetime(2027, 1, 2, 3, 4, 5, tzinfo=UTC)
    made = aws.iot.create_keys_and_certificate(setAsActive=False)
    certificate = x509.load_pem_x509_certificate(made["certificatePem"].encode())
    assert certificate.not_valid_after_utc == aws.not_after
    described = aws.iot.describe_certificate(certificateId=made["certificateId"])
    assert described["certificateDescription"]["validity"]["notAfter"] == aws.not_after


def test_what_is_revoked_stays_revoked(aws: LocalAws) -> None:
    """It may be deleted; and nobody gives a status that is AWS's own."""
    made = aws.iot.create_keys_and_certificate(setAsActive=True)
    which = {"certificateId": made["certificateId"]}
    for status in ("PENDING_ACTIVATION", "PENDING_TRANSFER"):
        assert error_code(aws.iot.update_certificate, **which, newStatus=status) == (
            "InvalidRequestException",
            400,
        )
    for _ in range(2):
        aws.iot.update_certificate(**which, newStatus="REVOKED")
    for status in ("ACTIVE", "INACTIVE"):
        assert error_code(aws.iot.update_certificate, **which, newStatus=status) == (
            "CertificateStateException",
            406,
        )
    aws.iot.delete_certificate(**which)
