"""Keys and requests for certificates are those that AWS signs, and a private key stays inside."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from agent.errors import RefusedError, TransientCloudError
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
        with pytest.raises(openssl.SpoiledKeyError) as told:
            ask(key)
        assert re.fullmatch(r"openssl \w+ ended with exit code 1(: .*)?", told.value.text)
        assert "AAAA" not in told.value.text


def test_a_system_without_the_command_is_told_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The package depends on it; a checkout may stand anywhere."""
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(RefusedError, match="the command openssl is missing") as missing:
        openssl.new_key("ec-p256")
    assert "apt install openssl" in missing.value.hint


def failing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    """Let `openssl` be that script."""
    (tmp_path / "openssl").write_text(f"#!/bin/sh\n{script}\n")
    (tmp_path / "openssl").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")


@pytest.mark.parametrize(
    ("script", "told"),
    [
        ("echo first >&2; echo out of memory >&2; exit 3", "exit code 3: out of memory"),
        ("kill -9 $$", "ended by SIGKILL"),
    ],
)
def test_a_command_that_fails_may_do_better_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, told: str
) -> None:
    """A small board may lack the memory for a moment; no key is taken for spoiled by that."""
    failing(tmp_path, monkeypatch, script)
    with pytest.raises(TransientCloudError, match=told) as failed:
        openssl.new_key("ec-p256")
    assert not isinstance(failed.value, ValueError)
    assert "journalctl -k" in failed.value.hint


def test_a_command_that_cannot_be_started_may_do_better_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where there is no memory for another process."""
    failing(tmp_path, monkeypatch, "exit")
    monkeypatch.setenv("PATH", str(tmp_path))
    (tmp_path / "openssl").write_bytes(b"\x7fELF")
    with pytest.raises(TransientCloudError, match=r"^openssl: Exec format error$"):
        openssl.new_key("ec-p256")


def test_the_command_is_told_no_secret_of_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Any process of the same user reads a program's environment."""
    failing(tmp_path, monkeypatch, "env")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "a-secret")
    monkeypatch.setenv("https_proxy", "http://me:a-secret@proxy:3128")
    told = openssl.new_key("ec-p256")
    assert f"PATH={tmp_path}" in told
    assert "a-secret" not in told
