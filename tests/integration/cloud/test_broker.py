"""The broker lets in, grants and throws out as AWS's does, and outlives its own restarts."""

from __future__ import annotations

import json
import os
import signal
import socket
import ssl
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from tests.integration.cloud.device import ALL, CONNECT, PUBLISH, RECEIVE, SUBSCRIBE, Device, policy

if TYPE_CHECKING:
    from pathlib import Path

    from tests.tools.cloud import LocalAws

NOT_AUTHORIZED = 0x87


def test_the_server_certificate_has_another_root(aws: LocalAws, tmp_path: Path) -> None:
    """It is good for `localhost` and 127.0.0.1 under `ca_file`, strictly, and not the device CA."""
    device = Device(aws, tmp_path)
    assert aws.servers.pem != aws.devices.pem
    for host in ("localhost", "127.0.0.1"):
        context = ssl.create_default_context(cafile=str(aws.ca_file))
        context.verify_flags |= ssl.VerifyFlags.VERIFY_X509_STRICT
        context.load_cert_chain(device.certificate, device.key_file)
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
        assert device.refused()
        assert device.connected == []


def test_the_client_id_is_the_things_name(aws: LocalAws, tmp_path: Path) -> None:
    """Another one is thrown out with the same certificate; the broker's record has both."""
    with Device(aws, tmp_path) as device:
        assert device.refused("somebody-else")
        assert device.connect()
        deadline_s = time.monotonic() + 30  # the record is read from the broker's log
        while aws.broker.connects[-1].client_id != device.thing and time.monotonic() < deadline_s:
            time.sleep(0.01)
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
        assert device.refused()
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
        assert device.refused()
        aws.broker.restart()
        assert device.refused()


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
        assert device.refused()
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
        if end == "kill":
            saved = aws.directory / "broker/mosquitto.db"  # each second
            while not saved.exists() or device.thing.encode() not in saved.read_bytes():
                time.sleep(0.1)
        getattr(aws.broker, end)()
        assert not aws.broker.running
        assert device.refused(clean=False)
        aws.broker.start()
        assert device.connect(clean=False)
        assert device.session_present
        assert aws.broker.port == port
        device.publish(f"{device.thing}/count", b"{}")
        assert device.until(lambda: bool(device.received))
        assert len(aws.observer.wait(f"{device.thing}/count")) == 1


@pytest.mark.parametrize("crash", [signal.SIGSEGV, signal.SIGABRT])
def test_a_broker_that_crashes_is_there_again(
    aws: LocalAws, tmp_path: Path, crash: signal.Signals
) -> None:
    """On the same port, without being asked, and what changes meanwhile is in force."""
    before = aws.broker.pid
    with Device(aws, tmp_path) as device, Device(aws, tmp_path) as other:
        os.kill(before, crash)
        aws.iot.update_certificate(certificateId=other.certificate_id, newStatus="INACTIVE")
        while aws.broker.pid in {0, before} or not device.connect():
            time.sleep(0.02)
        assert other.refused()


def test_a_reload_leaves_a_session_that_is_away(aws: LocalAws, tmp_path: Path) -> None:
    """It is not ended once more: of that, mosquitto 2.0.11 crashes."""
    with Device(aws, tmp_path) as device, Device(aws, tmp_path) as other:
        assert device.connect(clean=False)
        device.close()
        while not (ends := [line for line in aws.broker.log if f"{device.thing} " in line][1:]):
            time.sleep(0.02)
        aws.iot.update_certificate(certificateId=other.certificate_id, newStatus="INACTIVE")
        assert [line for line in aws.broker.log if f"{device.thing} " in line][1:] == ends
        assert device.connect(clean=False)
        assert device.session_present


def test_the_observer_misses_nothing_that_was_acknowledged(aws: LocalAws, tmp_path: Path) -> None:
    """Whatever has its PUBACK is seen, over kills of the broker in full traffic."""
    with Device(aws, tmp_path) as device:
        acknowledged = 0
        for _ in range(5):
            assert device.connect()
            killer, enough = threading.Thread(target=aws.broker.kill), acknowledged + 20
            while not device.lost:
                with suppress(OSError, ValueError, AssertionError):
                    payload = str(acknowledged).encode()
                    device.publish(f"{device.thing}/sensors/room", payload)
                    acknowledged += 1
                    if acknowledged == enough:
                        killer.start()
            killer.join()
            aws.broker.start()
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
