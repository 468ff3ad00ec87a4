"""A claim, however its way goes wrong: in the end one certificate is there, and no other."""

from __future__ import annotations

import re
import signal
from typing import TYPE_CHECKING

import pytest

from agent.errors import AgentError, LinkLostError, RefusedError, TransientCloudError
from agent.identity import CLAIM_ON_TRIAL, Generations
from tests.integration.provisioning.device import CrashError
from tests.integration.provisioning.fleet_device import TEMPLATE, FleetDevice, Killer
from tests.tools.cloud.faults import (
    ACCESS_DENIED,
    CONNECTION_RESET,
    INTERNAL_FAILURE,
    RESPONSE_LOST,
    THROTTLED,
    UNAVAILABLE,
    Fault,
    hang,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.tools.cloud import LocalAws

STEPS = ["CreateCertificateFromCsr:mqtt", "RegisterThing:mqtt"]
HOUR_S = 3601
KILLER = Killer()


@pytest.fixture
def aws(cloud: LocalAws) -> Iterator[LocalAws]:
    """The local AWS with a template, and without faults."""
    cloud.fleet.create_template(TEMPLATE)
    yield cloud
    cloud.faults.clear()
    cloud.fleet.clear()


def check_alone(device: FleetDevice) -> None:
    """Its certificate is whole, and once an hour has passed at AWS there is no other."""
    device.check_whole()
    device.aws.faults.ahead_s += HOUR_S
    active = [one for one in device.aws.certificates() if one.status == "ACTIVE" and one.things]
    pending = [one for one in device.aws.certificates() if one.status == "PENDING_ACTIVATION"]
    assert [one.things for one in active if device.thing in one.things] == [(device.thing,)]
    assert not pending


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize(
    "fault",
    [THROTTLED, INTERNAL_FAILURE, UNAVAILABLE, CONNECTION_RESET, RESPONSE_LOST],
    ids=["throttled", "500", "503", "reset", "answer lost"],
)
def test_a_passing_fault_at_any_step_is_tried_again(
    aws: LocalAws, tmp_path: Path, step: str, fault: Fault
) -> None:
    """Twice in a row, with a wait each time that lets AWS take another CONNECT."""
    aws.faults.inject(fault, step, first=2)
    device = FleetDevice(aws, tmp_path)
    device.provision()
    assert len(device.waited_s) == 2
    assert min(device.waited_s) >= 1.1
    check_alone(device)


@pytest.mark.parametrize("step", STEPS)
def test_an_answer_that_does_not_come_is_not_waited_for(
    aws: LocalAws, tmp_path: Path, step: str
) -> None:
    """The next attempt makes it."""
    aws.faults.inject(hang(1.5), step, first=1)
    device = FleetDevice(aws, tmp_path)
    device.provision(answer_s=1.0)
    assert "no answer within 1 s" in device.said()
    check_alone(device)


@pytest.mark.parametrize("step", STEPS)
def test_a_refusal_ends_it_and_the_next_run_goes_on(
    aws: LocalAws, tmp_path: Path, step: str
) -> None:
    """With the same key; nothing waits."""
    aws.faults.inject(ACCESS_DENIED, step)
    device = FleetDevice(aws, tmp_path)
    with pytest.raises(RefusedError):
        device.provision()
    assert device.waited_s == []
    aws.faults.heal()
    device.provision()
    check_alone(device)


@pytest.mark.parametrize("step", STEPS)
def test_a_fault_that_stays_ends_it_in_time(aws: LocalAws, tmp_path: Path, step: str) -> None:
    """With the last error, which is a passing one."""
    aws.faults.inject(INTERNAL_FAILURE, step)
    device = FleetDevice(aws, tmp_path)
    with pytest.raises(TransientCloudError, match="InternalFailure"):
        device.provision(patience_s=0)


@pytest.mark.parametrize("step", STEPS)
def test_a_lost_link_each_time_is_a_refusal(aws: LocalAws, tmp_path: Path, step: str) -> None:
    """Under MQTT 3.1.1 AWS says it like this; the statement that may lack is named."""
    aws.faults.inject(CONNECTION_RESET, step)
    device = FleetDevice(aws, tmp_path, mqtt={"protocol": "3.1.1"})
    with pytest.raises(RefusedError, match=re.escape("(iot:Publish)")) as refused:
        device.provision()
    assert "policy of the claim certificate" in refused.value.hint
    assert len(device.waited_s) == 2


def test_a_run_that_is_killed_anywhere_is_finished_by_the_next(
    aws: LocalAws, tmp_path: Path
) -> None:
    """Before each change of the disk in turn."""
    claim, at = aws.fleet.claim(tmp_path / "claim", template=TEMPLATE), 0
    while True:
        at += 1
        directory = tmp_path / str(at)
        directory.mkdir()
        device = FleetDevice(aws, directory, claim=claim)
        KILLER.arm(at)
        try:
            device.provision()
        except CrashError:
            device.provision()
            check_alone(device)
        else:
            break
        finally:
            KILLER.disarm()
    assert at > 10


@pytest.mark.parametrize("step", STEPS)
def test_a_run_that_is_killed_without_an_answer_is_finished_by_the_next(
    aws: LocalAws, tmp_path: Path, step: str
) -> None:
    """AWS has done it, and nobody here knows."""
    aws.faults.inject(RESPONSE_LOST, step, first=1)
    device = FleetDevice(aws, tmp_path)
    with pytest.raises(AgentError):
        device.provision(patience_s=0)
    device.provision()
    check_alone(device)


def test_a_token_that_has_ended_brings_a_new_certificate_of_the_same_key(
    aws: LocalAws, tmp_path: Path
) -> None:
    """AWS has removed the one that nobody registered."""
    aws.faults.inject(ACCESS_DENIED, STEPS[1])
    device = FleetDevice(aws, tmp_path)
    with pytest.raises(RefusedError):
        device.provision()
    before = (device.certs / ".claimed").read_text()
    aws.faults.heal()
    aws.faults.ahead_s += HOUR_S
    device.provision()
    assert "too long ago" in device.said()
    key = (device.certs / device.thing / f"{device.thing}-private.pem.key").read_text()
    assert key.splitlines()[1] in before
    check_alone(device)


def test_without_the_broker_it_is_tried_again(aws: LocalAws, tmp_path: Path) -> None:
    """The link is lost, which passes."""
    device = FleetDevice(aws, tmp_path, mqtt={"port": 1})
    with pytest.raises(LinkLostError, match="connection refused"):
        device.provision(patience_s=0)


@pytest.mark.parametrize("step", STEPS)
def test_a_command_that_is_killed_between_question_and_answer_is_finished_by_the_next(
    aws: LocalAws, tmp_path: Path, step: str
) -> None:
    """A real SIGKILL; the next command connects with what it has made."""
    device = FleetDevice(aws, tmp_path)
    aws.fleet.create_template(TEMPLATE, ThingName=device.thing)
    process = device.command("provision")
    aws.faults.on_call = lambda operation, _: process.kill() if operation == step else None
    process.communicate(timeout=60)
    assert process.returncode == -signal.SIGKILL
    aws.faults.on_call = None
    code, told = device.finish("provision")
    assert (code, "connected with it" in told) == (0, True), told
    assert device.config.thing.name in told
    active = [one for one in aws.certificates() if one.things == (device.config.thing.name,)]
    assert [one.status for one in active] == ["ACTIVE"]


def test_a_certificate_that_was_replaced_loses_its_key(aws: LocalAws, tmp_path: Path) -> None:
    """Without an AWS key it stays at AWS, which is told with its id."""
    device = FleetDevice(aws, tmp_path, credentials_file=str(tmp_path / "none"))
    aws.fleet.create_template(TEMPLATE, ThingName=device.thing)
    assert device.finish("provision")[0] == 0
    name = device.config.thing.name
    before = Generations(device.certs, name).fingerprint(device.certs / name)
    code, told = device.finish("provision", "--reactivate")
    assert code == 0, told
    assert f"certificate {before} was replaced; its key is destroyed" in told
    assert not Generations(device.certs, name).stale()
    assert "there already" in device.finish("provision")[1]


def test_a_device_of_a_claim_is_removed_like_any_other(aws: LocalAws, tmp_path: Path) -> None:
    """With an AWS key: its certificate and thing at AWS, its files, and the claim where asked."""
    device = FleetDevice(aws, tmp_path)
    aws.fleet.create_template(TEMPLATE, ThingName=device.thing)
    assert device.finish("provision")[0] == 0
    thing = device.config.thing.name
    code, told = device.finish("deprovision", "--erase-key")
    assert code == 0, told
    assert "the claim is erased" in told
    assert not any(path.exists() for path in device.claim)
    assert {path.name for path in device.certs.iterdir()} <= {".lock", ".by-hand"}
    assert not [one for one in aws.certificates() if thing in one.things]


def test_without_an_aws_key_the_files_alone_are_removed(aws: LocalAws, tmp_path: Path) -> None:
    """Also those of a claim that has not come to its end; the claim stays unless asked."""
    aws.faults.inject(ACCESS_DENIED, STEPS[1])
    device = FleetDevice(aws, tmp_path, credentials_file=str(tmp_path / "none"))
    assert device.finish("provision")[0] == 77
    assert (device.certs / ".claimed").exists()
    (device.certs / CLAIM_ON_TRIAL).mkdir()
    code, told = device.finish("deprovision", "--forget")
    assert not (device.certs / CLAIM_ON_TRIAL).exists()
    assert (code, "the claim is still there" in told) == (0, True), told
    assert not (device.certs / ".claimed").exists()
