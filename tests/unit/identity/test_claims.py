"""A claim is erased once what it has made has been let in, and is told where it stays."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from agent.config import Config, load
from agent.identity import (
    Identity,
    claim_ended,
    claim_id,
    claim_left,
    claim_warnings,
    erase_claim,
    erase_used_claim,
)
from agent.identity.credentials import Files
from tests.tools.cloud.authority import Authority

if TYPE_CHECKING:
    from collections.abc import Iterator

CLAIM = '[mqtt]\nendpoint = "broker"\n[provisioning]\nmethod = "claim"\ntemplate = "t"\n'


@pytest.fixture
def config(tmp_path: Path) -> Config:
    """A device with a claim that is to be erased."""
    certificate, key = tmp_path / ".claim" / "c.pem", tmp_path / ".claim" / "k.pem"
    certificate.parent.mkdir()
    pem, private = Authority("claims").issue_server(["claim"])
    certificate.write_text(pem)
    key.write_bytes(private)
    path = tmp_path / "agent.toml"
    files = f'claim_cert_file = "{certificate}"\nclaim_key_file = "{key}"\nerase_claim = true\n'
    path.write_text(f'[thing]\nname = "cat"\n[paths]\ncerts = "certs"\n{CLAIM}{files}')
    return load(path, options_of=lambda _: dict, environment={})


def identity(claim: str) -> Identity:
    """What a claim has made."""
    return Identity("cat", "", "", "broker", "", "ab", "", 1, "", "claim", claim)


def test_the_claim_that_made_the_identity_is_erased(config: Config) -> None:
    """And no other, which may be needed yet; what is left is told with what to do."""
    certificate = config.provisioning.claim_cert_file
    assert certificate
    used = claim_id(certificate)
    for other in (None, identity(""), identity("ab" * 32)):
        assert erase_used_claim(config, other) == ""
    assert "to be erased once it is used" in claim_left(config)[0]
    assert "the claim is erased" in erase_used_claim(config, identity(used))
    assert not certificate.parent.exists()
    assert claim_left(config) == ("", "")
    assert erase_claim(config) == ""


def test_a_claim_that_cannot_be_removed_is_told_with_the_command(config: Config) -> None:
    """As long as it is there."""
    key = config.provisioning.claim_key_file
    assert key
    key.unlink()
    key.mkdir()
    assert f"sudo rm {config.provisioning.claim_cert_file}" in erase_claim(config)


def test_the_claim_that_was_used_is_told_as_such_where_it_is_still_there(config: Config) -> None:
    """It is of no use here any more."""
    used = Files(config.paths.certs / "cat", "cat").identity
    used.parent.mkdir(parents=True)
    used.write_bytes(identity(claim_id(config.provisioning.claim_cert_file)).encode())
    assert "was to be erased, and is there still" in claim_left(config)[0]


def test_half_a_claim_was_to_be_erased(config: Config) -> None:
    """Its certificate is gone, so that nobody can use it here."""
    certificate = config.provisioning.claim_cert_file
    assert certificate
    certificate.unlink()
    assert "was to be erased, and is there still" in claim_left(config)[0]


def test_a_claim_that_is_needed_is_looked_at(config: Config) -> None:
    """Missing, ended; once the device is registered it does not matter."""
    certificate, key = config.provisioning.claim_cert_file, config.provisioning.claim_key_file
    assert certificate
    assert key
    assert claim_warnings(config) == []
    late_s = 4e9
    (told,) = claim_warnings(config, now_s=late_s)
    assert told.startswith("provisioning.claim_cert_file: ")
    assert claim_ended(certificate, now_s=late_s) in told
    key.unlink()
    assert claim_warnings(config)[0].startswith("provisioning.claim_key_file: ")
    (config.paths.certs / "cat").mkdir(parents=True)
    assert claim_warnings(config, now_s=late_s) == []


@pytest.fixture
def closed() -> Iterator[Path]:
    """A configuration that all may read, and certificates that only their owner may see."""
    with tempfile.TemporaryDirectory(dir="/tmp") as name:
        directory = Path(name)
        directory.chmod(0o755)
        (directory / "certs").mkdir(mode=0o700 if os.geteuid() == 0 else 0)
        files = 'claim_cert_file = "c"\nclaim_key_file = "k"\n'
        toml = f'[thing]\nname = "cat"\n[paths]\ncerts = "certs"\n{CLAIM}{files}'
        (directory / "agent.toml").write_text(toml)
        load(directory / "agent.toml", options_of=lambda _: dict, environment={})
        before = os.geteuid()
        if before == 0:  # who may see everything
            os.seteuid(65534)
        yield directory
        os.seteuid(before)


def test_who_may_not_see_the_certificates_is_told_so(closed: Path) -> None:
    """The name may be another one, and whether the claim is needed nobody can say."""
    config = load(closed / "agent.toml", options_of=lambda _: dict, environment={})
    assert claim_warnings(config) == []
    (told,) = config.warnings
    assert "cat may be wrong; use sudo" in told
