"""Certificates for a scripted broker, sound and unsound; RSA, as those of Device Advisor are."""

from __future__ import annotations

import datetime as dt
import ipaddress
import ssl
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID

if TYPE_CHECKING:
    from pathlib import Path

DAY = dt.timedelta(days=1)


#: One key for all: making one costs more than a test.
KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)


def _pem(key: rsa.RSAPrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def _general_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _certificate(
    name: str,
    issuer: str,
    *,
    ca: bool = False,
    hosts: list[str] | None = None,
    begins: dt.timedelta = -DAY,
    ends: dt.timedelta = DAY,
) -> bytes:
    now = dt.datetime.now(dt.UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
        .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issuer)]))
        .public_key(KEY.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + begins)
        .not_valid_after(now + ends)
        .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
    )
    if hosts:
        names = x509.SubjectAlternativeName([_general_name(host) for host in hosts])
        builder = builder.add_extension(names, critical=False)
    certificate = builder.sign(KEY, hashes.SHA256())
    return certificate.public_bytes(serialization.Encoding.PEM)


@dataclass(frozen=True, slots=True)
class Files:
    """A device's own certificate and key, and the root that it trusts."""

    certificate: Path
    key: Path
    root: Path


class Certificates:
    """Makes them in a directory; the authority is called `root`."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._numbers = 0
        self.device = Files(
            self._write(_certificate("device", "root")),
            self._write(_pem(KEY)),
            self._write(_certificate("root", "root", ca=True)),
        )

    def renew(self, *, begins: dt.timedelta, ends: dt.timedelta) -> None:
        """Give the device a certificate with these dates, from now on."""
        renewed = _certificate("device", "root", begins=begins, ends=ends)
        self.device.certificate.write_bytes(renewed)

    def context(
        self,
        *,
        issuer: str = "root",
        hosts: tuple[str, ...] = ("localhost",),
        begins: dt.timedelta = -DAY,
        ends: dt.timedelta = DAY,
        large: bool = False,
        version: ssl.TLSVersion | None = None,
        trusts: bool = True,
    ) -> ssl.SSLContext:
        """A server's context that wants a client certificate.

        `large` has many names and an intermediate authority in between, `version` is the only one.
        Without `trusts` it refuses every device.
        """
        names = list(hosts) + [f"host-{number}.example" for number in range(200 * large)]
        signer = "between" if large else issuer
        chain = _certificate("server", signer, hosts=names, begins=begins, ends=ends)
        if large:
            chain += _certificate(signer, issuer, ca=True, hosts=names)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self._write(chain + _pem(KEY)))
        if trusts:
            context.load_verify_locations(self.device.root)
        context.verify_mode = ssl.CERT_REQUIRED
        context.set_alpn_protocols(["x-amzn-mqtt-ca"])
        if version:
            context.minimum_version = context.maximum_version = version
        return context

    def _write(self, content: bytes) -> Path:
        self._numbers += 1
        path = self._directory / f"{self._numbers}.pem"
        path.write_bytes(content)
        path.chmod(0o600)
        return path
