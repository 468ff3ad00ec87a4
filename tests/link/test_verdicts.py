"""Each case, with each protocol, on each paho: what the runs in the background found."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.link import advisor, causes, hostile, network
from tests.link.bench import CASES, PROTOCOLS, SKIPPED
from tests.link.runs import DOCUMENT, HERE, PAHOS, document, passes

if TYPE_CHECKING:
    from tests.link.runs import Runs

MODULES = (advisor, causes, hostile, network)
NAMES = sorted({one.name for one in CASES})

#: The cases of the AWS IoT Device Advisor ("Device Advisor test cases"), required or not.
DEVICE_ADVISOR = {
    "TLS_Connect",
    "TLS_Receive_Maximum_Size_Fragments",
    "TLS_Support_AWS_IoT_Cipher_Suites",
    "TLS_Large_Size_Server_Cert",
    "TLS_Unsecure_Server_Cert",
    "TLS_Incorrect_Subject_Name_Server_Cert",
    "TLS_Expired_Server_Cert",
    "MQTT_Connect",
    "MQTT_Client_Puback_QoS1",
    "MQTT_Connect_Jitter_Backoff_Retries",
    "MQTT_Connect_Exponential_Backoff_Retries",
    "MQTT_Reconnect_Backoff_Retries_On_Server_Disconnect",
    "MQTT_Reconnect_Backoff_Retries_On_Unstable_Connection",
    "MQTT_Publish",
    "MQTT_Publish_Retry_No_Puback",
    "MQTT_Subscribe",
    "MQTT_Subscribe_Retry_No_Suback",
    "MQTT_No_Ack_PingResp",
    "MQTT_Persistent_Session_Happy_Case",
    "MQTT_Expired_Persistent_Session",
    "MQTT_Long_Duration",
    "Security_Device_Policies",
    "Shadow_Publish_Reported_State",
    "Shadow_Update_Reported_State",
    "Job_Execution",
}


@pytest.mark.timeout(420)
@pytest.mark.parametrize("paho", PAHOS)
@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("name", NAMES)
def test_a_case_passes(runs: Runs, name: str, protocol: str, paho: str) -> None:
    """The device does as the case's criteria ask, or the case has no meaning for it."""
    if paho not in HERE:
        pytest.skip("scripts/test makes an environment with paho 1.6.1 too")
    verdict = runs.verdict(name, protocol, paho)
    if verdict.startswith(SKIPPED):
        pytest.skip(verdict)
    assert passes(verdict), verdict


def test_every_case_of_device_advisor_has_its_mirror() -> None:
    """None is left out, not even those that have no meaning for this agent."""
    assert {one.mirrors for one in CASES} - {""} == DEVICE_ADVISOR


@pytest.mark.timeout(420)
def test_the_documented_table_is_that_of_these_cases(runs: Runs) -> None:
    """docs/link-results.md is what `scripts/link` writes where all pass."""
    if not runs.whole:
        pytest.skip("not all cases were chosen, or paho 1.6.1 is not here")
    verdicts = {
        (one.name, protocol, paho): runs.verdict(one.name, protocol, paho)
        for one in CASES
        for protocol in PROTOCOLS
        for paho in PAHOS
    }
    if not all(passes(verdict) for verdict in verdicts.values()):
        pytest.skip("not every case could be run here, or passed")
    assert DOCUMENT.read_text() == document(verdicts)
