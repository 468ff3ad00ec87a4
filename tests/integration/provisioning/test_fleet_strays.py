"""A claim leaves no certificate at AWS that nobody hears of, and no second one by itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from agent.cli import renewal
from agent.errors import AgentError, LinkLostError, RefusedError
from agent.identity import Generations
from agent.provisioning import claimed, fleet, openssl
from agent.provisioning.registration import MADE_BY_AWS
from agent.value import replace
from tests.integration.provisioning.device import one_root
from tests.integration.provisioning.fleet_device import TEMPLATE, FleetDevice
from tests.tools.cloud.faults import (
    CONNECTION_RESET,
    INTERNAL_FAILURE,
    RESPONSE_LOST,
    THROTTLED,
    Fault,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from agent.config import Config
    from tests.tools.cloud import LocalAws

CREATE, REGISTER = "CreateCertificateFromCsr:mqtt", "RegisterThing:mqtt"
HOUR_S = 3601


@pytest.fixture
def aws(cloud: LocalAws) -> Iterator[LocalAws]:
    """The local AWS with a template, and without faults."""
    cloud.fleet.create_template(TEMPLATE)
    yield cloud
    cloud.clear()


def provision(device: FleetDevice, config: Config) -> str:
    """Register with a configuration that was read before."""
    with Generations(device.certs, config.thing.name).locked():
        bundles = [one_root(device.directory)]
        return fleet.provision(config, device.retry(), serial=device.serial, bundles=bundles)


def rotate(device: FleetDevice, *, by_hand: bool = False) -> None:
    """Make a new certificate ready, as the daemon's child does or a person."""
    with Generations(device.certs, device.thing).locked():
        retry = device.retry()
        renewal.make_ready(device.config, retry, serial=device.serial, by_hand=by_hand)


def later(device: FleetDevice) -> None:
    """Have an hour pass at AWS and here."""
    device.aws.faults.ahead_s += HOUR_S
    known = claimed.found(device.certs)
    assert known
    claimed.write(device.certs, replace(known, asked_s=known.asked_s - HOUR_S))


def test_the_key_is_on_the_disk_before_aws_is_asked(aws: LocalAws, tmp_path: Path) -> None:
    """The very one of the certificate; no crash loses it."""
    device = FleetDevice(aws, tmp_path)
    seen = []

    def look(operation: str, _: int) -> None:
        known = claimed.found(device.certs)
        seen.append((operation, known.key if known else ""))

    aws.faults.on_call = look
    device.provision()
    key = (device.certs / device.thing / f"{device.thing}-private.pem.key").read_text()
    assert seen == [(CREATE, key), (REGISTER, key)]


def test_a_second_run_that_has_waited_makes_no_second_certificate(
    aws: LocalAws, tmp_path: Path
) -> None:
    """Though it was started when the device had no name yet."""
    device = FleetDevice(aws, tmp_path)
    before = device.config
    assert before.thing.name != device.thing
    assert [provision(device, before), provision(device, before)] == [device.thing] * 2
    device.check_whole()


def test_a_name_that_is_lost_is_that_of_the_only_identity(aws: LocalAws, tmp_path: Path) -> None:
    """And no further certificate is made."""
    device = FleetDevice(aws, tmp_path)
    device.provision()
    (device.certs / ".name").unlink()
    assert device.config.thing.name == device.thing
    device.provision()
    device.check_whole()


def test_one_that_may_be_active_is_written_down_when_it_is_given_up(
    aws: LocalAws, tmp_path: Path
) -> None:
    """AWS has registered it, its answer was lost, and the token has ended: it has a key no more."""
    device = FleetDevice(aws, tmp_path)
    aws.faults.inject(RESPONSE_LOST, REGISTER, first=1)
    with pytest.raises(LinkLostError):
        device.provision(patience_s=0)
    (lost,) = device.own()
    later(device)
    device.provision()
    generations = Generations(device.certs, device.thing)
    assert generations.replaced_ids() == [lost.certificate_id]
    (used,) = generations.certificate_ids(generations.current)
    assert {one.certificate_id for one in device.own()} == {used, lost.certificate_id}
    key = (device.certs / device.thing / f"{device.thing}-private.pem.key").read_text()
    assert not openssl.belongs(key, lost.pem)


@pytest.mark.parametrize("fault", [THROTTLED, CONNECTION_RESET], ids=["said no", "was not asked"])
def test_one_that_cannot_be_active_is_nothing_to_write_down(
    aws: LocalAws, tmp_path: Path, fault: Fault
) -> None:
    """AWS has answered that there is no thing, or was never reached."""
    device = FleetDevice(aws, tmp_path)
    aws.faults.inject(fault, REGISTER if fault is THROTTLED else CREATE, first=1)
    with pytest.raises(AgentError):
        device.provision(patience_s=0)
    if fault is THROTTLED:
        later(device)
    device.provision()
    device.check_whole()


def test_a_claim_that_is_given_up_for_an_aws_key_leaves_nothing_here(
    aws: LocalAws, tmp_path: Path
) -> None:
    """No key, no token; what may be active at AWS is written down or removed."""
    device = FleetDevice(aws, tmp_path)
    aws.faults.inject(RESPONSE_LOST, REGISTER, first=1)
    with pytest.raises(LinkLostError):
        device.provision(patience_s=0)
    (lost,) = device.own()
    device.edit('method = "claim"', 'method = "csr"')
    code, told = device.finish("provision")
    assert code == 0, told
    assert not (device.certs / claimed.NAME).exists()
    name = device.config.thing.name
    left = [one.certificate_id for one in aws.certificates() if device.thing in one.things]
    assert set(left) <= set(Generations(device.certs, name).replaced_ids()) == {lost.certificate_id}


def test_a_template_with_another_name_is_not_asked_again_by_itself(
    aws: LocalAws, tmp_path: Path
) -> None:
    """One certificate is left, and written down; a person may ask, and so may other settings."""
    device = FleetDevice(aws, tmp_path)
    device.provision()
    generations = Generations(device.certs, device.thing)
    aws.fleet.create_template(TEMPLATE, ThingName="another")
    for told in ("calls this device another", "is not asked again", "is not asked again"):
        with pytest.raises(RefusedError, match=told) as refused:
            rotate(device)
        assert "`sudo pi-iot-agent rotate` asks again" in refused.value.hint
    (stray,) = [one for one in aws.certificates() if one.things == ("another",)]
    assert generations.replaced_ids() == [stray.certificate_id]
    device.edit("[provisioning]", '[provisioning.parameters]\nFloor = "2"\n[provisioning]')
    with pytest.raises(RefusedError, match="calls this device another"):
        rotate(device)
    aws.fleet.create_template(TEMPLATE)
    rotate(device, by_hand=True)
    assert generations.sound(generations.pending)
    assert not (device.certs / claimed.NAME).exists()


def test_what_no_claim_has_made_is_replaced_by_none(aws: LocalAws, tmp_path: Path) -> None:
    """The template may well call it otherwise; AWS is not asked."""
    device = FleetDevice(aws, tmp_path)
    device.provision()
    generations = Generations(device.certs, device.thing)
    used = generations.sound(generations.current)
    assert used
    other = replace(used, method="csr", account="1", region="r", certificate_arn="arn", policy="p")
    generations.complete(generations.current, other, {})
    before = aws.faults.operations()
    with pytest.raises(RefusedError, match="was not registered by a claim") as refused:
        rotate(device, by_hand=True)
    assert 'method = "csr"' in refused.value.hint
    assert aws.faults.operations() == before


@pytest.mark.parametrize("step", ["CreateKeysAndCertificate:mqtt", REGISTER])
@pytest.mark.parametrize(
    "fault", [INTERNAL_FAILURE, CONNECTION_RESET, RESPONSE_LOST], ids=["500", "reset", "lost"]
)
def test_a_key_that_aws_makes_comes_through_passing_faults(
    aws: LocalAws, tmp_path: Path, step: str, fault: Fault
) -> None:
    """One whose answer was lost has no key here, and is gone within the hour."""
    aws.faults.inject(fault, step, first=1)
    device = FleetDevice(aws, tmp_path, key_type=MADE_BY_AWS)
    device.provision()
    assert len(device.waited_s) == 1
    device.check_whole()
