"""Credentials are read whole or not at all, and an error says which file is to blame."""

from __future__ import annotations

import json
import ssl
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from agent import config as configuration
from agent.errors import CredentialsError
from agent.identity import (
    ROOT_CA_1,
    Credentials,
    ForbiddenCredentialsError,
    Identity,
    MissingCredentialsError,
    RootsError,
    amazon_roots,
    load,
    tls_context,
)
from agent.identity.credentials import Files, read_identity
from agent.identity.tls import SUITES
from agent.identity.unusable import forbidden
from agent.value import asdict, replace
from tests.fakes import bound_by_modes
from tests.tools.cloud.authority import Authority

if TYPE_CHECKING:
    from pathlib import Path

    from agent.config import Config

NAME = "living-room:a"
AUTHORITY = Authority("A root")
ROOT_1 = amazon_roots()[ROOT_CA_1]
IDENTITY = Identity(
    thing=NAME,
    account="123456789012",
    region="eu-west-1",
    endpoint="localhost",
    certificate_arn="arn:aws:iot:eu-west-1:123456789012:cert/00",
    certificate_id="00",
    policy="living-room.a_subscribe",
    created=1795500600,
)


def key_pem(key: ec.EllipticCurvePrivateKey, password: bytes = b"") -> bytes:
    """A private key, encrypted if there is a password."""
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(password)
        if password
        else serialization.NoEncryption(),
    )


@pytest.fixture
def config(tmp_path: Path) -> Config:
    """A device that is provisioned."""
    files = Files(tmp_path / "certs" / NAME, NAME)
    files.directory.mkdir(parents=True)
    key = ec.generate_private_key(ec.SECP256R1())
    files.key.write_bytes(key_pem(key))
    files.certificate.write_text(AUTHORITY.issue_device(key.public_key()))
    files.public_key.write_text("a public key")
    files.root.write_text(ROOT_1)
    files.identity.write_bytes(IDENTITY.encode())
    toml = tmp_path / "agent.toml"
    toml.write_text(f'thing.name = "{NAME}"\npaths.certs = "{tmp_path}/certs"\n')
    return configuration.load(toml, options_of=lambda _: dict, environment={})


def files_of(config: Config) -> Files:
    """Its files."""
    return Files(config.paths.certs / NAME, NAME)


def test_what_is_whole_is_loaded(config: Config) -> None:
    """Certificate, key, roots and identity, from a directory or through a link to one."""
    files = files_of(config)
    expected = Credentials(files.certificate, files.key, (), IDENTITY, ROOT_1)
    assert load(config) == expected
    aside = files.directory.rename(config.paths.certs / ".aside")
    files.directory.symlink_to(".aside")
    assert load(config).key == aside / files.key.name


def test_what_is_not_there_is_missing(config: Config) -> None:
    """Not provisioned yet is told from spoiled."""
    files_of(config).directory.rename(config.paths.certs / "elsewhere")
    with pytest.raises(MissingCredentialsError, match=NAME) as caught:
        load(config)
    assert "provision" in caught.value.hint


@pytest.mark.parametrize("name", ["certificate", "key", "public_key", "identity", "root"])
@pytest.mark.parametrize("how", ["removed", "empty", "half", "directory"])
def test_a_spoiled_file_is_named(config: Config, name: str, how: str) -> None:
    """Whatever became of it, the error names a file beside it and what to run."""
    path: Path = getattr(files_of(config), name)
    data = path.read_bytes()
    path.unlink()
    if how == "directory":
        path.mkdir()
    elif how != "removed":
        path.write_bytes(data[: len(data) // 2] if how == "half" else b"")
    if name == "public_key" and how in ("empty", "half"):
        load(config)  # nothing reads it
        return
    with pytest.raises(CredentialsError, match=str(config.paths.certs)) as caught:
        load(config)
    assert not isinstance(caught.value, MissingCredentialsError)
    assert "provision" in caught.value.hint


@pytest.mark.parametrize(
    "content",
    [
        "[]",
        "null",
        "[" * 100_000,
        "\x00",
        json.dumps({**asdict(IDENTITY), "endpoint": ""}),
        json.dumps({**asdict(IDENTITY), "thing": 7}),
        json.dumps({**asdict(IDENTITY), "created": "yesterday"}),
        json.dumps({**asdict(IDENTITY), "thing": "another"}),
    ],
    ids=lambda content: content[:20],
)
def test_an_identity_that_is_not_ours_is_spoiled(config: Config, content: str) -> None:
    """Every field has to be there, of its type, and of this thing."""
    files_of(config).identity.write_text(content)
    with pytest.raises(CredentialsError, match=r"identity\.json"):
        load(config)


def test_more_in_an_identity_does_no_harm(config: Config) -> None:
    """A later version may add to it."""
    files = files_of(config)
    files.identity.write_text(json.dumps({**asdict(IDENTITY), "more": 1}))
    assert read_identity(files.identity) == IDENTITY


def test_a_key_of_another_certificate_is_spoiled(config: Config) -> None:
    """They have to match."""
    files_of(config).key.write_bytes(key_pem(ec.generate_private_key(ec.SECP256R1())))
    with pytest.raises(CredentialsError, match="is not the key of"):
        load(config)


def test_an_encrypted_key_asks_nobody(config: Config) -> None:
    """It is an error, not a question at a terminal that nobody watches."""
    key = ec.generate_private_key(ec.SECP256R1())
    files_of(config).key.write_bytes(key_pem(key, b"secret"))
    with pytest.raises(CredentialsError):
        load(config)


@pytest.mark.parametrize("more", ["", ROOT_1])
def test_no_root_is_trusted_that_is_not_amazons(config: Config, more: str) -> None:
    """Not even beside one that is; provisioning writes the file anew."""
    files_of(config).root.write_text(more + AUTHORITY.pem)
    with pytest.raises(CredentialsError, match=r"RootCA1\.pem: not the Amazon root") as caught:
        load(config)
    assert not isinstance(caught.value, RootsError)


def test_the_roots_are_those_that_were_checked(config: Config) -> None:
    """What becomes of the file after the check is not looked at."""
    found = load(config)
    files_of(config).root.write_text(AUTHORITY.pem)
    (trusted,) = tls_context(found, alpn=False).get_ca_certs()
    assert "Amazon Root CA 1" in str(trusted)


@pytest.mark.parametrize("how", ["missing", "empty", "directory"])
def test_a_spoiled_ca_file_is_told_from_a_spoiled_identity(config: Config, how: str) -> None:
    """No registration mends it, so it has an error of its own, with a hint at its key."""
    path = config.paths.certs / "ca.pem"
    if how == "directory":
        path.mkdir()
    elif how == "empty":
        path.touch()
    with pytest.raises(RootsError, match=str(path)) as caught:
        load(replace(config, mqtt=replace(config.mqtt, ca_file=path)))
    assert "ca_file" in caught.value.hint


@pytest.mark.parametrize("name", ["certificate", "key", "identity", "root", "directory", "ca_file"])
def test_what_this_user_may_not_read_is_not_called_spoiled(config: Config, name: str) -> None:
    """It may be as it should, and root can tell."""
    if name == "ca_file":
        path = config.paths.certs / "ca.pem"
        path.touch()
        config = replace(config, mqtt=replace(config.mqtt, ca_file=path))
    else:
        path = getattr(files_of(config), name)
    path.chmod(0)
    forbidden = pytest.raises(ForbiddenCredentialsError, match="may not be read by this user")
    with bound_by_modes(), forbidden as caught:
        load(config)
    path.chmod(0o700)
    assert "sudo" in caught.value.hint
    assert isinstance(caught.value, RootsError) == (name == "ca_file")


def test_what_the_service_may_not_read_is_of_no_use() -> None:
    """Whoever is root has asked as the service's user already: sudo would change nothing."""
    told = forbidden("/root/k.pem", service=True)
    assert not isinstance(told, ForbiddenCredentialsError)
    assert "the user of the service" in told.text
    assert "chown pi-iot-agent /root/k.pem" in told.hint
    assert "run this with sudo" not in told.hint


def test_a_file_of_roots_replaces_the_others(config: Config, tmp_path: Path) -> None:
    """Only it is trusted then."""
    other = tmp_path / "ca.pem"
    other.write_text(Authority("Another root").pem)
    found = load(replace(config, mqtt=replace(config.mqtt, ca_file=other)))
    assert found.roots == (other,)
    (trusted,) = tls_context(found, alpn=False).get_ca_certs()
    assert "Another root" in str(trusted)


def test_ones_own_certificate_needs_no_identity(config: Config, tmp_path: Path) -> None:
    """Without ca_file the system's Amazon roots are trusted, and nothing else of the system's."""
    files = files_of(config)
    mqtt = replace(
        config.mqtt, cert_file=files.certificate, key_file=files.key, endpoint="localhost"
    )
    found = load(replace(config, mqtt=mqtt))
    assert found == Credentials(files.certificate, files.key, (), None)
    assert len(tls_context(found, alpn=False).get_ca_certs()) == len(amazon_roots())
    missing = tmp_path / "missing"
    with pytest.raises(CredentialsError, match=f"{missing}.*No such file") as caught:
        load(replace(config, mqtt=replace(mqtt, key_file=missing)))
    assert "[mqtt]" in caught.value.hint


def test_the_context_is_as_aws_asks(config: Config) -> None:
    """TLS 1.2 or later, the four suites, the host's name checked."""
    context = tls_context(load(config), alpn=True)
    assert context.minimum_version == ssl.TLSVersion.TLSv1_2
    assert context.check_hostname
    assert context.verify_mode == ssl.CERT_REQUIRED
    suites = {suite["name"] for suite in context.get_ciphers() if suite["protocol"] == "TLSv1.2"}
    assert suites == set(SUITES.split(":"))
