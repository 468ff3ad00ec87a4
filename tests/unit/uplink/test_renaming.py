"""A device that a template has named starts anew; a new claim ends the wait after a refusal."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from agent.errors import EXIT_REFUSED, RenamedError
from agent.health.progress import Progress
from agent.identity import claim_id, remember_name
from agent.uplink.clock_watch import LOOK_AGAIN_S, ClockWatch
from agent.uplink.enrolment import Enrolment
from agent.uplink.waits import Backoff
from agent.value import replace
from tests.unit.uplink.conftest import AUTHORITY, NAME, Device, Script, write_identity

if TYPE_CHECKING:
    from collections.abc import Callable

REFUSED = Progress("register", "the template refuses it", "provisioning-refused", "ask its owner")


def enrolment(device: Device, *, method: str = "claim", erase: bool = False) -> Enrolment:
    """The enrolment of a device with a claim."""
    about = replace(
        device.config.provisioning,
        method=method,
        template="home",
        claim_cert_file=device.certs.with_name("claim.crt"),
        claim_key_file=device.certs.with_name("claim.key"),
        erase_claim=erase,
    )
    return Enrolment(
        replace(device.config, provisioning=about),
        serial="b1",
        health=device.health,
        waits=device.waits,
        backoff=Backoff(7.0, 7.0),
        clock_watch=ClockWatch(device.clock, health=device.health, waits=device.waits),
        start=device.children,
    )


def registers(device: Device, name: str) -> Callable[[], None]:
    """The effect of a child that comes to a certificate of that name."""

    def register() -> None:
        write_identity(device.certs, name)
        remember_name(device.certs, name)

    return register


def test_a_name_from_the_template_ends_the_start_with_the_old_one(device: Device) -> None:
    """At once, and without a condition; the next start finds the identity."""
    device.children.scripts = [Script([], 0, registers(device, "device-7"))]
    with pytest.raises(RenamedError, match=f"registered as device-7, which was {NAME}"):
        enrolment(device).credentials()
    assert device.waits.noted_s == []
    assert device.conditions().keys() == {"unprovisioned"}


def test_the_name_that_it_has_changes_nothing(device: Device) -> None:
    """The identity is used right away."""
    device.children.scripts = [Script([], 0, registers(device, NAME))]
    found = enrolment(device).credentials()
    assert found.identity
    assert found.identity.thing == NAME


def test_with_another_method_the_file_says_the_name(device: Device) -> None:
    """Whatever is written down."""
    write_identity(device.certs)
    remember_name(device.certs, "device-7")
    assert enrolment(device, method="csr").credentials().identity


def test_a_new_claim_ends_the_wait_after_a_refusal(device: Device) -> None:
    """Within seconds."""
    refused = Script([REFUSED], EXIT_REFUSED)
    device.children.scripts = [refused, Script([], 0, registers(device, NAME))]
    device.certs.mkdir()
    device.waits.meanwhile = lambda _: device.certs.with_name("claim.key").touch()
    enrolment(device).credentials()
    assert device.waits.noted_s == [LOOK_AGAIN_S]


def test_a_claim_that_should_be_gone_is_told(device: Device) -> None:
    """Once the device is connected, until it is gone."""
    write_identity(device.certs)
    key = device.certs.with_name("claim.key")
    key.touch()
    source = enrolment(device, erase=True)
    found = source.credentials()
    assert device.conditions() == {}
    source.connected(found)
    assert f"{key}: the claim was to be erased" in device.conditions()["config-warning"]
    key.unlink()
    source.connected(found)
    assert device.conditions() == {}


def test_a_claim_goes_when_what_it_has_made_is_let_in(device: Device) -> None:
    """Not before: it may have to make another."""
    write_identity(device.certs)
    certificate, key = (device.certs.with_name(f"claim.{end}") for end in ("crt", "key"))
    certificate.write_text(AUTHORITY.pem)
    key.touch()
    source = enrolment(device, erase=True)
    found = source.credentials()
    assert found.identity
    made = replace(found, identity=replace(found.identity, claim=claim_id(certificate)))
    source.connected(found)
    assert key.exists()
    source.connected(made)
    assert not key.exists()
    assert not certificate.exists()
    assert device.conditions() == {}


def test_a_copied_card_is_told_what_its_claim_can_do(device: Device) -> None:
    """The template gives this board a name of its own."""
    write_identity(device.certs, serial="b2")
    assert enrolment(device).credentials().identity
    assert "registers this board by the claim" in device.conditions()["identity-copied"]
