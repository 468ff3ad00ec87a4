"""Fleet provisioning by claim answers, refuses and forgets as AWS does."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Self

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tests.integration.cloud.device import Plain, policy
from tests.tools.cloud.authority import key_pem
from tests.tools.cloud.faults import (
    ACCESS_DENIED,
    CONNECTION_RESET,
    INTERNAL_FAILURE,
    RESPONSE_LOST,
    THROTTLED,
    Fault,
    hang,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from tests.tools.cloud import LocalAws
    from tests.tools.cloud.hook import HookCall

FROM_CSR = "$aws/certificates/create-from-csr/json"
KEYS = "$aws/certificates/create/json"
EVERYTHING = policy({"Effect": "Allow", "Action": "iot:*", "Resource": "*"})
PROVISION = "$aws/provisioning-templates/home/provision/json"


class Claimant(Plain):
    """A device with a claim and a key of its own; MQTT 5 or 3.1.1."""

    def __init__(self, aws: LocalAws, directory: Path, *, temporary: bool = False) -> None:
        super().__init__(aws, *aws.fleet.claim(directory, temporary=temporary))
        self.key = ec.generate_private_key(ec.SECP256R1())

    def __enter__(self) -> Self:
        """Connected and subscribed."""
        assert self.connect(self.name)
        for topic in (FROM_CSR, KEYS, PROVISION):
            for word in ("accepted", "rejected"):
                assert self.subscribe(f"{topic}/{word}") == 1
        return self

    @property
    def name(self) -> str:
        """Its client id."""
        return f"claimant {id(self)}"

    def ask(self, topic: str, content: Mapping[str, Any] | bytes) -> dict[str, Any]:
        """The answer, with the word that its topic ends with."""
        self.received.clear()
        data = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.publish(topic, data)
        assert self.until(lambda: bool(self.received))
        ((found, payload),) = self.received
        assert found.startswith(f"{topic}/")
        return {"word": found.removeprefix(f"{topic}/"), **json.loads(payload)}

    def csr(self) -> dict[str, str]:
        """The request for a certificate."""
        name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "device")])
        request = x509.CertificateSigningRequestBuilder().subject_name(name)
        signed = request.sign(self.key, hashes.SHA256())
        pem = signed.public_bytes(serialization.Encoding.PEM).decode()
        return {"certificateSigningRequest": pem}

    def register(self, token: str, **parameters: str) -> dict[str, Any]:
        """The answer to RegisterThing."""
        return self.ask(PROVISION, {"certificateOwnershipToken": token, "parameters": parameters})


@pytest.fixture
def claimant(aws: LocalAws, tmp_path: Path) -> Iterator[Claimant]:
    """A device that is connected with a permanent claim for the template `home`."""
    aws.fleet.create_template("home", device_configuration={"room": "hall"})
    with Claimant(aws, tmp_path) as found:
        yield found


def test_a_device_comes_to_a_certificate_by_its_own_key(claimant: Claimant, tmp_path: Path) -> None:
    """PENDING_ACTIVATION until RegisterThing, which makes the thing and lets it in."""
    aws = claimant.aws
    made = claimant.ask(FROM_CSR, claimant.csr())
    assert made.keys() == {
        "word",
        "certificateId",
        "certificatePem",
        "certificateOwnershipToken",
    }
    certificate = x509.load_pem_x509_certificate(made["certificatePem"].encode())
    assert certificate.public_key() == claimant.key.public_key()
    assert aws.certificates()[-1].status == "PENDING_ACTIVATION"
    files = tmp_path / "own.crt", tmp_path / "own.key"
    files[0].write_text(made["certificatePem"])
    files[1].write_bytes(key_pem(claimant.key))
    with Plain(aws, *files) as device:
        assert not device.connect("device-7")
        assert device.connected == []
    answer = claimant.register(made["certificateOwnershipToken"], SerialNumber="7")
    assert answer == {
        "word": "accepted",
        "thingName": "device-7",
        "deviceConfiguration": {"room": "hall"},
    }
    one = aws.certificates()[-1]
    assert (one.status, one.things, len(one.policies)) == ("ACTIVE", ("device-7",), 1)
    assert aws.iot.describe_thing(thingName="device-7")["attributes"] == {"serial": "7"}
    with Plain(aws, *files) as device:
        assert device.connect("device-7")
        assert device.subscribe("device-7/count") == 1
        device.publish("device-7/count", b"1")
        assert device.until(lambda: bool(device.received))
    assert aws.faults.operations() == ["CreateCertificateFromCsr:mqtt", "RegisterThing:mqtt"]
    assert b"BEGIN CERTIFICATE REQUEST" in aws.requests[0].body
    assert not any(b"PRIVATE" in sent.body for sent in aws.requests)


def test_keys_may_be_made_by_aws(claimant: Claimant) -> None:
    """The private key comes with the certificate."""
    made = claimant.ask(KEYS, b"")
    key = serialization.load_pem_private_key(made["privateKey"].encode(), None)
    certificate = x509.load_pem_x509_certificate(made["certificatePem"].encode())
    assert certificate.public_key() == key.public_key()
    claimant.ask(KEYS, {})
    assert [one.status for one in claimant.aws.certificates()[-2:]] == ["PENDING_ACTIVATION"] * 2


def test_a_certificate_and_its_token_are_good_for_an_hour(claimant: Claimant) -> None:
    """Within the hour the same token may be used again; thereafter what was not used is gone."""
    aws = claimant.aws
    used, unused = (claimant.ask(FROM_CSR, claimant.csr()) for _ in range(2))
    for _ in range(2):
        answer = claimant.register(used["certificateOwnershipToken"], SerialNumber="8")
        assert answer["word"] == "accepted"
    aws.faults.ahead_s += 3600
    here = {one.certificate_id: one for one in aws.certificates()}
    assert here[used["certificateId"]].things == ("device-8",)
    assert unused["certificateId"] not in here
    for made in (used, unused):
        answer = claimant.register(made["certificateOwnershipToken"], SerialNumber="8")
        assert (answer["statusCode"], answer["errorCode"]) == (
            400,
            "InvalidCertificateOwnershipToken",
        )


@pytest.mark.parametrize(
    ("parameters", "token", "code"),
    [
        ({}, True, "InvalidParameters"),
        ({"SerialNumber": 7}, True, "InvalidParameters"),
        ({"SerialNumber": "7", "AWS::IoT::Certificate::Id": "x"}, True, "InvalidParameters"),
        ({"SerialNumber": "a b"}, True, "InvalidRequest"),
        ({"SerialNumber": "7"}, False, "InvalidCertificateOwnershipToken"),
    ],
)
def test_what_a_template_cannot_use_is_rejected(
    claimant: Claimant,
    parameters: dict[str, Any],
    token: bool,  # noqa: FBT001
    code: str,
) -> None:
    """Nothing is made then."""
    made = claimant.ask(FROM_CSR, claimant.csr())
    answer = claimant.ask(
        PROVISION,
        {
            "certificateOwnershipToken": made["certificateOwnershipToken"] if token else "",
            "parameters": parameters,
        },
    )
    assert answer["word"] == "rejected"
    assert (answer["statusCode"], answer["errorCode"]) == (400, code)
    one = claimant.aws.certificates()[-1]
    assert (one.status, one.things, one.policies) == ("PENDING_ACTIVATION", (), ())


def test_a_request_that_is_none_is_rejected(claimant: Claimant) -> None:
    """Neither text nor a CSR that is none; a template that is not there is not found."""
    for topic, content, status in (
        (FROM_CSR, b"no JSON", 400),
        (FROM_CSR, b"[]", 400),
        (FROM_CSR, {"certificateSigningRequest": "none"}, 400),
        (PROVISION, {}, 400),
    ):
        assert claimant.ask(topic, content)["statusCode"] == status
    claimant.aws.fleet.delete_template("home")
    assert claimant.ask(PROVISION, {})["statusCode"] == 404


def test_a_hook_decides(claimant: Claimant) -> None:
    """It hears who asks, overrides parameters, and one that fails says no."""
    heard: list[HookCall] = []

    def allow(call: HookCall) -> tuple[bool, Mapping[str, str]]:
        heard.append(call)
        return True, {"SerialNumber": "changed"}

    def refuse(_: HookCall) -> bool:
        return False

    def fail(_: HookCall) -> bool:
        raise RuntimeError

    aws = claimant.aws
    token = claimant.ask(FROM_CSR, claimant.csr())["certificateOwnershipToken"]
    for hook in (fail, refuse):
        aws.fleet.hook = hook
        answer = claimant.register(token, SerialNumber="9")
        assert (answer["statusCode"], answer["errorCode"]) == (403, "AccessDenied")
    aws.fleet.hook = allow
    assert claimant.register(token, SerialNumber="9")["thingName"] == "device-changed"
    (call,) = heard
    claims = [one for one in aws.certificates() if one.policies == ("claim-home",)]
    claim = claims[-1]
    assert (call.claim_certificate_id, call.client_id) == (claim.certificate_id, claimant.name)
    assert call.parameters == {"SerialNumber": "9"}
    assert call.template_arn.endswith(":provisioningtemplate/home")


def test_a_template_has_what_it_names(claimant: Claimant) -> None:
    """A type, a group or a policy that is not there is not found, and nothing is made then."""
    aws = claimant.aws
    aws.iot.create_policy(policyName="shared", policyDocument=EVERYTHING)
    aws.iot.create_thing_group(thingGroupName="house")
    aws.iot.create_thing_type(thingTypeName="sensor")
    named: dict[str, Any] = {
        "ThingTypeName": "sensor",
        "ThingGroups": ["house"],
        "PolicyName": "shared",
    }
    token = claimant.ask(FROM_CSR, claimant.csr())["certificateOwnershipToken"]
    lacking: tuple[dict[str, Any], ...] = (
        {"ThingTypeName": "none"},
        {"ThingGroups": ["none"]},
        {"PolicyName": "none"},
    )
    for other in lacking:
        aws.fleet.create_template("home", **{**named, **other})
        answer = claimant.register(token, SerialNumber="10")
        assert (answer["statusCode"], answer["errorCode"]) == (404, "ResourceNotFound")
        assert not [t for t in aws.iot.list_things()["things"] if t["thingName"] == "device-10"]
    aws.fleet.create_template("home", **named)
    assert claimant.register(token, SerialNumber="10")["word"] == "accepted"
    assert aws.iot.describe_thing(thingName="device-10")["thingTypeName"] == "sensor"
    assert aws.iot.list_things_in_thing_group(thingGroupName="house")["things"] == ["device-10"]
    assert aws.certificates()[-1].policies == ("shared",)


@pytest.mark.parametrize(
    ("fault", "status", "code"),
    [
        (THROTTLED, 429, "Throttling"),
        (INTERNAL_FAILURE, 500, "InternalFailure"),
        (ACCESS_DENIED, 403, "AccessDenied"),
    ],
)
def test_a_fault_is_a_rejection_without_effect(
    claimant: Claimant, fault: Fault, status: int, code: str
) -> None:
    """The next attempt is as good as the first."""
    claimant.aws.faults.inject(fault, "CreateCertificateFromCsr:mqtt", nth=1)
    before = len(claimant.aws.certificates())
    answer = claimant.ask(FROM_CSR, claimant.csr())
    assert (answer["statusCode"], answer["errorCode"]) == (status, code)
    assert len(claimant.aws.certificates()) == before
    assert claimant.ask(FROM_CSR, claimant.csr())["word"] == "accepted"
    assert [call.status for call in claimant.aws.faults.calls] == [status, 200]


@pytest.mark.parametrize(("fault", "made"), [(CONNECTION_RESET, 0), (RESPONSE_LOST, 1)])
def test_a_connection_ends_before_or_after_the_effect(
    claimant: Claimant, fault: Fault, made: int
) -> None:
    """No answer comes then."""
    claimant.aws.faults.inject(fault, "CreateCertificateFromCsr:mqtt")
    before = len(claimant.aws.certificates())
    claimant.client.publish(FROM_CSR, json.dumps(claimant.csr()), 1)
    assert claimant.until(lambda: claimant.lost)
    assert not claimant.received
    assert len(claimant.aws.certificates()) == before + made


def test_one_that_hangs_holds_up_nobody_else(claimant: Claimant, tmp_path: Path) -> None:
    """Its answer comes when it comes."""
    claimant.aws.faults.inject(hang(3600), "CreateKeysAndCertificate:mqtt", nth=1)
    claimant.client.publish(KEYS, b"", 1)
    with Claimant(claimant.aws, tmp_path / "other") as other:
        assert other.ask(FROM_CSR, other.csr())["word"] == "accepted"
        assert other.ask(KEYS, b"")["word"] == "accepted"
    assert not claimant.until(lambda: bool(claimant.received), seconds=0.1)


def test_above_the_limit_requests_are_throttled(claimant: Claimant) -> None:
    """A second of AWS's clock later they are not."""
    claimant.aws.fleet.requests_per_s = 2
    claimant.aws.faults.ahead_s = 10
    words = [claimant.ask(KEYS, b"").get("statusCode") for _ in range(2)]
    assert words == [None, None]
    claimant.aws.fleet.requests_per_s = 1
    assert claimant.ask(KEYS, b"")["statusCode"] == 429
    claimant.aws.faults.ahead_s = 20
    assert claimant.ask(KEYS, b"")["word"] == "accepted"


def test_answers_go_to_the_one_who_asked(claimant: Claimant, tmp_path: Path) -> None:
    """Another device with the same claim hears nothing of it."""
    with Claimant(claimant.aws, tmp_path / "other") as other:
        claimant.ask(FROM_CSR, claimant.csr())
        other.ask(KEYS, b"")
        assert len(claimant.received) == len(other.received) == 1


def test_a_claim_may_do_nothing_else(claimant: Claimant) -> None:
    """Elsewhere it may not publish or subscribe, and the connection is ended."""
    fleet = claimant.aws.fleet
    for count, topic in enumerate(("device-1/count", "$fleet/down/kick/00"), 1):
        assert claimant.connect(claimant.name)
        claimant.client.publish(topic, b"1", 1)
        assert claimant.until(lambda: claimant.lost)
        assert fleet.wait_denied(count)[-1].payload == topic.encode()
    assert claimant.connect(claimant.name)
    assert claimant.subscribe("#") == 0x87
    assert claimant.until(lambda: claimant.lost)


def test_a_temporary_claim_lives_for_five_minutes(aws: LocalAws, tmp_path: Path) -> None:
    """It is not listed, does what a permanent one does, and then is refused."""
    aws.fleet.create_template("home")
    before = len(aws.certificates())
    with Claimant(aws, tmp_path, temporary=True) as claimant:
        assert len(aws.certificates()) == before
        assert claimant.ask(FROM_CSR, claimant.csr())["word"] == "accepted"
        aws.faults.ahead_s += 299
        assert claimant.connect(claimant.name)
        aws.faults.ahead_s += 1
        assert claimant.until(lambda: claimant.lost)
        assert not claimant.connect(claimant.name)
    told = json.loads(aws.fleet.provisioning_claim(tmp_path))
    assert told["expiration"] == pytest.approx(aws.faults.now_s + 300, abs=60)


def test_a_permanent_claim_is_as_good_as_its_status(claimant: Claimant) -> None:
    """One that is not ACTIVE is refused like any other certificate."""
    aws = claimant.aws
    for one in aws.certificates():
        if one.policies == ("claim-home",):
            aws.iot.update_certificate(certificateId=one.certificate_id, newStatus="INACTIVE")
    assert not claimant.connect(claimant.name)
