"""Certificate authorities for the local cloud: one for devices, another for the server."""

from __future__ import annotations

import datetime as dt
import hashlib
import ipaddress
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes

#: When certificates that AWS IoT issues expire.
NOT_AFTER = dt.datetime(2049, 12, 31, 23, 59, 59, tzinfo=dt.UTC)

#: Age of what is issued, whatever the clock.
AGE = dt.timedelta(days=1)


def common_name(certificate_pem: str) -> str:
    """The subject's common name, which mosquitto uses as the user name."""
    certificate = x509.load_pem_x509_certificate(certificate_pem.encode())
    return str(certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value)


def certificate_id(certificate_pem: str) -> str:
    """The name AWS IoT gives a certificate: SHA-256 of its DER form, in hexadecimal digits."""
    certificate = x509.load_pem_x509_certificate(certificate_pem.encode())
    return hashlib.sha256(certificate.public_bytes(serialization.Encoding.DER)).hexdigest()


def key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    """A private key as unencrypted PKCS #8."""
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def write(
    pem: str, key: ec.EllipticCurvePrivateKey, certificate_file: Path, key_file: Path
) -> tuple[Path, Path]:
    """Write a certificate, and its key for its owner alone; the two paths."""
    certificate_file.parent.mkdir(parents=True, exist_ok=True)
    certificate_file.write_text(pem)
    key_file.touch(mode=0o600)
    key_file.write_bytes(key_pem(key))
    return certificate_file, key_file


class Authority:
    """A root certificate and its key; any thread may call it.

    What it issues is good enough for OpenSSL's strict mode (RFC 5280), the default of Python 3.13.
    """

    def __init__(self, name: str, *, now: dt.datetime | None = None) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name(
            [
                x509.NameAttribute(NameOID.COUNTRY_NAME, "US"),
                x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Local cloud"),
                x509.NameAttribute(NameOID.COMMON_NAME, name),
            ]
        )
        self._born = (now or dt.datetime.now(dt.UTC)).replace(microsecond=0) - AGE
        self._lists = 0
        certificate = (
            self._builder(self._name, self._key.public_key())
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_usage(signs_certificates=True), critical=True)
            .sign(self._key, hashes.SHA256())
        )
        self.pem = certificate.public_bytes(serialization.Encoding.PEM).decode()

    def issue_device(
        self, public_key: CertificatePublicKeyTypes, *, not_after: dt.datetime = NOT_AFTER
    ) -> str:
        """A device's certificate for `public_key`, as PEM, with a common name of its own."""
        serial = x509.random_serial_number()
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"device-{serial:040x}")])
        certificate = (
            self._builder(subject, public_key, serial=serial, not_after=not_after)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(signs_certificates=False), critical=True)
            .sign(self._key, hashes.SHA256())
        )
        return certificate.public_bytes(serialization.Encoding.PEM).decode()

    def issue_server(self, names: Iterable[str]) -> tuple[str, bytes]:
        """A server's certificate for `names` (hosts and addresses) and its key, both as PEM."""
        key = ec.generate_private_key(ec.SECP256R1())
        names = list(names)
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0])])
        certificate = (
            self._builder(subject, key.public_key())
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(signs_certificates=False), critical=True)
            .add_extension(x509.SubjectAlternativeName(map(_general_name, names)), critical=False)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
            .sign(self._key, hashes.SHA256())
        )
        return certificate.public_bytes(serialization.Encoding.PEM).decode(), key_pem(key)

    def revocation_list(self, serials: Iterable[int]) -> str:
        """The certificates to refuse, as a PEM CRL.

        Each list is dated a second after the one before: where OpenSSL has several it goes by the
        newest.
        """
        self._lists += 1
        builder = (
            x509.CertificateRevocationListBuilder()
            .issuer_name(self._name)
            .last_update(self._born + dt.timedelta(seconds=self._lists))
            .next_update(NOT_AFTER)
            .add_extension(x509.CRLNumber(self._lists), critical=False)
        )
        for serial in serials:
            builder = builder.add_revoked_certificate(
                x509.RevokedCertificateBuilder()
                .serial_number(serial)
                .revocation_date(self._born)
                .build()
            )
        signed = builder.sign(self._key, hashes.SHA256())
        return signed.public_bytes(serialization.Encoding.PEM).decode()

    def _builder(
        self,
        subject: x509.Name,
        public_key: CertificatePublicKeyTypes,
        *,
        serial: int = 0,
        not_after: dt.datetime = NOT_AFTER,
    ) -> x509.CertificateBuilder:
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(public_key)
            .serial_number(serial or x509.random_serial_number())
            .not_valid_before(self._born)
            .not_valid_after(not_after)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()),
                critical=False,
            )
        )


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)
