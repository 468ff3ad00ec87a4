"""The owner's own files are judged beforehand; a private key is closed to others."""

from __future__ import annotations

import stat
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from agent import config as configuration
from agent.config import KeyUri
from agent.identity import (
    close_key,
    decode_certificate,
    wrapped_uri,
)
from agent.identity.own_files import mqtt_problems, mqtt_warnings
from agent.value import replace
from tests.fakes import bound_by_modes
from tests.tools.cloud.authority import Authority

if TYPE_CHECKING:
    from pathlib import Path

    from agent.config import Config

Key = ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | rsa.RSAPrivateKey

AUTHORITY = Authority("A root")


def private(key: Key) -> bytes:
    """A private key in PEM."""
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def new_key() -> tuple[bytes, str]:
    """A private key, and a certificate for it."""
    key = ec.generate_private_key(ec.SECP256R1())
    return private(key), AUTHORITY.issue_device(key.public_key())


@pytest.fixture
def config(tmp_path: Path) -> Config:
    """A device with a certificate of its owner's."""
    key, certificate = new_key()
    (tmp_path / "mine.key").write_bytes(key)
    (tmp_path / "mine.crt").write_text(certificate)
    (tmp_path / "ca.pem").write_text(AUTHORITY.pem)
    toml = tmp_path / "agent.toml"
    toml.write_text(
        '[mqtt]\nendpoint = "localhost"\nca_file = "ca.pem"\n'
        'cert_file = "mine.crt"\nkey_file = "mine.key"\n'
    )
    return configuration.load(toml, options_of=lambda _: dict, environment={})


def test_good_files_have_no_problems(config: Config) -> None:
    """Nor has a configuration that names none."""
    assert mqtt_problems(config) == []
    bare = replace(config.mqtt, ca_file=None, cert_file=None, key_file=None)
    assert mqtt_problems(replace(config, mqtt=bare)) == []


@pytest.mark.parametrize(
    ("name", "key"), [("ca.pem", "ca_file"), ("mine.crt", "cert_file"), ("mine.key", "key_file")]
)
def test_a_missing_file_is_told_by_its_key(
    config: Config, tmp_path: Path, name: str, key: str
) -> None:
    """Each with its path."""
    (tmp_path / name).unlink()
    (problem,) = mqtt_problems(config)
    assert problem == f"mqtt.{key}: {tmp_path / name}: No such file or directory"


def test_a_file_of_other_content_is_told(config: Config, tmp_path: Path) -> None:
    """All at once."""
    (tmp_path / "ca.pem").write_text("no certificate")
    (tmp_path / "mine.key").write_bytes(new_key()[0])
    roots, key = mqtt_problems(config)
    assert roots.startswith(f"mqtt.ca_file: {tmp_path / 'ca.pem'}: ")
    assert roots.endswith(
        "; the certificate is needed, a text that begins with -----BEGIN CERTIFICATE-----"
    )
    assert key.startswith("mqtt.key_file: ")
    assert "is not the key of mine.crt" in key


def test_what_this_user_may_not_read_is_no_problem(config: Config, tmp_path: Path) -> None:
    """The agent's user may."""
    for name in ("ca.pem", "mine.crt", "mine.key"):
        (tmp_path / name).chmod(0)
    with bound_by_modes():
        assert mqtt_problems(config) == []


def test_a_pair_that_does_not_go_is_told_by_the_key_of_the_file_to_blame(
    config: Config, tmp_path: Path
) -> None:
    """Each of the two, with what to do."""
    (tmp_path / "mine.crt").write_bytes(new_key()[0])
    (tmp_path / "mine.key").write_text("")
    certificate, key = mqtt_problems(config)
    assert certificate.startswith(f"mqtt.cert_file: {tmp_path}/mine.crt: is a private key; ")
    assert key.startswith(f"mqtt.key_file: {tmp_path}/mine.key: is empty; ")


def test_dates_and_an_open_key_are_warned_of(config: Config, tmp_path: Path) -> None:
    """They stop nothing: the clock may be wrong, and the agent closes the key itself."""
    found = decode_certificate((tmp_path / "mine.crt").read_text())
    key = tmp_path / "mine.key"
    key.chmod(0o600)
    now_s = found.not_before_s
    assert mqtt_warnings(config, now_s=now_s) == []
    (ended,) = mqtt_warnings(config, now_s=found.not_after_s)
    assert f"mqtt.cert_file: {tmp_path}/mine.crt: ended on " in ended
    (begins,) = mqtt_warnings(config, now_s=now_s - 1)
    assert f"{tmp_path}/mine.crt: begins on " in begins
    key.chmod(0o644)
    (opened,) = mqtt_warnings(config, now_s=now_s)
    assert f"`sudo chmod go= {key}` closes it" in opened
    assert stat.S_IMODE(key.stat().st_mode) == 0o644
    bare = replace(config.mqtt, ca_file=None, cert_file=None, key_file=None)
    assert mqtt_warnings(replace(config, mqtt=bare), now_s=0) == []


@pytest.mark.parametrize(
    ("key", "told"),
    [
        (ec.generate_private_key(ec.SECP384R1()), ""),
        (ec.generate_private_key(ec.SECP256K1()), "EC of another curve"),
        (ed25519.Ed25519PrivateKey.generate(), "Ed25519"),
        (rsa.generate_private_key(public_exponent=65537, key_size=1024), "RSA 1024"),  # noqa: S505
    ],
)
def test_a_key_that_aws_does_not_take_is_warned_of(
    config: Config, tmp_path: Path, key: Key, told: str
) -> None:
    """Another broker may take it."""
    (tmp_path / "mine.crt").write_text(pem := AUTHORITY.issue_device(key.public_key()))
    (tmp_path / "mine.key").chmod(0o600)
    found = mqtt_warnings(config, now_s=decode_certificate(pem).not_before_s)
    assert [f"is for a key {told}; AWS IoT takes RSA" in one for one in found] == [True][
        : len(told)
    ]


def test_an_rsa_key_that_is_too_short_is_told(config: Config, tmp_path: Path) -> None:
    """OpenSSL's own words name the certificate, and no remedy."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=1024)  # noqa: S505
    (tmp_path / "mine.key").write_bytes(private(key))
    (tmp_path / "mine.crt").write_text(AUTHORITY.issue_device(key.public_key()))
    (problem,) = mqtt_problems(config)
    assert "mine.crt: is for a key that is too short: RSA 1024; make a key of EC P-256" in problem


@pytest.mark.parametrize("name", ["mine.crt", "mine.key"])
def test_a_huge_file_is_told(config: Config, tmp_path: Path, name: str) -> None:
    """It is none of the two."""
    (tmp_path / name).write_bytes(bytes(1024 * 1024 + 1))
    (problem,) = mqtt_problems(config)
    assert f"{tmp_path / name}: is longer than 1048576 bytes" in problem


def test_a_file_may_stand_for_a_key_in_hardware(config: Config, tmp_path: Path) -> None:
    """It is judged as the key that is named by its URI."""
    uri = KeyUri.parse(f"pkcs11:object=key?module-path=/m.so&pin-source=file:{tmp_path}/pin")
    (tmp_path / "mine.key").write_text(wrapped_uri(uri))
    told = f"mqtt.key_file: {tmp_path}/pin: No such file or directory; see pin-source="
    assert [one[: len(told)] for one in mqtt_problems(config)] == [told]
    (tmp_path / "mine.key").write_text(wrapped_uri(uri)[:60])
    (spoiled,) = mqtt_problems(config)
    assert "mine.key: stands for a key in hardware, and is spoiled: it has no URI; " in spoiled


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o666])
def test_an_open_key_is_closed_and_told(tmp_path: Path, mode: int) -> None:
    """Once: it is closed then. Who read it before can connect as this device."""
    key = tmp_path / "mine.key"
    key.touch()
    key.chmod(mode)
    assert "can connect as this device" in (told := close_key(key))
    assert "closed to them now" in told
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert close_key(key) == ""


def test_an_open_key_behind_a_link_is_told_with_the_remedy(tmp_path: Path) -> None:
    """A link is not followed, so that nothing else is changed by way of it."""
    key, link = tmp_path / "mine.key", tmp_path / "link.key"
    key.touch()
    key.chmod(0o644)
    link.symlink_to(key)
    assert f"`sudo chmod go= {link}`" in close_key(link)
    assert stat.S_IMODE(key.stat().st_mode) == 0o644


def test_a_key_that_is_gone_is_nobodys(tmp_path: Path) -> None:
    """Whoever loads it says so."""
    assert close_key(tmp_path / "missing") == ""
