"""A claim on the boot partition goes to where the service has it, with the configuration."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from agent.cli.preseed import BESIDE, Preseed
from agent.config import load
from agent.errors import ConfigError
from tests.tools.cloud.authority import Authority

if TYPE_CHECKING:
    from pathlib import Path

    from agent.config import Config

TEXT = """\
[provisioning]
method = "claim"  # as all of them
template = "home"
[mqtt]
endpoint = "broker.local"
[paths]
certs = "certs"
"""


class Card:
    """A boot partition with a file and a claim, and the directory of the configuration."""

    def __init__(self, directory: Path) -> None:
        self.boot, self.etc = directory / "boot", directory / "etc"
        self.claim = self.boot / BESIDE
        self.claim.mkdir(parents=True)
        self.etc.mkdir()
        self.file = self.boot / "pi-iot-agent.toml"
        self.file.write_text(TEXT)
        key = ec.generate_private_key(ec.SECP256R1())
        form = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8)
        self.key = key.private_bytes(*form, serialization.NoEncryption()).decode()
        (self.claim / "my.key").write_text(self.key)
        (self.claim / "my.crt").write_text(Authority("x").issue_device(key.public_key()))

    def take(self) -> bool:
        """Take it over, as each start does."""
        return Preseed(self.file, self.etc / "agent.toml").take()

    @property
    def config(self) -> Config:
        """What the agent reads."""
        return load(self.etc / "agent.toml", options_of=lambda _: dict, environment={})

    def check(self) -> None:
        """All is in place, and nothing is left on the boot partition."""
        about = self.config.provisioning
        assert about.claim_key_file == self.etc / "certs/.claim/private.pem.key"
        assert about.claim_key_file.read_text() == self.key
        assert about.claim_key_file.stat().st_mode & 0o777 == 0o600
        assert about.claim_cert_file
        assert about.claim_cert_file.exists()
        assert not list(self.boot.iterdir())


@pytest.fixture
def card(tmp_path: Path) -> Card:
    """One that was prepared."""
    return Card(tmp_path)


def test_the_claim_goes_with_the_configuration(card: Card) -> None:
    """The rest of the file stays as it is."""
    assert card.take()
    card.check()
    assert "# as all of them" in (card.etc / "agent.toml").read_text()
    assert not card.take()


def test_a_cut_after_the_file_was_taken_leaves_no_claim(card: Card) -> None:
    """The next start wipes the rest."""
    assert card.take()
    card.claim.mkdir()
    (card.claim / "my.key").write_text(card.key)
    (card.boot / "pi-iot-agent.toml.taken").write_text(TEXT)
    assert not card.take()
    card.check()


def test_a_cut_before_it_takes_all_of_it_again(card: Card) -> None:
    """The claim is in place already then."""
    assert card.take()
    fresh = Card(card.etc.parent / "again")
    for name in ("certs", "agent.toml"):
        (card.etc / name).rename(fresh.etc / name)
    assert fresh.take()
    fresh.check()


def test_a_claim_that_is_none_leaves_all_as_it_is(card: Card) -> None:
    """And is told on the card."""
    (card.claim / "my.crt").unlink()
    with pytest.raises(ConfigError, match="has no claim"):
        card.take()
    assert card.file.read_text() == TEXT
    assert "has no claim" in card.file.with_name("pi-iot-agent.toml.error").read_text()
    assert not (card.etc / "agent.toml").exists()


def test_without_that_directory_the_files_must_be_named(card: Card) -> None:
    """As anywhere."""
    card.claim.rename(card.boot / "elsewhere")
    with pytest.raises(ConfigError, match="claim_cert_file: is missing"):
        card.take()
