"""Each cause alone is told by `doctor` once, before all that follows, with what mends it."""

from __future__ import annotations

import shutil
import socket
from typing import TYPE_CHECKING, Any

import pytest

from agent.cli.examination import examine
from agent.identity import ROOT_CA_1, amazon_roots
from tests.integration.provisioning.device import edit_identity, spoil_key

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.integration.provisioning.device import Device

SETUP = "`sudo pi-iot-agent setup`"
PROVISION = "`sudo pi-iot-agent provision`"


def configure(device: Device, **sections: Any) -> None:  # noqa: ANN401
    """Have its configuration say more, or something else."""
    name = sections.pop("name", device.name)
    text = device.aws.agent_toml(device.directory, name=name, sensors=[], **sections)
    device.toml.write_text(text)


def without_key(device: Device) -> None:
    """No AWS key is here."""
    configure(device, provisioning={"credentials_file": str(device.directory / "none")})


def nothing(device: Device) -> None:
    """Neither a certificate nor an AWS key is here."""
    shutil.rmtree(device.certs)
    without_key(device)


def no_file_of_keys(device: Device) -> None:
    """The file of the AWS key is none."""
    shutil.rmtree(device.certs)
    configure(device, provisioning={"credentials_file": str(device.directory)})


def renamed(device: Device) -> None:
    """It was given another name after the registration."""
    configure(device, name="kitchen")


def inactive(device: Device) -> None:
    """Somebody has shut it out."""
    (one,) = device.own()
    device.aws.iot.update_certificate(certificateId=one.certificate_id, newStatus="INACTIVE")


def inactive_untold(device: Device) -> None:
    """The same a day after the registration, and no AWS key is here to ask with."""
    inactive(device)
    edit_identity(device, created=1)
    without_key(device)


def without_policy(device: Device) -> None:
    """Its policy was taken away."""
    (one,) = device.own()
    device.aws.iot.detach_policy(policyName=one.policies[0], target=one.arn)


def without_thing(device: Device) -> None:
    """Its certificate was detached from the thing."""
    (one,) = device.own()
    device.aws.iot.detach_thing_principal(thingName=device.name, principal=one.arn)


def deleted(device: Device) -> None:
    """Its certificate is not there any more."""
    without_policy(device)
    without_thing(device)
    (one,) = (each for each in device.aws.certificates() if not each.things)
    device.aws.iot.update_certificate(certificateId=one.certificate_id, newStatus="INACTIVE")
    device.aws.iot.delete_certificate(certificateId=one.certificate_id)


def no_such_name(device: Device) -> None:
    """Its endpoint is no name that is known."""
    configure(device, mqtt={"endpoint": "nowhere.invalid"})


def closed_port(device: Device) -> None:
    """Nobody serves the port."""
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        configure(device, mqtt={"port": nobody.getsockname()[1]})


def other_roots(device: Device) -> None:
    """It trusts another authority than the broker's."""
    (device.directory / "ca.pem").write_text(amazon_roots()[ROOT_CA_1])
    configure(device, mqtt={"ca_file": str(device.directory / "ca.pem")})


def no_roots(device: Device) -> None:
    """The file of roots is not there."""
    configure(device, mqtt={"ca_file": str(device.directory / "ca.pem")})


def spoiled_store(device: Device) -> None:
    """Its store is no file."""
    device.config.store.path.mkdir(parents=True)
    without_key(device)


@pytest.mark.parametrize(
    ("spoil", "code", "hint"),
    [
        (nothing, "no-aws-credentials", SETUP),
        (no_file_of_keys, "provisioning-refused", "the user pi-iot-agent may read"),
        (renamed, "unprovisioned", "set [thing] name to that"),
        (spoil_key, "credentials-invalid", SETUP),
        (inactive, "credentials-invalid", "`sudo pi-iot-agent provision --reactivate`"),
        (inactive_untold, "offline", SETUP),
        (without_policy, "not-authorized", PROVISION),
        (without_thing, "not-authorized", PROVISION),
        (deleted, "credentials-invalid", PROVISION),
        (no_such_name, "offline", "DNS"),
        (closed_port, "offline", "endpoint and port"),
        (other_roots, "offline", "ca_file"),
        (no_roots, "ca-file-invalid", "ca_file"),
        (spoiled_store, "store", ""),
    ],
)
def test_a_cause_is_told_once_and_first(
    device: Device, spoil: Callable[[Device], None], code: str, hint: str
) -> None:
    """Nothing else is said to be wrong, but that an AWS key is on a device that can do without."""
    device.provision()
    spoil(device)

    wrong = [one for one in examine(device.config) if one.verdict != "OK"]

    # The clock is the machine's, and no agent runs here.
    cause, *others = (one for one in wrong if one.what not in {"clock-unset", "agent"})
    assert (cause.verdict, cause.what) == ("FAIL", code), wrong
    assert hint in cause.hint
    assert others == []
