"""`doctor` asks AWS where an AWS key is here: read only, bounded, and a cause is told once."""

from __future__ import annotations

import itertools
import json
from typing import TYPE_CHECKING

from agent.cli.cloud_findings import PATIENCE_S, of_aws
from agent.cli.examination import examine
from agent.cli.identity_findings import certificate_id
from agent.identity import load
from agent.value import replace
from tests.integration.provisioning.device import edit_identity
from tests.tools.cloud.faults import ACCESS_DENIED, CONNECTION_RESET, INVALID_TOKEN, THROTTLED

if TYPE_CHECKING:
    from agent.cli.verdict import Finding
    from tests.integration.provisioning.device import Device
    from tests.tools.cloud import LocalAws

#: A policy by the name alone.
POLICY = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Action": "iot:*", "Resource": "*"}],
    }
)


def found(device: Device, **others: object) -> list[Finding]:
    """What AWS knows of the device's certificate."""
    known = load(device.config)
    asked = of_aws(device.config, certificate_id(known), known.identity, **others)  # type: ignore[arg-type]
    return list(asked)


def told(findings: list[Finding]) -> list[str]:
    """Them in short."""
    return [f"{one.verdict} {one.what}: {one.text}" for one in findings]


def test_a_sound_certificate_is_active_with_its_policy(aws: LocalAws, device: Device) -> None:
    """Which is asked by calls that read, and changes nothing."""
    device.provision()
    before = aws.certificates()
    number = len(aws.faults.calls)

    (one,) = told(found(device))

    assert one.startswith("OK AWS: the certificate is ACTIVE, with the policy device-")
    assert aws.certificates() == before
    asked = [call.operation for call in aws.faults.calls[number:]]
    assert all(name.startswith(("Describe", "List")) for name in asked)


def test_a_certificate_that_was_shut_out_is_the_one_cause(aws: LocalAws, device: Device) -> None:
    """That TLS then fails follows from it, and is not tried."""
    device.provision()
    (one,) = aws.certificates()
    aws.iot.update_certificate(certificateId=one.certificate_id, newStatus="INACTIVE")

    findings = list(examine(device.config))

    (cause,) = (finding for finding in findings if finding.verdict == "FAIL")
    assert cause.what == "credentials-invalid"
    assert cause.text == "the certificate is INACTIVE at AWS"
    assert "--reactivate" in cause.hint
    assert "TLS" not in {finding.what for finding in findings}


def test_a_certificate_without_policy_or_thing_is_told(aws: LocalAws, device: Device) -> None:
    """Either keeps the device out; by a policy that asks for no thing, the second does not."""
    device.provision()
    (one,) = aws.certificates()
    aws.iot.detach_thing_principal(thingName=device.name, principal=one.arn)
    text = f"at AWS the certificate is not attached to the thing {device.name}"
    assert told(found(device)) == [f"FAIL not-authorized: {text}"]
    aws.iot.create_policy_version(
        policyName=one.policies[0], policyDocument=POLICY, setAsDefault=True
    )
    assert told(found(device))[0] == f"WARN AWS: {text}"
    aws.iot.detach_policy(policyName=one.policies[0], target=one.arn)
    assert told(found(device)) == ["FAIL not-authorized: at AWS the certificate has no policy"]


def test_a_thing_of_another_board_is_told(aws: LocalAws, device: Device) -> None:
    """As the agent itself calls it."""
    device.provision()
    aws.iot.update_thing(
        thingName=device.name, attributePayload={"attributes": {"serial": "other"}, "merge": True}
    )
    assert "has the serial number other" in told(found(device))[0]
    assert found(device)[0].what == "identity-copied"


def test_a_copied_card_is_told_once(aws: LocalAws, device: Device) -> None:
    """Its identity and the thing at AWS say the same."""
    device.provision()
    edit_identity(device, serial="other")
    aws.iot.update_thing(
        thingName=device.name, attributePayload={"attributes": {"serial": "other"}, "merge": True}
    )
    (copied,) = (one for one in examine(device.config) if one.what == "identity-copied")
    assert "this is" in copied.text
    assert "sudo pi-iot-agent provision --take-over" in copied.hint


def test_a_certificate_that_aws_does_not_know_is_told_with_the_region(
    aws: LocalAws, device: Device
) -> None:
    """It is a fault if the key would have to know it, else a key for something else."""
    device.provision()
    identity = load(device.config).identity
    assert identity
    unknown = "0" * 64
    text = f"does not know the certificate {unknown} in {aws.region}"
    assert told(list(of_aws(device.config, unknown, identity))) == [
        f"FAIL credentials-invalid: AWS {text}"
    ]
    text = f"AWS: {text}"
    assert told(list(of_aws(device.config, unknown, None))) == [f"WARN {text}"]
    elsewhere = replace(identity, region="eu-west-1")
    assert told(list(of_aws(device.config, unknown, elsewhere))) == [f"WARN {text}"]
    (foreign,) = told(list(of_aws(device.config, unknown, replace(identity, account="1"))))
    assert foreign.startswith(f"WARN {text}; the AWS key is of the account ")


def test_what_an_owner_is_to_do_about_a_certificate_of_ones_own(
    aws: LocalAws, device: Device
) -> None:
    """No command of the agent's would mend it."""
    device.provision()
    (one,) = aws.certificates()
    aws.iot.update_certificate(certificateId=one.certificate_id, newStatus="INACTIVE")
    (finding,) = of_aws(device.config, one.certificate_id, None)
    assert finding.verdict == "FAIL"
    assert finding.hint.startswith("activate it there")


def test_a_failure_to_ask_is_a_warning_in_words(aws: LocalAws, device: Device) -> None:
    """It is tried once; the device itself may be sound."""
    device.provision()
    for fault, operation in [
        (ACCESS_DENIED, "DescribeCertificate"),
        (THROTTLED, "ListAttachedPolicies"),
        (CONNECTION_RESET, "ListPrincipalThings"),
        (INVALID_TOKEN, "DescribeThing"),
    ]:
        aws.faults.inject(fault, operation)
        (one,) = found(device)
        assert (one.verdict, one.what) == ("WARN", "AWS")
        assert one.hint or "Throttling" in one.text


def test_slow_answers_end_the_questions(device: Device) -> None:
    """No call is begun after the time that there is."""
    device.provision()
    clock = itertools.count(0.0, PATIENCE_S * 0.6)
    (one,) = found(device, monotonic_s=lambda: next(clock))
    assert one.verdict == "WARN"
    assert "too slowly" in one.text


def test_without_a_network_all_that_is_local_is_told(device: Device) -> None:
    """The name that cannot be looked up is the one cause, and AWS is not asked."""
    device.provision()
    config = device.config
    lost = replace(config, mqtt=replace(config.mqtt, endpoint="nowhere.invalid"))
    findings = list(examine(lost))
    assert [one.what for one in findings if one.verdict == "FAIL"] == ["offline"]
    assert "AWS" not in {one.what for one in findings}
    assert {"configuration", "clock", "store", "credentials", "certificate"} <= {
        one.what for one in findings
    }
