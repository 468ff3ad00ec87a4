"""Keys and requests for certificates are those that AWS signs, and a private key stays inside."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from agent.errors import RefusedError
from agent.provisioning import openssl

if TYPE_CHECKING:
    from pathlib import Path


def test_a_key_of_the_default_type_is_on_the_curve_p256() -> None:
    """It is written as PKCS #8, without a passphrase."""
    key = serialization.load_pem_private_key(openssl.new_key("ec-p256").encode(), None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    assert key.curve.name == "secp256r1"


def test_a_key_may_be_rsa_of_2048_bits() -> None:
    """That is the shortest that AWS takes."""
    key = serialization.load_pem_private_key(openssl.new_key("rsa-2048").encode(), None)
    assert isinstance(key, rsa.RSAPrivateKey)
    assert key.key_size == 2048


@pytest.mark.parametrize("key_type", openssl.KEY_TYPES)
def test_a_request_has_the_public_half_of_the_key(key_type: str) -> None:
    """It is signed by the key, and is all that leaves the device."""
    key = openssl.new_key(key_type)
    pem = openssl.signing_request(key)
    request = x509.load_pem_x509_csr(pem.encode())
    public = request.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    assert request.is_signature_valid
    assert public.decode() == openssl.public_key(key)
    assert len(pem) <= 4096
    assert "PRIVATE" not in pem


@pytest.mark.parametrize("key", ["", "no key", "-----BEGIN PRIVATE KEY-----\nAAAA\n"])
def test_what_is_no_key_is_told_without_quoting_it(key: str) -> None:
    """A spoiled one may be most of a good one."""
    for ask in (openssl.public_key, openssl.signing_request):
        with pytest.raises(ValueError, match=r"^openssl \w+ ended with exit code 1$"):
            ask(key)


def test_a_system_without_the_command_is_told_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The package depends on it; a checkout may stand anywhere."""
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(RefusedError, match="the command openssl is missing") as missing:
        openssl.new_key("ec-p256")
    assert "apt install openssl" in missing.value.hint
