"""Faults that a test injects look to the caller as AWS's own do."""

from __future__ import annotations

import re
import threading
import time
from typing import TYPE_CHECKING

import pytest
from botocore.exceptions import BotoCoreError, ClientError, ReadTimeoutError

from tests.integration.cloud.conftest import error_code
from tests.tools.cloud.faults import (
    ACCESS_DENIED,
    CONNECTION_RESET,
    EXPIRED_TOKEN,
    INTERNAL_FAILURE,
    INVALID_TOKEN,
    RESPONSE_LOST,
    THROTTLED,
    UNAVAILABLE,
    hang,
)

if TYPE_CHECKING:
    from tests.tools.cloud import LocalAws
    from tests.tools.cloud.faults import Fault


@pytest.mark.parametrize(
    ("fault", "code", "status"),
    [
        (THROTTLED, "ThrottlingException", 400),
        (INTERNAL_FAILURE, "InternalFailureException", 500),
        (UNAVAILABLE, "ServiceUnavailableException", 503),
        (ACCESS_DENIED, "AccessDeniedException", 403),
        (INVALID_TOKEN, "UnrecognizedClientException", 403),
        (EXPIRED_TOKEN, "ExpiredTokenException", 403),
    ],
)
def test_an_injected_error_comes_as_aws_sends_it(
    aws: LocalAws, fault: Fault, code: str, status: int
) -> None:
    """IoT's in JSON, STS's in XML, each under its own code; the call has no effect."""
    aws.faults.inject(fault)
    iot, sts = aws.client("iot"), aws.client("sts")
    assert error_code(iot.create_thing, thingName="faulty") == (code, status)
    assert error_code(sts.get_caller_identity) == (fault.sts_code, status)
    assert "faulty" not in {thing["thingName"] for thing in aws.iot.list_things()["things"]}
    assert aws.faults.operations() == ["CreateThing", "GetCallerIdentity"]


def test_a_denial_names_the_action(aws: LocalAws) -> None:
    """As IAM's message does; other operations go on."""
    aws.faults.inject(ACCESS_DENIED, "CreateThing")
    iot = aws.client("iot")
    with pytest.raises(ClientError, match=re.escape("not authorized to perform: iot:CreateThing")):
        iot.create_thing(thingName="denied")
    iot.describe_endpoint(endpointType="iot:Data-ATS")


def test_a_fault_meets_the_nth_call_or_the_first_few(aws: LocalAws) -> None:
    """Counted by operation where one is named, else over all or each."""
    iot = aws.client("iot")

    def outcomes(count: int) -> list[bool]:
        done = []
        for number in range(count):
            try:
                iot.create_thing(thingName=f"nth-{number}")
                done.append(True)
            except ClientError:
                done.append(False)
        return done

    aws.faults.inject(THROTTLED, "CreateThing", nth=2)
    assert outcomes(3) == [True, False, True]
    aws.faults.clear()
    aws.faults.inject(THROTTLED, nth=3)
    aws.client("sts").get_caller_identity()
    assert outcomes(3) == [True, False, True]
    aws.faults.clear()
    aws.faults.inject(THROTTLED, first=2)
    iot_outcomes = outcomes(3)
    assert iot_outcomes == [False, False, True]
    assert error_code(aws.client("sts").get_caller_identity)[0] == "Throttling"
    assert [call.code for call in aws.faults.calls][:3] == ["ThrottlingException"] * 2 + [""]
    aws.faults.heal()
    aws.client("sts").get_caller_identity()


def test_a_reset_call_has_no_effect_and_a_lost_response_has(aws: LocalAws) -> None:
    """Both look the same to the caller."""
    aws.faults.inject(CONNECTION_RESET, "CreateKeysAndCertificate", nth=1)
    aws.faults.inject(RESPONSE_LOST, "CreateKeysAndCertificate", nth=2)
    before = len(aws.certificates())
    for expected in (0, 1):
        with pytest.raises(BotoCoreError, match=r"(?i)connection"):
            aws.client("iot").create_keys_and_certificate(setAsActive=False)
        assert len(aws.certificates()) - before == expected
    assert [(call.status, call.code) for call in aws.faults.calls] == [(0, "reset"), (200, "lost")]


def test_a_hanging_call_is_answered_late(aws: LocalAws) -> None:
    """A caller with less patience has a time-out."""
    aws.faults.inject(hang(0.5))
    started_s = time.monotonic()
    aws.client("sts").get_caller_identity()
    assert time.monotonic() - started_s >= 0.5
    impatient = aws.client("sts", read_timeout_s=0.1)
    with pytest.raises(ReadTimeoutError):
        impatient.get_caller_identity()
    aws.faults.heal()


def test_the_hook_runs_after_the_effect_and_before_the_answer(aws: LocalAws) -> None:
    """So a test can kill the caller at that point."""
    seen: list[tuple[str, int, int]] = []
    answered = threading.Event()

    def hook(operation: str, number: int) -> None:
        assert not answered.is_set()
        seen.append((operation, number, len(aws.certificates())))

    before = len(aws.certificates())
    aws.faults.on_call = hook
    aws.client("sts").get_caller_identity()
    aws.client("iot").create_keys_and_certificate(setAsActive=False)
    answered.set()
    assert seen == [
        ("GetCallerIdentity", 1, before),
        ("CreateKeysAndCertificate", 2, before + 1),
    ]
