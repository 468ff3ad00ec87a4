"""A spoiled identity is mended where it can be, else replaced."""

from __future__ import annotations

import json
import shutil
import stat
from typing import TYPE_CHECKING

import pytest

from agent.errors import CredentialsError
from agent.identity import load
from agent.provisioning.policy import policy_name
from tests.integration.provisioning.device import Device, make_directory, remove, spoil_key

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def change_identity(**values: object) -> Callable[[Device], None]:
    """Have identity.json say something else."""

    def change(device: Device) -> None:
        old = json.loads(device.files.identity.read_text())
        device.files.identity.write_text(json.dumps({**old, **values}))

    return change


def cut(name: str, length: int, text: str = "") -> Callable[[Device], None]:
    """Have a file end early, and then go on with `text`."""

    def change(device: Device) -> None:
        path: Path = getattr(device.files, name)
        path.write_text(path.read_text()[:length] + text)

    return change


def empty(device: Device) -> None:
    """Lose all files."""
    for path in device.files.directory.iterdir():
        path.unlink()


def foreign_link(device: Device) -> None:
    """Keep the files elsewhere, and lose the key."""
    elsewhere = device.directory / "elsewhere"
    shutil.move(device.files.directory.resolve(), elsewhere)
    device.files.directory.unlink()
    device.files.directory.symlink_to(elsewhere)
    device.files.key.unlink()


SPOILS: dict[str, Callable[[Device], None]] = {
    "no key": spoil_key,
    "no certificate": lambda device: device.files.certificate.unlink(),
    "no public key": lambda device: device.files.public_key.unlink(),
    "no identity": lambda device: device.files.identity.unlink(),
    "bad JSON": cut("identity", 30),
    "no object": cut("identity", 0, "[1]"),
    "field missing": change_identity(endpoint=""),
    "other thing": change_identity(thing="another"),
    "half a certificate": cut("certificate", 300),
    "half a key": cut("key", 100),
    "empty key": cut("key", 0),
    "all files lost": empty,
    "older directory": make_directory,
    "link elsewhere": foreign_link,
}


@pytest.mark.parametrize("spoil", SPOILS.values(), ids=SPOILS)
def test_a_spoiled_identity_is_replaced(device: Device, spoil: Callable[[Device], None]) -> None:
    """A new certificate is made, and the one that it replaces is gone from AWS."""
    device.provision()
    (before,) = device.own()
    spoil(device)
    with pytest.raises(CredentialsError):
        load(device.config)
    device.provision()
    device.check_whole()
    (after,) = device.aws.certificates()
    assert after.certificate_id != before.certificate_id


@pytest.mark.parametrize(
    "spoil",
    [
        lambda device: device.files.key.chmod(0o644),
        lambda device: device.files.root.unlink(),
        lambda device: device.files.root.write_text("no certificate"),
        change_identity(endpoint="old.example.com"),
        lambda device: device.aws.iot.detach_policy(
            policyName=policy_name(device.name), target=device.own()[0].arn
        ),
    ],
    ids=["mode", "no root", "bad root", "endpoint", "no policy"],
)
def test_what_can_be_mended_keeps_the_certificate(
    device: Device, spoil: Callable[[Device], None]
) -> None:
    """Roots, modes, the endpoint and attachments are put right."""
    device.provision()
    (before,) = device.own()
    spoil(device)
    device.provision()
    device.check_whole()
    assert device.own() == [before]
    assert stat.S_IMODE(device.files.key.stat().st_mode) == 0o600


def test_a_certificate_that_aws_has_forgotten_is_replaced(device: Device) -> None:
    """Deleted at AWS by hand, it is made anew."""
    device.provision()
    (one,) = device.own()
    remove(device, one.certificate_id)
    device.provision()
    device.check_whole()
