"""A claim is found in what a person has, whatever the files are called."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from agent.errors import ConfigError
from agent.identity import amazon_roots
from agent.provisioning import claim_given

if TYPE_CHECKING:
    from pathlib import Path

DAY_S = 86_400


def claim(
    *, lives_s: float = DAY_S, old_form: bool = False, passphrase: bytes = b""
) -> tuple[str, str]:
    """A certificate and its key, PEM."""
    key = (
        rsa.generate_private_key(public_exponent=65537, key_size=2048)
        if old_form
        else ec.generate_private_key(ec.SECP256R1())
    )
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "claim")])
    began = datetime(2026, 11, 26, tzinfo=UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(began)
        .not_valid_after(began + timedelta(seconds=lives_s))
        .sign(key, hashes.SHA256())
    )
    form = serialization.PrivateFormat
    encryption = (
        serialization.BestAvailableEncryption(passphrase)
        if passphrase
        else serialization.NoEncryption()
    )
    return (
        certificate.public_bytes(serialization.Encoding.PEM).decode(),
        key.private_bytes(
            serialization.Encoding.PEM,
            form.TraditionalOpenSSL if old_form else form.PKCS8,
            encryption,
        ).decode(),
    )


@pytest.mark.parametrize("old_form", [False, True])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_files_as_the_console_gives_them(tmp_path: Path, end: str, *, old_form: bool) -> None:
    """With the public key and Amazon's roots beside them, from any system."""
    certificate, key = claim(old_form=old_form)
    (tmp_path / "x-certificate.pem.crt").write_bytes(certificate.replace("\n", end).encode())
    (tmp_path / "x-private.pem.key").write_bytes(key.replace("\n", end).encode())
    (tmp_path / "x-public.pem.key").write_text("-----BEGIN PUBLIC KEY-----\n")
    for name, pem in amazon_roots().items():
        (tmp_path / name).write_text(pem)
    (tmp_path / "photo.jpg").write_bytes(bytes(range(256)) * 10)
    (tmp_path / "below").mkdir()
    found = claim_given.read(tmp_path)
    assert (found.certificate, found.key, found.temporary) == (certificate, key, False)
    assert "PRIVATE" not in repr(found)


@pytest.mark.parametrize("expiration", [True, False])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_what_the_command_line_printed(
    tmp_path: Path, encoding: str, end: str, *, expiration: bool
) -> None:
    """Of a temporary claim, or of a certificate that was made for this; in any system's text."""
    certificate, key = claim()
    printed = {
        "certificateId": "ab",
        "certificatePem": certificate.replace("\n", end),
        "keyPair": {"PublicKey": "", "PrivateKey": key.replace("\n", end)},
        **({"expiration": "2026-11-26T16:30:00+09:00"} if expiration else {}),
    }
    mark = "\ufeff" if encoding.endswith("e") else ""
    (tmp_path / "claim.json").write_bytes((mark + json.dumps(printed)).encode(encoding))
    for path in (tmp_path, tmp_path / "claim.json"):
        found = claim_given.read(path)
        assert (found.certificate, found.key, found.temporary) == (certificate, key, expiration)


def test_a_certificate_of_minutes_is_temporary(tmp_path: Path) -> None:
    """Whatever it came in."""
    (tmp_path / "both.pem").write_text("".join(claim(lives_s=300)))
    assert claim_given.read(tmp_path).temporary


def test_two_claims_are_one_too_many(tmp_path: Path) -> None:
    """A person says which."""
    for number in range(2):
        (tmp_path / f"{number}.pem").write_text("".join(claim()))
    with pytest.raises(ConfigError, match="has 2 claims"):
        claim_given.read(tmp_path)


def test_what_does_not_go_together_is_no_claim(tmp_path: Path) -> None:
    """And neither is an empty directory, or half a claim."""
    with pytest.raises(ConfigError, match="of 0 certificates and 0 private keys"):
        claim_given.read(tmp_path)
    (tmp_path / "one.crt").write_text(claim()[0])
    (tmp_path / "other.key").write_text(claim()[1])
    with pytest.raises(ConfigError, match="of 1 certificates and 1 private keys, none go"):
        claim_given.read(tmp_path)


@pytest.mark.parametrize("text", ["{", "[" * 50_000, '{"certificatePem": 1, "keyPair": {}}', "\0"])
def test_other_text_is_no_claim(tmp_path: Path, text: str) -> None:
    """Whatever it is."""
    (tmp_path / "text").write_text(text)
    with pytest.raises(ConfigError, match="has no claim"):
        claim_given.read(tmp_path)


@pytest.mark.parametrize("old_form", [False, True])
def test_a_passphrase_is_told(tmp_path: Path, *, old_form: bool) -> None:
    """Nobody could type it in at a start."""
    (tmp_path / "both.pem").write_text("".join(claim(passphrase=b"secret", old_form=old_form)))
    with pytest.raises(ConfigError, match="has a passphrase"):
        claim_given.read(tmp_path)


def test_yaml_is_told(tmp_path: Path) -> None:
    """With the flag that makes it JSON."""
    certificate, key = (one.replace("\n", "\n\n  ") for one in claim())
    text = f"certificatePem: '{certificate}'\nkeyPair:\n  PrivateKey: '{key}'\n"
    (tmp_path / "claim.yaml").write_text(text)
    with pytest.raises(ConfigError, match="as YAML") as told:
        claim_given.read(tmp_path)
    assert "--output json" in told.value.hint


def test_a_crowd_is_not_looked_into(tmp_path: Path) -> None:
    """Of files, or of keys: it must be another directory."""
    (tmp_path / "keys").write_text("".join(claim()[1] for _ in range(claim_given.MOST_FOUND + 1)))
    with pytest.raises(ConfigError, match="has 0 certificates and 11 private keys"):
        claim_given.read(tmp_path)
    for number in range(claim_given.MOST_FILES):
        (tmp_path / str(number)).touch()
    with pytest.raises(ConfigError, match="has 101 files"):
        claim_given.read(tmp_path)


def test_no_link_is_followed(tmp_path: Path) -> None:
    """It is named, since the claim may be what it leads to."""
    (tmp_path / "elsewhere").write_text("".join(claim()))
    (tmp_path / "given").mkdir()
    (tmp_path / "given" / "key.pem").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ConfigError, match=r"not read: key\.pem \(a link\)"):
        claim_given.read(tmp_path / "given")


def test_root_reads_what_nobody_else_has_put_there(tmp_path: Path) -> None:
    """Neither a file of another user's, nor another name of one that lies elsewhere."""
    path = tmp_path / "both.pem"
    path.write_text("".join(claim()))
    mine = {os.getuid()}
    assert claim_given.read(tmp_path, owners=mine)
    with pytest.raises(ConfigError, match=r"both\.pem \(others may have put it there\)"):
        claim_given.read(tmp_path, owners={os.getuid() + 1})
    (tmp_path / "name").hardlink_to(path)
    with pytest.raises(ConfigError, match=r"not read: both\.pem .*, name "):
        claim_given.read(tmp_path, owners=mine)
