# ruff: noqa: ANN401  # boto3 and paho 1.6 have no types
"""The local AWS IoT Core behaves like the real one where the agent could tell the difference."""

from __future__ import annotations

import hashlib
import itertools
import json
import os
import re
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
import tomllib
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import pytest
from botocore.exceptions import BotoCoreError, ClientError, ReadTimeoutError
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from paho.mqtt import client as paho
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from tests.tools.cloud import LocalAws
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
from tests.tools.cloud.policies import Grant

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import TracebackType

ARN = "arn:aws:iot:ap-northeast-1:123456789012"
NAME = "${iot:Connection.Thing.ThingName}"
CONNECT = {
    "Effect": "Allow",
    "Action": "iot:Connect",
    "Resource": f"{ARN}:client/{NAME}",
    "Condition": {"Bool": {"iot:Connection.Thing.IsAttached": "true"}},
}
PUBLISH = {"Effect": "Allow", "Action": "iot:Publish", "Resource": f"{ARN}:topic/{NAME}/*"}
SUBSCRIBE = {
    "Effect": "Allow",
    "Action": "iot:Subscribe",
    "Resource": f"{ARN}:topicfilter/{NAME}/count",
}
RECEIVE = {"Effect": "Allow", "Action": "iot:Receive", "Resource": f"{ARN}:topic/{NAME}/count"}
ALL = (CONNECT, PUBLISH, SUBSCRIBE, RECEIVE)
NOT_AUTHORIZED = 0x87
numbers = itertools.count(1)


def policy(*statements: dict[str, Any]) -> str:
    """A policy document."""
    return json.dumps({"Version": "2012-10-17", "Statement": statements})


class Device:
    """A registered device with a plain paho client (MQTT 5); its loop turns only in `until`."""

    def __init__(
        self, aws: LocalAws, directory: Path, *, statements: tuple[dict[str, Any], ...] = ALL
    ) -> None:
        self.aws = aws
        self.thing = f"thing-{next(numbers)}"
        self.directory = directory
        made = aws.iot.create_keys_and_certificate(setAsActive=True)
        self.certificate_id, self.arn = made["certificateId"], made["certificateArn"]
        aws.iot.create_thing(thingName=self.thing)
        aws.iot.create_policy(
            policyName=f"{self.thing}_subscribe", policyDocument=policy(*statements)
        )
        aws.iot.attach_policy(policyName=f"{self.thing}_subscribe", target=self.arn)
        aws.iot.attach_thing_principal(thingName=self.thing, principal=self.arn)
        self.certificate = directory / f"{self.thing}.crt"
        self.key = directory / f"{self.thing}.key"
        self.certificate.write_text(made["certificatePem"])
        self.key.write_text(made["keyPair"]["PrivateKey"])
        self.client: Any = None
        self.connected: list[int] = []
        self.subscribed: list[int] = []
        self.published: list[int] = []
        self.received: list[tuple[str, bytes]] = []
        self.lost = False
        self.session_present = False

    def __enter__(self) -> Self:
        """Itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the connection."""
        self.close()

    def close(self) -> None:
        """Disconnect, if connected."""
        if self.client is not None:
            with suppress(OSError, ValueError):
                self.client.disconnect()
            if self.client.socket() is not None:
                self.client.socket().close()
            self.client = None

    def connect(self, client_id: str = "", *, will: bool = False, clean: bool = True) -> bool:
        """Whether the broker takes it; False also when it drops it within half a second."""
        self.close()
        self.connected.clear()
        self.lost = False
        name = client_id or self.thing
        options: dict[str, Any] = {"client_id": name, "protocol": paho.MQTTv5}
        if hasattr(paho, "CallbackAPIVersion"):
            options["callback_api_version"] = paho.CallbackAPIVersion.VERSION2
        self.client = paho.Client(**options)
        context = ssl.create_default_context(cafile=str(self.aws.ca_file))
        context.load_cert_chain(self.certificate, self.key)
        self.client.tls_set_context(context)
        if will:
            self.client.will_set(f"{name}/status", b'{"state": "offline"}', qos=1)
        self.client.on_connect = self._on_connect
        self.client.on_subscribe = lambda *a: self.subscribed.extend(c.value for c in a[3])
        self.client.on_publish = lambda *a: self.published.append(a[2])
        self.client.on_message = lambda *a: self.received.append((a[2].topic, a[2].payload))
        properties = Properties(PacketTypes.CONNECT)
        properties.SessionExpiryInterval = 0 if clean else 3600
        try:
            self.client.connect(
                self.aws.endpoint,
                self.aws.port,
                keepalive=60,
                clean_start=clean,
                properties=properties,
            )
        except OSError:
            return False
        self.until(lambda: self.lost or bool(self.connected))
        if self.lost or self.connected != [0]:
            return False
        self.until(lambda: self.lost, seconds=0.5)
        return not self.lost

    def until(self, condition: Callable[[], bool], *, seconds: float = 10) -> bool:
        """Turn the loop until the condition holds; whether it does."""
        deadline_s = time.monotonic() + seconds
        while not condition() and time.monotonic() < deadline_s:
            try:
                self.lost = self.lost or self.client.loop(timeout=0.02) != 0
            except (OSError, ValueError):
                self.lost = True
            if self.lost:
                break
        return condition()

    def subscribe(self, topic_filter: str) -> int:
        """The reason code of the SUBACK."""
        self.subscribed.clear()
        self.client.subscribe(topic_filter, 1)
        assert self.until(lambda: bool(self.subscribed))
        return self.subscribed[0]

    def publish(self, topic: str, payload: bytes) -> None:
        """At QoS 1; returns with the PUBACK."""
        self.published.clear()
        self.client.publish(topic, payload, qos=1)
        assert self.until(lambda: bool(self.published))

    def _on_connect(self, *arguments: Any) -> None:
        flags = arguments[2]
        present = flags["session present"] if isinstance(flags, dict) else flags.session_present
        self.session_present = bool(present)
        self.connected.append(arguments[3].value)


@pytest.fixture(scope="module")
def running_aws() -> Iterator[LocalAws]:
    """A local AWS for all tests of this file."""
    with LocalAws() as aws:
        yield aws


@pytest.fixture
def aws(running_aws: LocalAws) -> LocalAws:
    """The same without faults, records and messages."""
    running_aws.faults.clear()
    running_aws.observer.clear()
    return running_aws


def error_code(call: Callable[..., object], **parameters: object) -> tuple[str, int]:
    """The code and HTTP status of the error that a call raises."""
    with pytest.raises(ClientError) as caught:
        call(**parameters)
    response = caught.value.response
    return response["Error"]["Code"], response["ResponseMetadata"]["HTTPStatusCode"]


# Certificates


def test_a_made_certificate_is_signed_by_the_device_ca_and_named_by_its_der(aws: LocalAws) -> None:
    """The id is SHA-256 of the DER, the key fits, and the chain ends in the device CA."""
    made = aws.iot.create_keys_and_certificate(setAsActive=False)
    certificate = x509.load_pem_x509_certificate(made["certificatePem"].encode())
    der = certificate.public_bytes(serialization.Encoding.DER)
    assert made["certificateId"] == hashlib.sha256(der).hexdigest()
    assert made["certificateArn"] == f"{ARN}:cert/{made['certificateId']}"
    certificate.verify_directly_issued_by(x509.load_pem_x509_certificate(aws.devices.pem.encode()))
    assert f"{certificate.not_valid_after_utc:%F %T}" == "2049-12-31 23:59:59"
    key = serialization.load_pem_private_key(made["keyPair"]["PrivateKey"].encode(), None)
    assert key.public_key() == certificate.public_key()
    assert aws.certificates()[-1].status == "INACTIVE"


@pytest.mark.parametrize("active", [False, True])
def test_a_certificate_from_a_csr_keeps_its_key(aws: LocalAws, active: bool) -> None:  # noqa: FBT001
    """Also its status is what was asked for, and asking twice gives another certificate."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "device")])
    request = x509.CertificateSigningRequestBuilder().subject_name(name).sign(key, hashes.SHA256())
    csr = request.public_bytes(serialization.Encoding.PEM).decode()
    made, again = [
        aws.iot.create_certificate_from_csr(certificateSigningRequest=csr, setAsActive=active)
        for _ in range(2)
    ]
    certificate = x509.load_pem_x509_certificate(made["certificatePem"].encode())
    assert certificate.public_key() == key.public_key()
    certificate.verify_directly_issued_by(x509.load_pem_x509_certificate(aws.devices.pem.encode()))
    der = certificate.public_bytes(serialization.Encoding.DER)
    assert made["certificateId"] == hashlib.sha256(der).hexdigest() != again["certificateId"]
    described = aws.iot.describe_certificate(certificateId=made["certificateId"])
    assert described["certificateDescription"]["status"] == ("ACTIVE" if active else "INACTIVE")


def test_a_csr_that_is_none_is_an_invalid_request(aws: LocalAws) -> None:
    """Neither text nor a weak key is signed."""
    weak = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([]))
    csr = weak.sign(ec.generate_private_key(ec.SECP256K1()), hashes.SHA256())
    for text in ("no CSR", csr.public_bytes(serialization.Encoding.PEM).decode()):
        assert error_code(aws.iot.create_certificate_from_csr, certificateSigningRequest=text) == (
            "InvalidRequestException",
            400,
        )


# The control plane's manners


def test_the_ats_endpoint_is_always_the_same(aws: LocalAws) -> None:
    """Without a type the answer is another, useless one, as AWS's own default is."""
    found = {
        aws.iot.describe_endpoint(endpointType="iot:Data-ATS")["endpointAddress"] for _ in range(3)
    }
    assert found == {aws.endpoint} == {"localhost"}
    assert aws.iot.describe_endpoint()["endpointAddress"] not in found


def test_a_thing_with_other_attributes_is_a_conflict(aws: LocalAws) -> None:
    """The same thing again is none."""
    attributes = {"attributes": {"serial": "1"}}
    first = aws.iot.create_thing(thingName="conflict", attributePayload=attributes)
    again = aws.iot.create_thing(thingName="conflict", attributePayload=attributes)
    assert first["thingId"] == again["thingId"]
    assert error_code(aws.iot.create_thing, thingName="conflict") == (
        "ResourceAlreadyExistsException",
        409,
    )
    described = aws.iot.describe_thing(thingName="conflict")
    assert described["attributes"] == {"serial": "1"}


def test_a_thing_has_a_legal_name(aws: LocalAws) -> None:
    """AWS allows letters, digits, colon, underscore and hyphen."""
    for name in ("living room", "a.b", "küche"):
        assert error_code(aws.iot.create_thing, thingName=name) == (
            "InvalidRequestException",
            400,
        )
    assert aws.iot.create_thing(thingName="a:b_c-1")["thingName"] == "a:b_c-1"


def test_deleting_a_thing_that_is_not_there_is_no_error(aws: LocalAws) -> None:
    """AWS's reference says so."""
    aws.iot.delete_thing(thingName="never-was")


def test_policy_documents_are_checked(aws: LocalAws) -> None:
    """Text that is no policy and more than 2048 characters besides white space are refused."""
    wide = policy(*ALL).replace(" ", " " * 100)
    aws.iot.create_policy(policyName="wide", policyDocument=wide)
    long = policy(*[PUBLISH] * 20)
    for document in ("not JSON", "[]", '{"Statement": []}', policy({"Effect": "Allow"}), long):
        for call, name in ((aws.iot.create_policy, "bad"), (aws.iot.create_policy_version, "wide")):
            assert error_code(call, policyName=name, policyDocument=document) == (
                "MalformedPolicyException",
                400,
            )
    assert error_code(aws.iot.create_policy, policyName="wide", policyDocument=policy(*ALL)) == (
        "ResourceAlreadyExistsException",
        409,
    )


def test_a_policy_has_at_most_five_versions(aws: LocalAws) -> None:
    """The sixth is refused until one has been deleted."""
    aws.iot.create_policy(policyName="versions", policyDocument=policy(CONNECT))
    for _ in range(4):
        aws.iot.create_policy_version(policyName="versions", policyDocument=policy(PUBLISH))
    assert error_code(
        aws.iot.create_policy_version, policyName="versions", policyDocument=policy(CONNECT)
    ) == ("VersionsLimitExceededException", 409)


def test_two_local_clouds_in_one_process_are_refused(running_aws: LocalAws) -> None:
    """The state of moto is the process's."""
    del running_aws
    with pytest.raises(RuntimeError, match="one local cloud at a time"), LocalAws():
        pass


# Faults


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
    aws: LocalAws, fault: Any, code: str, status: int
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


# The broker


def test_the_server_certificate_has_another_root(aws: LocalAws, tmp_path: Path) -> None:
    """It is good for `localhost` and 127.0.0.1 under `ca_file`, strictly, and not the device CA."""
    device = Device(aws, tmp_path)
    assert aws.servers.pem != aws.devices.pem
    for host in ("localhost", "127.0.0.1"):
        context = ssl.create_default_context(cafile=str(aws.ca_file))
        context.verify_flags |= ssl.VerifyFlags.VERIFY_X509_STRICT
        context.load_cert_chain(device.certificate, device.key)
        with (
            socket.create_connection(("127.0.0.1", aws.port), 5) as plain,
            context.wrap_socket(plain, server_hostname=host) as secured,
        ):
            assert secured.version() == "TLSv1.3"
    other = ssl.create_default_context(cadata=aws.devices.pem)
    with (
        socket.create_connection(("127.0.0.1", aws.port), 5) as plain,
        pytest.raises(ssl.SSLCertVerificationError),
    ):
        other.wrap_socket(plain, server_hostname="localhost")


def test_a_client_without_a_certificate_is_refused(aws: LocalAws) -> None:
    """In TLS, before any MQTT."""
    context = ssl.create_default_context(cafile=str(aws.ca_file))
    with (
        socket.create_connection(("127.0.0.1", aws.port), 5) as plain,
        context.wrap_socket(plain, server_hostname="localhost") as secured,
        pytest.raises(ssl.SSLError, match="certificate required"),
    ):
        secured.recv(1)  # TLS 1.3: the server's alert comes after the client's handshake


def test_a_registered_device_has_its_whole_way(aws: LocalAws, tmp_path: Path) -> None:
    """Publish, subscribe, echo, command; the cloud's side sees it all."""
    with Device(aws, tmp_path) as device:
        assert device.connect(will=True)
        assert device.subscribe(f"{device.thing}/count") == 1
        device.publish(f"{device.thing}/count", b'{"seq": 1}')
        assert device.until(lambda: len(device.received) == 1)
        (seen,) = aws.observer.wait(f"{device.thing}/count")
        assert seen.json() == {"seq": 1}
        aws.observer.command(device.thing, {"reset": True, "id": "x"})
        assert device.until(lambda: len(device.received) == 2)
        assert json.loads(device.received[1][1]) == {"reset": True, "id": "x"}
        with pytest.raises(TimeoutError, match="0 of 1 messages on nothing"):
            aws.observer.wait("nothing", timeout_s=0.1)


def test_without_connect_the_device_is_out(aws: LocalAws, tmp_path: Path) -> None:
    """Refused before any CONNACK."""
    with Device(aws, tmp_path, statements=(PUBLISH, SUBSCRIBE, RECEIVE)) as device:
        assert not device.connect()
        assert device.connected == []


def test_the_client_id_is_the_things_name(aws: LocalAws, tmp_path: Path) -> None:
    """Another one is thrown out with the same certificate; the broker's record has both."""
    with Device(aws, tmp_path) as device:
        assert not device.connect("somebody-else")
        assert device.connect()
    assert [each.client_id for each in aws.broker.connects[-2:]] == ["somebody-else", device.thing]


def test_without_publish_nothing_arrives(aws: LocalAws, tmp_path: Path) -> None:
    """Neither on the device's own topics nor, with the right to these, on those of others."""
    with Device(aws, tmp_path, statements=(CONNECT, SUBSCRIBE, RECEIVE)) as device:
        assert device.connect()
        device.publish(f"{device.thing}/count", b"{}")  # its PUBACK says 0x87
    with Device(aws, tmp_path) as device:
        assert device.connect()
        device.publish("others/count", b"{}")
        assert device.connect()  # mosquitto 2.0.11 has closed after the PUBACK
        device.publish(f"{device.thing}/count", b"{}")
        (message,) = aws.observer.wait()
        assert message.topic == f"{device.thing}/count"


def test_without_subscribe_the_suback_says_so(aws: LocalAws, tmp_path: Path) -> None:
    """With the right for one topic, others are refused too."""
    with Device(aws, tmp_path, statements=(CONNECT, PUBLISH, RECEIVE)) as device:
        assert device.connect()
        assert device.subscribe(f"{device.thing}/count") == NOT_AUTHORIZED
    with Device(aws, tmp_path) as device:
        assert device.connect()
        for topic_filter in (f"{device.thing}/status", f"{device.thing}/#", "#", "others/count"):
            assert device.subscribe(topic_filter) == NOT_AUTHORIZED


def test_without_receive_the_suback_is_granted_and_nothing_comes(
    aws: LocalAws, tmp_path: Path
) -> None:
    """AWS's trap: iot:Receive is checked at each delivery."""
    with Device(aws, tmp_path, statements=(CONNECT, PUBLISH, SUBSCRIBE)) as device:
        assert device.connect()
        assert device.subscribe(f"{device.thing}/count") == 1
        device.publish(f"{device.thing}/count", b"{}")
        aws.observer.wait(f"{device.thing}/count")
        assert not device.until(lambda: bool(device.received), seconds=0.3)


def test_only_an_active_certificate_connects(aws: LocalAws, tmp_path: Path) -> None:
    """Deactivating throws the live connection out and refuses the next; activating lets it in."""
    with Device(aws, tmp_path) as device:
        assert device.connect()
        aws.iot.update_certificate(certificateId=device.certificate_id, newStatus="INACTIVE")
        assert device.until(lambda: device.lost)
        assert not device.connect()
        assert device.connected == []  # refused in TLS
        aws.iot.update_certificate(certificateId=device.certificate_id, newStatus="ACTIVE")
        assert device.connect()


def test_a_deleted_certificate_stays_out(aws: LocalAws, tmp_path: Path) -> None:
    """Also after the broker's restart."""
    with Device(aws, tmp_path) as device:
        aws.iot.detach_policy(policyName=f"{device.thing}_subscribe", target=device.arn)
        aws.iot.detach_thing_principal(thingName=device.thing, principal=device.arn)
        aws.iot.update_certificate(certificateId=device.certificate_id, newStatus="INACTIVE")
        aws.iot.delete_certificate(certificateId=device.certificate_id)
        assert not device.connect()
        aws.broker.restart()
        assert not device.connect()


@pytest.mark.parametrize("what", ["policy", "thing"])
def test_detaching_throws_out_and_attaching_lets_in(
    aws: LocalAws, tmp_path: Path, what: str
) -> None:
    """For policy and thing alike, from the call's answer on."""
    with Device(aws, tmp_path) as device:
        name = f"{device.thing}_subscribe"
        assert device.connect(will=True)
        if what == "policy":
            aws.iot.detach_policy(policyName=name, target=device.arn)
        else:
            aws.iot.detach_thing_principal(thingName=device.thing, principal=device.arn)
        assert device.until(lambda: device.lost)
        assert not device.connect(will=True)
        assert device.connected == []  # refused in TLS
        if what == "policy":
            aws.iot.attach_policy(policyName=name, target=device.arn)
        else:
            aws.iot.attach_thing_principal(thingName=device.thing, principal=device.arn)
        assert device.connect(will=True)


def test_a_new_default_policy_version_is_in_force(aws: LocalAws, tmp_path: Path) -> None:
    """One that is not the default is not."""
    with Device(aws, tmp_path, statements=(CONNECT, PUBLISH)) as device:
        name = f"{device.thing}_subscribe"
        made = aws.iot.create_policy_version(policyName=name, policyDocument=policy(*ALL))
        assert device.connect()
        assert device.subscribe(f"{device.thing}/count") == NOT_AUTHORIZED
        aws.iot.set_default_policy_version(policyName=name, policyVersionId=made["policyVersionId"])
        assert device.connect()
        assert device.subscribe(f"{device.thing}/count") == 1


@pytest.mark.parametrize("end", ["stop", "kill"])
def test_sessions_outlive_the_broker(aws: LocalAws, tmp_path: Path, end: str) -> None:
    """A subscription is kept over a restart on the same port, and so is the observer's."""
    port = aws.port
    with Device(aws, tmp_path) as device:
        assert device.connect(clean=False)
        assert device.subscribe(f"{device.thing}/count") == 1
        time.sleep(2.1)  # mosquitto saves each second
        getattr(aws.broker, end)()
        assert not aws.broker.running
        assert not device.connect(clean=False)
        aws.broker.start()
        assert device.connect(clean=False)
        assert device.session_present
        assert aws.broker.port == port
        device.publish(f"{device.thing}/count", b"{}")
        assert device.until(lambda: bool(device.received))
        assert len(aws.observer.wait(f"{device.thing}/count")) == 1


def test_the_observer_misses_nothing_that_was_acknowledged(aws: LocalAws, tmp_path: Path) -> None:
    """Whatever has its PUBACK is seen, over kills of the broker in full traffic."""
    with Device(aws, tmp_path) as device:
        acknowledged = 0
        for _ in range(5):
            assert device.connect()
            killer = threading.Timer(0.15, aws.broker.kill)
            killer.start()
            while not device.lost:
                with suppress(OSError, ValueError, AssertionError):
                    payload = str(acknowledged).encode()
                    device.publish(f"{device.thing}/sensors/room", payload)
                    acknowledged += 1
            killer.join()
            aws.broker.start()
        assert acknowledged > 50
        aws.observer.wait(
            matching=lambda message: message.payload == str(acknowledged - 1).encode()
        )
        seen = {int(message.payload) for message in aws.observer.messages("+/sensors/room")}
        assert set(range(acknowledged)) <= seen


def test_a_paused_broker_answers_nothing_and_goes_on(aws: LocalAws, tmp_path: Path) -> None:
    """What changes meanwhile is in force when it goes on."""
    with Device(aws, tmp_path) as device, Device(aws, tmp_path) as other:
        assert device.connect()
        assert other.connect()
        aws.broker.pause()
        device.client.publish(f"{device.thing}/count", b"{}", qos=1)
        assert not device.until(lambda: bool(device.published), seconds=0.3)
        aws.iot.update_certificate(certificateId=other.certificate_id, newStatus="INACTIVE")
        aws.broker.resume()
        assert device.until(lambda: bool(device.published))
        assert other.until(lambda: other.lost)
        assert not device.lost


# What a policy means


def test_a_policy_is_read_as_aws_reads_it() -> None:
    """Deny wins, an unattached thing has no name, unknown conditions never hold."""
    full = Grant(["a"], [policy(*ALL)])
    assert full.may_connect("a")
    assert not full.may_connect("b")
    assert not Grant([], [policy(*ALL)]).may_connect("a")
    assert not Grant([], [policy(*ALL)]).acls()
    assert not Grant(["a"], [policy(*ALL, {**CONNECT, "Effect": "Deny"})]).may_connect("a")
    strange = {**CONNECT, "Condition": {"IpAddress": {"aws:SourceIp": "192.0.2.1"}}}
    assert not Grant(["a"], [policy(strange)]).may_connect("a")
    anyone = {"Effect": "Allow", "Action": "iot:*", "Resource": "*"}
    assert Grant([], [policy(anyone)]).may_connect("b")
    assert {(acl.kind, acl.topic) for acl in full.acls()} == {
        ("publishClientSend", "a/#"),
        ("subscribeLiteral", "a/count"),
        ("publishClientReceive", "a/count"),
    }
    mixed_up = {**SUBSCRIBE, "Resource": f"{ARN}:topic/{NAME}/count"}
    assert not Grant(["a"], [policy(CONNECT, mixed_up)]).acls()


# For an agent and for a person


def test_what_an_agent_needs_is_complete(aws: LocalAws, tmp_path: Path) -> None:
    """The TOML, the credentials file (private) and an environment without other AWS settings."""
    text = aws.agent_toml(tmp_path, name="porch", mqtt={"protocol": "3.1.1", "ca_file": None})
    table = tomllib.loads(text)
    assert table["thing"] == {"name": "porch"}
    assert table["aws"]["endpoint_url"] == aws.endpoint_url
    assert table["mqtt"] == {"port": aws.port, "protocol": "3.1.1"}
    assert [sensor["name"] for sensor in table["sensors"]] == ["motion", "room"]
    assert aws.credentials_file.stat().st_mode & 0o777 == 0o600
    environment = aws.environment
    assert {name for name in environment if name.startswith("AWS_")} == {
        "AWS_EC2_METADATA_DISABLED",
        "AWS_CONFIG_FILE",
    }


@pytest.mark.parametrize("how", ["for", "interrupt", "terminate"])
def test_by_hand_it_says_what_to_do_and_leaves_nothing(tmp_path: Path, how: str) -> None:
    """`python3 -m tests.cloud` ends with 0 after --for, Ctrl-C and SIGTERM, without a process."""
    command = [sys.executable, "-m", "tests.cloud", "--directory", str(tmp_path / "cloud")]
    with subprocess.Popen(
        [*command, *(["--for", "1"] if how == "for" else [])],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd=Path(__file__).parents[3],
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
        start_new_session=True,
    ) as process:
        assert process.stdout is not None
        lines: list[str] = []
        for line in process.stdout:
            lines.append(line)
            if line.startswith("Messages") and how != "for":
                process.send_signal(signal.SIGINT if how == "interrupt" else signal.SIGTERM)
        assert process.wait(20) == 0, "".join(lines)
    text = "".join(lines)
    assert "Traceback" not in text
    config = tomllib.loads((tmp_path / "cloud" / "agent.toml").read_text())
    assert f"port = {config['mqtt']['port']}\n" in text
    assert config["provisioning"]["credentials_file"] in text
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", config["mqtt"]["port"]), 1)
