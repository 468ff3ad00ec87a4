"""The name that a device has registered with stays its name."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from agent.config import load, registered_name
from agent.identity import forget_name, remember_name

if TYPE_CHECKING:
    from pathlib import Path


def thing(directory: Path, toml: str = "", hostname: str = "conservatory") -> str:
    """The name of a device whose host has been renamed."""
    path = directory / "agent.toml"
    path.write_text(f'[paths]\ncerts = "certs"\n{toml}')
    return load(path, options_of=lambda _: dict, environment={}, hostname=hostname).thing.name


@pytest.fixture
def certs(tmp_path: Path) -> Path:
    """The directory of certificates."""
    (tmp_path / "certs").mkdir()
    return tmp_path / "certs"


def test_a_renamed_host_keeps_the_name_of_its_registration(tmp_path: Path, certs: Path) -> None:
    """Only [thing] name says otherwise."""
    remember_name(certs, "greenhouse-12345678")
    assert thing(tmp_path) == "greenhouse-12345678"
    assert thing(tmp_path, '[thing]\nname = "other"') == "other"
    assert (certs / ".name").stat().st_mode & 0o777 == 0o600


def test_a_template_names_the_device_whatever_the_file_says(tmp_path: Path, certs: Path) -> None:
    """Once it is registered; a warning tells of the name that is not used."""
    toml = (
        '[thing]\nname = "other"\n[mqtt]\nendpoint = "broker"\n[provisioning]\n'
        'method = "claim"\ntemplate = "t"\nclaim_cert_file = "c"\nclaim_key_file = "k"\n'
    )
    assert thing(tmp_path, toml) == "other"
    remember_name(certs, "device-7")
    assert thing(tmp_path, toml) == "device-7"
    config = load(tmp_path / "agent.toml", options_of=lambda _: dict, environment={})
    assert config.warnings == (
        'thing.name: other is not used: with method = "claim" this device keeps the name device-7',
    )
    assert thing(tmp_path, toml.replace('name = "other"\n', "")) == "device-7"


def test_the_only_identity_on_disk_tells_a_name_that_is_not_written_down(
    tmp_path: Path, certs: Path
) -> None:
    """With two of them nobody knows."""
    for name, expected in (("greenhouse", "greenhouse"), ("attic", "")):
        (certs / name).mkdir()
        (certs / f".{name}.0123456789ab").mkdir()
        (certs / f".{name}.0123456789ab" / "identity.json").write_text("{}")
        (certs / name).rmdir()
        (certs / name).symlink_to(f".{name}.0123456789ab")
        assert registered_name(certs) == expected
    assert thing(tmp_path).startswith("conservatory")


def test_a_name_is_forgotten_with_its_device(certs: Path) -> None:
    """Another one's is not."""
    remember_name(certs, "attic")
    forget_name(certs, "greenhouse")
    assert registered_name(certs) == "attic"
    forget_name(certs, "attic")
    forget_name(certs, "attic")
    assert registered_name(certs) == ""


@pytest.mark.parametrize("content", [b"", b"a b", b"\xff", b"x" * 200, b"a\nb"])
def test_what_is_no_name_counts_as_none(certs: Path, content: bytes) -> None:
    """A spoiled file never ends in a wrong topic."""
    (certs / ".name").write_bytes(content)
    assert registered_name(certs) == ""


def test_a_name_that_would_hang_or_lead_elsewhere_is_not_read(certs: Path) -> None:
    """Neither a FIFO nor a link."""
    os.mkfifo(certs / ".name")
    assert registered_name(certs) == ""
    (certs / ".name").unlink()
    (certs / "elsewhere").write_text("attic")
    (certs / ".name").symlink_to("elsewhere")
    assert registered_name(certs) == ""
    assert registered_name(certs / "missing") == ""
