"""A key that is made on the device never leaves it, and is certified once."""

from __future__ import annotations

import itertools
import stat
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.integration.provisioning.device import CALLS, CrashError, Device

if TYPE_CHECKING:
    from pathlib import Path

    from tests.tools.cloud import LocalAws


def certified(device: Device) -> bytes:
    """The public key in the certificate that the device uses."""
    found = x509.load_pem_x509_certificate(device.files.certificate.read_bytes())
    return found.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )


def test_no_private_key_is_in_any_request(device: Device) -> None:
    """Nor in an answer: AWS never has it."""
    device.provision()
    device.check_whole()
    key = "".join(device.files.key.read_text().splitlines()[1:-1])
    sent = b"".join(request.body for request in device.aws.requests)
    assert b"CERTIFICATE REQUEST" in sent
    assert b"PRIVATE KEY" not in sent
    assert key[60:100].encode() not in sent.replace(b"\\n", b"")
    assert "CreateKeysAndCertificate" not in device.aws.faults.operations()


def test_the_certificate_is_of_the_key_on_disk(device: Device) -> None:
    """Key and public key are in the places of the tutorial."""
    device.provision()
    assert certified(device) == device.files.public_key.read_bytes()
    assert not device.generations.key.exists()


def test_the_same_key_is_used_again_until_a_certificate_for_it_has_come(device: Device) -> None:
    """An answer that is lost costs no key; it is private from its first byte."""
    with pytest.raises(CrashError):
        device.provision(crash_at=CALLS.index("CreateCertificateFromCsr"))
    assert device.aws.faults.operations()[-1] == "CreateCertificateFromCsr"
    key = device.generations.key.read_bytes()
    assert stat.S_IMODE(device.generations.key.stat().st_mode) == 0o600
    device.provision()
    assert device.files.key.read_bytes() == key
    device.check_whole()


@pytest.mark.parametrize("run", [1, 2, 3])
def test_an_openssl_that_is_killed_is_run_again(
    device: Device, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run: int
) -> None:
    """As by a lack of memory, for the key or for the request; AWS hears of none but the last."""
    script = tmp_path / "bin" / "openssl"
    script.parent.mkdir()
    script.write_text(f"""#!/bin/sh
echo run >>{tmp_path}/runs
[ "$(wc -l <{tmp_path}/runs)" = {run} ] && kill -9 $$
PATH=/usr/bin:/bin exec openssl "$@"
""")
    script.chmod(0o755)
    monkeypatch.setenv("PATH", f"{script.parent}:/usr/bin:/bin")
    device.provision()
    device.check_whole()
    assert len(device.waited_s) == 1
    assert device.aws.faults.operations().count("CreateCertificateFromCsr") == 1


@pytest.mark.parametrize("method", ["csr", "keys"])
def test_a_crash_after_any_call_leaves_one_certificate_of_one_key(
    aws: LocalAws, tmp_path: Path, method: str
) -> None:
    """Whatever was made before the crash is used, or removed, whoever makes the key."""
    device = Device(aws, tmp_path, provisioning={"method": method})
    for crash_at in itertools.count(1):
        try:
            device.provision(crash_at=crash_at)
        except CrashError:
            noted = device.generations.next_key()
            device.provision()
            device.check_whole()
            assert noted in ("", device.files.key.read_text())
            device.deprovision()
        else:
            break
    device.check_whole()
    assert crash_at > 6
    device.close()


def test_a_spoiled_key_is_made_anew(device: Device) -> None:
    """A card may have lost it; nothing was certified by then."""
    device.certs.mkdir(mode=0o700)
    device.generations.key.write_text("half a key")
    device.provision()
    device.check_whole()


def test_a_new_certificate_gets_a_new_key(device: Device) -> None:
    """One that a run has left behind, and a generation has already, is not used again."""
    device.provision()
    old = device.files.key.read_text()
    device.generations.note_key(old)
    device.files.public_key.unlink()
    device.provision()
    assert device.files.key.read_text() != old
    device.check_whole()


def test_a_key_may_be_rsa(aws: LocalAws, tmp_path: Path) -> None:
    """By choice, for a broker or a library that needs it."""
    device = Device(aws, tmp_path, provisioning={"key_type": "rsa-2048"})
    device.provision()
    device.check_whole()
    key = serialization.load_pem_private_key(device.files.key.read_bytes(), None)
    assert isinstance(key, rsa.RSAPrivateKey)
    device.close()


def test_aws_may_make_the_key(aws: LocalAws, tmp_path: Path) -> None:
    """As the tutorial has it: `method = "keys"`."""
    device = Device(aws, tmp_path, provisioning={"method": "keys"})
    device.provision()
    device.check_whole()
    assert "CreateCertificateFromCsr" not in aws.faults.operations()
    assert device.generations.identity(device.generations.current).method == "keys"  # type: ignore[union-attr]
    device.close()
